// The one error type. A check that fails (policy, proof, probe) is not an error: it is a value with findings.
#pragma once
#include <exception>
#include <string>
#include <string_view>

namespace kesu {

// Exit codes of every command (docs/spec/interface.md).
enum class Exit : int {
  done = 0,
  failed = 1,
  usage = 2,
  refused = 3,       // policy, state, hold, requester = approver, frozen: waiting changes nothing
  not_yet = 4,       // approvals, waiting period, provider's window, verifier
  unavailable = 5,   // provider or store does not answer
  invalid = 6,       // forged, altered, inconsistent
  incomplete = 7,    // genuine but incomplete, object not covered, TEST GRADE not allowed
  partial = 8,       // part of the work failed, each part listed
  interrupted = 130  // interrupted, resumable
};

// The finer contract beside the exit code: the closed list of `error.code`. Its text form (code_text) is
// stable.
enum class Code {
  failed,
  io_failed,
  disk_full,
  interrupted,
  usage,
  bad_identifier,
  identifier_ambiguous,
  not_found,
  already_exists,
  bad_input,
  policy_refused,
  state_refused,
  frozen,
  held,
  in_use,  // something that is to be kept depends on it
  requester_is_approver,
  not_enrolled,
  command_unsigned,  // the vault's rules ask for a signature of who runs it
  signature_bad,
  plan_changed,
  plan_blocked,
  conflict,  // another process changed the same streams meanwhile
  approvals_missing,
  waiting,
  processes_alive,
  not_confirmed,  // a person was asked and said no, or could not be asked
  store_unavailable,
  store_busy,
  vault_absent,
  vault_newer,
  network_filesystem,
  read_only,
  provider_unavailable,
  module_absent,
  token_absent,
  token_ambiguous,
  pin_missing,
  pin_wrong,
  pin_locked,
  pin_source_unsafe,
  session_lost,
  object_absent,
  object_ambiguous,
  key_mismatch,  // an object is there, but it is not the key that the ledger knows
  mechanism_absent,
  provider_failed,
  outcome_unknown,  // an effect was started and its end could not be learned
  sealed_damaged,   // a sealed object is altered, truncated, extended
  ledger_damaged,
  bundle_invalid,
  bundle_incomplete,
  test_grade,
  pin_count_low,
  token_changed,
  container_old,
  container_damaged,
  key_known,
  period_over,
  wrap_quota,
  vault_closed,
  restart_needed,
  out_of_memory,
  memory_lock,  // a secret could not be kept out of swap
  not_covered,  // a file that no inventory lists
  network_unavailable,
  time_unavailable,  // no time-stamp authority gave an answer that counts
  version_buried,    // a tombstone says that this version was destroyed; the ledger here does not know
  partial,
};

std::string_view code_text(Code code);  // "pin-wrong", …
Exit exit_of(Code code);

// What went wrong, for a person: what was tried, on what; why it failed, in the other side's own words; what
// to do next. None of the parts may carry a secret.
class Error : public std::exception {
 public:
  Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  Error& tried(std::string text) & { return tried_ = std::move(text), *this; }
  Error& cause(std::string text) & { return cause_ = std::move(text), *this; }
  Error& next(std::string text) & { return next_ = std::move(text), *this; }
  Error&& tried(std::string text) && { return tried_ = std::move(text), std::move(*this); }
  Error&& cause(std::string text) && { return cause_ = std::move(text), std::move(*this); }
  Error&& next(std::string text) && { return next_ = std::move(text), std::move(*this); }

  Code code() const { return code_; }
  Exit exit() const { return exit_of(code_); }
  const std::string& message() const { return message_; }
  const std::string& tried() const { return tried_; }
  const std::string& cause() const { return cause_; }
  const std::string& next() const { return next_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  Code code_;
  std::string message_, tried_, cause_, next_;
};

}  // namespace kesu
