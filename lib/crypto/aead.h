// Authenticated encryption with 96-bit nonces and 128-bit tags: AES-GCM and Camellia-GCM (NIST SP 800-38D,
// RFC 6367), ChaCha20-Poly1305 (RFC 8439). Sealed = ciphertext ‖ tag.
#pragma once
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/secret.h"

namespace kesu {

// The numbers stand in sealed files.
enum class AeadAlg : uint16_t { aes256_gcm = 1, chacha20_poly1305 = 2, camellia256_gcm = 3, aes128_gcm = 4 };

inline constexpr size_t kAeadTag = 16;
using AeadNonce = std::span<const uint8_t, 12>;

constexpr size_t aead_key_size(AeadAlg alg) { return alg == AeadAlg::aes128_gcm ? 16 : 32; }
std::string_view aead_name(AeadAlg alg);  // "AES-256-GCM", …
std::optional<AeadAlg> aead_from_name(std::string_view name);
std::optional<AeadAlg> aead_from_number(uint16_t number);

// How much is expected under a key. `much`: worth loading libipsec-mb for AES-GCM, where it is installed and
// the processor has VAES and AVX-512; the bytes are the same, three to four times as fast.
enum class AeadUse { little, much };

// One key, many messages: only the nonce changes from call to call. Not for use by two threads at once; each
// thread has its own. A nonce must never serve twice under one key: that is the caller's duty. The expanded
// key is zeroed on destruction.
class Aead {
 public:
  // Throws Error bad_input unless the key has aead_key_size(alg) bytes, mechanism_absent when the library has
  // no such cipher here (FIPS mode).
  Aead(AeadAlg alg, std::span<const uint8_t> key, AeadUse use = AeadUse::little);
  Aead(AeadAlg alg, const Secret& key, AeadUse use = AeadUse::little) : Aead(alg, key.reveal(), use) {}
  Aead(Aead&&) noexcept;
  Aead& operator=(Aead&&) noexcept;
  ~Aead();

  AeadAlg alg() const { return alg_; }

  // `out` is exactly plain.size() + 16 bytes; it may start where `plain` starts, else they must not overlap.
  void seal(AeadNonce nonce, ByteView aad, ByteView plain, std::span<uint8_t> out);
  Bytes seal(AeadNonce nonce, ByteView aad, ByteView plain);

  // `out` is exactly sealed.size() − 16 bytes; overlap as in seal. False when it does not authenticate (or is
  // shorter than a tag), and `out` is zero then.
  [[nodiscard]] bool open(AeadNonce nonce, ByteView aad, ByteView sealed, std::span<uint8_t> out);
  std::optional<Bytes> open(AeadNonce nonce, ByteView aad, ByteView sealed);

  class Engine;  // inside aead.cpp: one for each library underneath

 private:
  AeadAlg alg_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace kesu
