// The generator over OpenSSL.
#include "crypto/random.h"

#include <openssl/rand.h>

#include <algorithm>

#include "crypto/openssl_impl.h"

namespace kesu {

void SystemRandom::fill(std::span<uint8_t> out) {
  constexpr size_t kPiece = 1u << 30;  // OpenSSL counts in int
  while (!out.empty()) {
    const size_t piece = std::min(kPiece, out.size());
    ossl::check(RAND_priv_bytes(out.data(), static_cast<int>(piece)), "drawing random bytes");
    out = out.subspan(piece);
  }
}

Random& system_random() {
  static SystemRandom random;
  return random;
}

}  // namespace kesu
