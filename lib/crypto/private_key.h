// Private keys that software holds: for the embedded keystore alone. Tokens and services keep theirs.
#pragma once
#include <memory>

#include "base/bytes.h"
#include "base/secret.h"
#include "crypto/sign.h"

namespace kesu {

// Ed25519 (RFC 8032) and ECDSA P-384 (FIPS 186-5). One thread at a time.
class PrivateKey {
 public:
  // Fresh, from OpenSSL's DRBG. `kind` is ed25519 or p384; others: Error bad_input.
  static PrivateKey generate(KeyKind kind);
  // From what secret() gave; the public half must belong to it (Error bad_input where it can be seen not to).
  PrivateKey(KeyKind kind, const Secret& secret, const PublicKey& public_key);
  PrivateKey(PrivateKey&&) noexcept;
  PrivateKey& operator=(PrivateKey&&) noexcept;
  ~PrivateKey();

  // Ed25519: the 32 bytes of RFC 8032; P-384: the scalar, 48 bytes, big-endian.
  Secret secret() const;
  const PublicKey& public_key() const;
  // Ed25519: over the message, 64 bytes. P-384: over a SHA-384 digest (48 bytes, else bad_input), r ‖ s.
  Bytes sign(ByteView data) const;

 private:
  struct State;
  explicit PrivateKey(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The first three bytes of AES-ECB over a block of zeros: what tokens give as CKA_CHECK_VALUE (PKCS #11
// §4.10.2). `key` has 16, 24 or 32 bytes.
Bytes aes_check_value(const Secret& key);

}  // namespace kesu
