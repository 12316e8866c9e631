// Logging in, and logging in again.
#include "hsm/pkcs11/connection_impl.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "base/files.h"

namespace kesu::p11 {

namespace {
constexpr auto kPause = std::chrono::seconds(1);

// PINs that a token refused, by what identifies their source: not tried again by this process unless the
// source has changed, for many workers with one wrong PIN must not lock the token. Under Module::login.
bool refused_before(const std::string& stamp, bool now_refused) {
  static auto* refused = new std::set<std::string>;
  static auto* mutex = new std::mutex;
  std::lock_guard lock(*mutex);
  if (now_refused) refused->insert(stamp);
  return refused->contains(stamp);
}

bool same_token(const CK_TOKEN_INFO& a, const CK_TOKEN_INFO& b) {
  return padded_text(a.serialNumber) == padded_text(b.serialNumber) &&
         padded_text(a.manufacturerID) == padded_text(b.manufacturerID);
}

std::string said_by(const Error& error) {
  return error.cause().empty() ? error.message() : error.message() + ": " + error.cause();
}
}  // namespace

Connection::Connection(Uri uri, std::shared_ptr<CallLog> log)
    : log_(std::move(log)), uri_(std::move(uri)), module_(Module::get(uri_.module_path, log_.get())) {
  auto lock = hold_logins();
  TokenFound found = find_token(*module_, uri_, log_.get());
  session_ = std::make_unique<Session>(module_, found.slot, log_.get());
  log_in(*session_, found, false);
  token_ = found.info;
}

Connection::Connection(const Connection& of)
    : log_(of.log_), uri_(of.uri_), module_(of.module_), token_(of.token_) {
  auto lock = hold_logins();
  session_ = std::make_unique<Session>(module_, of.session_->slot(), log_.get());
  log_in(*session_, {of.session_->slot(), token_}, true);
}

bool Connection::lost(const Error& error) {
  if (error.code() == Code::session_lost) return true;
  const auto* call = dynamic_cast<const CallError*>(&error);
  return call != nullptr && (call->rv() == CKR_DEVICE_REMOVED || call->rv() == CKR_TOKEN_NOT_PRESENT ||
                             call->rv() == CKR_DEVICE_ERROR);
}

// Whoever logs in may spend the token's last attempts. With a count that is low that is a person's decision.
void Connection::demand_attempts(const CK_TOKEN_INFO& token) const {
  std::string name = "token " + padded_text(token.label);
  if ((token.flags & CKF_USER_PIN_LOCKED) != 0)
    throw Error(Code::pin_locked, "the PIN of " + name + " is locked")
        .cause("the token says CKF_USER_PIN_LOCKED")
        .next("have the token's security officer unlock it or set a new PIN");
  if ((token.flags & CKF_USER_PIN_FINAL_TRY) != 0)
    throw Error(Code::pin_count_low, name + " allows one more wrong PIN, and kesu does not spend it")
        .tried("nothing: no login was attempted")
        .cause("the token says CKF_USER_PIN_FINAL_TRY: wrong PINs were given before")
        .next(
            "log in once with the vendor's tool and the right PIN, or have the security officer set a new "
            "one; "
            "then run the command again");
  if ((token.flags & CKF_USER_PIN_COUNT_LOW) != 0 && !uri_.try_pin)
    throw Error(Code::pin_count_low,
                "a wrong PIN was given to " + name + ", and kesu spends no attempt unasked")
        .tried("nothing: no login was attempted")
        .cause("the token says CKF_USER_PIN_COUNT_LOW; after a few more wrong ones it locks")
        .next(
            "when the PIN source is right: `kesu provider test NAME --try-pin` tries it once; before there "
            "is a "
            "vault, log in once with the vendor's tool");
}

void Connection::log_in(Session& session, const TokenFound& found, bool again) {
  // The login is the process's: where another provider of it stands logged in, no attempt is needed.
  if (again && session.logged_in()) {
    logins_ = module_->logins;
    return;
  }
  if (again && uri_.one_login)
    throw Error(Code::session_lost, "the login at token " + padded_text(found.info.label) + " was lost")
        .tried("nothing: this process logs in once")
        .next("run the command again");
  if (again && uri_.pin_source.starts_with("fd:"))
    throw Error(Code::session_lost, "the login at token " + padded_text(found.info.label) + " was lost")
        .tried("logging in again")
        .cause("a PIN from a descriptor (fd:) can be read only once, and kesu does not keep it")
        .next("run the command again; or use pin-source=file:, which can be read a second time");
  std::string stamp = padded_text(found.info.serialNumber) + " " + pin_source_stamp(uri_.pin_source);
  if (refused_before(stamp, false))
    throw Error(Code::pin_wrong, "token " + padded_text(found.info.label) + " refused this PIN before")
        .tried("nothing: a wrong PIN is tried once and not again, for the token may lock")
        .next("correct the PIN source, then run the command again");
  demand_attempts(found.info);
  Secret pin = read_pin(uri_.pin_source);
  // Odd while it goes on: what others did with a handle meanwhile is done again.
  const uint64_t before = module_->logins;
  module_->logins = before + 1;
  try {
    module_->logins = session.login(pin, found.info) ? before + 2 : before;
  } catch (const Error& error) {
    module_->logins = before + 2;
    if (error.code() == Code::pin_wrong) refused_before(stamp, true);
    throw;
  }
  logins_ = module_->logins;
}

void Connection::reconnect(const Error& why) {
  if (failed_ && std::chrono::steady_clock::now() - *failed_ < kPause)
    throw Error(why).tried(why.tried() + "; a new login failed a moment ago and was not tried again");
  try {
    auto lock = hold_logins();
    TokenFound found = find_again(*module_, uri_, token_, why, log_.get());
    // The new one first: closing the process's last session would end a login that may still stand.
    auto fresh = std::make_unique<Session>(module_, found.slot, log_.get());
    log_in(*fresh, found, true);
    session_ = std::move(fresh);
    token_ = found.info;
    failed_.reset();
  } catch (const Error&) {
    failed_again();
    throw;
  }
}

void Connection::follow() {
  auto lock = hold_logins();
  logins_ = module_->logins;
  try {
    session_->renew();
  } catch (const Error& error) {
    if (!lost(error)) throw;
  }
}

namespace {
// Whether this process may hardly open any more: a module says of that no more than that it failed.
bool no_more_files() {
  std::array<Fd, 3> some;
  for (Fd& fd : some)
    if (fd = Fd(::open("/", O_PATH | O_CLOEXEC)); !fd.ok()) return errno == EMFILE || errno == ENFILE;
  return false;
}
}  // namespace

TokenFound find_again(const Module& module, const Uri& uri, const CK_TOKEN_INFO& before, const Error& why,
                      CallLog* log) {
  TokensSeen seen = tokens_fitting(module, uri, log);
  for (const TokenFound& token : seen.fitting)
    if (same_token(token.info, before)) return token;
  std::string name = "token " + padded_text(before.label) + ", serial " + padded_text(before.serialNumber);
  if (seen.fitting.empty() && no_more_files())
    throw Error(Code::provider_unavailable,
                "the module of " + name + " can open no more files or connections")
        .tried("logging in again, because of this: " + said_by(why))
        .cause("this process has as many files open as it may; " + seen.said())
        .next("allow this user more open files (ulimit -n), then run the same command again");
  if (seen.fitting.empty())
    throw Error(Code::token_absent, name + " is no longer there")
        .tried("logging in again, because of this: " + said_by(why))
        .cause(seen.said())
        .next(
            "insert or start the token, then run the command again; nothing is known about its keys from "
            "this");
  throw Error(Code::token_changed, "another token answers where " + name + " was")
      .tried("logging in again, because of this: " + said_by(why))
      .cause(seen.said())
      .next("connect the token that was there; kesu did nothing with the other one");
}

}  // namespace kesu::p11
