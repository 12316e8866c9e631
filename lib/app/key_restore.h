// Use case: a key put back to its provider from custodians' shares (docs/spec/key-shares.md, "Back").
#pragma once
#include <string>
#include <vector>

#include "app/key_states.h"
#include "app/vault.h"

namespace kesu {

struct RestoreOrder {
  KeyWord which;                    // a key, or the version whose shares they are
  std::vector<std::string> shares;  // sources: a path, file:/path or fd:N
  std::string custodian;            // who answers for the plain shares that were given
};
struct Restored {
  std::string version, provider;  // `prv-…`
  std::string set;                // 32 hex digits
  std::string copy;               // `cpy-…`: the plain shares, an open copy
  std::vector<int> indices;
};
// The shares have to give the key of that version: it opens the canary in the ledger. Then they are
// registered as an open copy, whatever follows. Errors: bad_input (no shares of one set of this vault and
// version, or they give no key, or another), pin_source_unsafe and others of read_secret_bytes; key_known
// (destroyed: it does not come back), version_buried, state_refused, frozen, already_exists (it is at its
// provider), those of Provider::import_key.
Restored restore_key(Vault& vault, const RestoreOrder& order);

}  // namespace kesu
