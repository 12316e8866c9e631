// Much AES-GCM: libipsec-mb where the processor has what its fast code needs, with OpenSSL's bytes.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/error.h"
#include "crypto/aead.h"
#include "crypto/libraries.h"
#include "crypto/random.h"

namespace kesu {
namespace {

// What the system says of the processor, and whether Debian's library lies where it is looked for.
bool expected_here() {
  std::ifstream info("/proc/cpuinfo");
  std::set<std::string> flags;
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("flags")) {
      std::istringstream words(line);
      for (std::string word; words >> word;) flags.insert(word);
      break;
    }
  for (const char* flag : {"vaes", "vpclmulqdq", "gfni", "sha_ni", "bmi2", "avx512f", "avx512dq", "avx512cd",
                           "avx512bw", "avx512vl", "avx512ifma"})
    if (!flags.contains(flag)) return false;
  return std::ifstream("/usr/lib/x86_64-linux-gnu/libIPSec_MB.so.1").good();
}

TEST(WideAead, IsTakenWhereItCanBe) {
  if (!expected_here())
    GTEST_SKIP() << "this processor has no VAES with AVX-512, or libipsec-mb is not there";
  EXPECT_EQ(wide_library().substr(0, 2), "1.");
}

// Sizes about the steps of 512-bit code and of chunks, starts that are not aligned, output over input.
TEST(WideAead, GivesTheSameBytes) {
  if (wide_library().empty()) GTEST_SKIP() << "nothing to compare: much AES-GCM runs on OpenSSL here";
  Random& random = system_random();
  const Bytes plain = random.bytes(300'000);
  for (const AeadAlg alg : {AeadAlg::aes256_gcm, AeadAlg::aes128_gcm}) {
    const Secret key = random.secret(aead_key_size(alg));
    Aead known(alg, key), much(alg, key, AeadUse::much);
    uint8_t count = 0;
    for (const size_t around : {256, 512, 768, 1024, 4096, 65536, 262144})
      for (int off = -17; off <= 17; ++off)
        for (const size_t aad_size : {size_t{0}, size_t{1}, size_t{48}, size_t{1000}, size_t{70'001}}) {
          if (aad_size > 1000 && off % 8) continue;
          const size_t size = around + static_cast<size_t>(off), start = ++count % 64;
          const std::array<uint8_t, 12> nonce{count, static_cast<uint8_t>(around >> 8)};
          const ByteView in = ByteView(plain).subspan(start, size), aad = ByteView(plain).last(aad_size);
          const Bytes sealed = known.seal(nonce, aad, in);
          Bytes room(start + size + kAeadTag);
          const auto out = std::span(room).subspan(start);
          std::ranges::copy(in, out.begin());
          much.seal(nonce, aad, out.first(size), out);
          ASSERT_TRUE(std::ranges::equal(out, sealed))
              << size << " bytes from " << start << ", aad " << aad_size;
          ASSERT_TRUE(much.open(nonce, aad, out, out.first(size))) << size;
          ASSERT_TRUE(std::ranges::equal(out.first(size), in)) << size;
        }
  }
}

TEST(WideAead, AlteredBytesAreRefusedAndNothingLeaks) {
  if (wide_library().empty()) GTEST_SKIP() << "much AES-GCM runs on OpenSSL here";
  Random& random = system_random();
  Aead much(AeadAlg::aes256_gcm, random.secret(32), AeadUse::much);
  const std::array<uint8_t, 12> nonce{7};
  const Bytes plain = random.bytes(65'536), aad = random.bytes(100);
  Bytes sealed = much.seal(nonce, aad, plain);
  for (size_t at = 0; at < sealed.size(); at += at < 60'000 ? 997 : 61) {
    sealed[at] ^= 4;
    Bytes out(plain.size(), uint8_t{0xEE});
    ASSERT_FALSE(much.open(nonce, aad, sealed, out)) << at;
    ASSERT_EQ(out, Bytes(plain.size())) << at;
    sealed[at] ^= 4;
  }
  Bytes other = aad;
  other[99] ^= 1;
  EXPECT_FALSE(much.open(nonce, other, sealed));
  EXPECT_EQ(much.open(nonce, aad, sealed), plain);
}

}  // namespace
}  // namespace kesu
