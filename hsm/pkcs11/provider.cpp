// The provider port over PKCS #11: finding keys, using them, looking at everything, destroying one.
#include "hsm/pkcs11/provider_impl.h"

#include <algorithm>

#include "crypto/hash.h"
#include "crypto/sign.h"

namespace kesu::p11 {

namespace {
constexpr size_t kTag = 16, kNonce = 12;
// Nonces that one call of the token's generator gives.
constexpr size_t kNonces = 64;

std::string version_text(const CK_VERSION& version) {
  return std::to_string(version.major) + "." + std::to_string(version.minor);
}

std::string seen_text(const std::optional<Bytes>& value) {
  return value ? shown_text(*value) : std::string();
}

std::string cache_key(const KeyRef& ref) {
  std::string out = ref.label;
  out += '\0';
  out += as_text(ref.id);
  out += ref.canary ? as_text(ref.canary->digest) : as_text(ref.public_key);
  return out;
}

}  // namespace

std::unique_ptr<Provider> Pkcs11Provider::another() {
  return repeatable(
      [&] { return std::make_unique<Pkcs11Provider>(std::make_unique<Connection>(*connection_)); });
}

ProviderIdentity Pkcs11Provider::identity() {
  const CK_INFO& library = session().module().info();
  ProviderIdentity out;
  out.kind = "pkcs11";
  out.label = padded_text(connection_->token().label);
  out.serial = padded_text(connection_->token().serialNumber);
  out.manufacturer = padded_text(connection_->token().manufacturerID);
  out.model = padded_text(connection_->token().model);
  out.firmware = version_text(connection_->token().firmwareVersion);
  out.hardware = version_text(connection_->token().hardwareVersion);
  out.module_path = session().module().path();
  out.module_sha256 = session().module().sha256();
  out.library_manufacturer = padded_text(library.manufacturerID);
  out.library_description = padded_text(library.libraryDescription);
  out.library_version = version_text(library.libraryVersion);
  return out;
}

Capabilities Pkcs11Provider::capabilities() {
  return repeatable([&] { return ask_capabilities(); });
}

Capabilities Pkcs11Provider::ask_capabilities() {
  Module& module = session().module();
  CK_ULONG count = 0;
  CK_RV rv = P11_CALL(module, log(), C_GetMechanismList, session().slot(), nullptr, &count);
  if (rv != CKR_OK || count > 65536) throw call_error("C_GetMechanismList", rv, "counting the mechanisms");
  std::vector<CK_MECHANISM_TYPE> list(count);
  if (count > 0) rv = P11_CALL(module, log(), C_GetMechanismList, session().slot(), list.data(), &count);
  if (rv != CKR_OK) throw call_error("C_GetMechanismList", rv, "listing the mechanisms");
  list.resize(std::min<size_t>(list.size(), count));
  auto has = [&list](CK_MECHANISM_TYPE one) {
    return std::find(list.begin(), list.end(), one) != list.end();
  };
  Capabilities out;
  out.wrap_aes256_gcm = has(CKM_AES_KEY_GEN) && has(CKM_AES_GCM);
  out.sign_ed25519 = has(CKM_EC_EDWARDS_KEY_PAIR_GEN) && has(CKM_EDDSA);
  out.sign_ecdsa_p384 = has(CKM_EC_KEY_PAIR_GEN) && has(CKM_ECDSA);
  out.enumerates_all = true;
  out.disables = false;
  out.imports = out.adopts = has(CKM_AES_GCM);
  out.destroys = "immediate";
  for (CK_MECHANISM_TYPE one : list) out.mechanisms.push_back(mechanism_name(one));
  std::sort(out.mechanisms.begin(), out.mechanisms.end());
  return out;
}

ObjectSeen Pkcs11Provider::seen(CK_OBJECT_HANDLE object) {
  ObjectSeen out;
  auto object_class = session().number(object, CKA_CLASS);
  if (object_class) out.object_class = class_name(*object_class);
  bool key =
      object_class == CKO_SECRET_KEY || object_class == CKO_PRIVATE_KEY || object_class == CKO_PUBLIC_KEY;
  if (key)
    if (auto type = session().number(object, CKA_KEY_TYPE)) out.key_type = key_type_name(*type);
  out.label = seen_text(session().attribute(object, CKA_LABEL));
  out.id = session().attribute(object, CKA_ID).value_or(Bytes());
  if (object_class == CKO_SECRET_KEY)
    if (auto check = session().attribute(object, CKA_CHECK_VALUE)) out.check_value = hex(*check);
  return out;
}

// What a token shows to somebody who is not logged in says nothing about its private objects.
void Pkcs11Provider::demand_login(const std::string& doing) {
  if (!session().logged_in()) {
    forget();
    throw Error(Code::session_lost, "the login at " + token_name() + " has ended")
        .tried(doing)
        .next("run the command again; nothing is known about the key from this");
  }
  CK_TOKEN_INFO now{};
  CK_RV rv = token_info(session().module(), session().slot(), now, log());
  if (rv != CKR_OK) throw call_error("C_GetTokenInfo", rv, doing);
  if (!std::equal(std::begin(now.serialNumber), std::end(now.serialNumber),
                  std::begin(connection_->token().serialNumber)))
    throw Error(Code::token_changed, "another token is in the slot of " + token_name() + " now")
        .tried(doing)
        .cause("its serial is " + padded_text(now.serialNumber) + ", it was " +
               padded_text(connection_->token().serialNumber))
        .next("connect the token that was there; kesu did nothing with the other one");
}

CK_OBJECT_HANDLE Pkcs11Provider::locate(const KeyRef& ref) {
  CK_OBJECT_CLASS object_class = class_of(ref.purpose);
  auto by_label = session().find(Template().number(CKA_CLASS, object_class).text(CKA_LABEL, ref.label));
  auto by_id = session().find(Template().number(CKA_CLASS, object_class).bytes(CKA_ID, ref.id));
  std::vector<CK_OBJECT_HANDLE> both;
  for (CK_OBJECT_HANDLE object : by_label)
    if (std::find(by_id.begin(), by_id.end(), object) != by_id.end()) both.push_back(object);
  std::string doing = "looking for " + ref.label;
  if (both.size() > 1)
    throw Error(Code::object_ambiguous,
                std::to_string(both.size()) + " objects of the token carry the label and id of " + ref.label)
        .tried(doing)
        .next("find out who made the other; kesu makes each label once");
  if (both.empty()) {
    demand_login(doing);
    if (!by_label.empty() || !by_id.empty())
      throw Error(Code::key_mismatch, "an object of the token carries the " +
                                          std::string(by_id.empty() ? "label" : "id") + " of " + ref.label +
                                          ", but not its " + (by_id.empty() ? "id" : "label"))
          .tried(doing)
          .next("find out who changed it");
    throw Error(Code::object_absent, ref.label + " was not found at " + token_name())
        .tried(doing)
        .next("see that this is the right token; whether the key still exists only an inspection can say");
  }
  if (!ref.check_value.empty()) {
    auto check = session().attribute(both.front(), CKA_CHECK_VALUE);
    if (check && !check->empty() && hex(*check) != ref.check_value)
      throw Error(Code::key_mismatch, "the object " + ref.label + " is another key: its check value is " +
                                          hex(*check) + ", the ledger says " + ref.check_value)
          .tried(doing)
          .next("find out who replaced it");
  }
  return both.front();
}

CK_OBJECT_HANDLE Pkcs11Provider::public_half(const Bytes& id, const std::string& label) {
  auto found =
      session().find(Template().number(CKA_CLASS, CKO_PUBLIC_KEY).text(CKA_LABEL, label).bytes(CKA_ID, id));
  if (found.size() > 1)
    throw Error(Code::object_ambiguous,
                std::to_string(found.size()) + " public keys carry the label and id of " + label);
  return found.empty() ? CK_INVALID_HANDLE : found.front();
}

void Pkcs11Provider::open_canary(const KeyRef& ref, CK_OBJECT_HANDLE key) {
  if (!ref.canary) throw Error(Code::bad_input, "the reference to " + ref.label + " carries no canary");
  auto mismatch = [&](const std::string& cause) {
    return Error(Code::key_mismatch, "the object " + ref.label + " is not the key that the ledger knows")
        .tried("opening its canary")
        .cause(cause)
        .next("find out who replaced it; nothing was done with it");
  };
  const Canary& canary = *ref.canary;
  Secret plain(std::max<size_t>(canary.ciphertext.size(), 1));
  auto done =
      session().gcm(false, key, canary.nonce, as_bytes(kCanaryAad), canary.ciphertext, plain.reveal());
  if (std::string_view(done.call) == "C_Decrypt" && session().module().is_tag_error(done.rv))
    throw mismatch(std::string(done.call) + " answered " + rv_name(done.rv));
  if (done.rv != CKR_OK) throw call_error(done.call, done.rv, "opening the canary of " + ref.label);
  if (sha256(std::span<const uint8_t>(plain.reveal()).first(done.size)) != canary.digest)
    throw mismatch("what came out has another digest");
}

// Signs bytes that mean nothing elsewhere and verifies them with the public key that the ledger knows.
void Pkcs11Provider::check_signature(const KeyRef& ref, CK_OBJECT_HANDLE key) {
  if (ref.public_key.empty())
    throw Error(Code::bad_input, "the reference to " + ref.label + " has no public key");
  PublicKey known = PublicKey::from_spki(ref.public_key);
  Bytes message = to_bytes(as_bytes("kesu-key-check-v1 " + ref.label + " "));
  Bytes salt(32);
  session().random(salt);
  message.insert(message.end(), salt.begin(), salt.end());
  bool good = false;
  if (ref.purpose == KeyPurpose::sign_ledger) {
    good = verify(known, SigAlg::ed25519, message, session().sign(key, CKM_EDDSA, message, 64));
  } else {
    Bytes raw = session().sign(key, CKM_ECDSA, hash(HashAlg::sha384, message), 96);
    auto der = ecdsa_raw_to_der(KeyKind::p384, raw);
    good = der && verify(known, SigAlg::ecdsa_sha384, message, *der);
  }
  if (!good)
    throw Error(Code::key_mismatch, "the object " + ref.label + " is not the key that the ledger knows")
        .tried("verifying a signature of it with the public key in the ledger")
        .next("find out who replaced it");
}

CK_OBJECT_HANDLE Pkcs11Provider::usable(const KeyRef& ref) {
  std::string cached = cache_key(ref);
  if (auto it = checked_.find(cached); it != checked_.end()) return it->second;
  CK_OBJECT_HANDLE key = locate(ref);
  if (is_signing(ref.purpose))
    check_signature(ref, key);
  else
    open_canary(ref, key);
  checked_.emplace(std::move(cached), key);
  return key;
}

void Pkcs11Provider::follow_logins() {
  forget();
  connection_->follow();
}

Json Pkcs11Provider::describe(const KeyRef& ref) {
  return repeatable([&] {
    CK_OBJECT_HANDLE key = locate(ref);
    return all_attributes(session(), key,
                          is_signing(ref.purpose) ? public_half(ref.id, ref.label) : CK_INVALID_HANDLE);
  });
}

WrappedKey Pkcs11Provider::wrap(const KeyRef& ref, const Secret& key, ByteView aad) {
  return repeatable([&] { return wrap_once(ref, key, aad); });
}

Secret Pkcs11Provider::unwrap(const KeyRef& ref, const WrappedKey& wrapped, ByteView aad) {
  return repeatable([&] { return unwrap_once(ref, wrapped, aad); });
}

Bytes Pkcs11Provider::next_nonce() {
  if (nonces_.empty()) {
    Bytes fresh(kNonces * kNonce);
    session().random(fresh);
    nonces_ = std::move(fresh);
  }
  Bytes out(nonces_.end() - kNonce, nonces_.end());
  nonces_.resize(nonces_.size() - kNonce);  // before it is used: no failure brings it back
  return out;
}

WrappedKey Pkcs11Provider::wrap_once(const KeyRef& ref, const Secret& key, ByteView aad) {
  if (is_signing(ref.purpose))
    throw Error(Code::mechanism_absent, ref.label + " is a signing key and cannot wrap");
  if (key.empty()) throw Error(Code::bad_input, "there is nothing to wrap");
  CK_OBJECT_HANDLE wrapping = usable(ref);
  WrappedKey out;
  out.nonce = next_nonce();
  out.blob.resize(key.size() + kTag);
  auto done = session().gcm(true, wrapping, out.nonce, aad, key.reveal(), out.blob);
  if (done.rv != CKR_OK) throw call_error(done.call, done.rv, "wrapping a data key with " + ref.label);
  if (done.size != out.blob.size())
    throw Error(Code::provider_failed, "CKM_AES_GCM gave " + std::to_string(done.size) +
                                           " bytes instead of " + std::to_string(out.blob.size()));
  return out;
}

Secret Pkcs11Provider::unwrap_once(const KeyRef& ref, const WrappedKey& wrapped, ByteView aad) {
  if (is_signing(ref.purpose))
    throw Error(Code::mechanism_absent, ref.label + " is a signing key and cannot unwrap");
  if (wrapped.algorithm != WrapAlg::aes256_gcm)
    throw Error(Code::mechanism_absent, "this provider unwraps AES-256-GCM only");
  auto damaged = [&](std::string cause) {
    return Error(Code::sealed_damaged, "the wrapped data key does not authenticate under " + ref.label)
        .cause(std::move(cause));
  };
  if (wrapped.nonce.size() != kNonce || wrapped.blob.size() <= kTag)
    throw damaged("its nonce or its length is wrong");
  CK_OBJECT_HANDLE key = usable(ref);
  Secret buffer(wrapped.blob.size());  // some modules want room for the tag too
  auto done = session().gcm(false, key, wrapped.nonce, aad, wrapped.blob, buffer.reveal());
  if (std::string_view(done.call) == "C_Decrypt" && session().module().is_tag_error(done.rv)) {
    forget();  // the answer may also hide a lost token: the next use opens the canary again
    throw damaged("C_Decrypt answered " + rv_name(done.rv));
  }
  if (done.rv != CKR_OK) throw call_error(done.call, done.rv, "unwrapping a data key with " + ref.label);
  if (done.size != wrapped.blob.size() - kTag)
    throw Error(Code::provider_failed,
                "CKM_AES_GCM gave " + std::to_string(done.size) + " bytes of plaintext");
  return Secret::from(std::span<const uint8_t>(buffer.reveal()).first(done.size));
}

Bytes Pkcs11Provider::sign(const KeyRef& ref, ByteView data) {
  if (!is_signing(ref.purpose)) throw Error(Code::mechanism_absent, ref.label + " is no signing key");
  bool ledger = ref.purpose == KeyPurpose::sign_ledger;
  if (!ledger && data.size() != 48)
    throw Error(Code::bad_input, "what is signed must be a SHA-384 digest, 48 bytes");
  return repeatable([&] {
    CK_OBJECT_HANDLE key = usable(ref);
    return session().sign(key, mechanism_of(ref.purpose), data, ledger ? 64 : 96);
  });
}

Enumeration Pkcs11Provider::enumerate() {
  try {
    return repeatable([&] { return enumerate_once(); });
  } catch (const Error& error) {
    Enumeration out;
    out.why = error.message() + (error.cause().empty() ? "" : ": " + error.cause());
    return out;
  }
}

Enumeration Pkcs11Provider::enumerate_once() {
  Enumeration out;
  demand_login("listing all objects");
  for (CK_OBJECT_HANDLE object : session().find(Template())) out.objects.push_back(seen(object));
  demand_login("listing all objects");
  // What shows no class might be a key: a generation or destruction that was cut off leaves such an object.
  auto nothing = std::count_if(out.objects.begin(), out.objects.end(),
                               [](const ObjectSeen& object) { return object.object_class.empty(); });
  out.complete = nothing == 0;
  if (nothing > 0)
    out.why = std::to_string(nothing) +
              " object(s) do not say what they are; if they are not a key's, remove " +
              "them with the token's own tool";
  return out;
}

Receipt Pkcs11Provider::destroy_object(const KeyRef& ref) {
  // No login in between, neither ours nor another provider's: the handle that opened its canary is the one
  // that is destroyed.
  auto lock = connection_->hold_logins();
  forget();  // judged anew, not from memory
  CK_OBJECT_HANDLE key = usable(ref);
  CK_OBJECT_HANDLE open = is_signing(ref.purpose) ? public_half(ref.id, ref.label) : CK_INVALID_HANDLE;
  Receipt out;
  out.before = all_attributes(session(), key, open);
  forget();
  out.call = "C_DestroyObject";
  CK_RV rv = P11_CALL(session().module(), log(), C_DestroyObject, session().handle(), key);
  out.at = SystemClock().now();
  out.result = rv_name(rv);
  switch (rv) {
    case CKR_OK:
      out.accepted = true;
      break;
    case CKR_ACTION_PROHIBITED:
    case CKR_SESSION_READ_ONLY:
    case CKR_TOKEN_WRITE_PROTECTED:
    case CKR_USER_NOT_LOGGED_IN:
    case CKR_FUNCTION_NOT_SUPPORTED:
      return out;  // a refusal: the object was not touched
    default:
      throw Error(Code::outcome_unknown, "whether the token destroyed " + ref.label + " is not known")
          .tried("C_DestroyObject")
          .cause("it answered " + rv_name(rv))
          .next("run `kesu status`: an inspection of the token settles it");
  }
  if (open != CK_INVALID_HANDLE) {
    // The secret is gone; a public half that stays is said, and keeps the probe from calling the pair absent.
    CK_RV public_rv = P11_CALL(session().module(), log(), C_DestroyObject, session().handle(), open);
    out.result += "; public key: " + rv_name(public_rv);
  }
  return out;
}

}  // namespace kesu::p11
