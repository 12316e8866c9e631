// CMS messages for one recipient, made here and opened elsewhere: AuthEnvelopedData (RFC 5083) with
// AES-256-GCM (RFC 5084), its key to the recipient's RSA key by RSAES-OAEP (RFC 8017 §7.1, RFC 3560).
// `openssl cms -decrypt` of OpenSSL 3.0 opens them.
#pragma once
#include "base/random.h"
#include "base/secret.h"
#include "crypto/aead.h"
#include "crypto/x509.h"

namespace kesu {

// The bit of a certificate's key usage by which keys may be encrypted to it (RFC 5280 §4.2.1.3), as
// Certificate::key_usage has it.
inline constexpr uint32_t kUsageKeyEncipherment = 1u << 2;

// What a message is made with, as the policy names it; the caller has it judged.
struct EnvelopeSuite {
  AeadAlg content = AeadAlg::aes256_gcm;
  HashAlg oaep = HashAlg::sha256;  // of OAEP and of MGF1
};

// DER ContentInfo with `content` (id-data) for the certificate's key; the recipient is named by issuer and
// serial number. The content key is drawn from `random` and kept nowhere. Neither the certificate's time nor
// its usage is judged here. Throws Error bad_input for a key that is not RSA, and for a suite that is not
// AES-256-GCM with SHA-256, SHA-384 or SHA-512.
Bytes build_envelope(const Secret& content, const Certificate& recipient, const EnvelopeSuite& suite,
                     Random& random);

}  // namespace kesu
