// People and rules in force (docs/spec/erasure.md, "People and rules"): who may do what, and how many
// approvals and how long a wait an erasure takes. Pure, over the state.
#pragma once
#include <string>
#include <string_view>

#include "app/state.h"
#include "app/vault.h"

namespace kesu {

// A place in the ledger at which people and rules are judged: the entries before `seq`, and what had taken
// effect by `time`.
struct Moment {
  uint64_t seq = 0;
  Millis time = 0;
};
Moment moment_now(Vault& vault);
// When an erasure was requested; `now` where it is not in the state yet.
Moment moment_of(const State& state, const std::string& erasure, const Moment& now);

Rules rules_in_force(const State& state, const Moment& at);
// What a person may do by what was in force then; no roles: not enrolled then, or revoked since.
Terms terms_in_force(const State& state, const OperatorRecord& person, const Moment& at);

// Why this person cannot sign in this role at `when`, by the people in force at `at`; "" when he can. An
// empty role: any. Revocation counts whenever it came; a certificate must be valid at `when`.
std::string role_problem(const State& state, const OperatorRecord& person, std::string_view role,
                         const Moment& at, Millis when);
// The same without asking whether a certificate of theirs is valid then: whether the role is theirs.
std::string terms_problem(const State& state, const OperatorRecord& person, std::string_view role,
                          const Moment& at, Millis when);
// As role_problem, as a refusal: throws not_enrolled with `next`.
void needs_role(const State& state, const OperatorRecord& person, std::string_view role, const Moment& at,
                Millis when, const std::string& next);

// How many could approve at `when`, but for `without`.
int64_t approvers_in_force(const State& state, const Moment& at, const std::string& without = "");

// Approvals of an erasure that still count: their signers were not revoked.
int64_t living_approvals(const State& state, const ErasureRecord& erasure);

// A change that was recorded and has not taken effect.
bool is_pending(const ChangeRecord& change, Millis now);
// ", time-stamps only under …, cosignatures of 1 of the witnesses …"; empty where nothing is bound.
std::string anchors_text(const Anchors& anchors);
// "grants …": one line for people.
std::string change_text(const RuleChange& change);

}  // namespace kesu
