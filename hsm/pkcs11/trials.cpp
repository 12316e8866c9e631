// The probe's trials: every symmetric key of the token on one ciphertext, by every mechanism that it allows
// until one tells (docs/spec/provider-port.md, "Probe"). Where AES-GCM itself is refused, E_k of chosen
// blocks tells as definitely.
#include <algorithm>

#include "crypto/ghash.h"
#include "crypto/hash.h"
#include "hsm/pkcs11/provider_impl.h"

namespace kesu::p11 {

namespace {
constexpr size_t kTag = 16, kNonce = 12, kBlock = 16;

// Cryptoki's pointers are not const; it does not write through those that only carry input.
CK_BYTE* in_pointer(std::span<const uint8_t> bytes) { return const_cast<CK_BYTE*>(bytes.data()); }

struct Done {
  std::string call;
  CK_RV rv = CKR_FUNCTION_FAILED;
  std::string more = {};
  bool ok() const { return rv == CKR_OK && more.empty(); }
  std::string text() const { return call + ": " + rv_name(rv) + (more.empty() ? "" : "; " + more); }
};

void renew(Session& session) {
  try {
    session.renew();
  } catch (const Error&) {  // the module's answer is the one to report
  }
}

Done crypt(Session& session, bool encrypt, CK_OBJECT_HANDLE key, CK_MECHANISM how,
           std::span<const uint8_t> in, std::span<uint8_t> out) {
  Module& module = session.module();
  CK_RV rv = encrypt ? P11_CALL(module, session.log(), C_EncryptInit, session.handle(), &how, key)
                     : P11_CALL(module, session.log(), C_DecryptInit, session.handle(), &how, key);
  if (rv != CKR_OK) return {encrypt ? "C_EncryptInit" : "C_DecryptInit", rv};
  Secret buffer(in.size() + 2 * kBlock);  // some modules want room
  CK_ULONG size = buffer.size();
  uint8_t* to = buffer.reveal().data();
  rv = encrypt ? P11_CALL(module, session.log(), C_Encrypt, session.handle(), in_pointer(in), in.size(), to,
                          &size)
               : P11_CALL(module, session.log(), C_Decrypt, session.handle(), in_pointer(in), in.size(), to,
                          &size);
  Done done{encrypt ? "C_Encrypt" : "C_Decrypt", rv};
  if (rv != CKR_OK) {
    renew(session);
  } else if (size != out.size()) {
    done.more = std::to_string(size) + " bytes came instead of " + std::to_string(out.size());
  } else {
    std::copy_n(to, out.size(), out.data());
  }
  return done;
}

// An object of this session that a trial made; destroyed at once. That it is not left behind is part of the
// answer.
class SessionObject {
 public:
  explicit SessionObject(Session& session) : session_(session) {}
  ~SessionObject() {
    Done ignored;
    destroy(ignored);
  }
  SessionObject(const SessionObject&) = delete;
  SessionObject& operator=(const SessionObject&) = delete;

  void destroy(Done& done) {
    if (handle == CK_INVALID_HANDLE) return;
    CK_RV rv = P11_CALL(session_.module(), session_.log(), C_DestroyObject, session_.handle(), handle);
    handle = CK_INVALID_HANDLE;
    if (rv != CKR_OK) done.more += "its result could not be destroyed: " + rv_name(rv);
  }
  // Its value into `out`; gives the size.
  size_t value(Done& done, std::span<uint8_t> out) {
    CK_ATTRIBUTE item{CKA_VALUE, out.data(), out.size()};
    CK_RV rv =
        P11_CALL(session_.module(), session_.log(), C_GetAttributeValue, session_.handle(), handle, &item, 1);
    if (rv == CKR_OK && item.ulValueLen <= out.size()) return item.ulValueLen;
    done.more = "reading what came out: " + rv_name(rv);
    return 0;
  }
  // The template of one that may be read.
  static Template readable() {
    return Template()
        .number(CKA_CLASS, CKO_SECRET_KEY)
        .number(CKA_KEY_TYPE, CKK_GENERIC_SECRET)
        .flag(CKA_TOKEN, false)
        .flag(CKA_SENSITIVE, false)
        .flag(CKA_EXTRACTABLE, true);
  }
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;

