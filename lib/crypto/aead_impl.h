// What Aead asks of the library underneath. Private to lib/crypto.
#pragma once
#include "crypto/aead.h"

namespace kesu {

class Aead::Engine {
 public:
  virtual ~Engine() = default;
  // `out` takes plain.size() + kAeadTag bytes.
  virtual void seal(AeadNonce nonce, ByteView aad, ByteView plain, uint8_t* out) = 0;
  // `out` takes cipher.size() bytes; on false its content is undefined and the caller zeroes it.
  virtual bool open(AeadNonce nonce, ByteView aad, ByteView cipher, const uint8_t* tag, uint8_t* out) = 0;
};

std::unique_ptr<Aead::Engine> make_camellia_engine(std::span<const uint8_t> key);
// Of AES-GCM over libipsec-mb; nullptr where that library, or the processor's instructions, are not there.
std::unique_ptr<Aead::Engine> make_wide_engine(AeadAlg alg, std::span<const uint8_t> key);

}  // namespace kesu
