#include "app/keys.h"

#include <set>

#include "app/actor.h"
#include "app/census.h"
#include "app/containers.h"
#include "app/datasets.h"
#include "app/key_states.h"
#include "app/settle.h"
#include "base/plain_text.h"
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

}  // namespace

const ProviderRecord& choose_provider(Vault& vault, const std::string& text) {
  if (!text.empty()) return vault.find_provider(text);
  auto& all = vault.state().providers;
  if (all.size() == 1) return all.begin()->second;
  throw Error(Code::usage, "which provider?")
      .next(all.empty() ? "kesu provider add NAME URI" : "--provider NAME; kesu provider list shows them");
}

void refuse_name(const State& state, const std::string& name) {
  refuse_bad_name(name, "a key's name");
  size_t dot = name.rfind('.');
  bool like_version = dot != std::string::npos && dot + 1 < name.size() &&
                      name.find_first_not_of("0123456789", dot + 1) == std::string::npos;
  if (name.starts_with("key-") || like_version)
    throw Error(Code::usage, "a key cannot be called \"" + name + "\"")
        .cause("a name does not begin with key-, and does not end like a version (loans.2)");
  for (auto& [id, k] : state.keys) {
    if (k.name != name || k.state() == "absent") continue;
    throw Error(Code::already_exists, "a key is called " + name + " already")
        .cause(k.id + ", " + k.state())
        .next("choose another name, or kesu key rotate " + name);
  }
}

Json intended_body(const std::string& name, const KeyDraft& draft, const std::string& origin) {
  Periods p = choose_periods(purpose_text(draft.purpose), draft.originator, draft.recipient);
  if (draft.wrap_quota && (*draft.wrap_quota < 1 || *draft.wrap_quota > kMaxWrapQuota))
    throw Error(Code::bad_input, "--wrap-quota takes 1 to " + std::to_string(kMaxWrapQuota))
        .cause("one AES-256-GCM key wraps at most 2^32 keys under random nonces, NIST SP 800-38D §8.3");
  Json out =
      Json::object({{"actor", this_process()},
                    {"wrap_quota", draft.wrap_quota.value_or(kWrapQuota)},
                    {"name", name},
                    {"purpose", purpose_text(draft.purpose)},
                    {"origin", origin},
                    {"initial", draft.pre_activation ? "pre-activation" : "active"},
                    {"periods", Json::object({{"originator", p.originator}, {"recipient", p.recipient}})}});
  if (!draft.fingerprints_of.empty()) out.set("fingerprints_of", draft.fingerprints_of);
  return out;
}

void refuse_of_fingerprints(const State& state, const KeyRecord& key, const std::string& act) {
  if (key.fingerprints_of.empty()) return;
  const auto d = state.datasets.find(key.fingerprints_of);
  const std::string name = d == state.datasets.end() ? key.fingerprints_of : d->second.name;
  throw Error(Code::state_refused, key.name + " cannot " + act)
      .cause("it wraps the fingerprint key of dataset " + name + ", and nothing else ever")
      .next("it ends with the dataset: kesu erase plan " + name);
}

namespace {
Event intended(const VersionRef& version, const std::string& provider, const std::string& vault, Json body) {
  body.set("label", object_label(version)).set("id", hex(object_id(version)));
  // The vault is named so that whoever decides on names, or on what an erasure takes, decides anew.
  return {.type = "key-intended",
          .nodes = {{.id = version.str(), .is = "intended", .of = provider}, {.id = vault}},
          .body = std::move(body)};
}

// The bracket is open: the provider makes the key, and that is recorded. A kill between leaves a question
// that settle() answers.
void make_intended(Vault& vault, const VersionRef& version, KeyPurpose purpose) {
  const VersionRecord v = *vault.state().version(version.str());
  Birth birth = vault.provider(v.provider).generate(version, purpose);
  vault.decide(key_streams(vault.state(), *vault.state().key_of(v.id)),
               [&] { return birth_events(vault, v, birth, false); });
}
}  // namespace

