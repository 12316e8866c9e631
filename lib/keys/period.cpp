#include "keys/period.h"

#include <algorithm>

#include "base/error.h"

namespace kesu {

namespace {
constexpr int64_t kLonger = 3 * kYear;  // SP 800-57 Pt 1 Rev. 5, table 1: recipient-usage ≤ OUP + 3 years
constexpr int64_t kMost = 100 * kYear;
constexpr std::pair<char, int64_t> kUnits[] = {{'y', kYear}, {'d', kDay}, {'h', 3600}};

// Whether a ends later than b; 0 is no end.
bool longer(int64_t a, int64_t b) { return b && (!a || a > b); }
}  // namespace

Periods suggested_periods(std::string_view purpose) {
  if (purpose == "wrap") return {2 * kYear, 2 * kYear + kLonger};
  return {};
}

std::optional<int64_t> parse_period(std::string_view text) {
  if (text == "none") return 0;
  if (text.size() < 2 || text.size() > 7) return std::nullopt;
  int64_t n = 0;
  for (char c : text.substr(0, text.size() - 1)) {
    if (c < '0' || c > '9') return std::nullopt;
    n = n * 10 + (c - '0');
  }
  for (auto [unit, seconds] : kUnits)
    if (text.back() == unit && n > 0 && n * seconds <= kMost) return n * seconds;
  return std::nullopt;
}

std::string period_text(int64_t seconds) {
  if (!seconds) return "none";
  for (auto [unit, size] : kUnits)
    if (seconds % size == 0) return std::to_string(seconds / size) + unit;
  return std::to_string(seconds) + " s";
}

Periods choose_periods(std::string_view purpose, std::optional<int64_t> originator,
                       std::optional<int64_t> recipient) {
  Periods out = suggested_periods(purpose);
  if (originator) out = {*originator, *originator ? std::min(*originator + kLonger, kMost) : 0};
  if (recipient) out.recipient = *recipient;
  if (longer(out.originator, out.recipient))
    throw Error(Code::bad_input, "a key that protects for " + period_text(out.originator) +
                                     " cannot stop opening after " + period_text(out.recipient))
        .cause(
            "the recipient-usage period begins with the originator-usage period and ends with it at the "
            "earliest")
        .next("give both --originator-period and --recipient-period");
  return out;
}

std::string longer_than_suggested(std::string_view purpose, const Periods& p) {
  Periods most = suggested_periods(purpose);
  // The suggestion for opening moves with the period that was chosen for protecting.
  bool opens_longer = p.originator && longer(p.recipient, p.originator + kLonger);
  if (!longer(p.originator, most.originator) && !opens_longer) return "";
  return "protecting for " + period_text(p.originator) + " and opening for " + period_text(p.recipient) +
         " is longer than NIST SP 800-57 Part 1 Rev. 5 §5.3.6 suggests for a " + std::string(purpose) +
         " key (" + period_text(most.originator) +
         ", and three years more to open): a decision of yours, "
         "which the ledger now holds";
}

UsagePhase phase_at(Millis now, Millis protect_until, Millis process_until) {
  if (process_until && now >= process_until) return UsagePhase::over;
  if (protect_until && now >= protect_until) return UsagePhase::receiving;
  return UsagePhase::originating;
}

}  // namespace kesu
