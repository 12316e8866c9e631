// A loaded PKCS #11 module: one initialisation for each path and process, shared by all providers of the
// process.
#pragma once
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/trace.h"
#include "hsm/pkcs11/cryptoki_impl.h"

namespace kesu::p11 {

// Which calls were made and what they answered, without arguments. Providers of several threads may share
// one.
class CallLog {
 public:
  void add(const char* call, CK_RV rv, std::chrono::steady_clock::duration took);
  Json to_json() const;

 private:
  struct Row {
    const char* call;
    CK_RV rv;
    int64_t times;
    std::chrono::steady_clock::duration took;
  };
  static constexpr size_t kMaxRows = 4096;
  mutable std::mutex mutex_;
  std::vector<Row> rows_;
  int64_t dropped_ = 0;
};

// What modules do differently, as data. `gcm_tag_errors` are the answers to a GCM ciphertext that does not
// authenticate.
struct Quirks {
  std::string_view library;  // part of the library's manufacturer or description; empty: every other module
  std::vector<CK_RV> gcm_tag_errors;
  bool scales;  // do its sessions work side by side?
};

class Module {
 public:
  // Loads and initialises, or gives the one that this process has already. Errors: module_absent,
  // provider_unavailable.
  static std::shared_ptr<Module> get(const std::string& path, CallLog* log);
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  CK_FUNCTION_LIST* functions() const { return functions_; }
  const CK_INFO& info() const { return info_; }
  const std::string& path() const { return path_; }
  const std::string& sha256() const { return sha256_; }
  bool is_tag_error(CK_RV rv) const;
  bool scales() const { return quirks_->scales; }

  // Which layout of CK_GCM_PARAMS the module takes is found out by its first refusal.
  std::atomic<bool> short_gcm_params{false};
  // Held during login: several threads with one wrong PIN must not spend several attempts.
  std::mutex login;
  // Moves with every login, for each may give handles another meaning; odd while one goes on.
  std::atomic<uint64_t> logins{0};
  // Whose session a handle is: a module may give the number of a session that died to a new one, and then the
  // first owner must neither use nor close it.
  void own(CK_SESSION_HANDLE session, const void* owner);
  bool owns(CK_SESSION_HANDLE session, const void* owner) const;
  bool disown(CK_SESSION_HANDLE session, const void* owner);  // was it still the owner's?

 private:
  Module() = default;
  void load(const std::string& path, CallLog* log);
  void release();
  std::string path_, sha256_;
  int users_ = 0;
  CK_FUNCTION_LIST* functions_ = nullptr;
  CK_INFO info_{};
  bool finalize_ = false;
  const Quirks* quirks_ = nullptr;
  mutable std::mutex owners_lock_;
  std::map<CK_SESSION_HANDLE, const void*> owners_;
};

// A fixed-width, blank-padded field of Cryptoki as text; what is not UTF-8 as "hex:…".
template <size_t N>
std::string padded_text(const CK_UTF8CHAR (&field)[N]);
std::string shown_text(ByteView bytes);

// The Error that an answer amounts to, with the answer. `doing` is what was tried, for a person.
class CallError : public Error {
 public:
  CallError(Error error, CK_RV rv) : Error(std::move(error)), rv_(rv) {}
  CK_RV rv() const { return rv_; }

 private:
  CK_RV rv_;
};
CallError call_error(const char* call, CK_RV rv, std::string doing);

// The mechanism among a call's arguments, for the trace; all ones when there is none.
template <class... Args>
CK_MECHANISM_TYPE mechanism_among(const Args&... args) {
  CK_MECHANISM_TYPE found = kUnavailable;
  auto look = [&found](const auto& arg) {
    if constexpr (std::is_convertible_v<decltype(arg), const CK_MECHANISM*> &&
                  !std::is_same_v<std::decay_t<decltype(arg)>, std::nullptr_t>)
      found = arg->mechanism;
  };
  (look(args), ...);
  return found;
}

// Calls one function of a module, logs and traces it: P11_CALL(module, log, C_Login, session, CKU_USER, pin,
// size).
template <class F>
CK_RV timed_call(CallLog* log, const char* name, CK_MECHANISM_TYPE mechanism, F&& call) {
  if (log == nullptr && !tracing()) return call();
  auto begin = std::chrono::steady_clock::now();
  CK_RV rv = call();
  auto took = std::chrono::steady_clock::now() - begin;
  if (log != nullptr) log->add(name, rv, took);
  if (tracing())
    trace("pkcs11", name,
          {{"mechanism", mechanism == kUnavailable ? std::string() : mechanism_name(mechanism)},
           {"rv", rv_name(rv)}},
          took);
  return rv;
}
#define P11_CALL(module, log, name, ...)                                         \
  ::kesu::p11::timed_call(log, #name, ::kesu::p11::mechanism_among(__VA_ARGS__), \
                          [&] { return (module).functions()->name(__VA_ARGS__); })

template <size_t N>
std::string padded_text(const CK_UTF8CHAR (&field)[N]) {
  size_t size = N;
  while (size > 0 && (field[size - 1] == ' ' || field[size - 1] == 0)) --size;
  return shown_text(ByteView(field, size));
}

}  // namespace kesu::p11
