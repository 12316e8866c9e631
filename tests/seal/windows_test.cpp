// Windows: what is found wherever it stands, what is not, and the known values of docs/spec/fingerprints.md.
#include "seal/windows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <new>

#include "support.h"

namespace kesu {
namespace {
using namespace test;

Secret counting_key() {
  Secret key(kFingerprintKeyBytes);
  for (size_t i = 0; i < key.size(); ++i) key.reveal()[i] = static_cast<uint8_t>(i);
  return key;
}

// Bytes that do not repeat themselves.
Bytes noise(size_t size, uint64_t seed) {
  Bytes out(size);
  for (uint8_t& b : out) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    b = static_cast<uint8_t>(seed >> 56);
  }
  return out;
}

struct Looker {
  explicit Looker(size_t window = kMinWindow) : key(counting_key()), windows(key, window), taker(windows) {}
  void take(uint32_t object, const Bytes& plain, size_t piece = 1000) {
    taker.begin(object);
    for (size_t at = 0; at < plain.size(); at += piece)
      taker.feed(ByteView(plain).subspan(at, std::min(piece, plain.size() - at)));
    taker.end();
  }
  std::vector<std::pair<size_t, uint32_t>> scan(const Bytes& bytes) {
    std::vector<std::pair<size_t, uint32_t>> out;
    Windows::Scanner(windows).scan(bytes, [&](size_t at, uint32_t object) { out.emplace_back(at, object); });
    return out;
  }
  Secret key;
  Windows windows;
  Windows::Taker taker;
};

TEST(Windows, SizesFollowTheDataset) {
  EXPECT_EQ(window_for(0), 512u);
  EXPECT_EQ(window_for(512ull << 20), 512u);
  EXPECT_EQ(window_for((512ull << 20) + 512), 1024u);
  EXPECT_EQ(window_for(1ull << 60), 65536u);
  const Secret key = counting_key();
  for (const size_t bad : {0u, 256u, 1000u, 131072u})
    EXPECT_EQ(code_of([&] { Windows(key, bad); }), Code::bad_input) << bad;
}

TEST(Windows, FoundAtAnyOffset) {
  Looker l;
  const Bytes plain = noise(5 * 512 + 100, 1);
  l.take(7, plain);
  l.windows.finish();
  EXPECT_EQ(l.windows.count(), 5u);
  for (const size_t offset : {0u, 1u, 63u, 511u, 512u, 4097u}) {
    Bytes file = noise(offset, 2);
    file.insert(file.end(), plain.begin(), plain.end());
    const Bytes after = noise(777, 3);
    file.insert(file.end(), after.begin(), after.end());
    const auto found = l.scan(file);
    ASSERT_EQ(found.size(), 5u) << offset;
    for (size_t i = 0; i < 5; ++i) EXPECT_EQ(found[i], std::pair(offset + i * 512, 7u));
  }
}

TEST(Windows, OneWindowIsEnoughAndOneByteChangesIt) {
  Looker l;
  const Bytes plain = noise(3 * 512, 4);
  l.take(1, plain);
  l.windows.finish();
  Bytes cut(plain.begin() + 300, plain.begin() + 1100);  // the second window alone is whole in it
  EXPECT_EQ(l.scan(cut), (std::vector<std::pair<size_t, uint32_t>>{{212, 1}}));
  cut[400] ^= 1;
  EXPECT_TRUE(l.scan(cut).empty());
  EXPECT_TRUE(l.scan(noise(1 << 20, 5)).empty());
  EXPECT_TRUE(l.scan(Bytes(511)).empty());
}

TEST(Windows, WhatIsEverywhereIsLeftOut) {
  Looker l;
  Bytes plain(4 * 512);
  const Bytes some = noise(512, 6);
  std::copy(some.begin(), some.end(), plain.begin() + 512);
  l.take(1, plain);
  Bytes rows(512);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<uint8_t>(i % 64);
  l.take(2, rows);
  l.windows.finish();
  EXPECT_EQ(l.windows.count(), 1u);
  EXPECT_EQ(l.windows.common(), 4);
  EXPECT_TRUE(l.scan(Bytes(1 << 20)).empty());
  EXPECT_EQ(l.scan(plain).size(), 1u);
}

TEST(Windows, ShortObjectsAreFoundAsWholeFiles) {
  Looker l;
  l.take(3, to_bytes(as_bytes("a short secret")));
  l.take(4, {});
  l.windows.finish();
  Windows::Scanner scanner(l.windows);
  EXPECT_EQ(scanner.whole(as_bytes("a short secret")), 3u);
  EXPECT_EQ(scanner.whole(as_bytes("a short sEcret")), std::nullopt);
  EXPECT_EQ(scanner.whole(as_bytes("a short secret ")), std::nullopt);
  EXPECT_EQ(scanner.whole({}), std::nullopt);
}

TEST(Windows, WhatRepeatsIsFoundAsAWholeFile) {
  for (const size_t period : {1u, 64u, 128u, 256u}) {
    Looker l;
    Bytes plain;
    const Bytes once = noise(period, 20 + period);
    while (plain.size() < 5 * 512 + 77) plain.insert(plain.end(), once.begin(), once.end());
    plain.resize(5 * 512 + 77);
    l.take(1, noise(512, 30));
    l.take(2, plain);
    l.windows.finish();
    EXPECT_EQ(l.windows.count(), 1u) << period;
    EXPECT_EQ(l.windows.common(), 5) << period;
    EXPECT_EQ(l.windows.whole_only(), 1) << period;
    EXPECT_TRUE(l.windows.whole(plain.size()));
    EXPECT_FALSE(l.windows.whole(512));
    Windows::Scanner scanner(l.windows);
    EXPECT_EQ(scanner.whole(plain), 2u) << period;
    // In parts, as a scan reads it.
    std::vector<Digest32> blocks;
    scanner.blocks(ByteView(plain).first(1024), blocks);
    scanner.blocks(ByteView(plain).subspan(1024), blocks);
    EXPECT_EQ(scanner.whole(plain.size(), blocks), 2u) << period;
    plain.back() ^= 1;
    EXPECT_EQ(scanner.whole(plain), std::nullopt) << period;
  }
}

// An object that begins alike, and has a window of its own, needs no value of the whole.
TEST(Windows, OneWindowOfItsOwnIsEnough) {
  Looker l;
  Bytes plain(4 * 512);
  const Bytes some = noise(512, 40);
  std::copy(some.begin(), some.end(), plain.begin() + 1024);
  l.take(1, plain);
  l.take(2, Bytes(1000));
  l.windows.finish();
  EXPECT_EQ(l.windows.whole_only(), 1);
  EXPECT_EQ(Windows::Scanner(l.windows).whole(Bytes(1000)), 2u);
  EXPECT_FALSE(l.windows.whole(plain.size()));
}

TEST(Windows, NothingOfTheKeyStaysBehind) {
  alignas(Windows) static uint8_t room[sizeof(Windows)];
  const Secret key = counting_key();
  const uint8_t byte = 0x41;
  const Digest32 t = hmac_sha256(key.reveal().subspan(32), as_bytes("kesu-windows-v1"), ByteView(&byte, 1));
  std::array<uint8_t, 8> entry;  // T[ 0x41 ] as it lies in memory, on a little-endian machine
  std::reverse_copy(t.begin(), t.begin() + 8, entry.begin());
  const auto there = [&] { return std::search(room, room + sizeof room, entry.begin(), entry.end()) - room; };
  Windows* windows = new (room) Windows(key, kMinWindow);
  EXPECT_LT(there(), static_cast<ptrdiff_t>(sizeof room));
  windows->~Windows();
  EXPECT_EQ(there(), static_cast<ptrdiff_t>(sizeof room));
}

TEST(Windows, WhatWasNotEndedCountsForNothing) {
  Looker l;
  const Bytes plain = noise(2048, 8);
  l.taker.begin(1);
  l.taker.feed(plain);  // and damage after it
  l.take(2, noise(512, 9));
  l.windows.finish();
  EXPECT_EQ(l.windows.count(), 1u);
  EXPECT_TRUE(l.scan(plain).empty());
}

TEST(Windows, TheSameWindowTwiceIsOne) {
  Looker l;
  const Bytes plain = noise(1024, 10);
  l.take(1, plain);
  l.take(2, plain);
  l.windows.finish();
  EXPECT_EQ(l.windows.count(), 2u);
  for (auto& [at, object] : l.scan(plain)) EXPECT_EQ(object, 1u);
}

}  // namespace
}  // namespace kesu
