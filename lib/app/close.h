// The end of a vault: nothing may be added to its ledger any more (docs/spec/ledger.md, `vault-closed`).
#pragma once
#include <string>
#include <vector>

#include "app/vault.h"

namespace kesu {

struct CloseBlocker {
  std::string what, next;
};
// What still speaks against closing, in the order in which a person would clear it away: data that is not
// erased, erasures without their certificate, open questions, open copies, keys that could open something.
std::vector<CloseBlocker> close_blockers(Vault& vault);

struct Closed {
  Millis at = 0;
  std::vector<std::string> left;  // versions that still exist at their providers; none reaches data
  uint64_t checkpoint = 0;        // entries under the last one
  bool now = false;               // false: it was closed before
};
// Appends `vault-closed`, decided on the whole ledger, then signs the last checkpoint. May be repeated: what
// is missing is done. Errors: usage (no reason), state_refused with everything that speaks against it.
Closed close_vault(Vault& vault, const std::string& reason);

}  // namespace kesu