 private:
  Session& session_;
};

// The ways to E_k of blocks. Decryption of blocks (ECB, CBC) is none: of a cipher's inverse no tag is made.
using Blocks = Done (*)(Session&, CK_OBJECT_HANDLE, std::span<const uint8_t>, std::span<uint8_t>);

Done by_ecb(Session& session, CK_OBJECT_HANDLE key, std::span<const uint8_t> in, std::span<uint8_t> out) {
  return crypt(session, true, key, {CKM_AES_ECB, nullptr, 0}, in, out);
}

// Zeros in counter mode, each block its own counter.
Done by_counter(Session& session, bool encrypt, CK_OBJECT_HANDLE key, std::span<const uint8_t> in,
                std::span<uint8_t> out) {
  const uint8_t zeros[kBlock] = {};
  Done done;
  for (size_t at = 0; at < in.size(); at += kBlock) {
    CK_AES_CTR_PARAMS params{};
    params.ulCounterBits = 128;
    std::copy_n(in.data() + at, kBlock, params.cb);
    done =
        crypt(session, encrypt, key, {CKM_AES_CTR, &params, sizeof params}, zeros, out.subspan(at, kBlock));
    if (!done.ok()) break;
  }
  return done;
}
Done by_ctr_encrypt(Session& session, CK_OBJECT_HANDLE key, std::span<const uint8_t> in,
                    std::span<uint8_t> out) {
  return by_counter(session, true, key, in, out);
}
Done by_ctr_decrypt(Session& session, CK_OBJECT_HANDLE key, std::span<const uint8_t> in,
                    std::span<uint8_t> out) {
  return by_counter(session, false, key, in, out);
}

Done by_cbc(Session& session, CK_OBJECT_HANDLE key, std::span<const uint8_t> in, std::span<uint8_t> out) {
  uint8_t zeros[kBlock] = {};
  Done done;
  for (size_t at = 0; at < in.size(); at += kBlock) {
    done = crypt(session, true, key, {CKM_AES_CBC, zeros, kBlock}, in.subspan(at, kBlock),
                 out.subspan(at, kBlock));
    if (!done.ok()) break;
  }
  return done;
}

Done by_derivation(Session& session, CK_OBJECT_HANDLE key, std::span<const uint8_t> in,
                   std::span<uint8_t> out) {
  CK_KEY_DERIVATION_STRING_DATA data{in_pointer(in), in.size()};
  CK_MECHANISM how{CKM_AES_ECB_ENCRYPT_DATA, &data, sizeof data};
  Template what = SessionObject::readable().number(CKA_VALUE_LEN, in.size());
  auto view = what.view();
  SessionObject made(session);
  Done done{"C_DeriveKey", P11_CALL(session.module(), session.log(), C_DeriveKey, session.handle(), &how, key,
                                    view.data(), view.size(), &made.handle)};
  if (done.rv != CKR_OK) return done;
  if (size_t size = made.value(done, out); done.ok() && size != out.size())
    done.more = std::to_string(size) + " bytes came instead of " + std::to_string(out.size());
  made.destroy(done);
  return done;
}

// Each block as a key of this session that the tried key wraps.
Done by_wrapping(Session& session, CK_OBJECT_HANDLE key, std::span<const uint8_t> in,
                 std::span<uint8_t> out) {
  uint8_t zeros[kBlock] = {};
  Done done;
  for (size_t at = 0; at < in.size() && (at == 0 || done.ok()); at += kBlock) {
    Template what = SessionObject::readable().bytes(CKA_VALUE, in.subspan(at, kBlock));
    auto view = what.view();
    SessionObject block(session);
    done = {"C_CreateObject", P11_CALL(session.module(), session.log(), C_CreateObject, session.handle(),
                                       view.data(), view.size(), &block.handle)};
    if (done.rv != CKR_OK) break;
    CK_MECHANISM how{CKM_AES_CBC, zeros, kBlock};
    Secret wrapped(4 * kBlock);
    CK_ULONG size = wrapped.size();
    done = {"C_WrapKey", P11_CALL(session.module(), session.log(), C_WrapKey, session.handle(), &how, key,
                                  block.handle, wrapped.reveal().data(), &size)};
    block.destroy(done);
    if (done.rv == CKR_OK && size != kBlock) done.more = std::to_string(size) + " bytes came instead of 16";
    if (done.ok()) std::copy_n(wrapped.reveal().data(), kBlock, out.data() + at);
  }
  return done;
}

struct Way {
  CK_ATTRIBUTE_TYPE flag;
  CK_MECHANISM_TYPE mechanism;
  Blocks blocks;
};
constexpr Way kWays[] = {{CKA_ENCRYPT, CKM_AES_ECB, by_ecb},
                         {CKA_ENCRYPT, CKM_AES_CTR, by_ctr_encrypt},
                         {CKA_DECRYPT, CKM_AES_CTR, by_ctr_decrypt},
                         {CKA_ENCRYPT, CKM_AES_CBC, by_cbc},
                         {CKA_DERIVE, CKM_AES_ECB_ENCRYPT_DATA, by_derivation},
                         {CKA_WRAP, CKM_AES_CBC, by_wrapping}};

// One key on one ciphertext.
class Trier {
 public:
  Trier(Session& session, CK_OBJECT_HANDLE key, const ObjectSeen& seen, const WrappedKey& wrapped,
        ByteView aad)
      : session_(session), key_(key), seen_(seen), wrapped_(wrapped), aad_(aad) {
    // All of it before the first trial: one that fails may take a new session, and the handle of what is not
    // the token's goes with the old one.
    aes_ = session_.number(key_, CKA_KEY_TYPE) == CKK_AES;
    for (CK_ATTRIBUTE_TYPE flag : {CKA_DECRYPT, CKA_ENCRYPT, CKA_DERIVE, CKA_WRAP, CKA_UNWRAP})
      if (session_.flag(key_, flag) == false) denied_.push_back(flag);
  }

