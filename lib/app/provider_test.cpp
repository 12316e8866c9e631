// kesu provider test: one provider asked for everything that the vault expects of it.
#include "app/keys.h"

namespace kesu {

Json test_provider(Vault& vault, const ProviderRecord& record) {
  Json findings(Json::Array{});
  Provider& provider = vault.provider(record.id);
  Enumeration seen = provider.enumerate();
  if (!seen.complete) findings.push("the token's objects cannot be listed whole: " + seen.why);
  int64_t tried = 0;
  for (auto& [id, key] : vault.state().keys)
    for (const VersionRecord& v : key.versions) {
      auto state = parse_key_state(v.state);
      if (v.provider != record.id || !v.ref || !state || !may_exist(*state)) continue;
      try {
        ++tried;
        if (v.ref->canary) {
          Secret zero(32);
          provider.wrap(*v.ref, zero, as_bytes("kesu provider test"));
        } else {
          Bytes digest(key.purpose == KeyPurpose::sign_certificate ? 48 : 32, 0);
          provider.sign(*v.ref, digest);
        }
      } catch (const Error& e) {
        findings.push(v.version().brief() + " (" + key.name + "): " + e.message() +
                      (e.cause().empty() ? "" : ": " + e.cause()));
      }
    }
  return Json::object({{"provider", record.name},
                       {"identity", provider.identity().to_json()},
                       {"capabilities", provider.capabilities().to_json()},
                       {"objects", seen.objects.size()},
                       {"keys_tried", tried},
                       {"test_grade", record.test_grade},
                       {"grade_reason", record.grade_reason},
                       {"findings", findings}});
}

}  // namespace kesu
