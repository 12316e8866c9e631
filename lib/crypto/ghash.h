// AES-GCM for one who holds no key but may ask what the block cipher makes of blocks: the probe, where a
// provider refuses AES-GCM itself (docs/spec/provider-port.md, "Probe").
#pragma once
#include <functional>
#include <optional>

#include "base/bytes.h"
#include "base/secret.h"

namespace kesu {

// E_k of each 16-byte block of `in`, in order, into `out` of the same size. False: it could not be had.
using BlockCipher = std::function<bool(std::span<const uint8_t> in, std::span<uint8_t> out)>;

enum class GcmAnswer { opened, failed, no_cipher };

// Opens ciphertext ‖ 16-byte tag under a 12-byte nonce (NIST SP 800-38D, 7.2), with a tag computed here from
// E_k(0^128) and E_k(J0). One question to `cipher`, whose first block is 0^128. `plain` is set when opened.
// Throws bad_input for another size of the nonce, or fewer than 16 bytes.
GcmAnswer open_gcm_by_blocks(const BlockCipher& cipher, ByteView nonce, ByteView aad, ByteView sealed,
                             Secret& plain);

}  // namespace kesu
