// Random bytes in blocks: none is given out twice, whatever happens in between.
#include "base/random_pool.h"

#include <gtest/gtest.h>

#include <set>

#include "base/error.h"

namespace kesu {
namespace {

// Gives the numbers 1, 2, 3 … as four bytes each, so that a repetition shows.
class Counting final : public Random {
 public:
  void fill(std::span<uint8_t> out) override {
    ++draws;
    if (fails) throw Error(Code::failed, "the generator gives nothing");
    for (size_t i = 0; i + 3 < out.size(); i += 4, ++next)
      for (size_t k = 0; k < 4; ++k) out[i + k] = static_cast<uint8_t>(next >> 8 * k);
  }
  uint32_t next = 1;
  int draws = 0;
  bool fails = false;
};

// The numbers in a draw; each must be new.
void all_new(const Bytes& drawn, std::set<uint32_t>& seen) {
  ASSERT_EQ(drawn.size() % 4, 0u);
  for (size_t i = 0; i < drawn.size(); i += 4) {
    const uint32_t n =
        drawn[i] | drawn[i + 1] << 8 | drawn[i + 2] << 16 | static_cast<uint32_t>(drawn[i + 3]) << 24;
    EXPECT_NE(n, 0u);
    EXPECT_TRUE(seen.insert(n).second) << n;
  }
}

TEST(RandomPool, GivesEachByteOnce) {
  Counting source;
  RandomPool pool(source);
  std::set<uint32_t> seen;
  for (int i = 0; i < 500; ++i)
    for (size_t size : {16, 64, 12, 128, 4}) all_new(pool.bytes(size), seen);
  EXPECT_EQ(seen.size(), 500u * 56);
  EXPECT_LT(source.draws, 70);  // of 2,048 bytes, for 2,500
}

TEST(RandomPool, LongDrawsAreTheSourcesOwn) {
  Counting source;
  RandomPool pool(source);
  std::set<uint32_t> seen;
  all_new(pool.bytes(16), seen);
  EXPECT_EQ(source.draws, 1);
  all_new(pool.bytes(132), seen);
  EXPECT_EQ(source.draws, 2);
  all_new(pool.bytes(4096), seen);
  EXPECT_EQ(source.draws, 3);
  all_new(pool.bytes(16), seen);
  EXPECT_EQ(source.draws, 3);
  EXPECT_TRUE(pool.bytes(0).empty());
}

TEST(RandomPool, ASourceThatFailsGivesNothing) {
  Counting source;
  RandomPool pool(source);
  std::set<uint32_t> seen;
  for (int i = 0; i < 16; ++i) all_new(pool.bytes(120), seen);  // 128 of 2,048 bytes are left
  source.fails = true;
  all_new(pool.bytes(120), seen);
  EXPECT_THROW(pool.bytes(16), Error);
  EXPECT_THROW(pool.bytes(4), Error);
  source.fails = false;
  for (int i = 0; i < 100; ++i) all_new(pool.bytes(16), seen);
}

}  // namespace
}  // namespace kesu
