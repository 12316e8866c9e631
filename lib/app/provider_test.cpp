// kesu provider test: one provider asked for everything that the vault expects of it.
#include <algorithm>
#include <set>

#include "app/copies.h"
#include "app/keys.h"

namespace kesu {

namespace {
// Versions that the ledger calls destroyed, though an object of their name is there.
void find_returned(Vault& vault, const ProviderRecord& record, Provider& provider, const Enumeration& seen,
                   Json& findings) {
  for (const auto& [v, returned] : object_drift(vault.state(), record.id, seen)) {
    if (!returned || !v.ref->canary) continue;
    const std::string name = version_name(vault.state(), v);
    const bool back = opens_canary(provider, *v.ref);
    const std::string detail =
        name + (back ? " was destroyed, and works again: a copy of it was put back"
                     : " was destroyed, and an object of its name is there that does not open its canary");
    findings.push(detail +
                  (back ? ". What was certified of it holds no more. Remove the object " + v.ref->label +
                              " with the provider's own tools, then: kesu copy list, kesu copy destroy"
                        : ""));
    // It came from a copy. Where it is now is one: a living path, whatever was certified.
    if (back)
      record_found_copy(vault, v.id,
                        {"replica", "provider " + record.name + ", object " + v.ref->label,
                         "whoever put it back", "provider", "", 0},
                        detail);
  }
}
}  // namespace

bool opens_canary(Provider& provider, const KeyRef& ref) {
  if (!ref.canary) return false;
  const WrappedKey canary{WrapAlg::aes256_gcm, ref.canary->nonce, ref.canary->ciphertext};
  auto trials = provider.try_keys(canary, as_bytes(kCanaryAad), &ref);
  return std::any_of(trials.begin(), trials.end(), [&](const Trial& t) {
    return t.outcome == TrialOutcome::opened && t.digest == ref.canary->digest;
  });
}

std::vector<ObjectDrift> object_drift(const State& state, const std::string& provider,
                                      const Enumeration& seen) {
  std::set<std::pair<std::string, Bytes>> there;
  for (const ObjectSeen& o : seen.objects) there.emplace(o.label, o.id);
  std::vector<ObjectDrift> out;
  for (auto& [id, key] : state.keys)
    for (const VersionRecord& v : key.versions) {
      if (v.provider != provider || !v.ref) continue;
      auto at = parse_key_state(v.state);
      const bool seen_there = there.contains({v.ref->label, v.ref->id});
      const bool must = at && *at != KeyState::destroying && may_exist(*at);
      if (must ? !seen_there && seen.complete : v.destroyed && seen_there) out.push_back({v, !must});
    }
  return out;
}

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
  const ProviderRecord known = record;
  find_returned(vault, known, provider, seen, findings);
  return Json::object({{"provider", known.name},
                       {"identity", provider.identity().to_json()},
                       {"capabilities", provider.capabilities().to_json()},
                       {"objects", seen.objects.size()},
                       {"keys_tried", tried},
                       {"test_grade", known.test_grade},
                       {"grade_reason", known.grade_reason},
                       {"findings", findings}});
}

}  // namespace kesu
