// The steps of an erasure: request, approve, reject, cancel, run, verify, validate, status. Order and
// refusals are those of docs/spec/erasure.md.
#pragma once
#include <string>
#include <vector>

#include "app/erase_plan.h"
#include "app/people.h"

namespace kesu {

// Writes the statement for someone who signs elsewhere; the same bytes are expected back with the signature.
std::string export_statement(Vault& vault, const std::string& erasure, const std::string& action,
                             const OperatorRecord& person, const std::string& file);

// Freezes the plan's datasets. Errors: plan_blocked, plan_changed, not_enrolled, signature_bad,
// already_exists.
void request_erasure(Vault& vault, const std::string& erasure, const OperatorRecord& person,
                     const SignatureSource& source, const std::string& reason);

struct ApprovalCount {
  int64_t have = 0, need = 0;
};
// Errors: requester_is_approver, not_enrolled, signature_bad, plan_changed, state_refused.
ApprovalCount approve_erasure(Vault& vault, ErasureRecord& erasure, const OperatorRecord& person,
                              const SignatureSource& source);
void reject_erasure(Vault& vault, ErasureRecord& erasure, const OperatorRecord& person,
                    const SignatureSource& source);
// Before anything irreversible; the datasets take objects again.
void cancel_erasure(Vault& vault, ErasureRecord& erasure, const std::string& reason);

// After the run, by somebody who did not request it: inspects the providers again and signs what was seen.
// With a signature made elsewhere, over the statement of export_verification(), nothing is inspected again.
// Errors: state_refused (not destroyed, verified already, certificate issued), requester_is_approver,
// not_enrolled, signature_bad, outcome_unknown when a key is not shown absent.
void verify_erasure(Vault& vault, const std::string& erasure, const OperatorRecord& person,
                    const SignatureSource& source);
// Inspects, and writes the statement about it for somebody who signs elsewhere. Returns the namespace.
std::string export_verification(Vault& vault, const std::string& erasure, const OperatorRecord& person,
                                const std::string& file);
// After the verification, by somebody else than requester and verifier (SP 800-88r2 §4.5.2).
void validate_erasure(Vault& vault, const std::string& erasure, const OperatorRecord& person,
                      const SignatureSource& source);
std::string export_validation(Vault& vault, const std::string& erasure, const OperatorRecord& person,
                              const std::string& file);

struct RunResult {
  std::vector<std::string> destroyed;  // versions, in order
  bool receipt_lost = false;
  std::string before, after;  // evidence
};
// `step(text)` says each step before it is done; `paths`: files and directories in which sampled objects are
// looked for that are not where they were sealed to, or were sealed to a pipe. Safe to interrupt anywhere:
// run again. Errors: approvals_missing, waiting, processes_alive (exit 4); plan_changed (3); outcome_unknown,
// provider errors (5).
RunResult run_erasure(Vault& vault, const std::string& erasure,
                      const std::function<void(const std::string&)>& step,
                      const std::vector<std::string>& paths = {});

Json erasure_status(Vault& vault, const ErasureRecord& erasure);

}  // namespace kesu
