// Exceptions: a limit that an enrolled approver lets be passed, until a day, with a signed statement
// (docs/spec/erasure.md, "Exception statement"; docs/spec/keys.md). Every exception ends by itself.
#pragma once
#include <string>
#include <string_view>

#include "app/key_states.h"
#include "app/people.h"
#include "app/vault.h"
#include "policy/policy.h"

namespace kesu {

struct ExceptionOrder {
  std::string what;     // originator-period, recipient-period, algorithm
  std::string subject;  // `key-….n`; for an algorithm the vault
  std::string detail;   // `loans.1`; `AES-KW for wrap`
  std::string reason;
  Millis until = 0;
};
// The version that is to protect (`originator`) or open longer: the one named, else the active one, else the
// newest. Errors: state_refused (never again in that use; no period; not active yet), bad_input (`until` is
// past, not later than what holds, or protecting would outlast opening), frozen.
ExceptionOrder extend_order(Vault& vault, const KeyWord& which, bool originator, Millis until,
                            const std::string& reason);
// An algorithm (NAME or NAME:bits=…) for a purpose, in datasets that are added till then. Errors:
// state_refused (the policy allows it without), policy_refused (no exception lifts its refusal), bad_input,
// usage.
ExceptionOrder algorithm_order(Vault& vault, const std::string& algorithm, const std::string& purpose,
                               Millis until, const std::string& reason);

// Writes what `person` is to sign to `file`; returns the namespace. The same statement is expected back with
// the signature.
std::string export_exception(Vault& vault, const ExceptionOrder& order, const OperatorRecord& person,
                             const std::string& file);
// Signed by `person` or signed elsewhere, then recorded. Errors: not_enrolled (an approver has to), those of
// obtain_signature, and of the order, which is decided again.
ExceptionRecord record_exception(Vault& vault, const ExceptionOrder& order, const OperatorRecord& person,
                                 const SignatureSource& source);

// Whether an exception lets `algorithm` serve `purpose` now although the policy refuses it.
bool excepted(const State& state, std::string_view algorithm, policy::Purpose purpose, Millis now);

// [{"what","subject","detail","reason","approver","recorded","until","in_force"}]
Json exception_json(const State& state, const ExceptionRecord& exception, Millis now);

}  // namespace kesu
