// The versions of OpenSSL and libgcrypt.
#include "crypto/libraries.h"

#include <gcrypt.h>
#include <openssl/crypto.h>

namespace kesu {

std::string openssl_library() { return OpenSSL_version(OPENSSL_VERSION_STRING); }
std::string gcrypt_library() { return gcry_check_version(nullptr); }

}  // namespace kesu
