// What is due, pending, open, broken: one screen.
#pragma once
#include "app/due.h"
#include "app/vault.h"

namespace kesu {

struct StatusReport {
  Json document;  // docs/spec/interface.md
  std::vector<Due> due;
  // The three words of `status --check`; the most serious one is its exit code (overdue, silent, waits).
  bool waits = false;    // something waits for a person
  bool silent = false;   // a provider does not answer; only known when providers were asked
  bool overdue = false;  // something is overdue or drifts, or the next command would settle a question
};
// `check`: folds the whole ledger, believing no register, and opens each provider, too. Writes nothing.
StatusReport vault_status(Vault& vault, bool check);

}  // namespace kesu
