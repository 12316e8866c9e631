// Hashes, HMAC, AEADs and the generator: known answers, agreement of the ways to call them, refusal of
// alterations.
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "base/error.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/mac.h"
#include "crypto/random.h"

namespace kesu {
namespace {

Bytes counted(size_t n) {
  Bytes b(n);
  std::iota(b.begin(), b.end(), uint8_t{0});
  return b;
}

TEST(Hash, KnownAnswers) {  // FIPS 180-4 examples
  EXPECT_EQ(hex(sha256(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(sha256(ByteView())), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(
      hex(hash(HashAlg::sha384, as_bytes("abc"))),
      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
  EXPECT_EQ(hex(hash(HashAlg::sha512, as_bytes("abc"))),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
            "454d4423"
            "643ce80e2a9ac94fa54ca49f");
}

TEST(Hash, WaysAgree) {
  const Bytes data = counted(1000);
  const ByteView v(data);
  EXPECT_EQ(sha256(v), sha256({v.first(1), v.subspan(1, 500), ByteView(), v.subspan(501)}));
  Sha256 s;
  s.update(v.first(7)).update(v.subspan(7));
  EXPECT_EQ(s.finish(), sha256(v));
  EXPECT_EQ(s.finish(), sha256(ByteView())) << "finish starts anew";
  EXPECT_EQ(hash(HashAlg::sha256, v), to_bytes(sha256(v)));
  Hasher h(HashAlg::sha512);
  h.update(v.first(100));
  Hasher moved = std::move(h);
  moved.update(v.subspan(100));
  EXPECT_EQ(moved.finish(), hash(HashAlg::sha512, v));
  std::array<uint8_t, 63> small;
  EXPECT_THROW(moved.finish(std::span<uint8_t>(small)), Error);
}

TEST(Mac, Rfc4231) {
  const Bytes key1(20, 0x0b);
  EXPECT_EQ(hex(hmac_sha256(key1, as_bytes("Hi There"))),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want "), as_bytes("for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  const Bytes key6(131, 0xaa);
  EXPECT_EQ(hex(hmac_sha256(Secret::from(key6),
                            as_bytes("Test Using Larger Than Block-Size Key - Hash Key First"))),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Mac, IncrementalStartsAnewUnderTheSameKey) {
  const Bytes key = counted(32), data = counted(300);
  HmacSha256 mac{std::span<const uint8_t>(key)};
  mac.update(ByteView(data).first(299)).update(ByteView(data).subspan(299));
  EXPECT_EQ(mac.finish(), hmac_sha256(key, data));
  EXPECT_EQ(mac.update(as_bytes("x")).finish(), hmac_sha256(key, as_bytes("x")));
  const Bytes none;
  EXPECT_EQ(hex(hmac_sha256(none, as_bytes(""))),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

constexpr AeadAlg kAll[] = {AeadAlg::aes256_gcm, AeadAlg::chacha20_poly1305, AeadAlg::camellia256_gcm,
                            AeadAlg::aes128_gcm};

// Of algorithm and use: where libipsec-mb is, much AES-GCM runs on it.
class AeadTest : public testing::TestWithParam<std::tuple<AeadAlg, AeadUse>> {
 protected:
  const AeadAlg alg_ = std::get<0>(GetParam());
  const AeadUse use_ = std::get<1>(GetParam());
  Bytes key_ = counted(aead_key_size(alg_));
  std::array<uint8_t, 12> nonce_{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
};

TEST_P(AeadTest, RoundTripsOfAllSmallSizesWithOneContext) {
  Aead aead(alg_, key_, use_);
  const Bytes aad = counted(13);
  for (size_t n = 0; n < 300; ++n) {
    nonce_[11] = static_cast<uint8_t>(n);
    const Bytes plain = counted(n);
    const Bytes sealed = aead.seal(nonce_, aad, plain);
    ASSERT_EQ(sealed.size(), n + kAeadTag);
    EXPECT_EQ(sealed, Aead(alg_, key_).seal(nonce_, aad, plain))
        << "a reused context gives the same, whoever works";
    auto back = aead.open(nonce_, aad, sealed);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, plain);
  }
}

TEST_P(AeadTest, EveryAlteredByteIsRefusedAndNothingLeaks) {
  Aead aead(alg_, key_, use_);
  const Bytes aad = counted(5), plain = counted(40);
  const Bytes sealed = aead.seal(nonce_, aad, plain);
  Bytes out(plain.size());
  for (size_t i = 0; i < sealed.size(); ++i) {
    Bytes bad = sealed;
    bad[i] ^= 0x10;
    std::fill(out.begin(), out.end(), uint8_t{0xEE});
    EXPECT_FALSE(aead.open(nonce_, aad, bad, out));
    EXPECT_EQ(out, Bytes(plain.size()));
  }
  EXPECT_FALSE(aead.open(nonce_, ByteView(aad).first(4), sealed));
  EXPECT_FALSE(aead.open(nonce_, aad, ByteView(sealed).first(sealed.size() - 1)));
  EXPECT_FALSE(aead.open(nonce_, aad, ByteView(sealed).first(15)));
  auto other = nonce_;
  other[0] ^= 1;
  EXPECT_FALSE(aead.open(other, aad, sealed));
  EXPECT_TRUE(aead.open(nonce_, aad, sealed, out)) << "a refusal leaves the context usable";
  EXPECT_EQ(out, plain);
}

TEST_P(AeadTest, InPlace) {
  Aead aead(alg_, key_, use_);
  const Bytes plain = counted(100000);
  const Bytes sealed = aead.seal(nonce_, {}, plain);
  Bytes buffer = plain;
  buffer.resize(plain.size() + kAeadTag);
  aead.seal(nonce_, {}, ByteView(buffer).first(plain.size()), buffer);
  EXPECT_EQ(buffer, sealed);
  EXPECT_TRUE(aead.open(nonce_, {}, buffer, std::span(buffer).first(plain.size())));
  buffer.resize(plain.size());
  EXPECT_EQ(buffer, plain);
}

TEST_P(AeadTest, WrongSizesAreErrors) {
  EXPECT_THROW(Aead(alg_, counted(24), use_), Error);
  Aead aead(alg_, key_, use_);
  Bytes out(20);
  EXPECT_THROW(aead.seal(nonce_, {}, counted(5), out), Error);
  EXPECT_THROW((void)aead.open(nonce_, {}, counted(30), out), Error);
}

TEST_P(AeadTest, NamesAndNumbers) {
  EXPECT_EQ(aead_from_name(aead_name(alg_)), alg_);
  EXPECT_EQ(aead_from_number(static_cast<uint16_t>(alg_)), alg_);
  EXPECT_FALSE(aead_from_number(0));
  EXPECT_FALSE(aead_from_name("AES-256-CBC"));
}

INSTANTIATE_TEST_SUITE_P(All, AeadTest,
                         testing::Combine(testing::ValuesIn(kAll),
                                          testing::Values(AeadUse::little, AeadUse::much)),
                         [](const auto& i) {
                           std::string name(aead_name(std::get<0>(i.param)));
                           std::erase(name, '-');
                           return name + (std::get<1>(i.param) == AeadUse::much ? "Much" : "Little");
                         });

TEST(RandomBytes, DifferAndFill) {
  Random& random = system_random();
  std::set<Bytes> seen;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(seen.insert(random.bytes(16)).second);
  const Bytes many = random.bytes(4096);
  EXPECT_GT(std::set<uint8_t>(many.begin(), many.end()).size(), 200u);
  EXPECT_EQ(random.secret(64).size(), 64u);
  EXPECT_TRUE(random.bytes(0).empty());
}

}  // namespace
}  // namespace kesu
