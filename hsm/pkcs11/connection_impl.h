// One provider's way to its token: the URI, the token found by it, the session that is logged in; and how a
// lost login is replaced, once.
#pragma once
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "hsm/pkcs11/session_impl.h"

namespace kesu::p11 {

class Connection {
 public:
  // Finds the module and the token, opens a session, logs in with one attempt. Errors: those of
  // ProviderFactory::open.
  Connection(Uri uri, std::shared_ptr<CallLog> log);

  // A further session of the same login, with bookkeeping of its own. Errors: session_lost and those of a
  // login, where the login does not stand.
  Connection(const Connection& of);
  Connection& operator=(const Connection&) = delete;

  Session& session() { return *session_; }
  Module& module() { return *module_; }
  const CK_TOKEN_INFO& token() const { return token_; }
  CallLog* log() const { return log_.get(); }

  // Does this failure mean that session, login, handles or the device were lost, so that a call without
  // lasting effect may be made once more after reconnect()?
  static bool lost(const Error& error);

  // A new session at the same token (serial and manufacturer), logged in with the PIN as its source gives it
  // now. `why` is the failure that led here; it is thrown again when the last attempt failed less than a
  // second ago. Errors: session_lost (the PIN cannot be read a second time), token_absent, token_changed, and
  // those of a login.
  void reconnect(const Error& why);
  // The call failed after the reconnection too: the next attempt waits its second.
  void failed_again() { failed_ = std::chrono::steady_clock::now(); }

  // Another provider of this process logs in, or did since this one last looked: handles may name other
  // objects.
  bool moved() const { return logins_ != module_->logins; }
  // A session of its own again after that, where one can be had; else the next call says that it is lost.
  void follow();

  // While it is held no provider of this process logs in: what a handle names does not change.
  std::unique_lock<std::mutex> hold_logins() { return std::unique_lock(module_->login); }

 private:
  void log_in(Session& session, const TokenFound& found, bool again);
  void demand_attempts(const CK_TOKEN_INFO& token) const;

  std::shared_ptr<CallLog> log_;  // before the session, which logs its end
  Uri uri_;
  std::shared_ptr<Module> module_;
  CK_TOKEN_INFO token_{};
  std::unique_ptr<Session> session_;
  uint64_t logins_ = 0;
  std::optional<std::chrono::steady_clock::time_point> failed_;
};

}  // namespace kesu::p11
