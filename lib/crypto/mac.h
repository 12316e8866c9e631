// HMAC-SHA-256 (RFC 2104, FIPS 198-1).
#pragma once
#include <concepts>
#include <initializer_list>
#include <memory>

#include "base/bytes.h"
#include "base/secret.h"

namespace kesu {

// Incremental; finish() gives the tag and starts anew under the same key. The key lives in the context until
// the object is destroyed, which zeroes it. Keys of any length, also empty.
class HmacSha256 {
 public:
  explicit HmacSha256(std::span<const uint8_t> key);
  explicit HmacSha256(const Secret& key) : HmacSha256(key.reveal()) {}
  HmacSha256(HmacSha256&&) noexcept;
  HmacSha256& operator=(HmacSha256&&) noexcept;
  ~HmacSha256();

  HmacSha256& update(ByteView data);
  Digest32 finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The tag over the concatenation of the parts. Compare tags with equal_constant_time (base/bytes.h).
Digest32 hmac_sha256(std::span<const uint8_t> key, std::span<const ByteView> parts);

template <std::convertible_to<ByteView>... Parts>
requires(sizeof...(Parts) > 0) Digest32 hmac_sha256(std::span<const uint8_t> key, const Parts&... parts) {
  const ByteView views[] = {ByteView(parts)...};
  return hmac_sha256(key, std::span<const ByteView>(views));
}
template <std::convertible_to<ByteView>... Parts>
requires(sizeof...(Parts) > 0) Digest32 hmac_sha256(const Secret& key, const Parts&... parts) {
  return hmac_sha256(key.reveal(), parts...);
}

}  // namespace kesu
