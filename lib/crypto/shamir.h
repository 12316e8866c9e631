// Shamir's secret sharing over GF(256) (A. Shamir, How to share a secret, CACM 22(11), 1979; field and layout
// of draft-mcgrew-tss-03). No table is indexed, and no branch taken, by a secret.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"
#include "base/secret.h"

namespace kesu {

inline constexpr int kMaxShares = 255;

// The product in GF(2^8) with x^8 + x^4 + x^3 + x + 1 (FIPS 197 §4.2), in constant time.
uint8_t gf256_multiply(uint8_t a, uint8_t b);
// 1/a; of zero zero.
uint8_t gf256_inverse(uint8_t a);

// `shares` shares of `secret`, any `threshold` of which give it back, fewer nothing at all: for each byte a
// polynomial of degree threshold − 1 with that byte at 0 and all other coefficients from `random`. Result i
// is its value at i + 1, as long as the secret. Throws Error bad_input unless 2 ≤ threshold ≤ shares ≤ 255
// and the secret holds something.
std::vector<Secret> shamir_split(const Secret& secret, int threshold, int shares, Random& random);

// The value at `at` (0: the secret) of the polynomials through these points: `indices[i]` belongs to
// `shares[i]`. Whether it is what was split, only the secret itself can show. Throws Error bad_input when
// there are fewer than two, when one index stands twice or is 0, and when lengths differ.
Secret shamir_combine(std::span<const uint8_t> indices, const std::vector<Secret>& shares, uint8_t at = 0);

}  // namespace kesu
