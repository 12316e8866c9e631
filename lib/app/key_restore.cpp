#include "app/key_restore.h"

#include <algorithm>

#include "app/actor.h"
#include "app/copies.h"
#include "app/datasets.h"
#include "app/keys.h"
#include "app/settle.h"
#include "app/tombstones.h"
#include "base/files.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "provider/key_share.h"
#include "provider/login_secret.h"

namespace kesu {

namespace {
// A path as people type it, or one of the sources of secrets.
std::string source_of(const std::string& text) {
  if (text.starts_with("fd:")) return text;
  return "file:" + absolute_path(text.starts_with("file:") ? text.substr(5) : text);
}

std::vector<KeyShare> read_shares(const std::vector<std::string>& sources) {
  std::vector<KeyShare> out;
  for (const std::string& source : sources)
    out.push_back(parse_share(read_secret_bytes(source, "share"), source));
  return out;
}

const VersionRecord& version_of(Vault& vault, const KeyWord& which, const ShareHead& head) {
  const State& state = vault.state();
  if (head.vault != vault.id())
    throw Error(Code::bad_input, "these are shares of a key of another vault")
        .cause("they name " + head.vault.str() + ", this is " + state.vault.id)
        .next("--vault DIR of that one");
  const VersionRecord* v = state.version(head.version.str());
  const bool meant =
      v && head.version.key.str() == which.key && (!which.number || which.number == v->number());
  if (!meant)
    throw Error(Code::bad_input, "these are shares of another key version than the one that was named")
        .cause("they name " + head.version.str() +
               (v ? ", " + version_name(state, *v) : ", which this vault does not know"))
        .next("kesu key list");
  if (!v->ref || !v->ref->canary)
    throw Error(Code::state_refused,
                "key version " + version_name(state, *v) + " never came to be, or wraps nothing")
        .cause("it is " + v->state);
  return *v;
}

void demand_its_key(const State& state, const VersionRecord& v, const Secret& key) {
  const Canary& canary = *v.ref->canary;
  Secret plain(32);
  if (canary.nonce.size() == 12 && canary.ciphertext.size() == 32 + kAeadTag &&
      Aead(AeadAlg::aes256_gcm, key)
          .open(AeadNonce(canary.nonce.data(), 12), as_bytes(kCanaryAad), canary.ciphertext,
                plain.reveal()) &&
      sha256(plain.reveal()) == canary.digest)
    return;
  throw Error(Code::bad_input, "the key of these shares is not key version " + version_name(state, v))
      .tried("opening the canary of " + v.id)
      .next("find out who made these shares: they say that they are this version's");
}

// Whoever has the plain shares has the key.
std::string register_plain(Vault& vault, const VersionRecord& v, const std::string& place,
                           const std::string& custodian) {
  const CopyDraft draft{"escrow-share", place, custodian, "plain shares", "", 0};
  record_found_copy(vault, v.id, draft, "its shares were put together: " + place);
  for (auto& [id, c] : vault.state().copies)
    if (c.state == "open" && c.place == place &&
        std::find(c.versions.begin(), c.versions.end(), v.id) != c.versions.end())
      return id;
  throw Error(Code::failed, "the plain shares could not be registered as a copy");
}

bool is_dead(const VersionRecord& v) { return v.state == "destroyed" || v.state == "destroyed-compromised"; }

void refuse_to_restore(Vault& vault, const VersionRecord& v, const std::string& copy) {
  const State& state = vault.state();
  const std::string name = version_name(state, v);
  if (is_dead(v))
    throw Error(Code::key_known, "key version " + name + " was destroyed on " + local_text(v.destroyed) +
                                     ": it does not come back")
        .cause("these shares open its canary, so they outlived it")
        .next("kesu copy list shows them as copy " + copy.substr(0, 12) +
              "; have them destroyed, then kesu copy destroy");
  refuse_buried(vault, v);
  refuse_reserved(state, *state.key_of(v.id));
  if (v.state == "intended" || v.state == "absent" || v.state == "destroying")
    throw Error(Code::state_refused, "key version " + name + " is " + v.state + ": it is not put back")
        .next("any command that writes asks its provider");
}

bool is_there(Provider& provider, const KeyRef& ref) {
  try {
    provider.describe(ref);
    return true;
  } catch (const Error& e) {
    if (e.code() != Code::object_absent) throw;
    return false;
  }
}

void record_restored(Vault& vault, const Restored& done, const Birth& birth) {
  Json indices(Json::Array{});
  for (int i : done.indices) indices.push(i);
  const std::string kept = vault.store().put_blob(as_bytes(Json::object({{"type", "kesu-key-restored-v1"},
                                                                         {"version", done.version},
                                                                         {"provider", done.provider},
                                                                         {"set", done.set},
                                                                         {"indices", indices},
                                                                         {"copy", done.copy},
                                                                         {"birth", birth.to_json()}})
                                                               .canonical()));
  const std::string document = vault.env().random.id<DocumentId>().str();
  vault.decide({done.version}, [&] {
    std::vector<Event> events = {
        {.type = "document-attached",
         .nodes = {{.id = document, .is = "attached", .d = kept}, {.id = done.version}, {.id = done.copy}},
         .body = Json::object({{"what", "key-restored"},
                               {"detail", done.version},
                               {"document", kept},
                               {"actor", this_process()}})}};
    // Destroyed by another process while it was put back.
    if (is_dead(*vault.state().version(done.version)))
      events.push_back(
          {.type = "finding-recorded",
           .nodes = {{.id = done.version}},
           .body = Json::object({{"what", "destroyed-key-back"},
                                 {"detail", "it was put back from shares as it was destroyed"}})});
    return events;
  });
}
}  // namespace

Restored restore_key(Vault& vault, const RestoreOrder& order) {
  if (order.custodian.empty())
    throw Error(Code::usage, "who answers for the plain shares? --custodian is empty");
  std::vector<std::string> sources;
  for (const std::string& s : order.shares) sources.push_back(source_of(s));
  const std::vector<KeyShare> shares = read_shares(sources);
  const Secret key = combine_key(shares);
  settle(vault);
  vault.rebuild();  // that it may live is the ledger's to say, not a register's
  const VersionRecord v = version_of(vault, order.which, shares.at(0).head);
  demand_its_key(vault.state(), v, key);

  Restored out{v.id, v.provider, hex(shares.at(0).head.set), {}, {}};
  std::string place = "plain shares of set " + out.set + ": ";
  for (size_t i = 0; i < shares.size(); ++i) {
    out.indices.push_back(shares[i].index);
    place += (i ? ", " : "") + std::to_string(shares[i].index) + " in " + sources[i];
  }
  out.copy = register_plain(vault, v, place + " on " + this_process().str_or("host", "?"), order.custodian);
  refuse_to_restore(vault, *vault.state().version(v.id), out.copy);
  Provider& provider = vault.provider(v.provider);
  const std::string name = version_name(vault.state(), v), at = vault.state().providers.at(v.provider).name;
  if (is_there(provider, *v.ref))
    throw Error(Code::already_exists,
                "key version " + name + " is in provider " + at + ": there is nothing to put back")
        .cause("the plain shares are registered as copy " + out.copy.substr(0, 12))
        .next("kesu provider test " + at + "; when the plain shares are destroyed, kesu copy destroy " +
              out.copy.substr(0, 12) + " --how TEXT --as PERSON");
  const Birth birth = provider.import_key(v.version(), key);
  if (!opens_canary(provider, *v.ref))
    throw Error(Code::provider_failed, "the key that was put back as " + name + " does not open its canary")
        .tried("the canary of " + v.id + " in provider " + at)
        .next("kesu provider test " + at);
  record_restored(vault, out, birth);
  return out;
}

}  // namespace kesu
