// Sums of keyed hashes: the same for the same multiset, in whatever order and parts it comes.
#include "crypto/tally.h"

#include <gtest/gtest.h>

#include "crypto/random.h"

namespace kesu {
namespace {

TEST(Tally, TheOrderAndThePartsDoNotCount) {
  const TallyOf tally(system_random());
  Tally one, other, part;
  for (int i = 0; i < 1000; ++i) one += tally(std::to_string(i % 10));
  for (int i = 9; i >= 0; --i) (i % 2 ? part : other) += tally(std::to_string(i)).times(100);
  other += part;
  EXPECT_EQ(one, other);
  EXPECT_NE(one, Tally());
}

TEST(Tally, WhatIsMissingMoreOrAnotherIsSeen) {
  const TallyOf tally(system_random());
  Tally one;
  one += tally("a").times(3);
  one += tally("b").times(2);
  auto of = [&](int64_t a, int64_t b, int64_t c) {
    Tally out = tally("a").times(a);
    out += tally("b").times(b);
    return out += tally("c").times(c);
  };
  EXPECT_EQ(of(3, 2, 0), one);
  for (auto [a, b, c] :
       {std::array{2, 2, 0}, {3, 3, 0}, {2, 3, 0}, {4, 1, 0}, {3, 2, 1}, {3, 2, -1}, {3, 1, 1}})
    EXPECT_NE(of(a, b, c), one) << a << b << c;
}

TEST(Tally, KeysAreFresh) {
  EXPECT_NE(TallyOf(system_random())("a"), TallyOf(system_random())("a"));
  EXPECT_NE(TallyOf(system_random())(""), Tally());
}

}  // namespace
}  // namespace kesu
