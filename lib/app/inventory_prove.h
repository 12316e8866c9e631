// Use case: a proof that a sealed file is an object of a dataset's inventory (docs/spec/inventory.md,
// "Proof").
#pragma once
#include <string>

#include "app/vault.h"

namespace kesu {

// No key is used; the vault is read only, unless its newest checkpoint is older than the object's batch: then
// one is made. Cost: the file is read once where its payload is bound; segments are read until one lists the
// object, then all leaves of the ledger (32 bytes an entry) for the audit path. Errors: sealed_damaged (the
// file was altered), not_covered (no inventory of this vault lists it), waiting (no checkpoint over it yet,
// and none can be made).
Json prove_object(Vault& vault, const std::string& path);

}  // namespace kesu
