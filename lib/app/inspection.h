// What an inspection before a destruction must show, so that the one after can show a difference.
#pragma once
#include <vector>

#include "app/vault.h"

namespace kesu {

// Every one of `keys` and the provider's control key work, and nothing else there opens what these protect,
// or may do so for all that can be seen: what stays behind could never be told from them. Errors:
// provider_unavailable, key_mismatch, object_ambiguous.
void demand_clear_before(Vault& vault, const ProviderRecord& provider, const Vault::Probed& before,
                         const std::vector<VersionRef>& keys);

}  // namespace kesu
