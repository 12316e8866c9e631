// Use case: a proof that a sealed file is an object of a dataset's inventory (docs/spec/inventory.md,
// "Proof").
#pragma once
#include <string>
#include <vector>

#include "app/vault.h"
#include "store/proof_index.h"

namespace kesu {

// No key is used; the vault is read only, unless its newest checkpoint is older than the object's batch: then
// one is made. What it gives was checked as a reader of it would, the checkpoint's signature and both paths.
// Cost: the file is read once where its payload is bound, one segment, and up to 512 leaves of the ledger;
// what proofs.db does not know yet is read once: segments until one lists the object, and the ledger's other
// leaves (32 bytes an entry). A refusal is said only after ledger and segments were read without it and
// without registers. Errors: sealed_damaged (the
// file was altered), not_covered (no inventory of this vault lists it), waiting (no checkpoint over it yet,
// and none can be made).
Json prove_object(Vault& vault, const std::string& path);

// The audit path of entry `seq` in the ledger of `size` entries (RFC 6962 §2.1.1), lowest first, with what
// the index knows, which is told of what it lacked; nullptr: from all leaves. Nothing shows that it is true
// but the root of a checkpoint. Throws bad_input for an entry that is not among them, ledger_damaged.
std::vector<Digest32> path_in_ledger(ProofIndex* index, Store& store, uint64_t seq, uint64_t size);

}  // namespace kesu
