// Whether somebody moved the clock: entries cannot go back in time, so a clock that jumps shows only if it is
// looked at. Called when a command that writes begins.
#pragma once
#include "app/vault.h"

namespace kesu {

// More than a step of time synchronisation makes in a minute of good order.
constexpr Millis kClockSlack = 5000;

// What the clock of this machine says now against what the ledger knows: `what` is clock-jumped (it was set,
// either way, since the last actor on this start of this machine) or clock-behind (it is earlier than the
// ledger's last entry, on another machine or another start); empty: nothing new. An occurrence is named once:
// a finding carries the actor, which is what the next look is compared with.
struct ClockFinding {
  std::string what, detail;
  Millis by = 0;  // how far, in milliseconds; negative: back
};
// Pure. `boot_id` and `clock` are those of the actor that looks (docs/spec/events.md).
ClockFinding clock_finding(const State& state, const std::string& boot_id, int64_t clock, Millis now,
                           const std::string& host);

// Records it, and says so. Does nothing in a vault that is closed or open for reading.
void watch_clock(Vault& vault);

// Whether a finding is one of these.
bool is_clock_finding(std::string_view what);

// When the waiting period of an approved erasure ends. A clock that was set since the approval waited for
// nobody: the period counts anew from the newest finding about it (docs/spec/erasure.md, "Waiting period"). A
// vault without a waiting period: the approval.
struct WaitingEnd {
  Millis at = 0;
  std::string why;  // "entry 17 (clock-jumped): …" where it counts from a finding, or empty
};
WaitingEnd waiting_end(const State& state, const ErasureRecord& erasure);

// Throws `waiting` while this host's clock is earlier than `than`: what is inspected now would bear an
// earlier time than what it follows, and could show nothing. Less than kClockPatience is slept through.
// `tried`: what is being refused, for the error.
constexpr Millis kClockPatience = 3000;
void refuse_clock_before(Vault& vault, Millis than, const std::string& tried);
// The same against the ledger's newest entry: before anything is destroyed.
void refuse_behind_ledger(Vault& vault);

// "3 days 2 h", "31 s": lengths of time for people, in at most two units; never negative.
std::string length_text(Millis length);

}  // namespace kesu
