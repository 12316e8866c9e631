// The policy's evaluator over the evidence of this vault: what its ledger, certificates and officers'
// signatures rest on.
#pragma once
#include "app/state.h"

namespace kesu {

// {"year","edition","bits","weakest","horizon_year_new"?,"horizon_year_process"?,"chain":[…]}, weakest first
// (docs/spec/interface.md). Officers' keys by their real kind and size; one that cannot be read is not known.
Json policy_evidence(const State& state, int year);

}  // namespace kesu
