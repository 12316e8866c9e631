// Objects that are sealed out of objects of another dataset: what the sealer asks of where they come from.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "app/seal_file.h"
#include "store/store.h"

namespace kesu {

// An object that is sealed anew (SealSource::from).
struct ResealedObject {
  SegmentObject was;   // in the inventory of the dataset that it comes from
  std::string at;      // the path of its sealed file
  bool taken = false;  // the target's inventory has something of its name already, which stays as it is
  // HMAC-SHA-256( `salt` of `was`, plaintext ), when it was opened.
  Digest32 digest{};
};

class SealOrigin {
 public:
  virtual ~SealOrigin() = default;

  using SealBytes = std::function<void(const Metadata&, const Source&)>;
  // Any worker's thread. Sets the source's kind, calls `seal` once; returns when all that it gave was
  // authentic to the end. Errors: of this object, or of the provider.
  virtual void read(SealSource& source, unsigned worker, Crew& crew, const SealBytes& seal) = 0;
  // Likewise: `part` is whole, its wrap is proven. Throws where it is not what was read.
  virtual void check(const SealSource& source, unsigned worker, Crew& crew, const SealedInput& part) = 0;
  // The vault's thread, within a decision: what the entry before the batch says besides.
  virtual void intended(const std::vector<const SealSource*>& sources, Json& body) = 0;
  // The vault's thread: entries that stand with the batch's end or not at all.
  struct Sealed {
    const ResealedObject* from;
    const SegmentObject* object;
  };
  virtual std::vector<Event> sealed(const BatchId& batch, const std::vector<Sealed>& objects) = 0;
};

}  // namespace kesu
