// One session with one token, logged in: search, attributes, and the cryptographic calls, each with its
// answer checked.
#pragma once
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "hsm/pkcs11/module_impl.h"
#include "hsm/pkcs11/uri.h"

namespace kesu::p11 {

// A template that owns its values.
class Template {
 public:
  Template& flag(CK_ATTRIBUTE_TYPE type, bool value);
  Template& number(CK_ATTRIBUTE_TYPE type, CK_ULONG value);
  Template& bytes(CK_ATTRIBUTE_TYPE type, ByteView value);
  Template& text(CK_ATTRIBUTE_TYPE type, std::string_view value) { return bytes(type, as_bytes(value)); }
  void remove(CK_ATTRIBUTE_TYPE type);
  // Cryptoki wants writable pointers and does not write. Valid until the template changes.
  std::vector<CK_ATTRIBUTE> view();

 private:
  std::vector<std::pair<CK_ATTRIBUTE_TYPE, Bytes>> items_;
  friend class Session;
};

// C_GetTokenInfo; asked again, some milliseconds later, after CKR_GENERAL_ERROR or blanks: SoftHSM writes the
// token's file anew at each login, and whoever reads it just then is told that.
CK_RV token_info(const Module& module, CK_SLOT_ID slot, CK_TOKEN_INFO& info, CallLog* log);

struct TokenFound {
  CK_SLOT_ID slot = 0;
  CK_TOKEN_INFO info{};
};
// Every initialised token that the URI allows, and what was seen besides, for messages.
struct TokensSeen {
  std::vector<TokenFound> fitting;
  std::string all, unreadable;
  std::string said() const;
};
TokensSeen tokens_fitting(const Module& module, const Uri& uri, CallLog* log);
// The token of before, again, wherever it is now. Errors: token_absent; token_changed, when only others fit
// the URI.
TokenFound find_again(const Module& module, const Uri& uri, const CK_TOKEN_INFO& before, const Error& why,
                      CallLog* log);
// The one initialised token that the URI asks for. Errors: token_absent, token_ambiguous (candidates in
// `cause`).
TokenFound find_token(const Module& module, const Uri& uri, CallLog* log);

class Session {
 public:
  // Opens a session; login() is a step of its own. `log` may be null.
  Session(std::shared_ptr<Module> module, CK_SLOT_ID slot, CallLog* log);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // One attempt. False where the process was logged in already. Errors: pin_wrong, pin_locked.
  bool login(const Secret& pin, const CK_TOKEN_INFO& token);
  // A new session in place of this one, the login kept: after a failed operation some modules leave one
  // behind.
  void renew();
  // Does the module itself say that the user is logged in here?
  bool logged_in();

  Module& module() { return *module_; }
  CK_SLOT_ID slot() const { return slot_; }
  CallLog* log() const { return log_; }
  CK_SESSION_HANDLE handle() const { return handle_; }

  std::vector<CK_OBJECT_HANDLE> find(Template what);
  // nullopt where the object or the module does not give the attribute.
  std::optional<Bytes> attribute(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
  std::optional<bool> flag(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
  std::optional<CK_ULONG> number(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
  // Every readable attribute that is given, by name.
  Json attributes(CK_OBJECT_HANDLE object);

  void random(std::span<uint8_t> out);  // the token's generator XOR the host's

  // AES-256-GCM, 128-bit tag. `out` is at least in.size() + 16 bytes (the module may use all of it); gives
  // the size written, or the module's answer. A failure renews the session.
  struct Done {
    const char* call;
    CK_RV rv;
    size_t size;
  };
  Done gcm(bool encrypt, CK_OBJECT_HANDLE key, ByteView nonce, ByteView aad, std::span<const uint8_t> in,
           std::span<uint8_t> out);
  // Throws what call_error makes of a failure.
  Bytes sign(CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE mechanism, ByteView data, size_t size);

 private:
  CK_SESSION_HANDLE open();
  void close(CK_SESSION_HANDLE handle);  // where it is still this session's
  std::shared_ptr<Module> module_;
  CK_SLOT_ID slot_;
  CallLog* log_;
  CK_SESSION_HANDLE handle_ = CK_INVALID_HANDLE;
};

}  // namespace kesu::p11
