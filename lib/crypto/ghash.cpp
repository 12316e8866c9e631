// GHASH bit by bit, without tables or branches on secrets, and GCM on top of it (NIST SP 800-38D).
#include "crypto/ghash.h"

#include <algorithm>

#include "base/error.h"

namespace kesu {

namespace {
constexpr size_t kBlock = 16, kTag = 16;

struct Block128 {
  uint64_t high = 0, low = 0;
};

Block128 load(const uint8_t* from) {
  Block128 out;
  for (int i = 0; i < 8; ++i) {
    out.high = out.high << 8 | from[i];
    out.low = out.low << 8 | from[8 + i];
  }
  return out;
}

// y · h in GF(2^128), algorithm 1 of section 6.3.
Block128 multiply(Block128 y, Block128 h) {
  Block128 z;
  for (int i = 0; i < 128; ++i) {
    uint64_t bit = i < 64 ? y.high >> (63 - i) & 1 : y.low >> (127 - i) & 1;
    uint64_t taken = 0 - bit, carry = 0 - (h.low & 1);
    z.high ^= h.high & taken;
    z.low ^= h.low & taken;
    h.low = h.low >> 1 | h.high << 63;
    h.high = h.high >> 1 ^ (carry & 0xe100000000000000u);
  }
  return z;
}

class Ghash {
 public:
  explicit Ghash(Block128 h) : h_(h) {}
  ~Ghash() { wipe({reinterpret_cast<uint8_t*>(this), sizeof *this}); }
  Ghash(const Ghash&) = delete;
  Ghash& operator=(const Ghash&) = delete;
  // Padded with zeros to whole blocks.
  void add(ByteView bytes) {
    for (size_t at = 0; at < bytes.size(); at += kBlock) {
      uint8_t block[kBlock] = {};
      std::copy_n(bytes.data() + at, std::min(kBlock, bytes.size() - at), block);
      add(load(block));
    }
  }
  void add(Block128 block) { y_ = multiply({y_.high ^ block.high, y_.low ^ block.low}, h_); }
  Block128 value() const { return y_; }

 private:
  Block128 h_, y_;
};
}  // namespace

GcmAnswer open_gcm_by_blocks(const BlockCipher& cipher, ByteView nonce, ByteView aad, ByteView sealed,
                             Secret& plain) {
  if (nonce.size() != 12 || sealed.size() < kTag)
    throw Error(Code::bad_input, "not an AES-GCM ciphertext with a nonce of 12 bytes");
  const size_t size = sealed.size() - kTag;
  // 0^128, then J0 = nonce ‖ 1 and the counters after it.
  Bytes asked((2 + (size + kBlock - 1) / kBlock) * kBlock);
  for (size_t at = kBlock, counter = 1; at < asked.size(); at += kBlock, ++counter) {
    std::copy(nonce.begin(), nonce.end(), asked.data() + at);
    for (size_t i = 0; i < 4; ++i) asked[at + 12 + i] = static_cast<uint8_t>(counter >> (24 - 8 * i));
  }
  Secret answer(asked.size());
  if (!cipher(asked, answer.reveal())) return GcmAnswer::no_cipher;
  const uint8_t* blocks = answer.reveal().data();
  Ghash hash(load(blocks));
  hash.add(aad);
  hash.add(sealed.first(size));
  hash.add(Block128{uint64_t{aad.size()} * 8, uint64_t{size} * 8});
  Block128 mask = load(blocks + kBlock), tag = load(sealed.data() + size), sum = hash.value();
  if (((sum.high ^ mask.high ^ tag.high) | (sum.low ^ mask.low ^ tag.low)) != 0) return GcmAnswer::failed;
  plain = Secret(size);
  for (size_t i = 0; i < size; ++i) plain.reveal()[i] = sealed[i] ^ blocks[2 * kBlock + i];
  return GcmAnswer::opened;
}

}  // namespace kesu
