// Random bytes drawn in blocks: for who takes some dozens at a time, many times. A draw from the system's
// generator costs the same for 16 bytes as for a thousand.
#pragma once
#include "base/random.h"

namespace kesu {

// What is not given out yet lies in guarded memory, what was given out is wiped there before it is used. For
// one thread at a time; not across a fork. `source` (borrowed) outlives it.
class RandomPool final : public Random {
 public:
  explicit RandomPool(Random& source) : source_(source) {}
  // Errors: those of the source. Where no guarded memory is to be had, each draw is the source's.
  void fill(std::span<uint8_t> out) override;

 private:
  Random& source_;
  Secret block_;
  size_t left_ = 0;  // bytes at its begin that were not given out
  bool none_ = false;
};

}  // namespace kesu
