// AES-GCM from nothing but E_k of blocks, against Wycheproof's vectors.
#include "crypto/ghash.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace kesu {
namespace {

Bytes bin(const Json& test, std::string_view field) { return *unhex(test.str(field)); }

BlockCipher aes(const Bytes& key) {
  return [&key](std::span<const uint8_t> in, std::span<uint8_t> out) {
    EVP_CIPHER_CTX* ctx = EVP_CIPHER_CTX_new();
    const EVP_CIPHER* cipher = key.size() == 16   ? EVP_aes_128_ecb()
                               : key.size() == 24 ? EVP_aes_192_ecb()
                                                  : EVP_aes_256_ecb();
    int size = 0;
    bool good = EVP_EncryptInit_ex(ctx, cipher, nullptr, key.data(), nullptr) == 1 &&
                EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
                EVP_EncryptUpdate(ctx, out.data(), &size, in.data(), static_cast<int>(in.size())) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return good && static_cast<size_t>(size) == in.size();
  };
}

TEST(GcmByBlocks, Wycheproof) {
  const std::string path = std::string(KESU_VECTORS) + "/third_party/wycheproof/aes_gcm_test.json";
  int valid = 0, invalid = 0;
  const Json file = parse_json(as_text(read_file(path)), "vectors");
  for (const Json& group : file.at("testGroups").as_array())
    for (const Json& test : group.at("tests").as_array()) {
      if (group.num("ivSize") != 96 || group.num("tagSize") != 128) continue;
      SCOPED_TRACE("tcId " + std::to_string(test.num("tcId")));
      const Bytes key = bin(test, "key"), tag = bin(test, "tag");
      Bytes sealed = bin(test, "ct");
      sealed.insert(sealed.end(), tag.begin(), tag.end());
      Secret plain;
      GcmAnswer answer = open_gcm_by_blocks(aes(key), bin(test, "iv"), bin(test, "aad"), sealed, plain);
      if (test.str("result") == "valid") {
        EXPECT_EQ(answer, GcmAnswer::opened);
        EXPECT_EQ(to_bytes(plain.reveal()), bin(test, "msg"));
        ++valid;
      } else {
        EXPECT_EQ(answer, GcmAnswer::failed);
        EXPECT_TRUE(plain.empty());
        ++invalid;
      }
    }
  EXPECT_GT(valid, 100);
  EXPECT_GT(invalid, 50);
}

TEST(GcmByBlocks, WithoutTheCipherNothingFollows) {
  Secret plain;
  auto none = [](std::span<const uint8_t>, std::span<uint8_t>) { return false; };
  EXPECT_EQ(open_gcm_by_blocks(none, Bytes(12), {}, Bytes(48), plain), GcmAnswer::no_cipher);
  EXPECT_THROW((void)open_gcm_by_blocks(none, Bytes(16), {}, Bytes(48), plain), Error);
  EXPECT_THROW((void)open_gcm_by_blocks(none, Bytes(12), {}, Bytes(15), plain), Error);
}

TEST(GcmByBlocks, AsksForTheZeroBlockFirst) {
  Secret plain;
  Bytes asked;
  auto note = [&](std::span<const uint8_t> in, std::span<uint8_t>) {
    asked.assign(in.begin(), in.end());
    return false;
  };
  (void)open_gcm_by_blocks(note, Bytes(12, 7), {}, Bytes(33), plain);  // 17 bytes: two counters after J0
  Bytes want(16);
  for (uint8_t counter = 1; counter <= 3; ++counter) {
    want.insert(want.end(), 12, 7);
    want.insert(want.end(), {0, 0, 0, counter});
  }
  EXPECT_EQ(asked, want);
}

}  // namespace
}  // namespace kesu
