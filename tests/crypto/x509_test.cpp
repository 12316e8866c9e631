// Certificates: read back, held against the openssl program, and chains in time.
#include <gtest/gtest.h>

#include "base/error.h"
#include "crypto/random.h"
#include "crypto/x509.h"
#include "support/test_keys.h"
#include "support/tools.h"

namespace kesu {
namespace {

using test::run;
using test::SigningKey;
using test::TempDir;

const Millis kFrom = parse_utc("2026-01-01T00:00:00.000Z").value();
const Millis kTo = parse_utc("2055-01-01T00:00:00.000Z").value();
const Millis kDay = 86'400'000;

Bytes own(const SigningKey& key, const SubjectName& subject = {"消去証明 署名者", "例社", "JP"}) {
  return build_self_signed(subject, key.public_key(), kFrom, kTo, system_random(), key.signer());
}

TEST(X509, SelfSignedReadsBackAndOpensslAgrees) {
  TempDir dir;
  for (KeyKind curve : {KeyKind::p256, KeyKind::p384, KeyKind::p521}) {
    const SigningKey key = SigningKey::ec(curve);
    const Certificate cert = Certificate::parse(own(key));
    EXPECT_EQ(cert.subject, "CN=消去証明 署名者,O=例社,C=JP");
    EXPECT_EQ(cert.issuer, cert.subject);
    EXPECT_EQ(cert.common_name, "消去証明 署名者");
    EXPECT_EQ(cert.not_before, kFrom);
    EXPECT_EQ(cert.not_after, kTo);
    EXPECT_EQ(*cert.key, key.public_key());
    EXPECT_TRUE(cert.self_signed);
    EXPECT_FALSE(cert.is_ca);
    EXPECT_EQ(cert.key_usage, kUsageDigitalSignature | kUsageContentCommitment);
    EXPECT_TRUE(cert.may_sign());
    EXPECT_EQ(cert.serial.size(), 32u);
    EXPECT_NE(cert.serial, Certificate::parse(own(key)).serial);
    EXPECT_EQ(Certificate::parse_pem("text\n" + cert.pem() + cert.pem()).at(1).der, cert.der);
    const std::string path = dir.write("c.pem", as_bytes(cert.pem()));
    const auto verified = run("openssl verify -x509_strict -CAfile " + path + " " + path);
    EXPECT_EQ(verified.status, 0) << verified.output;
    const auto print =
        run("openssl x509 -noout -fingerprint -sha256 -in " + path + " | tr -d : | tr A-F a-f");
    EXPECT_NE(print.output.find(hex(cert.fingerprint())), std::string::npos) << print.output;
  }
}

TEST(X509, RsaPssSelfSigned) {
  const SigningKey key = SigningKey::rsa(3072);
  const PublicKey pub = key.public_key();
  // The callback has only the digest, as a provider has: sign it with PSS.
  auto sign = [&](ByteView digest) { return key.sign_pss_digest(digest, HashAlg::sha384); };
  const Certificate cert =
      Certificate::parse(build_self_signed({"rsa", "", ""}, pub, kFrom, kTo, system_random(), sign));
  EXPECT_TRUE(cert.self_signed);
  TempDir dir;
  const std::string path = dir.write("c.pem", as_bytes(cert.pem()));
  const auto verified = run("openssl verify -CAfile " + path + " " + path);
  EXPECT_EQ(verified.status, 0) << verified.output;
}

TEST(X509, RefusesBadSubjectsTimesAndKeys) {
  const SigningKey key = SigningKey::ec(KeyKind::p384), other = SigningKey::ec(KeyKind::p384);
  for (const SubjectName& name : {SubjectName{"", "", ""},
                                  {"a\n", "", ""},
                                  {"a", "", "jp"},
                                  {"a", "", "JPN"},
                                  {std::string(65, 'a'), "", ""},
                                  {"\xFF", "", ""}})
    EXPECT_THROW(own(key, name), Error) << name.common_name;
  EXPECT_NO_THROW(own(key, {std::string(64, 'a'), "", ""}));
  EXPECT_THROW(build_self_signed({"a", "", ""}, key.public_key(), kTo, kFrom, system_random(), key.signer()),
               Error);
  EXPECT_THROW(
      build_self_signed({"a", "", ""}, key.public_key(), kFrom, kTo, system_random(), other.signer()), Error);
  const SigningKey ed = SigningKey::ed25519();
  EXPECT_THROW(build_self_signed({"a", "", ""}, ed.public_key(), kFrom, kTo, system_random(), ed.signer()),
               Error);
}

TEST(X509, AlteredBytesAreRefusedOrNoLongerSelfSigned) {
  const Bytes good = own(SigningKey::ec(KeyKind::p256));
  for (size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 0x01;
    try {
      EXPECT_FALSE(Certificate::parse(bad).self_signed) << i;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::bad_input) << i;
    }
  }
  for (size_t n = 0; n < good.size(); n += 3)
    EXPECT_THROW(Certificate::parse(ByteView(good).first(n)), Error);
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_THROW(Certificate::parse(longer), Error);
  EXPECT_THROW(Certificate::parse_pem("nothing"), Error);
  EXPECT_THROW(Certificate::parse_pem("-----BEGIN CERTIFICATE-----\nAAAA"), Error);
}

// Root, intermediate and leaves made by the openssl program.
struct Pki {
  TempDir dir;
  Pki() {
    dir.write("ext", as_bytes("[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n"
                              "[leaf]\nkeyUsage=digitalSignature\n[enc]\nkeyUsage=keyEncipherment\n"
                              "[tsa]\nextendedKeyUsage=critical,timeStamping\nkeyUsage=digitalSignature\n"));
    const auto ran = run("cd " + dir.path() + R"( && set -e
key() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key; }
req() { key $1; openssl req -new -key $1.key -subj /CN=$1 -out $1.csr; }
sig() { openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days 30 -extfile ext -extensions $3 -$4 -out $1.pem; }
key root; openssl req -x509 -new -key root.key -subj /CN=root -days 60 -out root.pem
req mid; sig mid root ca sha256
req leaf; sig leaf mid leaf sha256
req enc; sig enc mid enc sha256
req tsa; sig tsa mid tsa sha256
req weak; sig weak mid leaf sha1)");
    EXPECT_EQ(ran.status, 0) << ran.output;
  }
  Bytes der(std::string_view name) const {
    return Certificate::parse_pem(to_text(read_file(dir / (std::string(name) + ".pem")))).at(0).der;
  }
};

