// What certificates and revocation lists share: the closed list of keys and signatures under them
// (docs/spec/certificate.md, "Signer's certificate"), and how their parts are read. For lib/crypto itself.
#pragma once
#include <openssl/x509.h>

#include <string>

#include "base/bytes.h"
#include "crypto/openssl_impl.h"

namespace kesu::ossl {

// ECDSA, RSA (PKCS #1 v1.5, or PSS with one digest for both), each with SHA-256, -384 or -512; Ed25519.
bool signature_supported(const X509_ALGOR* algorithm);
// ECDSA on P-256, P-384 or P-521, RSA of 2,048 to 16,384 bits, Ed25519.
bool key_supported(EVP_PKEY* key);

// Why a reader of a bundle does not take a certificate whose signature counts, in words for a person; empty
// where all take it: version 3, no unique identifiers, signed with a listed algorithm (whoever signed it),
// extensions each once and in DER (docs/spec/erasure.md, "Keys of people"). Throws Error bad_input where
// `der` is none.
std::string form_problem(ByteView der);

template <class T>
Bytes encode(int (*i2d)(const T*, unsigned char**), const T* object) {
  unsigned char* der = nullptr;
  const int size = i2d(object, &der);
  check(size, "encoding a part of a certificate or revocation list");
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

// RFC 4514, characters of other scripts as they are, control characters escaped.
inline std::string name_text(const X509_NAME* name) {
  Bio bio(check(BIO_new(BIO_s_mem()), "printing a name"));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB));
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<size_t>(size));
}

}  // namespace kesu::ossl
