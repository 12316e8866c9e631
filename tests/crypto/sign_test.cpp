// Public keys from every form they come in, and verification of every algorithm of the list.
#include <gtest/gtest.h>

#include "base/error.h"
#include "crypto/sign.h"
#include "support/test_keys.h"

namespace kesu {
namespace {

using test::SigningKey;

struct Case {
  std::string name;
  SigAlg alg;
  SigningKey key;
};

const SigningKey& rsa3072() {
  static const SigningKey key = SigningKey::rsa(3072);
  return key;
}

std::vector<Case> cases() {
  return {
      {"ed25519", SigAlg::ed25519, SigningKey::ed25519()},
      {"p256", SigAlg::ecdsa_sha256, SigningKey::ec(KeyKind::p256)},
      {"p384", SigAlg::ecdsa_sha384, SigningKey::ec(KeyKind::p384)},
      {"p521", SigAlg::ecdsa_sha512, SigningKey::ec(KeyKind::p521)},
      {"pss256", SigAlg::rsa_pss_sha256, rsa3072()},
      {"pss384", SigAlg::rsa_pss_sha384, rsa3072()},
      {"pss512", SigAlg::rsa_pss_sha512, rsa3072()},
      {"pkcs1-256", SigAlg::rsa_pkcs1_sha256, rsa3072()},
      {"pkcs1-384", SigAlg::rsa_pkcs1_sha384, rsa3072()},
      {"pkcs1-512", SigAlg::rsa_pkcs1_sha512, rsa3072()},
  };
}

TEST(Sign, EveryAlgorithmAcceptsItsOwnAndNothingElse) {
  const Bytes message = to_bytes(as_bytes("a message"));
  const auto all = cases();
  for (const Case& c : all) {
    SCOPED_TRACE(c.name);
    const Bytes sig = c.key.sign(c.alg, message);
    const PublicKey key = c.key.public_key();
    EXPECT_TRUE(verify(key, c.alg, message, sig));
    EXPECT_FALSE(verify(key, c.alg, as_bytes("a messagf"), sig));
    for (size_t i = 0; i < sig.size(); i += 7) {
      Bytes bad = sig;
      bad[i] ^= 1;
      EXPECT_FALSE(verify(key, c.alg, message, bad)) << i;
    }
    EXPECT_FALSE(verify(key, c.alg, message, ByteView(sig).first(sig.size() - 1)));
    EXPECT_FALSE(verify(key, c.alg, message, {}));
    Bytes longer = sig;
    longer.push_back(0);
    EXPECT_FALSE(verify(key, c.alg, message, longer));
    for (const Case& other : all)
      EXPECT_EQ(verify(key, other.alg, message, sig), other.alg == c.alg) << other.name;
  }
}

TEST(Sign, KeysReadBackFromTheirForms) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const PublicKey key = c.key.public_key();
    EXPECT_EQ(PublicKey::from_spki(key.spki()), key);
    Bytes longer = key.spki();
    longer.push_back(0);
    EXPECT_THROW(PublicKey::from_spki(longer), Error);
    EXPECT_THROW(PublicKey::from_spki(ByteView(key.spki()).first(key.spki().size() - 1)), Error);
    if (key.kind() == KeyKind::rsa) {
      EXPECT_EQ(key.name(), "RSA-3072");
      continue;
    }
    EXPECT_EQ(PublicKey::from_pkcs11_point(key.kind(), key.raw()), key);
    Bytes wrapped{0x04};
    if (key.raw().size() >= 0x80) wrapped.push_back(0x81);
    wrapped.push_back(static_cast<uint8_t>(key.raw().size()));
    wrapped.insert(wrapped.end(), key.raw().begin(), key.raw().end());
    EXPECT_EQ(PublicKey::from_pkcs11_point(key.kind(), wrapped), key);
    wrapped[0] = 0x03;
    EXPECT_THROW(PublicKey::from_pkcs11_point(key.kind(), wrapped), Error);
  }
}

TEST(Sign, RefusesUnusableKeys) {
  const PublicKey key = SigningKey::ec(KeyKind::p256).public_key();
  Bytes point = key.raw();
  point[40] ^= 1;
  EXPECT_THROW(PublicKey::from_ec_point(KeyKind::p256, point), Error) << "not on the curve";
  Bytes spki = key.spki();
  spki.back() ^= 1;
  EXPECT_THROW(PublicKey::from_spki(spki), Error);
  EXPECT_THROW(PublicKey::from_ec_point(KeyKind::p384, key.raw()), Error);
  EXPECT_THROW(PublicKey::from_ec_point(KeyKind::ed25519, key.raw()), Error);
  EXPECT_THROW(PublicKey::from_ed25519(Bytes(31)), Error);
  EXPECT_THROW(SigningKey::rsa(1024).public_key(), Error);
  EXPECT_THROW(PublicKey::from_rsa(Bytes(384, 0xFF), Bytes{2}), Error);
  EXPECT_THROW(PublicKey::from_rsa(Bytes(384, 0xFF), Bytes{1}), Error);
  EXPECT_THROW(PublicKey::from_spki({}), Error);
  // A compressed point is another encoding of the same key: one key, one form.
  const Bytes compressed = *unhex(
      "3039301306072a8648ce3d020106082a8648ce3d030107032200"
      "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296");
  EXPECT_THROW(PublicKey::from_spki(compressed), Error);
}

TEST(Sign, RawAndDerSignatures) {
  for (KeyKind curve : {KeyKind::p256, KeyKind::p384, KeyKind::p521}) {
    const SigningKey key = SigningKey::ec(curve);
    const Bytes digest(32, 7);
    for (int i = 0; i < 20; ++i) {
      const Bytes der = key.sign_digest(digest);
      const auto raw = ecdsa_der_to_raw(curve, der);
      ASSERT_TRUE(raw);
      EXPECT_EQ(ecdsa_raw_to_der(curve, *raw), der);
    }
  }
  EXPECT_FALSE(ecdsa_raw_to_der(KeyKind::p256, Bytes(64, 0)));
  EXPECT_FALSE(ecdsa_raw_to_der(KeyKind::p256, Bytes(96, 1)));
  EXPECT_FALSE(ecdsa_raw_to_der(KeyKind::rsa, Bytes(64, 1)));
  EXPECT_EQ(hex(*ecdsa_raw_to_der(KeyKind::p256, Bytes(64, 0x80))).substr(0, 10), "3046022100");
  EXPECT_FALSE(ecdsa_der_to_raw(KeyKind::p256, *unhex("300702020001020101"))) << "padding that is not needed";
  EXPECT_FALSE(ecdsa_der_to_raw(KeyKind::p256, *unhex("3006020181020101"))) << "negative";
  EXPECT_FALSE(ecdsa_der_to_raw(KeyKind::p256, *unhex("300602010102010100"))) << "a byte too many";
  EXPECT_TRUE(ecdsa_der_to_raw(KeyKind::p256, *unhex("3006020101020101")));
}

}  // namespace
}  // namespace kesu
