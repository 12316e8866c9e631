#include "crypto/shamir.h"

#include "base/error.h"

namespace kesu {

uint8_t gf256_multiply(uint8_t a, uint8_t b) {
  uint32_t product = 0, left = a, right = b;
  for (int i = 0; i < 8; ++i) {
    product ^= left & (0u - (right & 1u));
    left = (left << 1) ^ (0x11bu & (0u - (left >> 7)));
    right >>= 1;
  }
  return static_cast<uint8_t>(product);
}

uint8_t gf256_inverse(uint8_t a) {
  // a^254: the exponent is public, so its bits may be branched on.
  uint8_t out = 1, power = a;
  for (unsigned exponent = 254; exponent; exponent >>= 1) {
    if (exponent & 1) out = gf256_multiply(out, power);
    power = gf256_multiply(power, power);
  }
  return out;
}

std::vector<Secret> shamir_split(const Secret& secret, int threshold, int shares, Random& random) {
  if (threshold < 2 || threshold > shares || shares > kMaxShares || secret.empty())
    throw Error(Code::bad_input,
                "secret sharing takes a threshold of 2 up to the number of shares, at most 255");
  std::vector<Secret> out;
  for (int i = 0; i < shares; ++i) out.emplace_back(secret.size());
  Secret coefficients(static_cast<size_t>(threshold));
  const auto a = coefficients.reveal();
  for (size_t byte = 0; byte < secret.size(); ++byte) {
    random.fill(a);
    a[0] = secret.reveal()[byte];
    for (int i = 0; i < shares; ++i) {
      uint8_t value = 0;
      for (size_t k = a.size(); k-- > 0;)
        value = static_cast<uint8_t>(gf256_multiply(value, static_cast<uint8_t>(i + 1)) ^ a[k]);
      out[static_cast<size_t>(i)].reveal()[byte] = value;
    }
  }
  return out;
}

Secret shamir_combine(std::span<const uint8_t> indices, const std::vector<Secret>& shares, uint8_t at) {
  if (shares.size() < 2 || indices.size() != shares.size())
    throw Error(Code::bad_input, "a secret is put together from two shares at least");
  for (size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] == 0 || shares[i].size() != shares[0].size() || shares[i].empty())
      throw Error(Code::bad_input, "shares of one secret have indices from 1 and are equally long");
    for (size_t j = 0; j < i; ++j)
      if (indices[i] == indices[j])
        throw Error(Code::bad_input, "share " + std::to_string(indices[i]) + " stands there twice");
  }
  Secret out(shares[0].size());
  const auto sum = out.reveal();
  for (size_t i = 0; i < shares.size(); ++i) {
    uint8_t above = 1, below = 1;  // Lagrange: subtraction is ⊕
    for (size_t j = 0; j < shares.size(); ++j) {
      if (j == i) continue;
      above = gf256_multiply(above, static_cast<uint8_t>(at ^ indices[j]));
      below = gf256_multiply(below, static_cast<uint8_t>(indices[i] ^ indices[j]));
    }
    const uint8_t weight = gf256_multiply(above, gf256_inverse(below));
    for (size_t byte = 0; byte < sum.size(); ++byte)
      sum[byte] = static_cast<uint8_t>(sum[byte] ^ gf256_multiply(weight, shares[i].reveal()[byte]));
  }
  return out;
}

}  // namespace kesu
