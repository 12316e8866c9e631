// AuthEnvelopedData, written part by part: what is secret never lies in a buffer of OpenSSL's.
#include "crypto/cms_envelope.h"

#include <openssl/rsa.h>

#include "crypto/algid_impl.h"
#include "crypto/cms_impl.h"
#include "crypto/sign_impl.h"

namespace kesu {

using namespace ossl;

namespace {
constexpr std::string_view kAuthEnvelopedData = "1.2.840.113549.1.9.16.1.23";
constexpr std::string_view kRsaesOaep = "1.2.840.113549.1.1.7";
constexpr std::string_view kMgf1 = "1.2.840.113549.1.1.8";
constexpr std::string_view kAes256Gcm = "2.16.840.1.101.3.4.1.46";

Bytes oaep(const PublicKey& key, HashAlg alg, const Secret& secret) {
  PkeyCtx ctx(check(EVP_PKEY_CTX_new_from_pkey(nullptr, key.state().pkey.get(), nullptr), "RSA-OAEP"));
  check(EVP_PKEY_encrypt_init(ctx.get()), "RSA-OAEP");
  check(EVP_PKEY_CTX_set_rsa_padding(ctx.get(), RSA_PKCS1_OAEP_PADDING), "RSA-OAEP");
  check(EVP_PKEY_CTX_set_rsa_oaep_md(ctx.get(), fetched(alg)), "RSA-OAEP");
  check(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx.get(), fetched(alg)), "RSA-OAEP");
  const auto bytes = secret.reveal();
  size_t size = 0;
  check(EVP_PKEY_encrypt(ctx.get(), nullptr, &size, bytes.data(), bytes.size()), "RSA-OAEP");
  Bytes out(size);
  check(EVP_PKEY_encrypt(ctx.get(), out.data(), &size, bytes.data(), bytes.size()), "RSA-OAEP");
  out.resize(size);
  return out;
}
}  // namespace

Bytes build_envelope(const Secret& content, const Certificate& recipient, const EnvelopeSuite& suite,
                     Random& random) {
  if (!recipient.key || recipient.key->kind() != KeyKind::rsa)
    throw Error(Code::bad_input, "the certificate of " + recipient.subject + " holds no RSA key");
  if (suite.content != AeadAlg::aes256_gcm)
    throw Error(Code::bad_input, "messages are made with AES-256-GCM only");

  const Secret key = random.secret(aead_key_size(suite.content));
  const Bytes nonce = random.bytes(12);
  const Bytes sealed = Aead(suite.content, key).seal(AeadNonce(nonce.data(), 12), {}, content.reveal());
  const ByteView ciphertext = ByteView(sealed).first(sealed.size() - kAeadTag);
  const ByteView tag = ByteView(sealed).last(kAeadTag);

  const Bytes digest = algid::digest(suite.oaep);
  const Bytes oaep_parameters =  // RFC 4055 §4.1; the label is left at its default, empty
      der::seq({der::tlv(der::context(0), digest),
                der::tlv(der::context(1), der::seq({der::oid(kMgf1), digest}))});
  const Bytes key_trans = der::seq({
      der::integer(0),
      der::seq({recipient.issuer_der, recipient.serial_der}),
      der::seq({der::oid(kRsaesOaep), oaep_parameters}),
      der::octets(oaep(*recipient.key, suite.oaep, key)),
  });
  const Bytes gcm_parameters = der::seq({der::octets(nonce), der::integer(kAeadTag)});
  const Bytes encrypted_content = der::seq({
      der::oid(cms::kData),
      der::seq({der::oid(kAes256Gcm), gcm_parameters}),
      der::tlv(der::context_primitive(0), ciphertext),
  });
  const Bytes enveloped = der::seq({
      der::integer(0),
      der::tlv(der::kSet, key_trans),
      encrypted_content,
      der::octets(tag),
  });
  return der::seq({der::oid(kAuthEnvelopedData), der::tlv(der::context(0), enveloped)});
}

}  // namespace kesu
