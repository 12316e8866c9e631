// Signing keys in memory, for tests only.
#pragma once
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "crypto/sign.h"

namespace kesu::test {

class SigningKey {
 public:
  static SigningKey ed25519() { return SigningKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")); }
  static SigningKey ec(KeyKind curve) {
    const char* name = curve == KeyKind::p256 ? "P-256" : curve == KeyKind::p384 ? "P-384" : "P-521";
    return SigningKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", name));
  }
  // Slow: a second and more above 3,072 bits.
  static SigningKey rsa(size_t bits) { return SigningKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", bits)); }

  PublicKey public_key() const {
    uint8_t* der = nullptr;
    const int size = i2d_PUBKEY(key_.get(), &der);
    const Bytes spki(der, der + size);
    OPENSSL_free(der);
    return PublicKey::from_spki(spki);
  }

  // Signs the message as verify(…, alg, …) expects it: ECDSA as DER.
  Bytes sign(SigAlg alg, ByteView message) const {
    const auto hash_alg = sig_alg_hash(alg);
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> ctx(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    EVP_PKEY_CTX* pctx = nullptr;
    const std::string md(hash_alg ? hash_name(*hash_alg) : "");
    need(EVP_DigestSignInit_ex(ctx.get(), &pctx, hash_alg ? md.c_str() : nullptr, nullptr, nullptr,
                               key_.get(), nullptr));
    if (alg == SigAlg::rsa_pss_sha256 || alg == SigAlg::rsa_pss_sha384 || alg == SigAlg::rsa_pss_sha512) {
      need(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING));
      need(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST));
    }
    size_t size = 0;
    need(EVP_DigestSign(ctx.get(), nullptr, &size, message.data(), message.size()));
    Bytes out(size);
    need(EVP_DigestSign(ctx.get(), out.data(), &size, message.data(), message.size()));
    out.resize(size);
    return out;
  }

  // ECDSA over a digest, as a provider makes it: DER.
  Bytes sign_digest(ByteView digest) const {
    std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> ctx(
        EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr), EVP_PKEY_CTX_free);
    need(EVP_PKEY_sign_init(ctx.get()));
    size_t size = 0;
    need(EVP_PKEY_sign(ctx.get(), nullptr, &size, digest.data(), digest.size()));
    Bytes out(size);
    need(EVP_PKEY_sign(ctx.get(), out.data(), &size, digest.data(), digest.size()));
    out.resize(size);
    return out;
  }

  // RSA-PSS over a digest that the caller made with `alg`, salt as long as the digest.
  Bytes sign_pss_digest(ByteView digest, HashAlg alg) const {
    std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> ctx(
        EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr), EVP_PKEY_CTX_free);
    need(EVP_PKEY_sign_init(ctx.get()));
    need(EVP_PKEY_CTX_set_rsa_padding(ctx.get(), RSA_PKCS1_PSS_PADDING));
    need(EVP_PKEY_CTX_set_signature_md(ctx.get(), EVP_get_digestbyname(std::string(hash_name(alg)).c_str())));
    need(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx.get(), RSA_PSS_SALTLEN_DIGEST));
    size_t size = 0;
    need(EVP_PKEY_sign(ctx.get(), nullptr, &size, digest.data(), digest.size()));
    Bytes out(size);
    need(EVP_PKEY_sign(ctx.get(), out.data(), &size, digest.data(), digest.size()));
    out.resize(size);
    return out;
  }

  // A provider's stand-in: Ed25519 over the message, ECDSA over the digest (DER).
  Signer signer() const {
    return [this](ByteView data) {
      return EVP_PKEY_is_a(key_.get(), "ED25519") ? sign(SigAlg::ed25519, data) : sign_digest(data);
    };
  }

  // Unencrypted PKCS #8 in PEM, for tools that tests call.
  std::string private_pem() const {
    std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(BIO_new(BIO_s_mem()), BIO_free_all);
    need(PEM_write_bio_PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr));
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    return std::string(text, static_cast<size_t>(size));
  }

 private:
  explicit SigningKey(EVP_PKEY* key) : key_(key, EVP_PKEY_free) { need(key != nullptr); }
  static void need(int good) {
    if (good <= 0) throw std::runtime_error("test key: OpenSSL refused");
  }
  std::shared_ptr<EVP_PKEY> key_;
};

}  // namespace kesu::test
