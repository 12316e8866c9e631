// proofs.db: in which batch an object stands, and roots of parts of the ledger's tree, so that a proof reads
// neither all segments nor all leaves. Hints: whoever uses one shows by segment, entry and checkpoint that it
// is true. Made by those who look, gone without harm (docs/spec/store.md, "proofs.db").
#pragma once
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace kesu {

class ProofIndex {
 public:
  // Leaves of the ledger in one part. A part's root is that of RFC 6962 over its leaves: part n has the
  // entries [n * kPart, (n + 1) * kPart).
  static constexpr uint64_t kPart = 256;

  // Nothing in here is ever an error: a file that is missing, damaged, locked or anybody's else is an empty
  // one, and what cannot be kept is lost. Where `writable` is false nothing is made, and nothing kept.
  ProofIndex(const std::string& vault_directory, bool writable) noexcept;
  ~ProofIndex();  // what was not saved is lost
  ProofIndex(const ProofIndex&) = delete;
  ProofIndex& operator=(const ProofIndex&) = delete;

  struct Place {
    std::string batch;
    uint64_t done_seq = 0;  // of the batch's seal-done
  };
  // Where the object was found last.
  std::optional<Place> find(const std::string& dataset, const ObjectId& object) noexcept;
  // Batches of the dataset whose objects are all in here.
  std::set<std::string> batches(const std::string& dataset) noexcept;
  // Found after save(); held until then.
  void add(const std::string& dataset, const Place& place,
           const std::vector<std::pair<ObjectId, Digest32>>& rows) noexcept;

  // Roots of the ledger's parts, from the first on, without gaps.
  std::vector<Digest32> parts() noexcept;
  void keep_parts(const std::vector<Digest32>& roots) noexcept;

  void save() noexcept;
  // Removes the file: it said what is not so.
  void discard() noexcept;

 private:
  struct Open;
  template <class F>
  void use(bool writing, F work) noexcept;

  std::string path_;
  bool writable_;
  std::unique_ptr<Open> open_;  // none: there is nothing to read, and nothing is kept
};

}  // namespace kesu
