// Entries that answer the question another entry left open. For the vault itself.
#pragma once
#include <vector>

#include "app/state.h"
#include "ledger/entry.h"

namespace kesu {

// Refuses an answer to what is not open: another process may have answered it since this one asked, and no
// question is answered twice. A question and its answer may come in one append. Errors: conflict.
void refuse_answered(const State& state, const std::vector<Event>& events);

}  // namespace kesu
