// The provider port over PKCS #11: finding keys, using them, looking at everything, destroying one.
#include <algorithm>
#include <map>

#include "crypto/hash.h"
#include "crypto/sign.h"
#include "hsm/pkcs11/birth_impl.h"
#include "hsm/pkcs11/provider_impl.h"

namespace kesu::p11 {

namespace {
constexpr size_t kTag = 16, kNonce = 12;

std::string version_text(const CK_VERSION& version) {
  return std::to_string(version.major) + "." + std::to_string(version.minor);
}

std::string seen_text(const std::optional<Bytes>& value) {
  return value ? shown_text(*value) : std::string();
}

class Pkcs11Provider final : public Provider {
 public:
  Pkcs11Provider(std::shared_ptr<CallLog> log, std::unique_ptr<Session> session, const CK_TOKEN_INFO& token)
      : log_(std::move(log)), session_(std::move(session)), token_(token) {}

  ProviderIdentity identity() override;
  Capabilities capabilities() override;
  Birth generate(const VersionRef& version, KeyPurpose purpose) override;
  std::optional<Birth> recover(const VersionRef& version, KeyPurpose purpose) override;
  Json describe(const KeyRef& ref) override;
  WrappedKey wrap(const KeyRef& ref, const Secret& key, ByteView aad) override;
  Secret unwrap(const KeyRef& ref, const WrappedKey& wrapped, ByteView aad) override;
  Bytes sign(const KeyRef& ref, ByteView data) override;
  Enumeration enumerate() override;
  std::vector<Trial> try_keys(const WrappedKey& wrapped, ByteView aad, const KeyRef* only) override;
  Receipt destroy_object(const KeyRef& ref) override;

 private:
  ObjectSeen seen(CK_OBJECT_HANDLE object);
  void demand_login(const std::string& doing);
  CK_OBJECT_HANDLE locate(const KeyRef& ref);
  CK_OBJECT_HANDLE public_half(const Bytes& id, const std::string& label);
  CK_OBJECT_HANDLE usable(const KeyRef& ref);
  void open_canary(const KeyRef& ref, CK_OBJECT_HANDLE key);
  void check_signature(const KeyRef& ref, CK_OBJECT_HANDLE key);
  [[noreturn]] void fail(const Session::Done& done, const std::string& doing);

