// Private keys over OpenSSL EVP.
#include "crypto/private_key.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <bit>

#include "crypto/sign_impl.h"

namespace kesu {

using namespace ossl;

namespace {
constexpr size_t kScalar = 48, kSeed = 32;

struct ClearBignum {
  void operator()(BIGNUM* n) const { BN_clear_free(n); }
};

PublicKey public_half(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  int size = i2d_PUBKEY(key, &der);
  check(size, "writing a public key");
  Bytes spki(der, der + size);
  OPENSSL_free(der);
  return PublicKey::from_spki(spki);
}
}  // namespace

struct PrivateKey::State {
  KeyKind kind;
  Pkey key;
  PublicKey public_key;
};

PrivateKey::PrivateKey(std::unique_ptr<State> state) : state_(std::move(state)) {}
PrivateKey::PrivateKey(PrivateKey&&) noexcept = default;
PrivateKey& PrivateKey::operator=(PrivateKey&&) noexcept = default;
PrivateKey::~PrivateKey() = default;

PrivateKey PrivateKey::generate(KeyKind kind) {
  if (kind != KeyKind::ed25519 && kind != KeyKind::p384)
    throw Error(Code::bad_input, "private keys here are Ed25519 or P-384");
  Pkey key(check(kind == KeyKind::ed25519 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                          : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-384"),
                 "generating a key pair"));
  PublicKey open = public_half(key.get());
  return PrivateKey(std::unique_ptr<State>(new State{kind, std::move(key), std::move(open)}));
}

PrivateKey::PrivateKey(KeyKind kind, const Secret& secret, const PublicKey& public_key) {
  const auto bytes = secret.reveal();
  Pkey key;
  if (kind == KeyKind::ed25519 && bytes.size() == kSeed) {
    key.reset(check(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes.data(), bytes.size()),
                    "reading a private key"));
  } else if (kind == KeyKind::p384 && bytes.size() == kScalar && public_key.kind() == KeyKind::p384) {
    // In the machine's own byte order, as OSSL_PARAM has its integers, and in guarded memory.
    Secret scalar = Secret::from(bytes);
    if constexpr (std::endian::native == std::endian::little)
      std::reverse(scalar.reveal().begin(), scalar.reveal().end());
    Bytes point = public_key.raw();
    char group[] = "P-384";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()),
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, scalar.reveal().data(), scalar.size()),
        OSSL_PARAM_END};
    PkeyCtx ctx(check(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr), "making a key context"));
    check(EVP_PKEY_fromdata_init(ctx.get()), "reading a private key");
    EVP_PKEY* out = nullptr;
    check(EVP_PKEY_fromdata(ctx.get(), &out, EVP_PKEY_KEYPAIR, params), "reading a private key");
    key.reset(out);
  } else {
    throw Error(Code::bad_input, "a private key of this kind and size is not known here");
  }
  PublicKey open = public_half(key.get());
  if (!(open == public_key)) throw Error(Code::bad_input, "the private key has another public half");
  state_.reset(new State{kind, std::move(key), std::move(open)});
}

Secret PrivateKey::secret() const {
  if (state_->kind == KeyKind::ed25519) {
    Secret out(kSeed);
    size_t size = out.size();
    check(EVP_PKEY_get_raw_private_key(state_->key.get(), out.reveal().data(), &size),
          "reading a private key");
    return out;
  }
  BIGNUM* number = nullptr;
  check(EVP_PKEY_get_bn_param(state_->key.get(), OSSL_PKEY_PARAM_PRIV_KEY, &number), "reading a private key");
  std::unique_ptr<BIGNUM, ClearBignum> owned(number);
  Secret out(kScalar);
  check(BN_bn2binpad(number, out.reveal().data(), static_cast<int>(kScalar)), "reading a private key");
  return out;
}

const PublicKey& PrivateKey::public_key() const { return state_->public_key; }

Bytes PrivateKey::sign(ByteView data) const {
  if (state_->kind == KeyKind::ed25519) {
    MdCtx ctx(check(EVP_MD_CTX_new(), "making a signing context"));
    check(EVP_DigestSignInit(ctx.get(), nullptr, nullptr, nullptr, state_->key.get()), "signing");
    Bytes out(64);
    size_t size = out.size();
    check(EVP_DigestSign(ctx.get(), out.data(), &size, data.data(), data.size()), "signing");
    out.resize(size);
    return out;
  }
  if (data.size() != digest_size(HashAlg::sha384))
    throw Error(Code::bad_input, "ECDSA P-384 signs a SHA-384 digest of 48 bytes");
  PkeyCtx ctx(check(EVP_PKEY_CTX_new(state_->key.get(), nullptr), "making a signing context"));
  check(EVP_PKEY_sign_init(ctx.get()), "signing");
  std::array<uint8_t, 160> der{};
  size_t size = der.size();
  check(EVP_PKEY_sign(ctx.get(), der.data(), &size, data.data(), data.size()), "signing");
  auto raw = ecdsa_der_to_raw(KeyKind::p384, ByteView(der).first(size));
  if (!raw) throw Error(Code::failed, "OpenSSL gave a signature that is none");
  return *raw;
}

Bytes aes_check_value(const Secret& key) {
  const char* name = key.size() == 32 ? "AES-256-ECB" : key.size() == 24 ? "AES-192-ECB" : "AES-128-ECB";
  if (key.size() != 32 && key.size() != 24 && key.size() != 16)
    throw Error(Code::bad_input, "an AES key has 16, 24 or 32 bytes");
  Cipher cipher(check(EVP_CIPHER_fetch(nullptr, name, nullptr), "fetching AES"));
  CipherCtx ctx(check(EVP_CIPHER_CTX_new(), "making a cipher context"));
  check(EVP_EncryptInit_ex2(ctx.get(), cipher.get(), key.reveal().data(), nullptr, nullptr), "setting a key");
  const std::array<uint8_t, 16> zeros{};
  std::array<uint8_t, 32> out{};
  int size = 0;
  check(EVP_EncryptUpdate(ctx.get(), out.data(), &size, zeros.data(), static_cast<int>(zeros.size())),
        "computing a check value");
  return {out.begin(), out.begin() + 3};
}

}  // namespace kesu
