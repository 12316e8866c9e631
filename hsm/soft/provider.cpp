// The provider port over a keystore file.
#include "hsm/soft/provider.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/trace.h"
#include "crypto/hash.h"
#include "crypto/private_key.h"
#include "crypto/random.h"
#include "provider/login_secret.h"

namespace kesu::soft {

namespace {
constexpr size_t kNonce = 12;
constexpr size_t kNonces = 64;  // drawn at once
constexpr const char* kMechanism = "CKM_AES_GCM";

bool is_signing(KeyPurpose purpose) {
  return purpose == KeyPurpose::sign_ledger || purpose == KeyPurpose::sign_certificate;
}
KeyKind pair_kind(Kind kind) { return kind == Kind::ed25519 ? KeyKind::ed25519 : KeyKind::p384; }
AeadNonce nonce_of(const Bytes& nonce) { return AeadNonce(nonce.data(), kNonce); }

class SoftProvider final : public Provider {
 public:
  SoftProvider(std::unique_ptr<Keystore> keystore, std::shared_ptr<CallLog> log, Rekeyed rekeyed)
      : store_(std::move(keystore)), log_(std::move(log)), rekeyed_(std::move(rekeyed)) {}

  std::unique_ptr<Provider> another() override {
    return std::make_unique<SoftProvider>(store_->another(), log_, rekeyed_);
  }
  bool scales() const override { return true; }
  ProviderIdentity identity() override;
  Capabilities capabilities() override;
  Birth generate(const VersionRef& version, KeyPurpose purpose) override;
  std::optional<Birth> recover(const VersionRef& version, KeyPurpose purpose) override;
  Birth import_key(const VersionRef& version, const Secret& key) override;
  Secret export_key(const KeyRef& ref) override;
  std::optional<Container> container() override;
  Container rekey(const std::string& passphrase_source) override;
  Json describe(const KeyRef& ref) override;
  WrappedKey wrap(const KeyRef& ref, const Secret& key, ByteView aad) override;
  Secret unwrap(const KeyRef& ref, const WrappedKey& wrapped, ByteView aad) override;
  Bytes sign(const KeyRef& ref, ByteView data) override;
  Enumeration enumerate() override;
  std::vector<Trial> try_keys(const WrappedKey& wrapped, ByteView aad, const KeyRef* only) override;
  Receipt destroy_object(const KeyRef& ref) override;

 private:
  // A key that showed that it is the one its reference means; it serves until the file changes.
  struct Ready {
    std::optional<Aead> aead;
    std::optional<PrivateKey> signer;
  };

  template <class F>
  auto call(const char* name, std::string_view subject, F&& body);
  void refresh();
  size_t locate(const KeyRef& ref);
  Ready& ready(const KeyRef& ref);
  Ready checked(const KeyRef& ref, size_t position);
  Birth birth(size_t position);
  Birth add(const VersionRef& version, Entry entry, const Secret& key);
  Bytes next_nonce();
  static ObjectSeen seen(const Entry& entry);

