// Camellia-256-GCM has no third-party vectors: it is computed a second time here from OpenSSL's Camellia in
// counter mode and a plain GHASH (NIST SP 800-38D §6), which AES-256-GCM first shows to be right.
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <memory>

#include "crypto/aead.h"
#include "crypto/random.h"

namespace kesu {
namespace {

using Block = std::array<uint8_t, 16>;

Bytes counter_mode(const char* cipher, const Bytes& key, const Block& start, ByteView data) {
  std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> ctx(EVP_CIPHER_CTX_new(),
                                                                      EVP_CIPHER_CTX_free);
  std::unique_ptr<EVP_CIPHER, decltype(&EVP_CIPHER_free)> c(EVP_CIPHER_fetch(nullptr, cipher, nullptr),
                                                            EVP_CIPHER_free);
  Bytes out(data.size());
  int n = 0;
  EXPECT_EQ(EVP_EncryptInit_ex2(ctx.get(), c.get(), key.data(), start.data(), nullptr), 1);
  EXPECT_EQ(EVP_EncryptUpdate(ctx.get(), out.data(), &n, data.data(), static_cast<int>(data.size())), 1);
  return out;
}

Block times(const Block& x, const Block& y) {  // §6.3, bit by bit
  Block z{}, v = y;
  for (int i = 0; i < 128; ++i) {
    if (x[i / 8] >> (7 - i % 8) & 1)
      for (int k = 0; k < 16; ++k) z[k] ^= v[k];
    const bool low = v[15] & 1;
    for (int k = 15; k >= 0; --k) v[k] = static_cast<uint8_t>(v[k] >> 1 | (k ? v[k - 1] << 7 : 0));
    if (low) v[0] ^= 0xE1;
  }
  return z;
}

void absorb(Block& y, const Block& h, ByteView data) {
  for (size_t at = 0; at < data.size(); at += 16) {
    for (size_t k = 0; k < 16 && at + k < data.size(); ++k) y[k] ^= data[at + k];
    y = times(y, h);
  }
}

Bytes gcm(const char* ctr, const Bytes& key, AeadNonce nonce, ByteView aad, ByteView plain) {
  Block zero{}, start{};
  std::copy(nonce.begin(), nonce.end(), start.begin());
  start[15] = 1;
  // E(0) and E(J0): the first block of key stream from that counter.
  const Bytes h_bytes = counter_mode(ctr, key, zero, zero), mask = counter_mode(ctr, key, start, zero);
  Block h{};
  std::copy(h_bytes.begin(), h_bytes.end(), h.begin());
  start[15] = 2;
  Bytes out = counter_mode(ctr, key, start, plain);
  Block y{};
  absorb(y, h, aad);
  absorb(y, h, out);
  absorb(y, h, ByteWriter().u64(aad.size() * 8).u64(plain.size() * 8).bytes());
  for (size_t k = 0; k < 16; ++k) out.push_back(static_cast<uint8_t>(y[k] ^ mask[k]));
  return out;
}

void compare(AeadAlg alg, const char* ctr) {
  Random& random = system_random();
  for (size_t size : {0, 1, 15, 16, 17, 255, 256, 4099}) {
    for (size_t extra : {0, 5, 16, 40}) {
      const Bytes key = random.bytes(32), iv = random.bytes(12), aad = random.bytes(extra),
                  plain = random.bytes(size);
      const AeadNonce nonce(iv.data(), 12);
      EXPECT_EQ(Aead(alg, key).seal(nonce, aad, plain), gcm(ctr, key, nonce, aad, plain))
          << size << " " << extra;
    }
  }
}

TEST(CamelliaGcm, TheSecondComputationIsRightForAes) { compare(AeadAlg::aes256_gcm, "AES-256-CTR"); }
TEST(CamelliaGcm, AgreesWithTheSecondComputation) { compare(AeadAlg::camellia256_gcm, "CAMELLIA-256-CTR"); }

}  // namespace
}  // namespace kesu