TEST(X509, Chains) {
  const Pki pki;
  const Bytes root = pki.der("root"), mid = pki.der("mid"), leaf = pki.der("leaf");
  const Certificate c = Certificate::parse(leaf);
  const Millis now = c.not_before + kDay;
  const auto good = verify_chain(leaf, {mid}, {root}, now);
  EXPECT_TRUE(good.ok) << good.reason;
  EXPECT_EQ(good.chain, (std::vector<Bytes>{leaf, mid, root}));
  EXPECT_TRUE(verify_chain(leaf, {}, {mid}, now).ok) << "an anchor need not be self-signed";
  EXPECT_TRUE(verify_chain(leaf, {}, {leaf}, now).ok) << "a pinned certificate";
  auto refused = [&](const ChainCheck& check, std::string_view word) {
    EXPECT_FALSE(check.ok);
    EXPECT_NE(check.reason.find(word), std::string::npos) << check.reason;
  };
  refused(verify_chain(leaf, {}, {root}, now), "issuer");
  refused(verify_chain(leaf, {mid, root}, {}, now), "self-signed");
  refused(verify_chain(leaf, {mid}, {root}, c.not_after + kDay), "expired (CN=");
  refused(verify_chain(leaf, {mid}, {root}, c.not_before - kDay), "not yet valid");
  refused(verify_chain(pki.der("enc"), {mid}, {root}, now), "key usage");
  refused(verify_chain(pki.der("weak"), {mid}, {root}, now), "too weak");
  refused(verify_chain(leaf, {mid}, {root}, now, ChainPurpose::timestamping), "purpose");
  EXPECT_TRUE(verify_chain(pki.der("tsa"), {mid}, {root}, now, ChainPurpose::timestamping).ok);
  EXPECT_EQ(Certificate::parse(pki.der("tsa")).extended_key_usage,
            std::vector<std::string>{"1.3.6.1.5.5.7.3.8"});
  EXPECT_TRUE(Certificate::parse(mid).is_ca);
  EXPECT_FALSE(Certificate::parse(pki.der("enc")).may_sign());
  // A self-signed signer is its own anchor, within its time.
  const Bytes self = own(SigningKey::ec(KeyKind::p384));
  EXPECT_TRUE(verify_chain(self, {}, {self}, kFrom + kDay).ok);
  refused(verify_chain(self, {}, {self}, kTo + kDay), "expired");
  refused(verify_chain(self, {}, {root}, kFrom + kDay), "self-signed");
}

}  // namespace
}  // namespace kesu
