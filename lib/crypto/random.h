// The system's generator: OpenSSL's DRBG (NIST SP 800-90A CTR_DRBG), seeded by the operating system.
#pragma once
#include "base/random.h"

namespace kesu {

// Any thread may use it at any time. fill() throws Error failed when the generator cannot give.
class SystemRandom final : public Random {
 public:
  void fill(std::span<uint8_t> out) override;
};

// One for the process.
Random& system_random();

}  // namespace kesu
