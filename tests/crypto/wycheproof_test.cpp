// Third-party vectors: every parameter set of Wycheproof that kesu uses; the rest is counted and printed.
#include <gtest/gtest.h>

#include <cstdio>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "crypto/aead.h"
#include "crypto/mac.h"
#include "crypto/sign.h"

namespace kesu {
namespace {

Json load(const std::string& name) {
  const std::string path = std::string(KESU_VECTORS) + "/third_party/wycheproof/" + name + "_test.json";
  return parse_json(as_text(read_file(path)), name);
}

Bytes bin(const Json& test, std::string_view field) {
  auto b = unhex(test.str(field));
  if (!b) throw Error(Code::bad_input, "vector: not hex");
  return *b;
}

// Calls `run(group, test, must_pass)` for each test of the groups that `wanted` takes; "acceptable" ones may
// do either, and are given as nullopt.
template <class Wanted, class Run>
int each(const std::string& name, Wanted wanted, Run run) {
  const Json file = load(name);
  int ran = 0, left = 0;
  for (const Json& group : file.at("testGroups").as_array())
    for (const Json& test : group.at("tests").as_array()) {
      if (!wanted(group)) {
        ++left;
        continue;
      }
      SCOPED_TRACE(name + " tcId " + std::to_string(test.num("tcId")) + ": " + test.str("comment"));
      const std::string& result = test.str("result");
      run(group, test, result == "acceptable" ? std::nullopt : std::optional<bool>(result == "valid"));
      ++ran;
    }
  std::printf("[          ] %s: %d ran, %d of other parameters left out\n", name.c_str(), ran, left);
  return ran;
}

void run_aead(AeadAlg alg, const Json& test, std::optional<bool> must_pass) {
  ASSERT_TRUE(must_pass.has_value());
  const Bytes nonce = bin(test, "iv"), aad = bin(test, "aad"), msg = bin(test, "msg");
  Bytes sealed = bin(test, "ct");
  const Bytes tag = bin(test, "tag");
  sealed.insert(sealed.end(), tag.begin(), tag.end());
  const AeadNonce n(nonce.data(), 12);
  for (const AeadUse use : {AeadUse::little, AeadUse::much}) {
    Aead aead(alg, bin(test, "key"), use);
    const auto opened = aead.open(n, aad, sealed);
    EXPECT_EQ(opened.has_value(), *must_pass);
    if (*must_pass) {
      EXPECT_EQ(opened, msg);
      EXPECT_EQ(aead.seal(n, aad, msg), sealed);
    }
  }
}

bool usual_aead(const Json& group) { return group.num("ivSize") == 96 && group.num("tagSize") == 128; }

TEST(Wycheproof, AesGcm) {
  int ran = 0;
  for (auto [alg, bits] : {std::pair{AeadAlg::aes256_gcm, 256}, {AeadAlg::aes128_gcm, 128}})
    ran += each(
        "aes_gcm", [&](const Json& g) { return usual_aead(g) && g.num("keySize") == bits; },
        [&](const Json&, const Json& test, auto must) { run_aead(alg, test, must); });
  EXPECT_GE(ran, 100);
}

TEST(Wycheproof, ChaCha20Poly1305) {
  EXPECT_GE(each("chacha20_poly1305", usual_aead,
                 [&](const Json&, const Json& test, auto must) {
                   run_aead(AeadAlg::chacha20_poly1305, test, must);
                 }),
            300);
}

TEST(Wycheproof, HmacSha256) {
  EXPECT_GE(each(
                "hmac_sha256", [](const Json& g) { return g.num("tagSize") == 256; },
                [](const Json&, const Json& test, std::optional<bool> must) {
                  const Bytes key = bin(test, "key");
                  EXPECT_EQ(to_bytes(hmac_sha256(key, bin(test, "msg"))) == bin(test, "tag"), *must);
                }),
            80);
}

int run_signatures(const std::string& name, SigAlg alg) {
  return each(
      name, [](const Json&) { return true; },
      [&](const Json& group, const Json& test, std::optional<bool> must) {
        const PublicKey key = PublicKey::from_spki(bin(group, "publicKeyDer"));
        const bool good = verify(key, alg, bin(test, "msg"), bin(test, "sig"));
        if (must) {
          EXPECT_EQ(good, *must);
        }
      });
}

TEST(Wycheproof, EcdsaDer) {
  EXPECT_GE(run_signatures("ecdsa_secp256r1_sha256", SigAlg::ecdsa_sha256), 480);
  EXPECT_GE(run_signatures("ecdsa_secp384r1_sha384", SigAlg::ecdsa_sha384), 500);
}

TEST(Wycheproof, Ed25519) { EXPECT_GE(run_signatures("ed25519", SigAlg::ed25519), 150); }

TEST(Wycheproof, RsaPss) {
  EXPECT_GE(run_signatures("rsa_pss_3072_sha256_mgf1_32", SigAlg::rsa_pss_sha256), 100);
}

// Fixed-width signatures as tokens give them, through the conversion to DER and back.
int run_raw(const std::string& name, KeyKind curve, SigAlg alg) {
  return each(
      name, [](const Json&) { return true; },
      [&](const Json& group, const Json& test, std::optional<bool> must) {
        const PublicKey key = PublicKey::from_spki(bin(group, "publicKeyDer"));
        const Bytes sig = bin(test, "sig");
        const auto der = ecdsa_raw_to_der(curve, sig);
        if (der) {
          EXPECT_EQ(ecdsa_der_to_raw(curve, *der), sig);
        }
        if (must) {
          EXPECT_EQ(der && verify(key, alg, bin(test, "msg"), *der), *must);
        }
      });
}

TEST(Wycheproof, EcdsaFixedWidth) {
  EXPECT_GE(run_raw("ecdsa_secp256r1_sha256_p1363", KeyKind::p256, SigAlg::ecdsa_sha256), 250);
  EXPECT_GE(run_raw("ecdsa_secp384r1_sha384_p1363", KeyKind::p384, SigAlg::ecdsa_sha384), 270);
}

}  // namespace
}  // namespace kesu
