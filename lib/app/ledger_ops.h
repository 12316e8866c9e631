// Use cases on the ledger itself: verify everything, show entries.
#pragma once
#include <string>
#include <vector>

#include "app/vault.h"

namespace kesu {

struct LedgerReport {
  uint64_t size = 0;
  std::string root;
  std::vector<LedgerFinding> findings;  // what is wrong
  std::vector<LedgerFinding> notes;     // harmless: left by an interrupted command
  size_t checkpoints = 0, blobs = 0, segments = 0, registers = 0;
};
// Everything recomputed from the bytes on disk: entries, links, checkpoints, blobs, segments, registers.
LedgerReport verify_ledger(const std::string& directory, Environment& env);

// Digests of evidence that an entry names; ("<dataset>/<batch>", digest) of its segment.
std::vector<std::string> blobs_named_by(const StoredEntry& entry);
std::vector<std::pair<std::string, std::string>> segments_named_by(const StoredEntry& entry);

Json entry_json(const StoredEntry& entry, bool with_body);

}  // namespace kesu
