// PBKDF2 with HMAC-SHA-512 (RFC 8018 §5.2, NIST SP 800-132).
#pragma once
#include "base/bytes.h"
#include "base/secret.h"

namespace kesu {

// `size` bytes of key material. Throws Error failed when the library cannot, bad_input for no iterations or
// an empty salt.
Secret pbkdf2_sha512(const Secret& passphrase, ByteView salt, uint32_t iterations, size_t size);

}  // namespace kesu
