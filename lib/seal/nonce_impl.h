// Which nonce and which part of the data key a record is sealed under; for lib/seal itself.
#pragma once
#include <array>

#include "crypto/aead.h"

namespace kesu {

using Nonce = std::array<uint8_t, 12>;

inline Nonce metadata_nonce() {
  Nonce n{};
  n[0] = 1;
  return n;
}

inline Nonce chunk_nonce(uint64_t index, bool last) {
  Nonce n{};
  for (size_t i = 0; i < 8; ++i) n[3 + i] = static_cast<uint8_t>(index >> (56 - 8 * i));
  n[11] = last;
  return n;
}

inline std::span<const uint8_t> content_key(const Secret& data_key, AeadAlg algorithm) {
  return data_key.reveal().first(aead_key_size(algorithm));
}

}  // namespace kesu
