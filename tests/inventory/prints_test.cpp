// Fingerprints of a batch: what is written is read, and nothing else.
#include "inventory/prints.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "crypto/random.h"
#include "seal/fingerprint.h"

namespace kesu {
namespace {

struct Batch {
  Random& random = system_random();
  SegmentHeader header{random.id<VaultId>(), random.id<DatasetId>(), random.id<BatchId>(),
                       random.id<DatasetKeyId>()};
  DatasetKeyId key = random.id<DatasetKeyId>();
  Secret dataset_key = random.secret(64);
  std::vector<ObjectPrints> objects;

  Batch() {
    const Secret prints = random.secret(kFingerprintKeyBytes);
    for (const size_t size : {size_t{0}, size_t{10}, 3 * kFingerprintBlock + 5}) {
      Bytes plain(size);
      // The first block of the long one is common, the second and the third are the same.
      for (size_t i = kFingerprintBlock; i < plain.size(); ++i)
        plain[i] = static_cast<uint8_t>(i % kFingerprintBlock * 2654435761u >> 13);
      const SealedInput in{plain.size(), [&](uint64_t at, std::span<uint8_t> out) {
                             std::copy_n(plain.begin() + static_cast<ptrdiff_t>(at), out.size(), out.begin());
                           }};
      const Fingerprints taken = fingerprints_of(in, prints);
      ObjectPrints& o = objects.emplace_back(ObjectPrints{random.id<ObjectId>(), taken.file, {}});
      o.blocks.resize(size / kFingerprintBlock);
      for (size_t i = 0; i < o.blocks.size(); ++i)
        if (!taken.common[i]) std::copy_n(taken.blocks[i].begin(), kPrintBytes, o.blocks[i].begin());
    }
  }
  Bytes written() const { return write_prints(header, key, objects, dataset_key, random); }
  std::vector<ObjectPrints> opened(ByteView file) const {
    return open_prints(file, header, key, dataset_key);
  }
};

Code code_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.code();
  }
  return Code::failed;
}

TEST(Prints, ComeBackAsTheyWere) {
  const Batch b;
  const auto back = b.opened(b.written());
  ASSERT_EQ(back.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(back[i].object, b.objects[i].object);
    EXPECT_EQ(back[i].file, b.objects[i].file);
    EXPECT_EQ(back[i].blocks, b.objects[i].blocks);
  }
  EXPECT_EQ(back[1].blocks.size(), 0u);
  ASSERT_EQ(back[2].blocks.size(), 3u);
  EXPECT_EQ(back[2].blocks[0], Print{});  // common: nothing is kept of it
  EXPECT_NE(back[2].blocks[1], Print{});
  EXPECT_EQ(back[2].blocks[1], back[2].blocks[2]);
}

// Equal blocks show in no file of the store.
TEST(Prints, ShowNothingWithoutTheKey) {
  const Batch b;
  const Bytes one = b.written(), two = b.written();
  EXPECT_TRUE(std::equal(one.begin(), one.begin() + 96, two.begin()));
  EXPECT_FALSE(std::equal(one.begin() + 108, one.end(), two.begin() + 108));
  const Print& p = b.objects[2].blocks[1];
  EXPECT_EQ(std::search(one.begin(), one.end(), p.begin(), p.end()), one.end());
  EXPECT_EQ(code_of([&] { open_prints(one, b.header, b.key, b.random.secret(64)); }), Code::ledger_damaged);
}

TEST(Prints, EveryAlteredByteIsNoticed) {
  const Batch b;
  const Bytes good = b.written();
  for (size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 1;
    EXPECT_EQ(code_of([&] { b.opened(bad); }), Code::ledger_damaged) << i;
  }
  for (size_t n : {size_t{0}, size_t{95}, size_t{107}, good.size() - 1})
    EXPECT_EQ(code_of([&] { b.opened(ByteView(good).first(n)); }), Code::ledger_damaged) << n;
  SegmentHeader other = b.header;
  other.batch = b.random.id<BatchId>();
  EXPECT_EQ(code_of([&] { open_prints(good, other, b.key, b.dataset_key); }), Code::ledger_damaged);
  EXPECT_EQ(code_of([&] { open_prints(good, b.header, b.random.id<DatasetKeyId>(), b.dataset_key); }),
            Code::ledger_damaged);
  EXPECT_EQ(code_of([&] {
              auto twice = b.objects;
              twice.push_back(twice[0]);
              write_prints(b.header, b.key, twice, b.dataset_key, b.random);
            }),
            Code::bad_input);
  EXPECT_EQ(code_of([&] { write_prints(b.header, b.key, {}, b.dataset_key, b.random); }), Code::bad_input);
}

}  // namespace
}  // namespace kesu
