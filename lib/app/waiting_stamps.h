// The time of others for waiting periods: time-stamps over the ledger in erasure-stamped entries, one of the
// approvals, one before the destruction (docs/spec/erasure.md, "Waiting period").
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "app/due.h"
#include "app/vault.h"

namespace kesu {

// What the time-stamps that are recorded show.
struct WaitingByStamps {
  Millis length = 0;           // of the waiting period by the rules at the request; 0: there is none
  bool demanded = false;       // the profile in force at the request asks for time-stamps
  bool approved = false;       // by as many as the quorum asks for, whose approvals still count
  std::optional<Millis> from;  // the approvals that reach the quorum were there by then
  std::optional<Millis> to;    // what is recorded from now on comes after that
  bool passed() const { return from && to && *to - *from >= length; }
};
// Of an erasure that was requested; approvals count that still would. What is lost or altered among its
// evidence shows nothing.
WaitingByStamps waiting_by_stamps(Vault& vault, const ErasureRecord& erasure);

// Until when an approved erasure waits, by all that is known; nullopt: its rules ask for a time-stamp of the
// approvals, with which the period begins, and there is none. `stamps`: of it.
std::optional<Millis> waiting_until(const State& state, const ErasureRecord& erasure,
                                    const WaitingByStamps& stamps);

// Why the time-stamps that a waiting period needs cannot be had as kesu.toml is: a blocker of the plan; what
// to do. nullopt: they can, or nothing asks for them. `erasure`: as in make_plan.
struct NoAuthority {
  std::string what, next;
};
std::optional<NoAuthority> waiting_authority_problem(Vault& vault, const std::string& erasure);

// Has the approvals stamped, where the erasure is approved, has a waiting period, and no time-stamp of them
// is recorded yet. Errors: time_unavailable, waiting, policy_refused; without `must` a notice instead, of
// whatever kept it (the approval stands), but for an interruption.
void begin_waiting(Vault& vault, const std::string& erasure, bool must);

// Of approved erasures whose waiting period has not begun by the time-stamps that their rules ask for, their
// row of `due` says so.
void say_unbegun_waiting(Vault& vault, std::vector<Due>& due);

// Before an approved erasure destroys: by whose time the waiting period has passed ("time-stamps", or "host"
// where the profile lets the ledger's own time do), or "" where there is none; asks for the second time-stamp
// where it is time. Errors: as above; `waiting` naming the end.
std::string end_waiting(Vault& vault, const std::string& erasure);

}  // namespace kesu
