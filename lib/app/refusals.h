// Attempts to destroy that were refused, kept in the ledger (docs/spec/erasure.md, "Refusals").
#pragma once
#include <string>

#include "app/vault.h"

namespace kesu {

// What was attempted.
enum class Attempt { erase_run, erase_approve, key_destroy };

// Whether this error of it is such a refusal: an attempt against holds, people, plan, waiting period or data
// that is kept, not a fault of machine, provider or words.
bool is_refusal(Attempt attempt, const Error& why);

// Records that `attempt` was refused by `why` as a finding on `node`: the erasure, or the vault. `of`: in
// whose name, or the key's identifier; "" of a run. Not again within 24 hours of the ledger's time. Nothing
// of an erasure that is over, and in a vault that is closed or open for reading. Never throws: what cannot be
// recorded is a notice, and the refusal stands.
void record_refusal(Vault& vault, const std::string& node, Attempt attempt, const std::string& of,
                    const Error& why);

}  // namespace kesu