  std::vector<Trial> all() {
    if (!aes_) {
      note("").result = "not an AES key";
    } else if (wrapped_.algorithm != WrapAlg::aes256_gcm || wrapped_.nonce.size() != kNonce ||
               wrapped_.blob.size() <= kTag) {
      note("").result = "not an AES-256-GCM ciphertext";
    } else if (!by_gcm() && !(may(CKA_ENCRYPT) && by_gcm_backwards())) {
      for (const Way& way : kWays)
        if (may(way.flag) && by_blocks(way)) return std::move(trials_);
      if (may(CKA_UNWRAP)) by_unwrapping();
    }
    return std::move(trials_);
  }

 private:
  // What the token does not say of a key is tried.
  bool may(CK_ATTRIBUTE_TYPE flag) const {
    return std::find(denied_.begin(), denied_.end(), flag) == denied_.end();
  }

  Trial& note(std::string mechanism) {
    Trial& trial = trials_.emplace_back();
    trial.object = seen_;
    trial.mechanism = std::move(mechanism);
    return trial;
  }
  // Each gives whether the trial told: opened or failed.
  bool failed(Trial& trial) { return trial.outcome = TrialOutcome::failed, true; }
  bool opened(Trial& trial, ByteView plain) {
    trial.digest = sha256(plain);
    return trial.outcome = TrialOutcome::opened, true;
  }
  bool silent(Trial& trial, CK_RV rv) {
    if (rv == CKR_KEY_FUNCTION_NOT_PERMITTED) trial.outcome = TrialOutcome::refused;
    return false;
  }

  bool by_gcm() {
    Trial& trial = note("CKM_AES_GCM");
    if (!may(CKA_DECRYPT)) {
      trial.mechanism.clear();
      trial.result = "CKA_DECRYPT=false";
      return silent(trial, CKR_KEY_FUNCTION_NOT_PERMITTED);
    }
    Secret plain(wrapped_.blob.size());
    auto done = session_.gcm(false, key_, wrapped_.nonce, aad_, wrapped_.blob, plain.reveal());
    trial.result = std::string(done.call) + ": " + rv_name(done.rv);
    if (done.rv == CKR_OK) return opened(trial, std::span<const uint8_t>(plain.reveal()).first(done.size));
    if (std::string_view(done.call) == "C_Decrypt" && session_.module().is_tag_error(done.rv))
      return failed(trial);
    return silent(trial, done.rv);
  }

  // Encryption of zeros shows the key stream, and with it what the plaintext would be; encrypted again, that
  // gives the ciphertext and its tag, or does not. A token that puts in a nonce of its own shows by another
  // ciphertext.
  bool by_gcm_backwards() {
    Trial& trial = note("CKM_AES_GCM");
    const size_t size = wrapped_.blob.size() - kTag;
    Secret plain(size), out(wrapped_.blob.size() + kBlock);
    for (int round = 0; round < 2; ++round) {
      Bytes nonce = wrapped_.nonce;  // a token may write into it
      auto done = session_.gcm(true, key_, nonce, aad_, plain.reveal(), out.reveal());
      trial.result = std::string(done.call) + ": " + rv_name(done.rv);
      if (done.rv != CKR_OK) return silent(trial, done.rv);
      if (done.size != wrapped_.blob.size() || nonce != wrapped_.nonce) break;
      const auto made = out.reveal();
      if (round == 0) {
        for (size_t i = 0; i < size; ++i) plain.reveal()[i] = made[i] ^ wrapped_.blob[i];
      } else if (std::equal(made.begin(), made.begin() + static_cast<long>(size), wrapped_.blob.begin())) {
        if (std::equal(wrapped_.blob.begin(), wrapped_.blob.end(), made.begin()))
          return opened(trial, plain.reveal());
        return failed(trial);
      }
    }
    trial.result += "; the nonce was not the one asked for";
    return false;
  }

