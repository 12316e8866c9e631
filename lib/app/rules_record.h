// A change of people or rules as the ledger has it: one `rules-changed` entry.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "erasure/change_statement.h"

namespace kesu {

struct ChangeRecord {
  uint64_t seq = 0;                  // its entry
  Millis time = 0;                   // when it was recorded
  Millis effective = 0;              // from when on it counts; a clock that was set moves it
  int64_t waiting = 0, quorum = 1;   // of the rules that it changed
  bool dead = false;                 // too many of its signers were revoked before it took effect
  std::string statement, reason;     // the blob that was signed
  std::vector<std::string> signers;  // approvers who signed it and were not revoked before it took effect
  RuleChange change;
};

}  // namespace kesu