std::string add_provider(Vault& vault, const std::string& name, const std::string& uri) {
  refuse_bad_name(name, "a provider's name");
  settle(vault);
  std::string begun;  // killed, or refused by the provider, before it had its control key
  for (auto& [id, p] : vault.state().providers)
    if (p.name == name) {
      if (!p.control.empty() || p.state != "open")
        throw Error(Code::already_exists, "a provider is called " + name + " already")
            .next("choose another name");
      begun = id;
    }
  auto provider =
      vault.env().providers.open(begun.empty() ? creating_uri(vault.directory(), uri)
                                               : resolve_provider_uri(vault.directory(), recorded_uri(uri)));
  ProviderIdentity identity = provider->identity();
  if (!begun.empty()) {
    if (!vault.state().providers.at(begun).identity.same_place(identity))
      throw Error(Code::already_exists, "a provider is called " + name + " already")
          .cause("it is another place than this one, and has no control key yet")
          .next("choose another name; or the URI that it was added with, to finish it");
    provider.reset();
    create_key(vault, "control-" + name, begun, KeyPurpose::control);
    return begun;
  }
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
           {"uri", recorded_uri(uri)},
           {"identity", identity.to_json()},
           {"capabilities", provider->capabilities().to_json()},
           {"grade", Json::object({{"test", grade.test}, {"row", grade.row}, {"reason", grade.reason}})}})};
  if (auto container = provider->container()) added.body.set("generation", container->generation);
  vault.append({added}, {id});
  provider.reset();
  create_key(vault, "control-" + name, id, KeyPurpose::control);
  return id;
}

std::vector<Event> birth_events(Vault& vault, const VersionRecord& version, const Birth& birth,
                                bool interrupted) {
  return birth_events(vault, version.version(), version.provider,
                      vault.store().entry(version.bracket).entry.body, birth, interrupted);
}

std::vector<Event> birth_events(Vault& vault, const VersionRef& version, const std::string& provider,
                                const Json& intended, const Birth& birth, bool interrupted) {
  const KeyRecord* key = vault.state().key_of(version.str());
  // Whoever settled what looked interrupted may have been faster.
  const VersionRecord* now = vault.state().version(version.str());
  if (now && now->state == "absent")
    throw Error(Code::state_refused,
                "another process recorded meanwhile that " + version.brief() + " was never made")
        .next("kesu doctor shows what lies in the provider unrecorded; then the same command again");
  if (now && now->state != "intended") return {};
  std::string initial = intended.str_or("initial", "active");
  std::string kept = vault.store().put_blob(as_bytes(birth.to_json().canonical()));
  Json left_out(Json::Array{});
  for (const std::string& a : birth.left_out) left_out.push(a);
  std::vector<Event> events;
  events.push_back(
      {.type = "key-created",
       .nodes = {{.id = version.str(), .is = initial, .of = provider, .d = birth_digest(birth.ref)}},
       .body = Json::object({{"name", intended.str("name")},
                             {"purpose", intended.str("purpose")},
                             {"origin", intended.str_or("origin", "generated")},
                             {"ref", birth.ref.to_json()},
                             {"birth", kept},
                             {"left_out", left_out},
                             {"interrupted", interrupted}})});
  if (const VersionRecord* before = key ? key->active() : nullptr; before && initial == "active")
    events.push_back({.type = "key-state-changed",
                      .nodes = {{.id = before->id, .is = "deactivated"}},
                      .body = Json::object(
                          {{"from", before->state},
                           {"reason", "rotated: version " + std::to_string(version.version) + " is active"},
                           {"actor", this_process()}})});
  return events;
}

std::vector<std::string> create_keys(Vault& vault, const std::vector<std::string>& names,
                                     const KeyDraft& draft) {
  settle(vault);
  std::set<std::string> different;
  for (const std::string& name : names) {
    refuse_name(vault.state(), name);
    if (!different.insert(name).second) throw Error(Code::usage, "the name " + name + " is given twice");
  }
  const std::string provider = choose_provider(vault, draft.provider).id, id = vault.state().vault.id;
  vault.provider(provider);  // a token that does not answer is noticed before anything is intended
  std::vector<std::string> out;
  for (const std::string& name : names) {
    VersionRef version{vault.env().random.id<KeyId>(), 1};
    Json body = intended_body(name, draft, "generated");
    vault.decide({version.str(), id}, [&] {
      refuse_name(vault.state(), name);
      return std::vector<Event>{intended(version, provider, id, body)};
    });
    make_intended(vault, version, draft.purpose);
    out.push_back(version.key.str());
  }
  return out;
}

std::string create_key(Vault& vault, const std::string& name, const std::string& provider,
                       KeyPurpose purpose) {
  return create_keys(vault, {name}, {.provider = provider, .purpose = purpose}).at(0);
}

