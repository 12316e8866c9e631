// Secret sharing: known answers, an independent multiplication, and that too few shares tell nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "crypto/random.h"
#include "crypto/shamir.h"

namespace kesu {
namespace {

std::vector<Secret> secrets(std::initializer_list<std::string_view> texts) {
  std::vector<Secret> out;
  for (std::string_view t : texts) out.push_back(Secret::from(unhex(t).value()));
  return out;
}
std::string shown(const Secret& s) { return hex(s.reveal()); }

// By long division, with branches: nothing of the product's own way.
uint8_t slow_multiply(unsigned a, unsigned b) {
  unsigned product = 0;
  for (int i = 0; i < 8; ++i)
    if (b >> i & 1) product ^= a << i;
  for (int i = 15; i >= 8; --i)
    if (product >> i & 1) product ^= 0x11bu << (i - 8);
  return static_cast<uint8_t>(product);
}

TEST(Shamir, TheFieldIsThatOfFips197) {
  EXPECT_EQ(gf256_multiply(0x57, 0x83), 0xc1);  // FIPS 197 §4.2
  EXPECT_EQ(gf256_multiply(0x57, 0x13), 0xfe);  // §4.2.1
  EXPECT_EQ(gf256_inverse(0), 0);
  for (unsigned a = 0; a < 256; ++a)
    for (unsigned b = 0; b < 256; ++b)
      ASSERT_EQ(gf256_multiply(static_cast<uint8_t>(a), static_cast<uint8_t>(b)), slow_multiply(a, b))
          << a << " " << b;
  for (unsigned a = 1; a < 256; ++a) EXPECT_EQ(slow_multiply(a, gf256_inverse(static_cast<uint8_t>(a))), 1);
}

TEST(Shamir, KnownAnswer) {  // draft-mcgrew-tss-03 §9
  const uint8_t indices[] = {1, 2};
  EXPECT_EQ(shown(shamir_combine(indices, secrets({"b9fa07e185", "f5409b4511"}))), "7465737400");
  const uint8_t turned[] = {2, 1};
  EXPECT_EQ(shown(shamir_combine(turned, secrets({"f5409b4511", "b9fa07e185"}))), "7465737400");
}

TEST(Shamir, AnyThresholdOfThemGivesItBack) {
  const Secret secret = system_random().secret(64);
  for (auto [k, n] : {std::pair{2, 2}, {2, 3}, {3, 5}, {5, 5}, {2, 255}, {255, 255}}) {
    SCOPED_TRACE(std::to_string(k) + " of " + std::to_string(n));
    const auto shares = shamir_split(secret, k, n, system_random());
    ASSERT_EQ(shares.size(), static_cast<size_t>(n));
    for (int first : {0, (n - k) / 2, n - k}) {
      std::vector<uint8_t> indices;
      std::vector<Secret> some;
      for (int i = first; i < first + k; ++i) {
        indices.push_back(static_cast<uint8_t>(i + 1));
        some.push_back(Secret::from(shares[static_cast<size_t>(i)].reveal()));
      }
      EXPECT_EQ(shown(shamir_combine(indices, some)), shown(secret));
      // And every other share lies on the same polynomial.
      if (n > k && first == 0) {
        EXPECT_EQ(shown(shamir_combine(indices, some, static_cast<uint8_t>(n))), shown(shares.back()));
      }
    }
  }
}

// A generator whose bytes are those it was given, then zeros.
class Given final : public Random {
 public:
  explicit Given(Bytes bytes) : bytes_(std::move(bytes)) {}
  void fill(std::span<uint8_t> out) override {
    for (uint8_t& b : out) b = at_ < bytes_.size() ? bytes_[at_++] : 0;
  }

 private:
  Bytes bytes_;
  size_t at_ = 0;
};

// Over all coefficients, each pair of shares of a threshold of 3 takes every pair of values exactly once,
// whatever the secret: so two shares fit each of the 256 secrets equally well.
TEST(Shamir, OneFewerTellsNothing) {
  for (uint8_t value : {uint8_t{0}, uint8_t{1}, uint8_t{0xa5}}) {
    const Secret secret = Secret::from(std::array<uint8_t, 1>{value});
    std::vector<int> seen(65536);
    for (unsigned a = 0; a < 256; ++a)
      for (unsigned b = 0; b < 256; ++b) {
        Given random({0, static_cast<uint8_t>(a), static_cast<uint8_t>(b)});
        const auto shares = shamir_split(secret, 3, 3, random);
        ++seen[shares[0].reveal()[0] * 256u + shares[2].reveal()[0]];
      }
    EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; })) << int{value};
  }
}

TEST(Shamir, FreshCoefficientsForEachByteAndEachTime) {
  const Secret secret(64);  // zeros: shares are the coefficients' sums
  const auto one = shamir_split(secret, 2, 2, system_random()),
             two = shamir_split(secret, 2, 2, system_random());
  EXPECT_NE(shown(one[0]), shown(two[0]));
  std::set<uint8_t> bytes(one[0].reveal().begin(), one[0].reveal().end());
  EXPECT_GT(bytes.size(), 20u);
}

TEST(Shamir, RefusesWhatCannotBeShared) {
  const Secret secret(32);
  for (auto [k, n] : {std::pair{1, 2}, {0, 2}, {-1, 3}, {3, 2}, {2, 256}, {256, 256}, {1, 1}})
    EXPECT_THROW(shamir_split(secret, k, n, system_random()), Error) << k << " of " << n;
  EXPECT_THROW(shamir_split(Secret(), 2, 3, system_random()), Error);
  auto refused = [](std::vector<uint8_t> indices, const std::vector<Secret>& shares) {
    EXPECT_THROW(shamir_combine(indices, shares), Error);
  };
  refused({1}, secrets({"aa"}));
  refused({}, {});
  refused({1, 1}, secrets({"aa", "bb"}));
  refused({0, 1}, secrets({"aa", "bb"}));
  refused({1, 2}, secrets({"aa", "bbbb"}));
  refused({1, 2, 3}, secrets({"aa", "bb"}));
}

}  // namespace
}  // namespace kesu
