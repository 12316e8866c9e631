// Whether the vault can still show who released a hold: a reader of a certificate asks for it, and a release
// that it cannot see releases nothing (docs/spec/erasure.md, "Holds").
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "app/vault.h"

namespace kesu {

struct ReleaseProblem {
  std::string why;
  std::vector<std::string> lost;  // kept files that are missing or altered, and their name in a bundle
};
// Of these holds the released ones of which no release in the entries below `until` would count to a reader:
// statements or signatures are lost, altered or no good ones, so that fewer approvers are shown than the
// quorum then asked for. Reads the ledger's headers once, for all; not for use under the vault's lock.
std::map<std::string, ReleaseProblem> release_problems(Vault& vault, const std::set<std::string>& holds,
                                                       uint64_t until = UINT64_MAX);

// Holds that were released on a dataset itself, or on one of these versions.
std::set<std::string> released_on(const State& state, const std::set<std::string>& nodes);

// The same of one: why; "" where a release counts, and of a hold that stands.
std::string release_problem(Vault& vault, const HoldRecord& hold);

}  // namespace kesu
