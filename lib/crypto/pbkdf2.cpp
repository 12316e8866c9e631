// PBKDF2 over OpenSSL.
#include "crypto/pbkdf2.h"

#include "crypto/openssl_impl.h"

namespace kesu {

Secret pbkdf2_sha512(const Secret& passphrase, ByteView salt, uint32_t iterations, size_t size) {
  if (iterations == 0 || iterations > 0x7fffffffu || salt.empty())
    throw Error(Code::bad_input, "PBKDF2 needs a salt and a number of iterations");
  Secret out(size);
  const auto bytes = passphrase.reveal();
  ossl::check(PKCS5_PBKDF2_HMAC(reinterpret_cast<const char*>(bytes.data()), static_cast<int>(bytes.size()),
                                salt.data(), static_cast<int>(salt.size()), static_cast<int>(iterations),
                                ossl::fetched(HashAlg::sha512), static_cast<int>(size), out.reveal().data()),
              "deriving a key from a passphrase");
  return out;
}

}  // namespace kesu
