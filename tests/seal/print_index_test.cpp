// Fingerprints looked for in files: whole blocks at their places, whole files, and nothing else.
#include "seal/print_index.h"

#include <gtest/gtest.h>

#include "support.h"

namespace kesu {
namespace {
using namespace test;
using Hits = std::vector<std::pair<size_t, uint32_t>>;
constexpr size_t kBlock = kFingerprintBlock;

struct Looked {
  Secret key = system_random().secret(kFingerprintKeyBytes);
  PrintIndex index{key};
  void add(uint32_t object, const Bytes& plain) {
    const Fingerprints f = fingerprints_of(memory_input(plain), key);
    std::vector<std::array<uint8_t, 16>> blocks(plain.size() / kBlock);
    for (size_t i = 0; i < blocks.size(); ++i)
      if (!f.common[i]) std::copy_n(f.blocks[i].begin(), 16, blocks[i].begin());
    index.add(object, plain.size(), blocks, f.file);
  }
  Hits hits(const Bytes& file) {
    Hits out;
    PrintIndex::Scanner(index).scan(
        file, [&](size_t at, uint32_t object) { out.emplace_back(at, object); }, nullptr);
    return out;
  }
  std::optional<uint32_t> whole(const Bytes& file) {
    PrintIndex::Scanner scanner(index);
    std::vector<Digest32> values;
    scanner.scan(
        file, [](size_t, uint32_t) {}, &values);
    return scanner.whole(file.size(), values);
  }
};

TEST(PrintIndex, FindsBlocksAtTheirPlacesAndWholeFiles) {
  Looked l;
  const Bytes random = system_random().bytes(3 * kBlock + 100), small = pattern(500), zeros(2 * kBlock + 7);
  Bytes half = zeros;  // a common block, and one of its own
  std::copy_n(system_random().bytes(kBlock).begin(), kBlock, half.begin() + kBlock);
  l.add(0, random);
  l.add(1, small);
  l.add(2, zeros);
  l.add(3, half);
  l.add(4, {});
  l.add(5, random);  // the first stands for both
  l.index.finish();
  EXPECT_EQ(l.index.common(), 3);
  EXPECT_EQ(l.index.whole_only(), 2);
  EXPECT_EQ(l.hits(random), (Hits{{0, 0}, {kBlock, 0}, {2 * kBlock, 0}}));
  EXPECT_EQ(l.hits(Bytes(random.begin(), random.begin() + kBlock)), (Hits{{0, 0}}));
  EXPECT_EQ(l.hits(Bytes(random.begin(), random.begin() + kBlock - 1)), Hits{});
  EXPECT_EQ(l.hits(Bytes(random.begin() + 1, random.end())), Hits{});
  Bytes changed = random;
  changed[kBlock + 5] ^= 1;
  EXPECT_EQ(l.hits(changed), (Hits{{0, 0}, {2 * kBlock, 0}}));
  EXPECT_EQ(l.hits(half), (Hits{{kBlock, 3}}));
  EXPECT_EQ(l.hits(Bytes(4 * kBlock)), Hits{});
  EXPECT_TRUE(l.index.whole(small.size()));
  EXPECT_FALSE(l.index.whole(random.size()));
  EXPECT_FALSE(l.index.whole(0));
  EXPECT_EQ(l.whole(small), 1u);
  EXPECT_EQ(l.whole(zeros), 2u);
  EXPECT_EQ(l.whole(Bytes(500)), std::nullopt);
  EXPECT_EQ(l.whole(random), std::nullopt);  // its blocks find it
}

// Values under another key are other values: an index says nothing of files by itself.
TEST(PrintIndex, NothingWithoutItsKey) {
  Looked l, other;
  const Bytes plain = system_random().bytes(2 * kBlock);
  const Fingerprints f = fingerprints_of(memory_input(plain), other.key);
  std::vector<std::array<uint8_t, 16>> blocks(2);
  for (size_t i = 0; i < 2; ++i) std::copy_n(f.blocks[i].begin(), 16, blocks[i].begin());
  l.index.add(0, plain.size(), blocks, f.file);
  l.index.finish();
  EXPECT_EQ(l.hits(plain), Hits{});
}

}  // namespace
}  // namespace kesu
