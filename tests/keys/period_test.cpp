// Cryptoperiods: SP 800-57 Pt 1 Rev. 5 §5.3.6, table 1.
#include "keys/period.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace kesu {
namespace {

TEST(Period, SuggestionsAreTheStandards) {
  EXPECT_EQ(suggested_periods("wrap"), (Periods{63072000, 157680000}));  // 730 and 1825 days
  for (const char* none : {"control", "sign-ledger", "sign-certificate"})
    EXPECT_EQ(suggested_periods(none), Periods{}) << none;
}

TEST(Period, Text) {
  EXPECT_EQ(parse_period("2y"), 63072000);
  EXPECT_EQ(parse_period("90d"), 7776000);
  EXPECT_EQ(parse_period("36h"), 129600);
  EXPECT_EQ(parse_period("none"), 0);
  EXPECT_EQ(parse_period("100y"), 100 * kYear);
  for (const char* bad :
       {"", "2", "y", "0d", "-1d", "2 y", "2Y", "101y", "99999999d", "1.5y", "2yy", "2m", " 2y", "None"})
    EXPECT_EQ(parse_period(bad), std::nullopt) << bad;
  for (const char* text : {"2y", "90d", "36h", "none", "731d"})
    EXPECT_EQ(period_text(*parse_period(text)), text);
  EXPECT_EQ(period_text(*parse_period("730d")), "2y");
  EXPECT_EQ(period_text(61), "61 s");
}

TEST(Period, WhatIsLeftOutIsCompleted) {
  EXPECT_EQ(choose_periods("wrap", {}, {}), (Periods{2 * kYear, 5 * kYear}));
  EXPECT_EQ(choose_periods("wrap", kDay, {}), (Periods{kDay, kDay + 3 * kYear}));
  EXPECT_EQ(choose_periods("wrap", 0, {}), Periods{});
  EXPECT_EQ(choose_periods("wrap", {}, 0), (Periods{2 * kYear, 0}));
  EXPECT_EQ(choose_periods("wrap", kDay, kDay), (Periods{kDay, kDay}));
  EXPECT_EQ(choose_periods("control", {}, {}), Periods{});
  for (auto [originator, recipient] : {std::pair<int64_t, int64_t>(2 * kDay, kDay), {0, kDay}}) {
    try {
      choose_periods("wrap", originator, recipient);
      ADD_FAILURE() << originator << " " << recipient;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::bad_input);
    }
  }
}

TEST(Period, LongerThanSuggestedIsSaidWithTheClause) {
  auto said = [](int64_t o, int64_t r) { return longer_than_suggested("wrap", {o, r}); };
  EXPECT_EQ(said(2 * kYear, 5 * kYear), "");
  EXPECT_EQ(said(kDay, kDay + 3 * kYear), "");
  EXPECT_NE(said(2 * kYear + kDay, 5 * kYear + kDay).find("5.3.6"), std::string::npos);
  EXPECT_NE(said(kDay, kDay + 3 * kYear + 1), "");
  EXPECT_NE(said(kYear, 0), "");
  EXPECT_NE(said(0, 0), "");
}

TEST(Period, ThePhaseChangesAtTheEnd) {
  using enum UsagePhase;
  EXPECT_EQ(phase_at(99, 100, 200), originating);
  EXPECT_EQ(phase_at(100, 100, 200), receiving);
  EXPECT_EQ(phase_at(199, 100, 200), receiving);
  EXPECT_EQ(phase_at(200, 100, 200), over);
  EXPECT_EQ(phase_at(1'000'000, 0, 0), originating);
  EXPECT_EQ(phase_at(1'000'000, 100, 0), receiving);
  EXPECT_EQ(phase_at(200, 300, 200), over);
}

}  // namespace
}  // namespace kesu
