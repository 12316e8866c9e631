// What a person has to do next, and until when: periods that end, quotas that fill, data on old keys, copies,
// approvals, findings. Pure: from the state and a moment; no provider is asked.
#pragma once
#include <string>
#include <vector>

#include "app/state.h"
#include "app/strength.h"

namespace kesu {

// How long before its end a period is named: long enough to plan a rotation; to move data off a key.
constexpr Millis kOriginatorNotice = 90 * 86'400'000LL, kRecipientNotice = 180 * 86'400'000LL;
constexpr Millis kExceptionNotice = 30 * 86'400'000LL, kEnrolmentNotice = 30 * 86'400'000LL;
// How long a finding stays in the list; after that it is history, in the ledger as before.
constexpr Millis kFindingShown = 30 * 86'400'000LL;

struct Due {
  // originator-period, recipient-period, no-active-version, pre-activation, wrap-quota, rewrap, reseal, copy,
  // inspection, erasure, certificate, exception, finding, enrolment, rules, anchors
  std::string what;
  std::string node;      // what it is about
  std::string name;      // the same, for people: "loans.1"
  Millis at = 0;         // when it ends or ended; or since when it waits; 0: no time belongs to it
  bool overdue = false;  // its time has passed, or it endangers what the vault is for
  std::string detail;    // a sentence without the name
  std::string next;      // a command, or what else to do
  Json to_json() const;
};

// Most urgent first: what is overdue, then by time.
std::vector<Due> due_list(const State& state, Millis now);

// "3 days ago", "in 89 days", "since 2 h", "": where `due` stands in time.
std::string when_text(const Due& due, Millis now);

// Objects whose newest wrap, by the ledger, is under each version; erased datasets do not count.
std::map<std::string, int64_t> objects_on_versions(const State& state);

}  // namespace kesu
