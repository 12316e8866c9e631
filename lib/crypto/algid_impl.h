// AlgorithmIdentifiers of the signatures that certificates and CMS carry here, and signing by something
// elsewhere. Private to lib/crypto.
#pragma once
#include <optional>

#include "crypto/der_impl.h"
#include "crypto/sign.h"

namespace kesu::algid {

// The hash of a digest AlgorithmIdentifier (SHA-256, -384, -512; parameters absent or NULL); nullopt for
// others.
std::optional<HashAlg> parse_digest(ByteView whole);
Bytes digest(HashAlg alg);  // parameters absent (RFC 5754 §2)

// The algorithm of a signature AlgorithmIdentifier in a CMS whose digest algorithm is `with`: ECDSA with that
// hash, RSASSA-PKCS1-v1_5 (also as plain rsaEncryption), RSA-PSS with MGF1 of that hash and a salt of its
// length (RFC 4056).
std::optional<SigAlg> parse_signature(ByteView whole, HashAlg with);

// What a key signs with when kesu chooses: ECDSA with the hash of the curve's size, RSA-PSS with SHA-384.
// Throws Error bad_input for Ed25519 (no CMS with it in OpenSSL 3.0) and RSA below 3,072 bits.
SigAlg chosen(const PublicKey& key);
Bytes signature(SigAlg alg);

// Lets `sign` sign the digest of `message`, brings ECDSA to DER, and verifies. Throws Error signature_bad
// when the result does not verify under `key`.
Bytes sign_elsewhere(const PublicKey& key, SigAlg alg, ByteView message, const Signer& sign);

}  // namespace kesu::algid
