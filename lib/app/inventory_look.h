// One object of the inventory against the file at its place. For lib/app/inventory_check itself; used by
// several threads at once.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "app/lanes.h"
#include "base/crew.h"
#include "base/files.h"
#include "inventory/segment.h"

namespace kesu {

struct Verdict {
  bool altered = false;  // else: not there, not readable, not to be opened
  std::string what;
  Code code = Code::failed;
};
// A file by its name, without following a link. Throws not_found, io_failed.
class SealedFileAt {
 public:
  explicit SealedFileAt(const std::string& path);
  const SealedInput& input() const { return input_; }

 private:
  Fd fd_;
  SealedInput input_;
};
// The first bytes of a file as a header. Throws not_found, io_failed, sealed_damaged.
ObjectHeader header_at(const std::string& path);

// From the ciphertext; zero where the payload is not bound. Throws sealed_damaged, io_failed.
Digest32 payload_root_at(const SealedFileAt& file, const ObjectHeader& header, Crew* crew);

struct Looked {
  std::optional<Verdict> verdict;  // nullopt: good, as far as it was looked at
  uint64_t file_size = 0;
  bool bound = false, torn = false;
  std::vector<VersionRef> slots;   // whose slots stand there whole
  std::vector<std::string> opens;  // versions under which it opened
};
// Presence, length, header: no key.
Looked look_at_object(const std::string& place, const SegmentObject& object, const VaultId& vault,
                      const DatasetId& dataset);
// All of it. Errors of the provider end it: they say nothing about the file.
Looked open_to_nowhere(const std::string& place, const SegmentObject& object, const VaultId& vault,
                       const DatasetId& dataset, Lanes& lanes, unsigned lane, Crew* crew);

}  // namespace kesu
