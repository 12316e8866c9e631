// The birth templates, what to do when a token rejects parts of them, and the read-back.
#include "hsm/pkcs11/birth_impl.h"

#include <algorithm>
#include <functional>

#include "crypto/hash.h"
#include "crypto/sign.h"

namespace kesu::p11 {

namespace {
constexpr uint8_t kOidP384[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};  // 1.3.132.0.34, RFC 5480
constexpr uint8_t kOidEd25519[] = {0x06, 0x03, 0x2b, 0x65, 0x70};           // 1.3.101.112, RFC 8410

// May be left out where a token rejects it: none of them decides who can read the key.
constexpr CK_ATTRIBUTE_TYPE kOptional[] = {CKA_COPYABLE, CKA_ALLOWED_MECHANISMS, CKA_MODIFIABLE, CKA_DERIVE};

Template secret_part(const VersionRef& version, KeyPurpose purpose) {
  bool signs = is_signing(purpose);
  CK_MECHANISM_TYPE only = mechanism_of(purpose);
  Template out;
  out.number(CKA_CLASS, class_of(purpose))
      .text(CKA_LABEL, object_label(version))
      .bytes(CKA_ID, object_id(version))
      .flag(CKA_TOKEN, true)
      .flag(CKA_PRIVATE, true)
      .flag(CKA_SENSITIVE, true)
      .flag(CKA_EXTRACTABLE, false)
      .flag(CKA_SIGN, signs)
      .flag(CKA_DECRYPT, !signs)
      .flag(CKA_UNWRAP, false)
      .flag(CKA_DERIVE, false)
      .flag(CKA_MODIFIABLE, false)
      .flag(CKA_COPYABLE, false)
      .bytes(CKA_ALLOWED_MECHANISMS, {reinterpret_cast<const uint8_t*>(&only), sizeof only});
  if (signs)
    out.number(CKA_KEY_TYPE, purpose == KeyPurpose::sign_ledger ? CKK_EC_EDWARDS : CKK_EC);
  else
    out.number(CKA_KEY_TYPE, CKK_AES)
        .number(CKA_VALUE_LEN, 32)
        .flag(CKA_ENCRYPT, true)
        .flag(CKA_VERIFY, false)
        .flag(CKA_WRAP, false);
  return out;
}

Template public_part(const VersionRef& version, KeyPurpose purpose) {
  Template out;
  out.number(CKA_CLASS, CKO_PUBLIC_KEY)
      .number(CKA_KEY_TYPE, purpose == KeyPurpose::sign_ledger ? CKK_EC_EDWARDS : CKK_EC)
      .text(CKA_LABEL, object_label(version))
      .bytes(CKA_ID, object_id(version))
      .flag(CKA_TOKEN, true)
      .flag(CKA_PRIVATE, false)
      .flag(CKA_VERIFY, true)
      .flag(CKA_ENCRYPT, false)
      .flag(CKA_WRAP, false)
      .flag(CKA_DERIVE, false)
      .flag(CKA_MODIFIABLE, false)
      .flag(CKA_COPYABLE, false)
      .bytes(CKA_EC_PARAMS, purpose == KeyPurpose::sign_ledger ? ByteView(kOidEd25519) : ByteView(kOidP384));
  return out;
}

bool template_rejected(CK_RV rv) {
  return rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_VALUE_INVALID ||
         rv == CKR_ATTRIBUTE_READ_ONLY || rv == CKR_TEMPLATE_INCONSISTENT;
}

// First the whole template; then without one optional attribute at a time, so that as little as possible is
// given up; then without more and more of them.
CK_RV attempt(const std::function<CK_RV(const std::vector<CK_ATTRIBUTE_TYPE>&)>& generate,
              std::vector<std::string>& left_out) {
  std::vector<std::vector<CK_ATTRIBUTE_TYPE>> choices{{}};
  for (CK_ATTRIBUTE_TYPE type : kOptional) choices.push_back({type});
  for (size_t n = 2; n <= std::size(kOptional); ++n) choices.emplace_back(kOptional, kOptional + n);
  CK_RV rv = CKR_OK;
  for (const auto& without : choices) {
    rv = generate(without);
    if (template_rejected(rv)) continue;
    for (CK_ATTRIBUTE_TYPE type : without) left_out.push_back(attribute_name(type));
    return rv;
  }
  return rv;
}

// After a failed generation: is anything there with the new label? Whatever prevents the look says "do not
// know".
bool surely_nothing_made(Session& session, const VersionRef& version) {
  try {
    return session.logged_in() && session.find(Template().text(CKA_LABEL, object_label(version))).empty() &&
           session.logged_in();
  } catch (const Error&) {
    return false;
  }
}
}  // namespace

bool is_signing(KeyPurpose purpose) {
  return purpose == KeyPurpose::sign_ledger || purpose == KeyPurpose::sign_certificate;
}

CK_OBJECT_CLASS class_of(KeyPurpose purpose) {
  return is_signing(purpose) ? CKO_PRIVATE_KEY : CKO_SECRET_KEY;
}

CK_MECHANISM_TYPE mechanism_of(KeyPurpose purpose) {
  if (purpose == KeyPurpose::sign_ledger) return CKM_EDDSA;
  return purpose == KeyPurpose::sign_certificate ? CKM_ECDSA : CKM_AES_GCM;
}

namespace {
// What follows a call that should have made `label` and did not say CKR_OK: an error where surely nothing was
// made, else the question.
[[noreturn]] void not_made(Session& session, const VersionRef& version, const char* call, CK_RV rv,
                           const std::string& doing) {
  CallError error = call_error(call, rv, doing);
  if (template_rejected(rv) || rv == CKR_MECHANISM_INVALID || rv == CKR_FUNCTION_NOT_SUPPORTED) throw error;
  if (surely_nothing_made(session, version)) throw error;
  throw Error(Code::outcome_unknown, "whether " + object_label(version) + " was made is not known")
      .tried(error.tried())
      .cause(error.cause())
      .next("run the command again: it asks the token first");
}
}  // namespace

NewKey generate_key(Session& session, const VersionRef& version, KeyPurpose purpose) {
  NewKey made;
  const char* call = is_signing(purpose) ? "C_GenerateKeyPair" : "C_GenerateKey";
  CK_RV rv = attempt(
      [&](const std::vector<CK_ATTRIBUTE_TYPE>& without) {
        Template secret = secret_part(version, purpose), open = public_part(version, purpose);
        for (CK_ATTRIBUTE_TYPE type : without) secret.remove(type), open.remove(type);
        auto secret_view = secret.view(), open_view = open.view();
        CK_MECHANISM how{CKM_AES_KEY_GEN, nullptr, 0};
        if (!is_signing(purpose))
          return P11_CALL(session.module(), session.log(), C_GenerateKey, session.handle(), &how,
                          secret_view.data(), secret_view.size(), &made.key);
        how.mechanism =
            purpose == KeyPurpose::sign_ledger ? CKM_EC_EDWARDS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN;
        return P11_CALL(session.module(), session.log(), C_GenerateKeyPair, session.handle(), &how,
                        open_view.data(), open_view.size(), secret_view.data(), secret_view.size(),
                        &made.public_key, &made.key);
      },
      made.left_out);
  if (rv == CKR_OK) return made;
  not_made(session, version, call, rv, "generating " + object_label(version));
}

NewKey create_key(Session& session, const VersionRef& version, const Secret& key) {
  NewKey made;
  CK_RV rv = attempt(
      [&](const std::vector<CK_ATTRIBUTE_TYPE>& without) {
        Template secret = secret_part(version, KeyPurpose::wrap);
        secret.remove(CKA_VALUE_LEN);  // goes with the value
        for (CK_ATTRIBUTE_TYPE type : without) secret.remove(type);
        auto view = secret.view();
        // The key itself is pointed to, never copied. Cryptoki does not write to it.
        view.push_back({CKA_VALUE, const_cast<uint8_t*>(key.reveal().data()), key.size()});
        return P11_CALL(session.module(), session.log(), C_CreateObject, session.handle(), view.data(),
                        view.size(), &made.key);
      },
      made.left_out);
  if (rv == CKR_OK) return made;
  not_made(session, version, "C_CreateObject", rv, "importing " + object_label(version));
}

std::vector<std::string> differing(Session& session, CK_OBJECT_HANDLE key, const VersionRef& version,
                                   KeyPurpose purpose) {
  std::vector<std::string> out;
  Template wanted = secret_part(version, purpose);
  for (const CK_ATTRIBUTE& item : wanted.view()) {
    auto there = session.attribute(key, item.type);
    const auto* begin = static_cast<const uint8_t*>(item.pValue);
    if (!there || !std::equal(there->begin(), there->end(), begin, begin + item.ulValueLen))
      out.push_back(attribute_name(item.type));
  }
  return out;
}

Json all_attributes(Session& session, CK_OBJECT_HANDLE key, CK_OBJECT_HANDLE public_key) {
  Json out = session.attributes(key);
  if (public_key != CK_INVALID_HANDLE) out.set("public", session.attributes(public_key));
  return out;
}

namespace {
Canary new_canary(Session& session, CK_OBJECT_HANDLE key, const std::string& label) {
  Secret plain(32);
  Canary canary;
  canary.mechanism = "CKM_AES_GCM";
  canary.nonce.resize(12);
  canary.ciphertext.resize(48);
  session.random(plain.reveal());
  session.random(canary.nonce);
  canary.digest = sha256(plain.reveal());
  auto done = session.gcm(true, key, canary.nonce, as_bytes(kCanaryAad), plain.reveal(), canary.ciphertext);
  if (done.rv != CKR_OK) throw call_error(done.call, done.rv, "encrypting the canary of " + label);
  if (done.size != canary.ciphertext.size())
    throw Error(Code::provider_failed,
                "CKM_AES_GCM gave " + std::to_string(done.size) + " bytes instead of 48");
  return canary;
}
}  // namespace

KeyRef reference(Session& session, const NewKey& made, const VersionRef& version, KeyPurpose purpose) {
  auto demand = [&](CK_ATTRIBUTE_TYPE type, bool value) {
    auto there = session.flag(made.key, type);
    if (there != value)
      throw Error(Code::provider_failed, object_label(version) + " must not be used: the token shows " +
                                             attribute_name(type) +
                                             (there ? (*there ? "=true" : "=false") : " not at all"))
          .tried("reading the attributes back after generation")
          .next("destroy the object with the token's own tool; use a token that keeps keys inside");
  };
  demand(CKA_SENSITIVE, true);
  demand(CKA_EXTRACTABLE, false);
  demand(CKA_TOKEN, true);

  KeyRef ref{version, purpose, object_label(version), object_id(version), {}, std::nullopt, {}};
  if (auto check = session.attribute(made.key, CKA_CHECK_VALUE)) ref.check_value = hex(*check);
  if (is_signing(purpose)) {
    auto point = session.attribute(made.public_key, CKA_EC_POINT);
    if (!point) throw Error(Code::provider_failed, "the token does not give the public key of " + ref.label);
    KeyKind kind = purpose == KeyPurpose::sign_ledger ? KeyKind::ed25519 : KeyKind::p384;
    ref.public_key = PublicKey::from_pkcs11_point(kind, *point).spki();
    return ref;
  }
  ref.canary = new_canary(session, made.key, ref.label);
  return ref;
}

KeyRef foreign_reference(Session& session, CK_OBJECT_HANDLE key, const VersionRef& version) {
  auto label = session.attribute(key, CKA_LABEL).value_or(Bytes());
  auto id = session.attribute(key, CKA_ID).value_or(Bytes());
  std::string name = "the key '" + shown_text(label) + "'";
  auto refuse = [&](const std::string& what, const std::string& wanted) {
    return Error(Code::policy_refused, name + " cannot be adopted: " + what)
        .tried("reading its attributes at the token")
        .cause("a wrap key must be " + wanted)
        .next("make a key at the token for kesu (kesu key create), and re-wrap what the old one protects");
  };
  auto demand_flag = [&](CK_ATTRIBUTE_TYPE type, bool value, const std::string& wanted) {
    auto there = session.flag(key, type);
    if (there == value) return;
    throw refuse(
        attribute_name(type) + (there ? (*there ? "=true" : "=false") : " is not shown by the token"),
        wanted);
  };
  auto type = session.number(key, CKA_KEY_TYPE);
  if (type != CKK_AES)
    throw refuse("CKA_KEY_TYPE" + (type ? "=" + key_type_name(*type) : " is not shown by the token"),
                 "an AES key");
  auto size = session.number(key, CKA_VALUE_LEN);
  if (size != CK_ULONG{32})
    throw refuse("CKA_VALUE_LEN" + (size ? "=" + std::to_string(*size) : " is not shown by the token"),
                 "AES-256, 32 bytes");
  demand_flag(CKA_TOKEN, true, "an object of the token, not of a session");
  demand_flag(CKA_ENCRYPT, true, "allowed to encrypt");
  demand_flag(CKA_DECRYPT, true, "allowed to decrypt");
  demand_flag(CKA_SENSITIVE, true, "sensitive: a key that can be read is no key of a token");
  demand_flag(CKA_EXTRACTABLE, false, "not extractable: its copies could be anywhere");
  if (!is_utf8(as_text(label))) throw refuse("CKA_LABEL is not UTF-8", "named by text");
  KeyRef ref{version, KeyPurpose::wrap, to_text(label), id, {}, std::nullopt, {}};
  if (auto check = session.attribute(key, CKA_CHECK_VALUE)) ref.check_value = hex(*check);
  ref.canary = new_canary(session, key, shown_text(label));
  return ref;
}

}  // namespace kesu::p11
