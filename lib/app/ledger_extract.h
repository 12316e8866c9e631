// Use case: all headers of the ledger and the checkpoint over them, for a reader who has a certificate and
// wants to know whether it was withdrawn since (docs/spec/certificate.md, "Ledger extract").
#pragma once
#include <string>

#include "app/vault.h"

namespace kesu {

// A new directory, or a new zip file where `path` ends in ".zip". Signs a checkpoint when there is none of
// this size; returns that. No body leaves the vault. Errors: already_exists, provider errors.
SavedCheckpoint write_ledger_extract(Vault& vault, const std::string& path);

}  // namespace kesu
