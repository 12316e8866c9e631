// Between the ways to open objects.
#pragma once
#include <string>
#include <vector>

#include "app/opening.h"
#include "app/tree_read.h"
#include "seal/files.h"

namespace kesu {

struct Candidate {
  std::string path;  // for messages, and for opening where it is not too long
  size_t source = 0;
  TreeFile file;
  ObjectHeader header;
  uint64_t payload = 0;
  std::vector<std::string> versions;
};

// Thrown out of an opening when the metadata says what it is.
struct IsManifest {
  std::string root;
  FileTime sealed;
};
struct IsThere {};

inline std::string in_words(const Error& e) {
  return e.message() + (e.cause().empty() ? "" : ": " + e.cause());
}

// What the region of an object says of it: header and versions.
void describe(Candidate& candidate, const Region& region);
// Throws sealed_damaged or state_refused where the object cannot be of this vault, or its dataset was erased.
const DatasetRecord& readable(const Vault& vault, const State& state, const Candidate& candidate);
// Recorded and durable before the first byte leaves: who could see what, when, is part of the answer.
void record_opening(Vault& vault, const std::string& process, const std::string& dataset,
                    const std::vector<Candidate>& files, const OpenOptions& options);
ProcessFor purpose_of(const OpenOptions& options);

}  // namespace kesu
