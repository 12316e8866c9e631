// Attempts to destroy that were refused, kept in the ledger (docs/spec/erasure.md, "Refusals").
#pragma once
#include <string>

#include "app/vault.h"

namespace kesu {

// Whether an error of this code is such a refusal: an attempt against holds, people, plan or waiting period,
// not a fault of machine, provider or words.
bool is_refusal(Code code);

// Records that `attempt` ("erase run") was refused by `why` as a finding on `node`: the erasure, or the
// vault. Not again where the newest finding on that node says the same. Nothing in a vault that is closed or
// open for reading. Never throws: what cannot be recorded is a notice, and the refusal stands.
void record_refusal(Vault& vault, const std::string& node, const std::string& attempt, const Error& why);

}  // namespace kesu
