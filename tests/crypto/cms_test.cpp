// Detached CMS signatures, held against `openssl cms` in both directions.
#include <gtest/gtest.h>

#include "base/error.h"
#include "crypto/cms.h"
#include "crypto/random.h"
#include "support/test_keys.h"
#include "support/tools.h"

namespace kesu {
namespace {

using test::run;
using test::SigningKey;
using test::TempDir;

const Millis kFrom = parse_utc("2026-01-01T00:00:00.000Z").value();
const Millis kTo = parse_utc("2045-01-01T00:00:00.000Z").value();
const Millis kSigned = parse_utc("2026-11-21T09:12:34.567Z").value();
constexpr std::string_view kContent = "{\"certificate\":\"消去\"}";

struct Party {
  SigningKey key;
  Bytes cert;
  explicit Party(KeyKind kind) : key(kind == KeyKind::rsa ? SigningKey::rsa(3072) : SigningKey::ec(kind)) {
    cert = build_self_signed({"signer", "", "JP"}, key.public_key(), kFrom, kTo, system_random(), signer());
  }
  Signer signer() const {
    if (key.public_key().kind() == KeyKind::rsa)
      return [this](ByteView digest) { return key.sign_pss_digest(digest, HashAlg::sha384); };
    return key.signer();
  }
  Bytes sign(std::string_view content = kContent) const {
    return build_detached_cades(as_bytes(content), cert, {}, kSigned, signer());
  }
};

const Party& p384() {
  static const Party party(KeyKind::p384);
  return party;
}

bool openssl_accepts(const TempDir& dir, ByteView cert, std::string_view content, ByteView der,
                     std::string_view flags = "-cades") {
  dir.write("content", as_bytes(content));
  dir.write("sig", der);
  dir.write("anchor.pem", as_bytes(Certificate::parse(cert).pem()));
  const auto ran = run("cd " + dir.path() + " && openssl cms -verify " + std::string(flags) +
                       " -binary -inform DER -content content -in sig -CAfile anchor.pem -out /dev/null");
  return ran.status == 0;
}

TEST(Cms, WhatWeSignOpensslAccepts) {
  TempDir dir;
  for (KeyKind kind : {KeyKind::p256, KeyKind::p384, KeyKind::p521, KeyKind::rsa}) {
    SCOPED_TRACE(key_kind_name(kind));
    const Party party(kind);
    const Bytes der = party.sign();
    const CmsCheck check = verify_detached(as_bytes(kContent), der);
    ASSERT_TRUE(check.ok) << check.reason;
    EXPECT_EQ(check.signer->der, party.cert);
    EXPECT_EQ(check.signing_time, kSigned - kSigned % 1000);
    EXPECT_EQ(check.signers, 1);
    EXPECT_TRUE(check.has_signing_certificate_v2);
    EXPECT_TRUE(check.timestamps.empty());
    EXPECT_EQ(check.digest, kind == KeyKind::p256   ? HashAlg::sha256
                            : kind == KeyKind::p521 ? HashAlg::sha512
                                                    : HashAlg::sha384);
    EXPECT_TRUE(openssl_accepts(dir, party.cert, kContent, der)) << "usual purpose";
    EXPECT_TRUE(openssl_accepts(dir, party.cert, kContent, der, "-cades -purpose any"));
    EXPECT_FALSE(openssl_accepts(dir, party.cert, "other", der));
    EXPECT_FALSE(verify_detached(as_bytes("other"), der).ok);
  }
}

TEST(Cms, FixedWidthSignaturesOfTokens) {
  const Party& party = p384();
  auto raw = [&](ByteView digest) {
    return ecdsa_der_to_raw(KeyKind::p384, party.key.sign_digest(digest)).value();
  };
  EXPECT_TRUE(verify_detached(as_bytes(kContent),
                              build_detached_cades(as_bytes(kContent), party.cert, {}, kSigned, raw))
                  .ok);
  const SigningKey other = SigningKey::ec(KeyKind::p384);
  try {
    build_detached_cades(as_bytes(kContent), party.cert, {}, kSigned, other.signer());
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::signature_bad);
  }
}

TEST(Cms, EveryAlteredByteIsRefused) {
  TempDir dir;
  const Party& party = p384();
  const Bytes good = party.sign();
  for (size_t i = 0; i < good.size(); ++i) {
    for (uint8_t bit : {uint8_t{0x01}, uint8_t{0x20}}) {
      Bytes bad = good;
      bad[i] ^= bit;
      const CmsCheck check = verify_detached(as_bytes(kContent), bad);
      EXPECT_FALSE(check.ok) << i;
      EXPECT_FALSE(check.reason.empty());
      if (i % 41 == 0 && bit == 0x01) {
        EXPECT_FALSE(openssl_accepts(dir, party.cert, kContent, bad)) << i;
      }
    }
  }
  for (size_t n = 0; n < good.size(); n += 5)
    EXPECT_FALSE(verify_detached(as_bytes(kContent), ByteView(good).first(n)).ok);
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(verify_detached(as_bytes(kContent), longer).ok);
}

TEST(Cms, ExtraCertificatesTravelAlong) {
  TempDir dir;
  const Party other(KeyKind::p256);
  const Bytes der =
      build_detached_cades(as_bytes(kContent), p384().cert, {other.cert}, kSigned, p384().signer());
  const CmsCheck check = verify_detached(as_bytes(kContent), der);
  ASSERT_TRUE(check.ok) << check.reason;
  EXPECT_EQ(check.certificates.size(), 2u);
  EXPECT_EQ(check.signer->der, p384().cert);
  EXPECT_TRUE(openssl_accepts(dir, p384().cert, kContent, der));
}

// What `openssl cms -sign` makes of the same key, with `options`.
CmsCheck signed_by_openssl(const Party& party, const std::string& options,
                           std::string content = std::string(kContent)) {
  TempDir dir;
  dir.write("content", as_bytes(content));
  dir.write("key", as_bytes(party.key.private_pem()));
  dir.write("cert", as_bytes(Certificate::parse(party.cert).pem()));
  const auto ran = run("cd " + dir.path() +
                       " && openssl cms -sign -binary -outform DER -in content -out sig -signer cert"
                       " -inkey key " +
                       options);
  EXPECT_EQ(ran.status, 0) << ran.output;
  return verify_detached(as_bytes(kContent), read_file(dir / "sig"));
}

TEST(Cms, WhatOpensslSignsWeAccept) {
  for (const std::string options : {"-cades -md sha256", "-cades -md sha384", "-cades -md sha512"}) {
    const auto check = signed_by_openssl(p384(), options);
    EXPECT_TRUE(check.ok) << options << ": " << check.reason;
    EXPECT_TRUE(check.has_signing_certificate_v2);
  }
  const auto plain = signed_by_openssl(p384(), "-md sha384");
  EXPECT_TRUE(plain.ok) << plain.reason;
  EXPECT_FALSE(plain.has_signing_certificate_v2);
  const Party rsa(KeyKind::rsa);
  const auto pkcs1 = signed_by_openssl(rsa, "-md sha256 -cades");
  EXPECT_TRUE(pkcs1.ok) << pkcs1.reason;
  EXPECT_EQ(pkcs1.algorithm, SigAlg::rsa_pkcs1_sha256);
  const std::string pss = " -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:";
  const auto good = signed_by_openssl(rsa, "-md sha384 -cades" + pss + "48");
  EXPECT_TRUE(good.ok) << good.reason;
  EXPECT_EQ(good.algorithm, SigAlg::rsa_pss_sha384);
  EXPECT_FALSE(signed_by_openssl(rsa, "-md sha384 -cades" + pss + "20").ok) << "a shorter salt";
}

TEST(Cms, WhatIsNotOnTheListIsRefusedWithItsName) {
  auto refused = [](const CmsCheck& check, std::string_view word) {
    EXPECT_FALSE(check.ok);
    EXPECT_NE(check.reason.find(word), std::string::npos) << check.reason;
  };
  refused(signed_by_openssl(p384(), "-md sha1"), "digest algorithm");
  refused(signed_by_openssl(p384(), "-md sha384 -nodetach"), "content absent");
  refused(signed_by_openssl(p384(), "-md sha384 -nocerts"), "not inside");
  refused(signed_by_openssl(p384(), "-md sha384 -keyid"), "version");
  refused(signed_by_openssl(p384(), "-md sha384 -noattr"), "signed attributes");
  refused(signed_by_openssl(p384(), "-md sha384", "other"), "other content");
  refused(verify_detached(as_bytes(kContent), {}), "ContentInfo");
  refused(verify_detached(as_bytes(kContent), Bytes(kMaxCms + 1, 0x30)), "1 MiB");
}

TEST(Cms, TwoSignersAreRefused) {
  TempDir dir;
  const Party a(KeyKind::p256), b(KeyKind::p256);
  dir.write("content", as_bytes(kContent));
  for (const auto& [name, party] : {std::pair{"a", &a}, {"b", &b}})
    dir.write(name, as_bytes(party->key.private_pem() + Certificate::parse(party->cert).pem()));
  const auto ran = run("cd " + dir.path() +
                       " && openssl cms -sign -binary -outform DER -in content -out sig -signer a -signer b");
  ASSERT_EQ(ran.status, 0) << ran.output;
  const CmsCheck check = verify_detached(as_bytes(kContent), read_file(dir / "sig"));
  EXPECT_FALSE(check.ok);
  EXPECT_EQ(check.signers, 2);
  EXPECT_NE(check.reason.find("2 signers"), std::string::npos);
}

TEST(Cms, ASignatureTimestampIsAddedAndLeavesTheSignatureGood) {
  TempDir dir;
  const Bytes der = p384().sign();
  const Bytes token = der;  // any ContentInfo serves here: tokens are checked elsewhere
  const Bytes stamped = add_signature_timestamp(der, token);
  const CmsCheck before = verify_detached(as_bytes(kContent), der),
                 after = verify_detached(as_bytes(kContent), stamped);
  ASSERT_TRUE(after.ok) << after.reason;
  EXPECT_EQ(after.timestamps, std::vector<Bytes>{token});
  EXPECT_EQ(after.signature, before.signature);
  EXPECT_TRUE(openssl_accepts(dir, p384().cert, kContent, stamped));
  EXPECT_THROW(add_signature_timestamp(stamped, token), Error);  // no attribute twice
  EXPECT_THROW(add_signature_timestamp(der, Bytes{0x30}), Error);
  EXPECT_THROW(add_signature_timestamp(Bytes{0x30, 0x00}, token), Error);
}

TEST(Cms, ARealTimestampOverTheSignatureValue) {
  TempDir dir;
  const Bytes der = p384().sign();
  dir.write("value", verify_detached(as_bytes(kContent), der).signature);
  dir.write("cnf",
            as_bytes("[req]\ndistinguished_name=dn\nx509_extensions=e\n[dn]\n[e]\n"
                     "extendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\n"
                     "[tsa]\ndefault_tsa=t\n[t]\nserial=serial\ndefault_policy=1.2.3.4\ndigests=sha256\n"
                     "signer_digest=sha256\ness_cert_id_alg=sha256\n"));
  dir.write("serial", as_bytes("01\n"));
  const auto ran = run("cd " + dir.path() + R"( && set -e
openssl ecparam -name prime256v1 -genkey -noout -out tsa.key
openssl req -x509 -new -key tsa.key -subj /CN=tsa -days 30 -config cnf -out tsa.pem
openssl ts -query -data value -sha256 -cert -out q
openssl ts -reply -config cnf -queryfile q -signer tsa.pem -inkey tsa.key -token_out -out token)");
  ASSERT_EQ(ran.status, 0) << ran.output;
  const Bytes stamped = add_signature_timestamp(der, read_file(dir / "token"));
  const CmsCheck check = verify_detached(as_bytes(kContent), stamped);
  ASSERT_TRUE(check.ok) << check.reason;
  dir.write("token2", check.timestamps.at(0));
  dir.write("value2", check.signature);
  const auto verified =
      run("cd " + dir.path() + " && openssl ts -verify -token_in -in token2 -data value2 -CAfile tsa.pem");
  EXPECT_EQ(verified.status, 0) << verified.output;
  EXPECT_TRUE(openssl_accepts(dir, p384().cert, kContent, stamped));
}

}  // namespace
}  // namespace kesu