  bool by_blocks(const Way& way) {
    Trial& trial = note(mechanism_name(way.mechanism));
    Done done;
    Secret plain;
    auto cipher = [&](std::span<const uint8_t> in, std::span<uint8_t> out) {
      done = way.blocks(session_, key_, in, out);
      // The check value is E_k(0^128)'s beginning. Where it is not, something here is not what it seems.
      if (done.ok() && !hex(out.first(kBlock)).starts_with(seen_.check_value))
        done.more = "what came out does not agree with the key's check value";
      return done.ok();
    };
    GcmAnswer answer = open_gcm_by_blocks(cipher, wrapped_.nonce, aad_, wrapped_.blob, plain);
    trial.result = done.text();
    if (answer == GcmAnswer::opened) return opened(trial, plain.reveal());
    if (answer == GcmAnswer::failed) return failed(trial);
    return silent(trial, done.rv);
  }

  // Tells for certain only when it opens: what says no may mean the template as well.
  bool by_unwrapping() {
    Trial& trial = note("CKM_AES_GCM");
    CK_GCM_PARAMS params{in_pointer(wrapped_.nonce), kNonce,      kNonce * 8,
                         in_pointer(aad_),           aad_.size(), kTag * 8};
    ShortGcmParams short_params{in_pointer(wrapped_.nonce), kNonce, in_pointer(aad_), aad_.size(), kTag * 8};
    CK_MECHANISM how{CKM_AES_GCM, &params, sizeof params};
    if (session_.module().short_gcm_params) how = {CKM_AES_GCM, &short_params, sizeof short_params};
    Template what = SessionObject::readable();
    auto view = what.view();
    SessionObject made(session_);
    Done done{"C_UnwrapKey", P11_CALL(session_.module(), session_.log(), C_UnwrapKey, session_.handle(), &how,
                                      key_, in_pointer(wrapped_.blob), wrapped_.blob.size(), view.data(),
                                      view.size(), &made.handle)};
    size_t size = 0;
    Secret plain(wrapped_.blob.size());
    if (done.ok()) size = made.value(done, plain.reveal());
    made.destroy(done);
    trial.result = done.text();
    if (done.rv == kAeadDecryptFailed) return failed(trial);
    if (done.rv != CKR_OK) return silent(trial, done.rv);
    // That it authenticated shows even where its value may not be read.
    trial.outcome = TrialOutcome::opened;
    if (size == wrapped_.blob.size() - kTag)
      trial.digest = sha256(std::span<const uint8_t>(plain.reveal()).first(size));
    return true;
  }

  Session& session_;
  CK_OBJECT_HANDLE key_;
  const ObjectSeen& seen_;
  const WrappedKey& wrapped_;
  ByteView aad_;
  bool aes_ = false;
  std::vector<CK_ATTRIBUTE_TYPE> denied_;
  std::vector<Trial> trials_;
};
}  // namespace

std::vector<Trial> Pkcs11Provider::try_keys(const WrappedKey& wrapped, ByteView aad, const KeyRef* only) {
  return repeatable([&] {
    Template what;
    what.number(CKA_CLASS, CKO_SECRET_KEY);
    if (only != nullptr) what.text(CKA_LABEL, only->label).bytes(CKA_ID, only->id);
    std::vector<Trial> out;
    auto found = session().find(what);
    demand_login("listing the keys to try");  // who is not logged in sees no keys
    for (size_t i = 0; i < found.size(); ++i) {
      ObjectSeen object_seen;
      const auto look = [&] {
        object_seen = seen(found[i]);
        return Trier(session(), found[i], object_seen, wrapped, aad);
      };
      std::optional<Trier> trier;
      try {
        trier.emplace(look());
      } catch (const Error& e) {
        if (e.code() != Code::session_lost) throw;
        // A failed trial took a new session. What does not say that it is the token's, as an object whose
        // making was cut off, has gone by its handle with the old one, and has another now.
        const auto again = session().find(what);
        if (again.size() != found.size()) throw;
        found = again;
        trier.emplace(look());
      }
      for (Trial& trial : trier->all()) out.push_back(std::move(trial));
    }
    return out;
  });
}

std::optional<TokenSessions> Pkcs11Provider::token_sessions() {
  CK_TOKEN_INFO now{};
  CK_RV rv = P11_CALL(session().module(), log(), C_GetTokenInfo, session().slot(), &now);
  if (rv != CKR_OK || now.ulSessionCount == kUnavailable || now.ulRwSessionCount == kUnavailable)
    return std::nullopt;
  return TokenSessions{static_cast<int64_t>(now.ulSessionCount), static_cast<int64_t>(now.ulRwSessionCount)};
}

}  // namespace kesu::p11
