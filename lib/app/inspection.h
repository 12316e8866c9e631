// What an inspection before a destruction must show, so that the one after can show a difference.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "app/vault.h"

namespace kesu {

// Every one of `keys` and the provider's control key work, and nothing else there opens what these protect,
// or may do so for all that can be seen: what stays behind could never be told from them. Errors:
// provider_unavailable, key_mismatch, object_ambiguous.
void demand_clear_before(Vault& vault, const ProviderRecord& provider, const Vault::Probed& before,
                         const std::vector<VersionRef>& keys);

// The same keys and samples as before an erasure, asked for again in processes of their own.
struct InspectedAgain {
  Json inspections;  // [{"provider","before","after"}], evidence digests
  std::map<ProbeAnswer, int64_t> answers;
  std::string doubt;  // the first key that is not shown absent; "": all are
  Json result() const;
};
// `looked` is told each inspection as it ends; what it throws ends all.
InspectedAgain inspect_again(Vault& vault, const ErasureRecord& erasure, const Json& plan,
                             const std::function<void(const Vault::Probed&)>& looked);

}  // namespace kesu
