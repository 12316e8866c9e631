// Fingerprints: known answers (computed by another program, from the formula of docs/spec/fingerprints.md),
// and the same values in every way of getting at them.
#include "seal/fingerprint.h"

#include <gtest/gtest.h>

#include "support.h"

namespace kesu {
namespace {
using namespace test;

Secret counting_key() {
  Secret key(kFingerprintKeyBytes);
  for (size_t i = 0; i < key.size(); ++i) key.reveal()[i] = static_cast<uint8_t>(i);
  return key;
}
std::string text(const Digest32& d) { return hex(d); }

TEST(Fingerprint, KnownAnswers) {
  const Secret key = counting_key();
  Fingerprinter with(key);
  EXPECT_EQ(text(with.block(as_bytes("abc"))),
            "13fb7cc68021926616235d5b0d853744c00022b61183cffa3dc144c514a72f12");
  EXPECT_EQ(text(with.file({})), "f49240b78aa90e53f46106c3481e377e19696e777328b1cd6ec6061a0bd868a9");
  const Bytes plain = pattern(150'000);
  const Fingerprints got = fingerprints_of(memory_input(plain), key);
  ASSERT_EQ(got.blocks.size(), 3u);
  EXPECT_EQ(text(got.blocks[0]), "5b3158f5a0ad7fe18e19bc676bb409dca8a054558fa27ec783521fbbd8d7b25d");
  EXPECT_EQ(text(got.blocks[1]), "5f5765bce022576c24ee2345bfaa4bdf051b8ed3151e9237e8c5a753da382fdf");
  EXPECT_EQ(text(got.blocks[2]), "44867cea2018d3808c4f211fa1a476987f04041d9b709ecee90a3c11a7904f15");
  EXPECT_EQ(text(got.file), "419110fb3cecfe2ed3f9e040c68a67b394ea37d04a9aca5572cfae4eb2e8c560");
  EXPECT_EQ(code_of([&] { Fingerprinter(Secret(32)); }), Code::bad_input);
}

// Whoever seals gets what a scan of the same bytes gets, for any chunk size and crew.
TEST(Fingerprint, SealingReportsWhatAScanFinds) {
  const Secret key = counting_key();
  Keys keys;
  const VersionRef version = keys.make({system_random().id<KeyId>(), 1});
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{65536}, size_t{65537}, size_t{3} << 20, (size_t{5} << 20) + 70'001}) {
    const Bytes plain = pattern(size);
    Crew scan(3);
    const Fingerprints want = fingerprints_of(memory_input(plain), key, &scan);
    EXPECT_EQ(want.blocks.size(), (size + 65535) / 65536);
    EXPECT_EQ(fingerprints_of(memory_input(plain), key).file, want.file);
    for (const uint32_t chunk : {kMinChunk, 32u * 1024, 64u * 1024, kDefaultChunk, kMaxChunk}) {
      for (const unsigned threads : {1u, 3u}) {
        SealRequest request = request_for(system_random(), version);
        request.chunk = chunk;
        request.fingerprint_key = &key;
        Crew crew(threads);
        Bytes sealed;
        const SealedObject object = seal_stream(
            request, memory_source(plain),
            [&](ByteView b) { sealed.insert(sealed.end(), b.begin(), b.end()); }, keys.wrap(version),
            system_random(), &crew);
        ASSERT_TRUE(object.fingerprints);
        ASSERT_EQ(object.fingerprints->blocks, want.blocks) << size << " " << chunk;
        ASSERT_EQ(object.fingerprints->common, want.common) << size << " " << chunk;
        ASSERT_EQ(object.fingerprints->file, want.file);
        ASSERT_TRUE(open_bytes(sealed, keys.unwrap()).plain == plain);
      }
    }
  }
}

TEST(Fingerprint, AnotherKeyHalfOrByteGivesAnotherValue) {
  const Bytes plain = pattern(65'536);
  std::set<Digest32> seen;
  for (const size_t at : {size_t{0}, size_t{31}, size_t{32}, size_t{63}}) {
    Secret key = counting_key();
    key.reveal()[at] ^= 1;
    EXPECT_TRUE(seen.insert(Fingerprinter(key).block(plain)).second);
  }
  Fingerprinter with(counting_key());
  EXPECT_TRUE(seen.insert(with.block(plain)).second);
  for (const size_t at : {size_t{0}, size_t{40'000}, size_t{65'535}}) {
    Bytes other = plain;
    other[at] ^= 0x80;
    EXPECT_TRUE(seen.insert(with.block(other)).second);
  }
  EXPECT_TRUE(seen.insert(with.block(ByteView(plain).first(65'535))).second);
}

}  // namespace
}  // namespace kesu
