#include "app/keys.h"

#include "app/actor.h"
#include "app/datasets.h"
#include "app/settle.h"
#include "certificate/grade.h"
#include "crypto/hash.h"

namespace kesu {

namespace {
std::string birth_digest(const KeyRef& ref) {
  Bytes all;
  if (ref.canary) all.insert(all.end(), ref.canary->digest.begin(), ref.canary->digest.end());
  all.insert(all.end(), ref.public_key.begin(), ref.public_key.end());
  return hex(sha256(all));
}

// Intended, then made, then recorded. A kill between leaves a question that settle() answers.
std::string make_version(Vault& vault, const VersionRef& version, const std::string& name,
                         const std::string& provider_id, KeyPurpose purpose,
                         const std::vector<std::string>& streams) {
  Provider& provider = vault.provider(provider_id);
  Event intended{.type = "key-intended",
                 .nodes = {{.id = version.str(), .is = "intended", .of = provider_id}},
                 .body = Json::object({{"actor", this_process()},
                                       {"name", name},
                                       {"purpose", purpose_text(purpose)},
                                       {"label", object_label(version)},
                                       {"id", hex(object_id(version))}})};
  vault.decide(streams, [&] {
    if (const KeyRecord* key = vault.state().key_of(version.str())) refuse_reserved(vault.state(), *key);
    return std::vector<Event>{intended};
  });
  Birth birth = provider.generate(version, purpose);
  vault.append(birth_events(vault, *vault.state().version(version.str()), birth, false), {version.str()});
  return version.str();
}

const ProviderRecord& choose_provider(Vault& vault, const std::string& text) {
  if (!text.empty()) return vault.find_provider(text);
  auto& all = vault.state().providers;
  if (all.size() == 1) return all.begin()->second;
  throw Error(Code::usage, "which provider?")
      .next(all.empty() ? "kesu provider add NAME URI" : "--provider NAME; kesu provider list shows them");
}
}  // namespace

std::string add_provider(Vault& vault, const std::string& name, const std::string& uri) {
  settle(vault);
  for (auto& [id, p] : vault.state().providers)
    if (p.name == name)
      throw Error(Code::already_exists, "a provider is called " + name + " already")
          .next("choose another name");
  auto provider = vault.env().providers.open(uri);
  ProviderIdentity identity = provider->identity();
  for (auto& [id, p] : vault.state().providers)
    if (p.identity.same_place(identity))
      throw Error(Code::already_exists, "this token is provider " + p.name + " already")
          .cause("serial " + identity.serial);
  ProviderGrade grade = grade_provider(identity);
  auto id = vault.env().random.id<ProviderId>().str();
  Event added{
      .type = "provider-added",
      .nodes = {{.id = id, .is = "open", .d = hex(sha256(as_bytes(identity.to_json().canonical())))}},
      .body = Json::object(
          {{"name", name},
           {"uri", uri},
           {"identity", identity.to_json()},
           {"capabilities", provider->capabilities().to_json()},
           {"grade", Json::object({{"test", grade.test}, {"row", grade.row}, {"reason", grade.reason}})}})};
  vault.append({added}, {id});
  provider.reset();
  create_key(vault, "control-" + name, id, KeyPurpose::control);
  return id;
}

std::vector<Event> birth_events(Vault& vault, const VersionRecord& version, const Birth& birth,
                                bool interrupted) {
  const KeyRecord* key = vault.state().key_of(version.id);
  std::string kept = vault.store().put_blob(as_bytes(birth.to_json().canonical()));
  Json left_out(Json::Array{});
  for (const std::string& a : birth.left_out) left_out.push(a);
  std::vector<Event> events;
  events.push_back(
      {.type = "key-created",
       .nodes = {{.id = version.id, .is = "active", .of = version.provider, .d = birth_digest(birth.ref)}},
       .body = Json::object({{"name", key->name},
                             {"purpose", purpose_text(key->purpose)},
                             {"ref", birth.ref.to_json()},
                             {"birth", kept},
                             {"left_out", left_out},
                             {"interrupted", interrupted}})});
  if (const VersionRecord* before = key->active())
    events.push_back(
        {.type = "key-state-changed",
         .nodes = {{.id = before->id, .is = "deactivated"}},
         .body = Json::object(
             {{"from", before->state},
              {"reason", "rotated: version " + std::to_string(version.number()) + " is active"}})});
  return events;
}

std::string create_key(Vault& vault, const std::string& name, const std::string& provider_text,
                       KeyPurpose purpose) {
  settle(vault);
  if (name.empty() || name.starts_with("key-"))
    throw Error(Code::usage, "a key's name cannot be empty or begin with key-");
  for (auto& [id, k] : vault.state().keys) {
    if (k.name != name || k.state() == "absent") continue;
    throw Error(Code::already_exists, "a key is called " + name + " already")
        .cause(k.id + ", " + k.state())
        .next("choose another name, or kesu key rotate " + name);
  }
  const ProviderRecord& provider = choose_provider(vault, provider_text);
  VersionRef version{vault.env().random.id<KeyId>(), 1};
  make_version(vault, version, name, provider.id, purpose, {version.str()});
  return version.key.str();
}

std::string rotate_key(Vault& vault, KeyRecord& found) {
  settle(vault);
  KeyRecord& key = vault.state().keys.at(found.id);
  if (key.purpose != KeyPurpose::wrap)
    throw Error(Code::state_refused, key.name + " signs or controls; only keys that wrap are rotated")
        .next("kesu key list");
  const VersionRecord* active = key.active();
  if (!active)
    throw Error(Code::state_refused, key.name + " has no active version; it is " + key.state())
        .next("kesu key create makes another key");
  VersionRef next{active->version().key, key.versions.back().number() + 1};
  return make_version(vault, next, key.name, key.provider, key.purpose,
                      {active->id, next.str(), vault.state().vault.id});
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
  return Json::object({{"provider", record.name},
                       {"identity", provider.identity().to_json()},
                       {"capabilities", provider.capabilities().to_json()},
                       {"objects", seen.objects.size()},
                       {"keys_tried", tried},
                       {"test_grade", record.test_grade},
                       {"grade_reason", record.grade_reason},
                       {"findings", findings}});
}

Json key_json(const State& state, const KeyRecord& key) {
  Json versions(Json::Array{});
  for (const VersionRecord& v : key.versions)
    versions.push(Json::object({{"version", v.number()},
                                {"state", v.state},
                                {"created", v.created ? Json(utc_text(v.created)) : Json()},
                                {"provider_ref", v.ref ? Json(v.ref->label) : Json()}}));
  auto p = state.providers.find(key.provider);
  return Json::object(
      {{"id", key.id},
       {"name", key.name},
       {"purpose", key.purpose == KeyPurpose::wrap || key.purpose == KeyPurpose::control ? "wrap" : "sign"},
       {"role", purpose_text(key.purpose)},
       {"algorithm", key.purpose == KeyPurpose::sign_ledger        ? "Ed25519"
                     : key.purpose == KeyPurpose::sign_certificate ? "ECDSA P-384"
                                                                   : "AES-256"},
       {"state", key.state()},
       {"provider", p == state.providers.end() ? key.provider : p->second.name},
       {"versions", versions}});
}

}  // namespace kesu
