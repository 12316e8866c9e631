// The closed list of keys and signatures under certificates and revocation lists (docs/spec/certificate.md,
// "Signer's certificate"). For lib/crypto itself.
#pragma once
#include <openssl/x509.h>

namespace kesu::ossl {

// ECDSA, RSA (PKCS #1 v1.5, or PSS with one digest for both), each with SHA-256, -384 or -512; Ed25519.
bool signature_supported(const X509_ALGOR* algorithm);
// ECDSA on P-256, P-384 or P-521, RSA of 2,048 to 16,384 bits, Ed25519.
bool key_supported(EVP_PKEY* key);

}  // namespace kesu::ossl
