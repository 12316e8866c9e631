#include "app/fingerprints.h"

#include <algorithm>

#include "app/key_states.h"
#include "app/keys.h"
#include "app/seal_file.h"
#include "app/sealing.h"
#include "provider/wrap_checked.h"
#include "seal/fingerprint.h"

namespace kesu {

namespace {
const VersionRecord& version_of(const State& state, const DatasetKeyRecord& k) {
  const VersionRecord* v = state.version(k.version);
  if (!v || !v->ref)
    throw Error(Code::ledger_damaged, "fingerprint key " + k.id + " names no key version that was made");
  return *v;
}

Secret open(Vault& vault, const DatasetRecord& d, const DatasetKeyRecord& k, ProcessFor why) {
  const VersionRecord& v = version_of(vault.state(), k);
  refuse_to_process(vault, v, why);
  return vault.provider(v.provider)
      .unwrap(
          *v.ref, k.wrapped,
          fingerprint_key_aad(vault.id(), *DatasetId::parse(d.id), *DatasetKeyId::parse(k.id), v.version()));
}

// Sealing is not to hang on a provider that the dataset has left.
bool usable(Vault& vault, const DatasetRecord& d, const VersionRecord& v) {
  if (v.provider != protecting_version(vault, d).provider) return false;
  try {
    refuse_to_process(vault, v, ProcessFor::opening);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// A key that was made for this and came no further: a command was interrupted.
// A key that was made for this and wraps nothing yet: beforehand, or a command was interrupted. One whose
// making was attended comes first.
const VersionRecord* unused(Vault& vault, const DatasetRecord& d) {
  const VersionRecord* out = nullptr;
  for (auto& [id, key] : vault.state().keys) {
    if (key.fingerprints_of != d.id || !key.active()) continue;
    const VersionRecord& v = *key.active();
    bool used = false;
    for (const DatasetKeyRecord& k : d.fingerprint_keys) used |= k.version == v.id;
    if (!used && usable(vault, d, v) && (!out || out->attested.empty())) out = &v;
  }
  return out;
}

// People meet it in plans and lists: it says what it is for.
std::string free_name(const State& state, const DatasetRecord& d) {
  const auto fits = [&](const std::string& name) {
    try {
      refuse_name(state, name);
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  const std::string name = "fingerprints-" + d.name;
  if (fits(name)) return name;
  for (int n = 2; n < 100; ++n)
    if (const std::string other = name + "-" + std::to_string(n); fits(other)) return other;
  return "fingerprints-" + d.id;
}

std::string make_version(Vault& vault, const DatasetRecord& d) {
  const std::string key = make_fingerprint_version(vault, d.id, free_name(vault.state(), d),
                                                   protecting_version(vault, d).provider);
  return vault.state().keys.at(key).active()->id;
}

// Somebody attended the making of the dataset's key, so that its origin is attested: with a version in its
// kill set that nobody attended, it would not be.
void refuse_unattended(Vault& vault, const DatasetRecord& d, const VersionRecord* there) {
  const VersionRecord& active = protecting_version(vault, d);
  if (active.attested.empty() || (there && !there->attested.empty())) return;
  const std::string name = there ? vault.state().key_of(there->id)->name : "fingerprints-" + d.name;
  throw Error(Code::state_refused, "the making of " + version_name(vault.state(), active) +
                                       " was attended, that of a key for the fingerprints of " + d.name +
                                       " was not")
      .cause(
          "both are destroyed with the dataset: where one of them is not attested, the origin of its keys is "
          "not")
      .next((there ? "" : "kesu key create " + name + " --fingerprints-of " + d.name + "; ") +
            "kesu key attest " + name +
            " --as PERSON; then the same command; or without: kesu dataset update " + d.name +
            " --fingerprints off --reason TEXT");
}

FingerprintKey make(Vault& vault, const std::string& dataset) {
  const DatasetRecord d = vault.state().datasets.at(dataset);
  const VersionRecord* there = unused(vault, d);
  refuse_unattended(vault, d, there);
  const std::string id = there ? there->id : make_version(vault, d);
  const VersionRecord v = *vault.state().version(id);
  refuse_to_protect(vault, v);
  const auto key = vault.env().random.id<DatasetKeyId>();
  FingerprintKey out{key.str(), vault.env().random.secret(kFingerprintKeyBytes)};
  const WrappedKey wrapped =
      wrap_checked(vault.provider(v.provider), *v.ref, out.key,
                   fingerprint_key_aad(vault.id(), *DatasetId::parse(dataset), key, v.version()), out.id);
  const size_t before = d.fingerprint_keys.size();
  vault.decide({dataset, v.id, vault.state().vault.id}, [&] {
    const DatasetRecord& now = vault.state().datasets.at(dataset);
    protecting_version(vault, now);  // frozen, erased: nothing new reaches it
    if (now.fingerprint_keys.size() != before)
      throw Error(Code::conflict, "another process made the fingerprint key of " + now.name)
          .next("run the same command again");
    return std::vector<Event>{
        {.type = "fingerprint-key-created",
         .nodes = {{.id = out.id, .is = "active", .of = dataset}},
         .edges = {{v.id, out.id}},
         .body =
             Json::object({{"version", v.id},
                           {"wrapped", Json::object({{"algorithm", static_cast<int64_t>(wrapped.algorithm)},
                                                     {"nonce", hex(wrapped.nonce)},
                                                     {"blob", hex(wrapped.blob)}})}})}};
  });
  return out;
}
}  // namespace

std::string make_fingerprint_version(Vault& vault, const std::string& dataset, const std::string& name,
                                     const std::string& provider) {
  const DatasetRecord d = vault.state().datasets.at(dataset);
  const std::string there = provider.empty() ? protecting_version(vault, d).provider : provider;
  if (const VersionRecord* v = unused(vault, d))
    throw Error(Code::already_exists, "a key for the fingerprints of " + d.name +
                                          " waits already: " + version_name(vault.state(), *v))
        .next("kesu seal " + d.name + " takes it");
  // It wraps one key, once, and opens it as long as the dataset lives: no period ends that.
  return create_keys(vault, {name},
                     {.provider = there, .originator = 0, .recipient = 0, .fingerprints_of = dataset})
      .at(0);
}

FingerprintKey fingerprint_key(Vault& vault, const std::string& dataset) {
  const DatasetRecord& d = vault.state().datasets.at(dataset);
  // The newest at the provider where the dataset is now: one that comes back finds the key it had there.
  for (auto k = d.fingerprint_keys.rbegin(); k != d.fingerprint_keys.rend(); ++k)
    if (usable(vault, d, version_of(vault.state(), *k)))
      return {k->id, open(vault, d, *k, ProcessFor::opening)};
  return make(vault, dataset);
}

Secret open_fingerprint_key(Vault& vault, const DatasetRecord& d, const std::string& id, ProcessFor why) {
  for (const DatasetKeyRecord& k : d.fingerprint_keys)
    if (k.id == id) return open(vault, d, k, why);
  throw Error(Code::ledger_damaged, "dataset " + d.name + " has no fingerprint key " + id);
}

void refuse_without_fingerprint_key(const State& state, const DatasetRecord& d) {
  for (const DatasetKeyRecord& k : d.fingerprint_keys) {
    const VersionRecord& v = version_of(state, k);
    if (!v.state.starts_with("destroy")) continue;
    throw Error(Code::state_refused, "dataset " + d.name + " cannot be looked for any more")
        .cause("its fingerprint key is " +
               std::string(v.state == "destroying" ? "being destroyed" : "destroyed") +
               (v.erasure.empty() ? "" : " by erasure " + v.erasure.substr(0, 12)) +
               ": nothing recognises its plaintext")
        .next("places are looked through before kesu erase run, while the keys live");
  }
}

ObjectPrints prints_to_keep(const ObjectId& object, uint64_t bytes, const Fingerprints& taken) {
  ObjectPrints out{object, taken.file, {}};
  out.blocks.resize(bytes / kFingerprintBlock);
  for (size_t i = 0; i < out.blocks.size(); ++i)
    if (!taken.common.at(i)) std::copy_n(taken.blocks.at(i).begin(), kPrintBytes, out.blocks[i].begin());
  return out;
}

std::optional<BatchPrints> prints_of(Vault& vault, const BatchRecord& batch) {
  const StoredEntry e = vault.store().entry(batch.done_seq);
  const Json* said = e.entry.body.find("fingerprints");
  if (!said || e.entry.body.flag("interrupted")) return std::nullopt;
  return BatchPrints{said->str("key"), said->str("values")};
}

std::vector<ObjectPrints> read_prints(Vault& vault, const std::string& dataset, const BatchRecord& batch,
                                      const BatchPrints& prints, const Secret& dataset_key) {
  const SegmentHeader header{vault.id(), *DatasetId::parse(dataset), *BatchId::parse(batch.id),
                             *DatasetKeyId::parse(batch.dataset_key)};
  Bytes file;
  try {
    file = vault.store().blob(prints.values);
  } catch (const Error& e) {
    if (e.code() != Code::not_found && e.code() != Code::ledger_damaged) throw;
    throw Error(Code::ledger_damaged, "the fingerprints of batch " + batch.id + " are lost")
        .cause(text_of(e))
        .next("kesu inventory scan --from-sealed does without them");
  }
  return open_prints(file, header, *DatasetKeyId::parse(prints.key), dataset_key);
}

}  // namespace kesu
