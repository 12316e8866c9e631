#include "crypto/tally.h"

#include <sodium.h>

#include <cstring>

namespace kesu {

namespace {
__extension__ using U128 = unsigned __int128;
U128 number(const Tally& t) { return static_cast<U128>(t.high) << 64 | t.low; }
Tally tally(U128 n) { return {static_cast<uint64_t>(n >> 64), static_cast<uint64_t>(n)}; }
}  // namespace

Tally& Tally::operator+=(const Tally& other) { return *this = tally(number(*this) + number(other)); }
Tally Tally::times(int64_t n) const { return tally(number(*this) * static_cast<U128>(n)); }

TallyOf::TallyOf(Random& random) {
  static_assert(sizeof key_ == crypto_shorthash_siphashx24_KEYBYTES);
  random.fill(key_);
}

Tally TallyOf::operator()(std::string_view text) const {
  std::array<uint8_t, crypto_shorthash_siphashx24_BYTES> digest;
  crypto_shorthash_siphashx24(digest.data(), reinterpret_cast<const uint8_t*>(text.data()), text.size(),
                              key_.data());
  Tally out;
  std::memcpy(&out.high, digest.data(), 8);
  std::memcpy(&out.low, digest.data() + 8, 8);
  return out;
}

}  // namespace kesu