namespace {
// The version that a rotation goes on from: the newest that ever came to be.
const VersionRecord& rotates_from(const State& state, const KeyRecord& key) {
  if (key.purpose != KeyPurpose::wrap)
    throw Error(Code::state_refused, key.name + " signs or controls; only keys that wrap are rotated")
        .next("kesu key list");
  refuse_of_fingerprints(state, key, "be rotated");
  const VersionRecord* newest = nullptr;
  for (const VersionRecord& v : key.versions)
    if (v.state != "absent") newest = &v;
  if (newest && newest->state == "intended" && !has_ended(newest->actor).value_or(true))
    throw Error(Code::conflict, "another process makes a version of " + key.name)
        .next("the same command again when it has ended, if another version is still wanted");
  std::string why = !newest                             ? "it never came to be"
                    : newest->state == "pre-activation" ? "its newest version waits to be activated"
                    : newest->state == "intended"       ? "whether its newest version was made is open"
                    : newest->state == "destroying"     ? "whether its newest version was destroyed is open"
                    : newest->state.starts_with("destroyed") ? "its newest version is destroyed"
                                                             : "";
  if (!why.empty())
    throw Error(Code::state_refused, key.name + " cannot be rotated: " + why)
        .next(newest && newest->state == "pre-activation"
                  ? "kesu key activate " + version_name(state, *newest)
              : newest && newest->state == "intended" ? "any command that writes asks the provider"
                                                      : "kesu key create makes another key");
  refuse_reserved(state, key);
  return *newest;
}
}  // namespace

std::string rotate_key(Vault& vault, const std::string& id, const KeyDraft& draft) {
  settle(vault);
  const std::string provider = vault.state().keys.at(id).provider;
  KeyDraft like = draft;  // periods and quota as the version before, unless something else is asked for
  const VersionRecord& before = rotates_from(vault.state(), vault.state().keys.at(id));
  if (!draft.originator && !draft.recipient) {
    like.originator = before.originator;
    like.recipient = before.recipient;
  }
  if (!draft.wrap_quota) like.wrap_quota = before.wrap_quota;
  Json body = intended_body(vault.state().keys.at(id).name, like, "generated");
  vault.provider(provider);
  VersionRef next;
  vault.decide(key_streams(vault.state(), vault.state().keys.at(id)), [&] {
    const KeyRecord& key = vault.state().keys.at(id);
    next = {rotates_from(vault.state(), key).version().key, key.versions.back().number() + 1};
    return std::vector<Event>{intended(next, provider, vault.state().vault.id, body)};
  });
  make_intended(vault, next, draft.purpose);
  return next.str();
}

namespace {
Json time_or_null(Millis t) { return t ? Json(utc_text(t)) : Json(); }

Json version_json(const State& state, const VersionRecord& v) {
  Json attested(Json::Array{});
  for (const AttestationRecord& a : v.attested)
    attested.push(Json::object(
        {{"name",
          state.operators.contains(a.operator_id) ? state.operators.at(a.operator_id).name : a.operator_id},
         {"role", a.role},
         {"at", utc_text(a.time)}}));
  return Json::object({{"version", v.number()},
                       {"attested", attested},
                       {"state", v.state},
                       {"reason", v.reason},
                       {"origin", v.origin},
                       {"created", time_or_null(v.created)},
                       {"activated", time_or_null(v.activated)},
                       {"deactivated", time_or_null(v.deactivated)},
                       {"compromised", time_or_null(v.compromised)},
                       {"occurred", time_or_null(v.occurred)},
                       {"destroyed", time_or_null(v.destroyed)},
                       {"receipt_lost", v.receipt_lost},
                       {"erasure", v.erasure.empty() ? Json() : Json(v.erasure)},
                       {"originator_period", v.originator},
                       {"recipient_period", v.recipient},
                       {"protect_until", time_or_null(v.protect_until())},
                       {"process_until", time_or_null(v.process_until())},
                       {"wraps", v.wraps},
                       {"wrap_quota", v.wrap_quota},
                       {"provider_ref", v.ref ? Json(v.ref->label) : Json()}});
}
}  // namespace

Json key_json(const State& state, const KeyRecord& key) {
  Json versions(Json::Array{});
  for (const VersionRecord& v : key.versions) versions.push(version_json(state, v));
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
