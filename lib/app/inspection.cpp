#include "app/inspection.h"

#include "app/key_states.h"

namespace kesu {

void demand_clear_before(Vault& vault, const ProviderRecord& provider, const Vault::Probed& before,
                         const std::vector<VersionRef>& keys) {
  const std::string test = "kesu provider test " + provider.name;
  if (before.report.control != ProbeAnswer::usable)
    throw Error(Code::provider_unavailable,
                "provider " + provider.name +
                    "'s control key does not answer: nothing can be shown about the others")
        .cause(before.report.error_message)
        .next(test);
  for (const VersionRef& v : keys)
    if (const ProbeKey& k = before.key(v); k.answer != ProbeAnswer::usable)
      throw Error(Code::key_mismatch,
                  version_name(vault.state(), *vault.state().version(v.str())) +
                      " is not usable before its destruction, so its destruction could not be shown")
          .cause(std::string(probe_text(k.answer)) + ": " + k.why)
          .next("find out who touched it: " + test);
  if (!before.remains.empty())
    throw Error(Code::object_ambiguous,
                "nothing is destroyed: provider " + provider.name +
                    " holds something beside the keys that would keep their end from being shown")
        .cause(before.remains)
        .next("its owner removes it, or makes it usable so that it can be tried; then the same command again");
}

}  // namespace kesu
