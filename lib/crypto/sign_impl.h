// The OpenSSL key inside a PublicKey. Private to lib/crypto.
#pragma once
#include "crypto/openssl_impl.h"
#include "crypto/sign.h"

namespace kesu {

struct PublicKey::State {
  ossl::Pkey pkey;
  KeyKind kind = KeyKind::ed25519;
  int bits = 0;
  Bytes spki, raw;
};

// Bytes of a coordinate: 32, 48, 66; 0 for kinds that are no curve here.
size_t field_size(KeyKind kind);

}  // namespace kesu
