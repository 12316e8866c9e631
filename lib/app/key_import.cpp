#include "app/key_import.h"

#include <algorithm>

#include "app/settle.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "provider/key_material.h"

namespace kesu {

namespace {
// Every version whose canary is known, the dead first: that they come back is the worse of the two.
std::vector<const VersionRecord*> known_versions(const State& state) {
  std::vector<const VersionRecord*> out;
  for (auto& [id, key] : state.keys)
    for (const VersionRecord& v : key.versions)
      if (v.ref && v.ref->canary) out.push_back(&v);
  std::stable_partition(out.begin(), out.end(), [](auto* v) { return v->destroyed != 0; });
  return out;
}

Error known(const State& state, const VersionRecord& v) {
  std::string name = version_name(state, v);
  if (v.destroyed)
    return Error(Code::key_known, "this key material was key version " + name + ", destroyed on " +
                                      local_text(v.destroyed) + ": it does not come back")
        .cause("it opens the canary of " + v.id + ", which is " + v.state)
        .next(
            "a copy of it outlived its destruction; kesu copy list shows it, with what kesu copy destroy "
            "needs. "
            "kesu key compromise " +
            name + " --reason TEXT records what it means");
  return Error(Code::key_known, "this key material is key version " + name + ", which is " + v.state)
      .cause("it opens the canary of " + v.id + ", created " + local_text(v.created))
      .next("kesu copy list shows it as a copy, until kesu copy destroy ID --how TEXT --as PERSON");
}

// `same` is the version that it is, where it is one.
void refuse_known(const State& state, const Secret& key, std::string& same) {
  Aead aead(AeadAlg::aes256_gcm, key);
  Secret plain(32);
  for (const VersionRecord* v : known_versions(state)) {
    const Canary& canary = *v->ref->canary;
    if (canary.nonce.size() == 12 && canary.ciphertext.size() == 32 + kAeadTag &&
        aead.open(AeadNonce(canary.nonce.data(), 12), as_bytes(kCanaryAad), canary.ciphertext,
                  plain.reveal())) {
      same = v->id;
      throw known(state, *v);
    }
  }
}

// The same of a key that cannot be seen: the provider tries it on each canary.
void refuse_known(const State& state, Provider& provider, const KeyRef& ref, std::string& same) {
  for (const VersionRecord* v : known_versions(state)) {
    const Canary& canary = *v->ref->canary;
    WrappedKey wrapped{WrapAlg::aes256_gcm, canary.nonce, canary.ciphertext};
    bool told = false;
    for (const Trial& t : provider.try_keys(wrapped, as_bytes(kCanaryAad), &ref)) {
      if (t.outcome == TrialOutcome::opened && t.digest == canary.digest) {
        same = v->id;
        throw known(state, *v);
      }
      told |= t.outcome == TrialOutcome::failed;
    }
    if (!told)
      throw Error(Code::outcome_unknown,
                  "whether this key is " + version_name(state, *v) + " under another name could not be tried")
          .tried("the canary of " + v->id)
          .next("kesu provider test; a key that cannot be tried cannot be adopted");
  }
}

// Labels that this program gives: the object is a key of a vault, of this or of another one.
bool is_a_vaults(const std::string& label) {
  constexpr std::string_view kPrefix = "kesu:";
  return label.starts_with(kPrefix) && VersionRef::parse(label.substr(kPrefix.size()));
}

void refuse_ours(const State& state, const std::string& provider, const KeyRef& ref) {
  for (auto& [id, key] : state.keys)
    for (const VersionRecord& v : key.versions)
      if (v.ref && v.provider == provider && !v.destroyed && v.ref->label == ref.label && v.ref->id == ref.id)
        throw Error(Code::already_exists, "this object is key version " + version_name(state, v) + " already")
            .cause(v.id + ", " + v.origin + " " + local_text(v.created))
            .next("kesu key show " + key.name);
  if (is_a_vaults(ref.label))
    throw Error(Code::key_known, "this object is a key of another vault: " + ref.label)
        .cause("two vaults cannot account for one key: each would destroy it under the other")
        .next("use it through that vault, or make a key of this one: kesu key create NAME");
}

// Until it has a canary, the material of an import under way cannot be compared.
void refuse_beside_import(const State& state) {
  for (auto& [id, key] : state.keys)
    for (const VersionRecord& v : key.versions)
      if (v.state == "intended" && v.origin == "imported")
        throw Error(Code::conflict, "another import is under way: " + key.name)
            .cause("begun " + local_text(v.since) + " by process " +
                   std::to_string(v.actor.num_or("pid", 0)) + " on " + v.actor.str_or("host", "?"))
            .next("run the same command again when it has ended; kesu status shows whether it has");
}

Provider& able(Vault& vault, const ProviderRecord& record, bool Capabilities::*can, const char* what) {
  Provider& provider = vault.provider(record.id);
  if (!(provider.capabilities().*can))
    throw Error(Code::mechanism_absent, "provider " + record.name + " " + what)
        .next("kesu provider list shows the others");
  return provider;
}
}  // namespace

Imported import_key(Vault& vault, const std::string& name, const ImportDraft& draft) {
  settle(vault);
  refuse_name(vault.state(), name);
  const ProviderRecord record = choose_provider(vault, draft.key.provider);
  Provider& provider = able(vault, record, &Capabilities::imports, "takes no keys that were made elsewhere");
  const CopyDraft origin{.kind = "import-origin",
                         .place = draft.place,
                         .custodian = draft.custodian,
                         .medium = draft.source.substr(0, draft.source.find(':')),
                         .provider = {}};
  Imported out{vault.env().random.id<KeyId>().str(), vault.env().random.id<CopyId>().str()};
  VersionRef version{*KeyId::parse(out.key), 1};
  std::vector<Event> copies = copy_events(out.copy, {version.str()}, origin);
  Json body = intended_body(name, draft.key, "imported");
  body.set("label", object_label(version)).set("id", hex(object_id(version)));
  const Secret material = read_key_material(draft.source);
  const auto bytes = material.reveal();
  if (std::all_of(bytes.begin(), bytes.end(), [&](uint8_t b) { return b == bytes[0]; }))
    throw Error(Code::bad_input, "32 equal bytes are no key")
        .tried("reading " + draft.source.substr(0, draft.source.find(':')))
        .next("check where the key was written to");
  const std::string vault_id = vault.state().vault.id;
  std::string same;
  try {
    vault.decide({version.str(), vault_id}, [&] {
      refuse_name(vault.state(), name);
      refuse_beside_import(vault.state());
      refuse_known(vault.state(), material, same);
      std::vector<Event> events = {
          {.type = "key-intended",
           .nodes = {{.id = version.str(), .is = "intended", .of = record.id}, {.id = vault_id}},
           .body = body}};
      events.insert(events.end(), copies.begin(), copies.end());
      return events;
    });
  } catch (const Error&) {
    // Whoever offers it has a copy: without this it would be on record nowhere.
    if (!same.empty())
      record_found_copy(vault, same, origin, "offered to an import as " + name + ", from " + origin.place);
    throw;
  }
  Birth birth = provider.import_key(version, material);
  const VersionRecord v = *vault.state().version(version.str());
  vault.decide({v.id}, [&] { return birth_events(vault, v, birth, false); });
  return out;
}

std::string adopt_key(Vault& vault, const std::string& name, const ObjectSelector& what,
                      const KeyDraft& draft) {
  settle(vault);
  refuse_name(vault.state(), name);
  const ProviderRecord record = choose_provider(vault, draft.provider);
  Provider& provider = able(vault, record, &Capabilities::adopts, "hands over no keys that it already holds");
  VersionRef version{vault.env().random.id<KeyId>(), 1};
  // Nothing changes at the provider, so nothing has to be announced before: both entries are one append.
  Birth birth = provider.adopt(version, what);
  Json body = intended_body(name, draft, "adopted");
  body.set("label", birth.ref.label).set("id", hex(birth.ref.id));
  const std::string vault_id = vault.state().vault.id;
  std::string same;
  try {
    vault.decide({version.str(), vault_id}, [&] {
      refuse_name(vault.state(), name);
      refuse_ours(vault.state(), record.id, birth.ref);
      refuse_beside_import(vault.state());
      refuse_known(vault.state(), provider, birth.ref, same);
      std::vector<Event> events = {
          {.type = "key-intended",
           .nodes = {{.id = version.str(), .is = "intended", .of = record.id}, {.id = vault_id}},
           .body = body}};
      for (Event& e : birth_events(vault, version, record.id, body, birth, false))
        events.push_back(std::move(e));
      return events;
    });
  } catch (const Error&) {
    const std::string place = "provider " + record.name + ", object " + birth.ref.label;
    if (!same.empty())
      record_found_copy(vault, same, {"replica", place, "whoever put it there", "provider", "", 0},
                        "met where a key was to be adopted as " + name + ": " + place);
    throw;
  }
  return version.key.str();
}

}  // namespace kesu
