// Cryptoperiods: how long a key version protects new data and opens what it protected (NIST SP 800-57 Part 1
// Rev. 5 §5.3). Pure; lengths are seconds from activation, 0 means no end, a year is 365 days.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace kesu {

constexpr int64_t kDay = 24 * 3600;
constexpr int64_t kYear = 365 * kDay;

struct Periods {
  int64_t originator = 0;  // protects (wraps) from activation until then
  int64_t recipient = 0;   // opens until then; never shorter than `originator`
  bool operator==(const Periods&) const = default;
};

// What §5.3.6 suggests. "wrap" (symmetric key-wrapping key): at most two years, and opening at most three
// years longer. Others ("control", "sign-ledger", …): no end, for kesu does not rotate them
// (docs/spec/keys.md).
Periods suggested_periods(std::string_view purpose);

// "2y", "90d", "36h", "none"; nullopt for anything else, for nothing, and for more than 100 years.
std::optional<int64_t> parse_period(std::string_view text);
std::string period_text(int64_t seconds);  // the inverse, in the largest unit that is exact

// Completes what was asked for (missing members) by the suggestion: an originator-usage period alone brings
// three years more of opening. Throws bad_input where opening would end before protecting.
Periods choose_periods(std::string_view purpose, std::optional<int64_t> originator,
                       std::optional<int64_t> recipient);
// Why a person should know that these are longer than suggested, with the clause; "" when they are not.
std::string longer_than_suggested(std::string_view purpose, const Periods& periods);

// Where a moment lies in a version's life.
enum class UsagePhase {
  originating,  // it may protect and open
  receiving,    // the originator-usage period is over: it may only open
  over,         // the recipient-usage period is over
};
// `protect_until`, `process_until`: the ends, 0 for none. The end itself is no longer within.
UsagePhase phase_at(Millis now, Millis protect_until, Millis process_until);

}  // namespace kesu
