// Owners of OpenSSL objects and the way its errors become ours. Private to lib/crypto.
#pragma once
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "crypto/hash.h"

namespace kesu::ossl {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};
template <class T, auto Free>
using Owned = std::unique_ptr<T, Deleter<Free>>;

using Md = Owned<EVP_MD, EVP_MD_free>;
using MdCtx = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using Mac = Owned<EVP_MAC, EVP_MAC_free>;
using MacCtx = Owned<EVP_MAC_CTX, EVP_MAC_CTX_free>;
using Cipher = Owned<EVP_CIPHER, EVP_CIPHER_free>;
using CipherCtx = Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;
using Pkey = Owned<EVP_PKEY, EVP_PKEY_free>;
using PkeyCtx = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using Bio = Owned<BIO, BIO_free_all>;
using Bignum = Owned<BIGNUM, BN_free>;

// OpenSSL's own words for what went wrong, and an empty error queue.
std::string take_errors();

// Throws Error failed with OpenSSL's words as the cause.
[[noreturn]] void fail(std::string_view doing);
inline void check(int result, std::string_view doing) {
  if (result <= 0) fail(doing);
}
template <class T>
T* check(T* result, std::string_view doing) {
  if (!result) fail(doing);
  return result;
}

// Fetched once for the process and never freed: fetching per use costs more than hashing a tree node.
const EVP_MD* fetched(HashAlg alg);

}  // namespace kesu::ossl