  std::shared_ptr<CallLog> log_;  // before the session, which logs its end
  std::unique_ptr<Session> session_;
  CK_TOKEN_INFO token_;
  // Keys that opened their canary, or signed, in this session; by label, id and what they were checked
  // against.
  std::map<std::string, CK_OBJECT_HANDLE> checked_;
};

std::string cache_key(const KeyRef& ref) {
  std::string out = ref.label;
  out += '\0';
  out += as_text(ref.id);
  out += ref.canary ? as_text(ref.canary->digest) : as_text(ref.public_key);
  return out;
}

ProviderIdentity Pkcs11Provider::identity() {
  const CK_INFO& library = session_->module().info();
  ProviderIdentity out;
  out.kind = "pkcs11";
  out.label = padded_text(token_.label);
  out.serial = padded_text(token_.serialNumber);
  out.manufacturer = padded_text(token_.manufacturerID);
  out.model = padded_text(token_.model);
  out.firmware = version_text(token_.firmwareVersion);
  out.hardware = version_text(token_.hardwareVersion);
  out.module_path = session_->module().path();
  out.module_sha256 = session_->module().sha256();
  out.library_manufacturer = padded_text(library.manufacturerID);
  out.library_description = padded_text(library.libraryDescription);
  out.library_version = version_text(library.libraryVersion);
  return out;
}

Capabilities Pkcs11Provider::capabilities() {
  Module& module = session_->module();
  CK_ULONG count = 0;
  CK_RV rv = P11_CALL(module, log_.get(), C_GetMechanismList, session_->slot(), nullptr, &count);
  if (rv != CKR_OK || count > 65536) throw call_error("C_GetMechanismList", rv, "counting the mechanisms");
  std::vector<CK_MECHANISM_TYPE> list(count);
  if (count > 0) rv = P11_CALL(module, log_.get(), C_GetMechanismList, session_->slot(), list.data(), &count);
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
  out.destroys = "immediate";
  for (CK_MECHANISM_TYPE one : list) out.mechanisms.push_back(mechanism_name(one));
  std::sort(out.mechanisms.begin(), out.mechanisms.end());
  return out;
}

ObjectSeen Pkcs11Provider::seen(CK_OBJECT_HANDLE object) {
  ObjectSeen out;
  auto object_class = session_->number(object, CKA_CLASS);
  if (object_class) out.object_class = class_name(*object_class);
  bool key =
      object_class == CKO_SECRET_KEY || object_class == CKO_PRIVATE_KEY || object_class == CKO_PUBLIC_KEY;
  if (key)
    if (auto type = session_->number(object, CKA_KEY_TYPE)) out.key_type = key_type_name(*type);
  out.label = seen_text(session_->attribute(object, CKA_LABEL));
  out.id = session_->attribute(object, CKA_ID).value_or(Bytes());
  if (object_class == CKO_SECRET_KEY)
    if (auto check = session_->attribute(object, CKA_CHECK_VALUE)) out.check_value = hex(*check);
  return out;
}

// What a token shows to somebody who is not logged in says nothing about its private objects.
void Pkcs11Provider::demand_login(const std::string& doing) {
  if (!session_->logged_in()) {
    checked_.clear();
    throw Error(Code::session_lost, "the login at token " + padded_text(token_.label) + " has ended")
        .tried(doing)
        .next("run the command again; nothing is known about the key from this");
  }
  CK_TOKEN_INFO now{};
  CK_RV rv = P11_CALL(session_->module(), log_.get(), C_GetTokenInfo, session_->slot(), &now);
  if (rv != CKR_OK) throw call_error("C_GetTokenInfo", rv, doing);
  if (!std::equal(std::begin(now.serialNumber), std::end(now.serialNumber), std::begin(token_.serialNumber)))
    throw Error(Code::provider_unavailable,
                "another token is in the slot now: serial " + padded_text(now.serialNumber));
}

CK_OBJECT_HANDLE Pkcs11Provider::locate(const KeyRef& ref) {
  CK_OBJECT_CLASS object_class = class_of(ref.purpose);
  auto by_label = session_->find(Template().number(CKA_CLASS, object_class).text(CKA_LABEL, ref.label));
  auto by_id = session_->find(Template().number(CKA_CLASS, object_class).bytes(CKA_ID, ref.id));
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
    throw Error(Code::object_absent, ref.label + " was not found at token " + padded_text(token_.label))
        .tried(doing)
        .next("see that this is the right token; whether the key still exists only an inspection can say");
  }
  if (!ref.check_value.empty()) {
    auto check = session_->attribute(both.front(), CKA_CHECK_VALUE);
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
      session_->find(Template().number(CKA_CLASS, CKO_PUBLIC_KEY).text(CKA_LABEL, label).bytes(CKA_ID, id));
  if (found.size() > 1)
    throw Error(Code::object_ambiguous,
                std::to_string(found.size()) + " public keys carry the label and id of " + label);
  return found.empty() ? CK_INVALID_HANDLE : found.front();
}

void Pkcs11Provider::fail(const Session::Done& done, const std::string& doing) {
  checked_.clear();  // handles, login or session may be what failed
  throw call_error(done.call, done.rv, doing);
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
      session_->gcm(false, key, canary.nonce, as_bytes(kCanaryAad), canary.ciphertext, plain.reveal());
  if (std::string_view(done.call) == "C_Decrypt" && session_->module().is_tag_error(done.rv))
    throw mismatch(std::string(done.call) + " answered " + rv_name(done.rv));
  if (done.rv != CKR_OK) fail(done, "opening the canary of " + ref.label);
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
  session_->random(salt);
  message.insert(message.end(), salt.begin(), salt.end());
  bool good = false;
  if (ref.purpose == KeyPurpose::sign_ledger) {
    good = verify(known, SigAlg::ed25519, message, session_->sign(key, CKM_EDDSA, message, 64));
  } else {
    Bytes raw = session_->sign(key, CKM_ECDSA, hash(HashAlg::sha384, message), 96);
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

Birth Pkcs11Provider::generate(const VersionRef& version, KeyPurpose purpose) {
  Capabilities can = capabilities();
  bool able = purpose == KeyPurpose::sign_ledger        ? can.sign_ed25519
              : purpose == KeyPurpose::sign_certificate ? can.sign_ecdsa_p384
                                                        : can.wrap_aes256_gcm;
  if (!able)
    throw Error(Code::mechanism_absent, "token " + padded_text(token_.label) + " cannot make keys for '" +
                                            std::string(purpose_text(purpose)) + "'")
        .cause("its mechanism list lacks what " + mechanism_name(mechanism_of(purpose)) + " needs")
        .next("use another provider for this purpose");
  demand_login("generating " + object_label(version));
  if (!session_->find(Template().text(CKA_LABEL, object_label(version))).empty() ||
      !session_->find(Template().bytes(CKA_ID, object_id(version))).empty())
    throw Error(Code::already_exists, "the token already has an object " + object_label(version))
        .next("an interrupted run left it; the next command asks the token what it is");
  NewKey made = generate_key(*session_, version, purpose);
  Birth out;
  out.ref = reference(*session_, made, version, purpose);
  out.attributes = all_attributes(*session_, made.key, made.public_key);
  out.left_out = made.left_out;
  usable(out.ref);  // shows that what was made is found again, and works
  return out;
}

std::optional<Birth> Pkcs11Provider::recover(const VersionRef& version, KeyPurpose purpose) {
  KeyRef sought{version, purpose, object_label(version), object_id(version), {}, std::nullopt, {}};
  NewKey made;
  try {
    made.key = locate(sought);
  } catch (const Error& error) {
    if (error.code() != Code::object_absent) throw;
    // Of a pair only the public half may be there: no key, then. The label is not used a second time.
    Enumeration all = enumerate();
    if (!all.complete)
      throw Error(Code::provider_unavailable, "the token's objects cannot be listed").cause(all.why);
    return std::nullopt;
  }
  if (is_signing(purpose)) {
    made.public_key = public_half(sought.id, sought.label);
    if (made.public_key == CK_INVALID_HANDLE)
      throw Error(Code::provider_failed,
                  "of the pair " + sought.label + " only the private half is at the token")
          .cause("the generation was interrupted between the two")
          .next("destroy the object with the token's own tool, then run the command again");
  }
  Birth out;
  out.ref = reference(*session_, made, version, purpose);
  out.attributes = all_attributes(*session_, made.key, made.public_key);
  out.left_out = differing(*session_, made.key, version, purpose);
  usable(out.ref);
  return out;
}

Json Pkcs11Provider::describe(const KeyRef& ref) {
  CK_OBJECT_HANDLE key = locate(ref);
  return all_attributes(*session_, key,
                        is_signing(ref.purpose) ? public_half(ref.id, ref.label) : CK_INVALID_HANDLE);
}

WrappedKey Pkcs11Provider::wrap(const KeyRef& ref, const Secret& key, ByteView aad) {
  if (is_signing(ref.purpose))
    throw Error(Code::mechanism_absent, ref.label + " is a signing key and cannot wrap");
  if (key.empty()) throw Error(Code::bad_input, "there is nothing to wrap");
  CK_OBJECT_HANDLE wrapping = usable(ref);
  WrappedKey out;
  out.nonce.resize(kNonce);
  session_->random(out.nonce);
  out.blob.resize(key.size() + kTag);
  auto done = session_->gcm(true, wrapping, out.nonce, aad, key.reveal(), out.blob);
  if (done.rv != CKR_OK) fail(done, "wrapping a data key with " + ref.label);
  if (done.size != out.blob.size())
    throw Error(Code::provider_failed, "CKM_AES_GCM gave " + std::to_string(done.size) +
                                           " bytes instead of " + std::to_string(out.blob.size()));
  return out;
}

Secret Pkcs11Provider::unwrap(const KeyRef& ref, const WrappedKey& wrapped, ByteView aad) {
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
  auto done = session_->gcm(false, key, wrapped.nonce, aad, wrapped.blob, buffer.reveal());
  if (std::string_view(done.call) == "C_Decrypt" && session_->module().is_tag_error(done.rv)) {
    checked_.clear();  // the answer may also hide a lost token: the next use opens the canary again
    throw damaged("C_Decrypt answered " + rv_name(done.rv));
  }
  if (done.rv != CKR_OK) fail(done, "unwrapping a data key with " + ref.label);
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
  CK_OBJECT_HANDLE key = usable(ref);
  try {
    return session_->sign(key, mechanism_of(ref.purpose), data, ledger ? 64 : 96);
  } catch (const Error&) {
    checked_.clear();
    throw;
  }
}

Enumeration Pkcs11Provider::enumerate() {
  Enumeration out;
  try {
    demand_login("listing all objects");
    for (CK_OBJECT_HANDLE object : session_->find(Template())) out.objects.push_back(seen(object));
    demand_login("listing all objects");
    // What shows no class might be a key: a generation or destruction that was cut off leaves such an object.
    auto nothing = std::count_if(out.objects.begin(), out.objects.end(),
                                 [](const ObjectSeen& object) { return object.object_class.empty(); });
    out.complete = nothing == 0;
    if (nothing > 0)
      out.why = std::to_string(nothing) +
                " object(s) do not say what they are; if they are not a key's, remove " +
                "them with the token's own tool";
  } catch (const Error& error) {
    out.why = error.message() + (error.cause().empty() ? "" : ": " + error.cause());
  }
  return out;
}

std::vector<Trial> Pkcs11Provider::try_keys(const WrappedKey& wrapped, ByteView aad, const KeyRef* only) {
  Template what;
  what.number(CKA_CLASS, CKO_SECRET_KEY);
  if (only != nullptr) what.text(CKA_LABEL, only->label).bytes(CKA_ID, only->id);
  std::vector<Trial> out;
  for (CK_OBJECT_HANDLE object : session_->find(what)) {
    Trial trial;
    trial.object = seen(object);
    if (session_->number(object, CKA_KEY_TYPE) != CKK_AES) {
      trial.result = "not an AES key";
    } else if (wrapped.algorithm != WrapAlg::aes256_gcm || wrapped.nonce.size() != kNonce ||
               wrapped.blob.size() <= kTag) {
      trial.result = "not an AES-256-GCM ciphertext";
    } else if (session_->flag(object, CKA_DECRYPT) == false) {
      trial.outcome = TrialOutcome::refused;
      trial.result = "CKA_DECRYPT=false";
    } else {
      trial.mechanism = "CKM_AES_GCM";
      Secret plain(wrapped.blob.size());
      auto done = session_->gcm(false, object, wrapped.nonce, aad, wrapped.blob, plain.reveal());
      trial.result = std::string(done.call) + ": " + rv_name(done.rv);
      if (done.rv == CKR_OK) {
        trial.outcome = TrialOutcome::opened;
        trial.digest = sha256(std::span<const uint8_t>(plain.reveal()).first(done.size));
      } else if (std::string_view(done.call) == "C_Decrypt" && session_->module().is_tag_error(done.rv)) {
        trial.outcome = TrialOutcome::failed;
      } else if (done.rv == CKR_KEY_FUNCTION_NOT_PERMITTED) {
        trial.outcome = TrialOutcome::refused;
      }
    }
    out.push_back(std::move(trial));
  }
  return out;
}

Receipt Pkcs11Provider::destroy_object(const KeyRef& ref) {
  checked_.clear();  // judged anew, not from memory
  CK_OBJECT_HANDLE key = usable(ref);
  CK_OBJECT_HANDLE open = is_signing(ref.purpose) ? public_half(ref.id, ref.label) : CK_INVALID_HANDLE;
  Receipt out;
  out.before = all_attributes(*session_, key, open);
  checked_.clear();
  out.call = "C_DestroyObject";
  CK_RV rv = P11_CALL(session_->module(), log_.get(), C_DestroyObject, session_->handle(), key);
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
    CK_RV public_rv = P11_CALL(session_->module(), log_.get(), C_DestroyObject, session_->handle(), open);
    out.result += "; public key: " + rv_name(public_rv);
  }
  return out;
}
}  // namespace

std::unique_ptr<Provider> make_provider(std::shared_ptr<CallLog> log, std::unique_ptr<Session> session,
                                        const CK_TOKEN_INFO& token) {
  return std::make_unique<Pkcs11Provider>(std::move(log), std::move(session), token);
}

}  // namespace kesu::p11