  std::unique_ptr<Keystore> store_;
  std::shared_ptr<CallLog> log_;
  Rekeyed rekeyed_;
  std::map<std::string, Ready> ready_;
  Bytes nonces_;  // drawn and not used yet
};

// One line of the trace and of the log for each thing asked, however it ends.
template <class F>
auto SoftProvider::call(const char* name, std::string_view subject, F&& body) {
  const auto begin = std::chrono::steady_clock::now();
  auto told = [&](std::string_view answer) {
    const auto took = std::chrono::steady_clock::now() - begin;
    trace("soft", name, {{"key", subject}, {"answer", answer}}, took);
    if (log_) log_->add(name, std::string(answer), took);
  };
  try {
    if constexpr (std::is_void_v<decltype(body())>) {
      body();
      told("ok");
    } else {
      auto out = body();
      told("ok");
      return out;
    }
  } catch (const Error& error) {
    told(code_text(error.code()));
    throw;
  }
}

void SoftProvider::refresh() {
  if (store_->refresh()) ready_.clear();
}

ProviderIdentity SoftProvider::identity() {
  ProviderIdentity out;
  out.kind = "soft";
  out.label = base_name(store_->path());
  out.serial = hex(store_->header().id);
  out.manufacturer = "kesu";
  out.model = "soft keystore";
  out.firmware = "1";  // of the format
  out.library_description = "PBKDF2-HMAC-SHA-512, AES-256-GCM";
  return out;
}

Capabilities SoftProvider::capabilities() {
  Capabilities out;
  out.wrap_aes256_gcm = out.sign_ed25519 = out.sign_ecdsa_p384 = true;
  out.enumerates_all = out.imports = out.rekeys = true;
  out.destroys = "immediate";
  out.mechanisms = {kMechanism, "CKM_ECDSA", "CKM_EDDSA"};
  return out;
}

ObjectSeen SoftProvider::seen(const Entry& entry) {
  ObjectSeen out;
  out.object_class = entry.kind == Kind::aes256 ? "CKO_SECRET_KEY" : "CKO_PRIVATE_KEY";
  out.key_type = entry.kind == Kind::aes256    ? "CKK_AES"
                 : entry.kind == Kind::ed25519 ? "CKK_EC_EDWARDS"
                                               : "CKK_EC";
  out.label = entry.label;
  out.id = entry.id;
  if (entry.kind == Kind::aes256) out.check_value = hex(entry.check_value);
  return out;
}

size_t SoftProvider::locate(const KeyRef& ref) {
  refresh();
  const std::string doing = "looking for " + ref.label;
  auto label = store_->by_label(ref.label), id = store_->by_id(ref.id);
  if (!label && !id)
    throw Error(Code::object_absent, ref.label + " was not found in the keystore " + store_->path())
        .tried(doing)
        .next("see that this is the right file; whether the key still exists only an inspection can say");
  if (label != id || is_signing(store_->entries()[*label].purpose) != is_signing(ref.purpose))
    throw Error(Code::key_mismatch,
                "a key of the keystore carries the label or id of " + ref.label + ", and is not that key")
        .tried(doing)
        .next("find out who changed it");
  const Entry& entry = store_->entries()[*label];
  if (!ref.check_value.empty() && hex(entry.check_value) != ref.check_value)
    throw Error(Code::key_mismatch, "the key " + ref.label + " is another: its check value is " +
                                        hex(entry.check_value) + ", the ledger says " + ref.check_value)
        .tried(doing)
        .next("find out who replaced it");
  return *label;
}

SoftProvider::Ready SoftProvider::checked(const KeyRef& ref, size_t position) {
  const Entry& entry = store_->entries()[position];
  auto mismatch = [&](const char* tried) {
    return Error(Code::key_mismatch, "the key " + ref.label + " is not the one that the ledger knows")
        .tried(tried)
        .next("find out who replaced it; nothing was done with it");
  };
  Ready out;
  const Secret key = store_->key(position);
  if (entry.kind == Kind::aes256) {
    if (!ref.canary) throw Error(Code::bad_input, "the reference to " + ref.label + " carries no canary");
    const Canary& canary = *ref.canary;
    if (canary.nonce.size() != kNonce || canary.ciphertext.size() != 32 + kAeadTag)
      throw mismatch("opening its canary");
    out.aead.emplace(AeadAlg::aes256_gcm, key);
    Secret plain(32);
    if (!out.aead->open(nonce_of(canary.nonce), as_bytes(kCanaryAad), canary.ciphertext, plain.reveal()) ||
        sha256(plain.reveal()) != canary.digest)
      throw mismatch("opening its canary");
    return out;
  }
  if (ref.public_key.empty())
    throw Error(Code::bad_input, "the reference to " + ref.label + " has no public key");
  const PublicKey known = PublicKey::from_spki(ref.public_key);
  if (known.spki() != entry.public_key) throw mismatch("comparing its public key with the ledger's");
  out.signer.emplace(pair_kind(entry.kind), key, known);
  // Bytes that mean nothing elsewhere.
  Bytes message = to_bytes(as_bytes("kesu-key-check-v1 " + ref.label + " "));
  const Bytes salt = system_random().bytes(32);
  message.insert(message.end(), salt.begin(), salt.end());
  bool good = false;
  if (entry.kind == Kind::ed25519) {
    good = verify(known, SigAlg::ed25519, message, out.signer->sign(message));
  } else {
    auto der = ecdsa_raw_to_der(KeyKind::p384, out.signer->sign(hash(HashAlg::sha384, message)));
    good = der && verify(known, SigAlg::ecdsa_sha384, message, *der);
  }
  if (!good) throw mismatch("verifying a signature of it with the public key in the ledger");
  return out;
}

SoftProvider::Ready& SoftProvider::ready(const KeyRef& ref) {
  const size_t position = locate(ref);
  std::string name = ref.label;
  name.append(1, '\0').append(ref.canary ? as_text(ref.canary->digest) : as_text(ref.public_key));
  if (auto it = ready_.find(name); it != ready_.end()) return it->second;
  return ready_.emplace(std::move(name), checked(ref, position)).first->second;
}

Birth SoftProvider::birth(size_t position) {
  const Entry& entry = store_->entries()[position];
  auto version = VersionRef::parse(entry.label.substr(entry.label.find(':') + 1));
  if (!version)
    throw Error(Code::provider_failed, "the keystore has a key of a foreign name: " + entry.label);
  Birth out;
  out.ref = {*version,     entry.purpose,   entry.label, entry.id, hex(entry.check_value),
             std::nullopt, entry.public_key};
  out.attributes = attributes(entry);
  if (entry.kind != Kind::aes256) return out;
  const Secret plain = system_random().secret(32);
  Canary canary;
  canary.mechanism = kMechanism;
  canary.nonce = system_random().bytes(kNonce);
  canary.digest = sha256(plain.reveal());
  canary.ciphertext = Aead(AeadAlg::aes256_gcm, store_->key(position))
                          .seal(nonce_of(canary.nonce), as_bytes(kCanaryAad), plain.reveal());
  out.ref.canary = std::move(canary);
  return out;
}

Birth SoftProvider::add(const VersionRef& version, Entry entry, const Secret& key) {
  entry.label = object_label(version);
  entry.id = object_id(version);
  entry.made = SystemClock().now();
  if (entry.kind == Kind::aes256) entry.check_value = aes_check_value(key);
  refresh();
  return birth(store_->append(entry, key));
}

Birth SoftProvider::generate(const VersionRef& version, KeyPurpose purpose) {
  return call("generate", object_label(version), [&] {
    Entry entry;
    entry.purpose = purpose;
    if (!is_signing(purpose)) return add(version, entry, system_random().secret(32));
    entry.kind = purpose == KeyPurpose::sign_ledger ? Kind::ed25519 : Kind::p384;
    PrivateKey made = PrivateKey::generate(pair_kind(entry.kind));
    entry.public_key = made.public_key().spki();
    return add(version, entry, made.secret());
  });
}

Birth SoftProvider::import_key(const VersionRef& version, const Secret& key) {
  return call("import", object_label(version), [&] {
    if (key.size() != 32)
      throw Error(Code::bad_input, "a wrap key has 32 bytes, not " + std::to_string(key.size()));
    Entry entry;
    entry.imported = true;
    return add(version, entry, key);
  });
}

Secret SoftProvider::export_key(const KeyRef& ref) {
  return call("export", ref.label, [&] {
    const size_t position = locate(ref);
    if (ref.purpose != KeyPurpose::wrap || !checked(ref, position).aead)
      throw Error(Code::mechanism_absent, ref.label + " is not a key for wrapping: it stays here");
    return store_->key(position);
  });
}

std::optional<Birth> SoftProvider::recover(const VersionRef& version, KeyPurpose purpose) {
  return call("recover", object_label(version), [&]() -> std::optional<Birth> {
    refresh();
    auto label = store_->by_label(object_label(version)), id = store_->by_id(object_id(version));
    if (!label && !id) return std::nullopt;
    if (label != id || store_->entries()[*label].purpose != purpose)
      throw Error(Code::key_mismatch, "a key of the keystore carries the label or id of " +
                                          object_label(version) + ", and is not that key")
          .next("find out who made it");
    return birth(*label);
  });
}

std::optional<Container> SoftProvider::container() {
  refresh();
  return Container{static_cast<int64_t>(store_->header().generation), store_->path(),
                   hex(store_->header().id)};
}

Container SoftProvider::rekey(const std::string& passphrase_source) {
  return call("rekey", {}, [&] {
    const std::string source = login_source(passphrase_source);
    if (source.empty())
      throw Error(Code::bad_input, "passphrase-source is none of file:/path, env:NAME, fd:N, prompt");
    const Secret passphrase = read_new_login_secret(source, "passphrase", "keystore " + store_->path());
    ready_.clear();
    Secret kek = store_->rekey(passphrase);
    rekeyed_(source, store_->header(), std::move(kek));
    return Container{static_cast<int64_t>(store_->header().generation), store_->path(),
                     hex(store_->header().id)};
  });
}

Json SoftProvider::describe(const KeyRef& ref) {
  return call("describe", ref.label, [&] { return attributes(store_->entries()[locate(ref)]); });
}

Bytes SoftProvider::next_nonce() {
  if (nonces_.empty()) nonces_ = system_random().bytes(kNonces * kNonce);
  Bytes out(nonces_.end() - kNonce, nonces_.end());
  nonces_.resize(nonces_.size() - kNonce);  // before it is used: no failure brings it back
  return out;
}

WrappedKey SoftProvider::wrap(const KeyRef& ref, const Secret& key, ByteView aad) {
  return call("wrap", ref.label, [&] {
    if (key.empty()) throw Error(Code::bad_input, "there is nothing to wrap");
    Ready& it = ready(ref);
    if (!it.aead) throw Error(Code::mechanism_absent, ref.label + " is not a key for wrapping");
    WrappedKey out;
    out.nonce = next_nonce();
    out.blob = it.aead->seal(nonce_of(out.nonce), aad, key.reveal());
    return out;
  });
}

Secret SoftProvider::unwrap(const KeyRef& ref, const WrappedKey& wrapped, ByteView aad) {
  return call("unwrap", ref.label, [&] {
    Ready& it = ready(ref);
    if (!it.aead) throw Error(Code::mechanism_absent, ref.label + " is not a key for wrapping");
    if (wrapped.algorithm != WrapAlg::aes256_gcm)
      throw Error(Code::mechanism_absent, "the keystore unwraps with AES-256-GCM alone");
    if (wrapped.nonce.size() != kNonce || wrapped.blob.size() <= kAeadTag)
      throw Error(Code::sealed_damaged, "a wrapped key of a size that cannot be").tried("unwrapping it");
    Secret out(wrapped.blob.size() - kAeadTag);
    if (!it.aead->open(nonce_of(wrapped.nonce), aad, wrapped.blob, out.reveal()))
      throw Error(Code::sealed_damaged, "a wrapped key does not authenticate under " + ref.label)
          .tried("unwrapping it")
          .cause("it was altered, or belongs to another object");
    return out;
  });
}

Bytes SoftProvider::sign(const KeyRef& ref, ByteView data) {
  return call("sign", ref.label, [&] {
    Ready& it = ready(ref);
    if (!it.signer) throw Error(Code::mechanism_absent, ref.label + " is not a key for signing");
    return it.signer->sign(data);
  });
}

Enumeration SoftProvider::enumerate() {
  return call("enumerate", {}, [&] {
    Enumeration out;
    try {
      refresh();
      for (const Entry& entry : store_->entries()) out.objects.push_back(seen(entry));
      out.complete = true;
    } catch (const Error& error) {
      out.why = error.message();
    }
    return out;
  });
}

std::vector<Trial> SoftProvider::try_keys(const WrappedKey& wrapped, ByteView aad, const KeyRef* only) {
  return call("try", only ? only->label : std::string(), [&] {
    refresh();
    std::vector<Trial> out;
    for (size_t i = 0; i < store_->entries().size(); ++i) {
      const Entry& entry = store_->entries()[i];
      if (entry.kind != Kind::aes256 || (only && (entry.label != only->label || entry.id != only->id)))
        continue;
      Trial trial;
      trial.object = seen(entry);
      if (wrapped.algorithm != WrapAlg::aes256_gcm || wrapped.nonce.size() != kNonce ||
          wrapped.blob.size() <= kAeadTag) {
        trial.result = "not an AES-256-GCM ciphertext";
      } else {
        trial.mechanism = kMechanism;
        Secret plain(wrapped.blob.size() - kAeadTag);
        const bool opened = Aead(AeadAlg::aes256_gcm, store_->key(i))
                                .open(nonce_of(wrapped.nonce), aad, wrapped.blob, plain.reveal());
        trial.outcome = opened ? TrialOutcome::opened : TrialOutcome::failed;
        trial.result = opened ? "opened" : "the tag does not agree";
        if (opened) trial.digest = sha256(plain.reveal());
      }
      out.push_back(std::move(trial));
    }
    return out;
  });
}

Receipt SoftProvider::destroy_object(const KeyRef& ref) {
  return call("destroy", ref.label, [&] {
    ready_.clear();  // judged anew, not from memory
    ready(ref);
    const size_t position = locate(ref);
    Receipt out;
    out.before = attributes(store_->entries()[position]);
    ready_.clear();
    store_->remove(position);
    out.call =
        "keystore rewritten without it, renamed over; revision " + std::to_string(store_->header().revision);
    out.at = SystemClock().now();
    out.result = "rewritten";
    out.accepted = true;
    return out;
  });
}
}  // namespace

std::unique_ptr<Provider> make_provider(std::unique_ptr<Keystore> keystore, std::shared_ptr<CallLog> log,
                                        Rekeyed rekeyed) {
  return std::make_unique<SoftProvider>(std::move(keystore), std::move(log), std::move(rekeyed));
}

}  // namespace kesu::soft
