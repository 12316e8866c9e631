// Comparing two multisets of texts without keeping either: each as a sum of keyed hashes.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "base/random.h"

namespace kesu {

// An element of the integers modulo 2^128.
struct Tally {
  uint64_t high = 0, low = 0;
  Tally& operator+=(const Tally& other);
  Tally times(int64_t n) const;
  bool operator==(const Tally&) const = default;
};

// Gives each text its tally: SipHash-2-4 with 128 bits, under a key that is made for the one comparison.
// Whoever wrote the texts could not know it: two multisets that differ, by less than 2^40 of any text, have
// the same sum with a probability below 2^-88.
class TallyOf {
 public:
  explicit TallyOf(Random& random);
  Tally operator()(std::string_view text) const;

 private:
  std::array<uint8_t, 16> key_;
};

}  // namespace kesu
