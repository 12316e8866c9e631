// Inventory segments: what was written comes back, and nothing else does.
#include "inventory/segment.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "crypto/random.h"
#include "inventory/superseded.h"

namespace kesu {
namespace {

Digest32 some_digest() {
  Digest32 d;
  system_random().fill(d);
  return d;
}

std::vector<SegmentObject> objects(size_t count) {
  std::vector<SegmentObject> out(count);
  for (size_t i = 0; i < count; ++i) {
    SegmentObject& o = out[i];
    o.object = system_random().id<ObjectId>();
    o.leaf = some_digest();
    o.name = i % 3 == 2 ? std::string("\xff\x00\xfe", 3) + std::to_string(i)
                        : "loans/" + std::to_string(i) + ".csv";
    o.place = "/mnt/\xe5\x87\xba/" + o.name + ".kesu";
    o.bytes = i * 1'000'003;
    o.mode = 0640;
    o.mtime = {1795252320 + static_cast<int64_t>(i), 123456789};
    o.ctime = {-1, 999'999'999};
    o.salt = system_random().bytes(16);
    if (i % 2) o.supersedes = system_random().id<ObjectId>();
  }
  return out;
}

class Segment : public testing::Test {
 protected:
  SegmentHeader header_{system_random().id<VaultId>(), system_random().id<DatasetId>(),
                        system_random().id<BatchId>(), system_random().id<DatasetKeyId>()};
  Secret key_ = system_random().secret(64);
  Bytes write(const std::vector<SegmentObject>& list) {
    return write_segment(header_, list, key_, system_random());
  }
};

std::optional<Code> open_error(ByteView segment, const Secret& key) {
  try {
    open_segment(segment, key);
  } catch (const Error& e) {
    return e.code();
  }
  return std::nullopt;
}

TEST_F(Segment, WhatItsObjectsWereSealedOver) {
  std::vector<SegmentObject> in = objects(7);
  std::vector<ObjectId> over;
  for (const SegmentObject& o : in)
    if (o.supersedes) over.push_back(*o.supersedes);
  EXPECT_EQ(superseded_by(write(in), key_), over);
  for (SegmentObject& o : in) o.supersedes.reset();
  EXPECT_EQ(superseded_by(write(in), key_), std::vector<ObjectId>());
  in[3].name = "supersedes";  // a file's name alone says nothing
  EXPECT_EQ(superseded_by(write(in), key_), std::vector<ObjectId>());
  Bytes bytes = write(in);
  EXPECT_THROW(superseded_by(bytes, system_random().secret(64)), Error);
  bytes.back() ^= 1;
  EXPECT_THROW(superseded_by(bytes, key_), Error);
}

TEST_F(Segment, RoundTrip) {
  for (const size_t count : {size_t{1}, size_t{2}, size_t{3}, size_t{7}, kMaxBatch}) {
    const std::vector<SegmentObject> in = objects(count);
    const Bytes bytes = write(in);
    const SegmentLeaves leaves = parse_segment_leaves(bytes);
    EXPECT_EQ(leaves.header.vault, header_.vault);
    EXPECT_EQ(leaves.header.dataset, header_.dataset);
    EXPECT_EQ(leaves.header.batch, header_.batch);
    EXPECT_EQ(leaves.header.dataset_key, header_.dataset_key);
    const std::vector<SegmentObject> out = open_segment(bytes, key_);
    ASSERT_EQ(out.size(), count);
    ASSERT_EQ(leaves.objects.size(), count);
    std::vector<Digest32> roots;
    for (size_t i = 0; i < count; ++i) {
      EXPECT_EQ(leaves.objects[i], std::pair(in[i].object, in[i].leaf));
      EXPECT_EQ(out[i].object, in[i].object);
      EXPECT_EQ(out[i].leaf, in[i].leaf);
      EXPECT_EQ(out[i].name, in[i].name);
      EXPECT_EQ(out[i].place, in[i].place);
      EXPECT_EQ(out[i].bytes, in[i].bytes);
      EXPECT_EQ(out[i].mode, in[i].mode);
      EXPECT_EQ(out[i].mtime, in[i].mtime);
      EXPECT_EQ(out[i].ctime, in[i].ctime);
      EXPECT_EQ(out[i].salt, in[i].salt);
      EXPECT_EQ(out[i].supersedes, in[i].supersedes);
      roots.push_back(in[i].leaf);
    }
    EXPECT_EQ(leaves.root(), tree_root(roots));
  }
}

TEST_F(Segment, NamesAreNotReadableWithoutTheKey) {
  std::vector<SegmentObject> list = objects(1);
  list[0].name = "a-name-that-would-stand-out";
  const Bytes bytes = write(list);
  EXPECT_EQ(as_text(bytes).find("stand-out"), std::string_view::npos);
  EXPECT_NE(write(list), bytes);  // a fresh nonce each time
}

TEST_F(Segment, EveryByteCounts) {
  Bytes bytes = write(objects(2));
  ASSERT_FALSE(open_error(bytes, key_));
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const uint8_t flip : {uint8_t{0x01}, uint8_t{0x80}}) {
      bytes[at] ^= flip;
      ASSERT_EQ(open_error(bytes, key_), Code::ledger_damaged) << at;
      bytes[at] ^= flip;
    }
  }
}

TEST_F(Segment, EveryTruncationAndAnExtension) {
  Bytes bytes = write(objects(2));
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_EQ(open_error(ByteView(bytes).first(size), key_), Code::ledger_damaged) << size;
    EXPECT_THROW(parse_segment_leaves(ByteView(bytes).first(size)), Error) << size;
  }
  bytes.push_back(0);
  EXPECT_EQ(open_error(bytes, key_), Code::ledger_damaged);
}

TEST_F(Segment, AnotherKeyOrAnotherSegmentsIndex) {
  const Bytes bytes = write(objects(2)), other = write(objects(2));
  EXPECT_EQ(open_error(bytes, system_random().secret(64)), Code::ledger_damaged);
  EXPECT_EQ(open_error(bytes, system_random().secret(32)), Code::bad_input);
  Bytes mixed(bytes.begin(), bytes.begin() + 80 + 96);
  mixed.insert(mixed.end(), other.begin() + 80 + 96, other.end());
  EXPECT_EQ(open_error(mixed, key_), Code::ledger_damaged);
}

TEST_F(Segment, WhatIsNoBatchIsRefused) {
  EXPECT_THROW(write({}), Error);
  EXPECT_THROW(write(objects(kMaxBatch + 1)), Error);
  std::vector<SegmentObject> twice = objects(2);
  twice[1].object = twice[0].object;
  EXPECT_THROW(write(twice), Error);
  std::vector<SegmentObject> salt = objects(1);
  salt[0].salt.pop_back();
  EXPECT_THROW(write(salt), Error);
}

TEST(DatasetKey, AadNamesEverything) {
  const VaultId vault = system_random().id<VaultId>();
  const DatasetId dataset = system_random().id<DatasetId>();
  const DatasetKeyId key = system_random().id<DatasetKeyId>();
  const VersionRef version{system_random().id<KeyId>(), 0x01020304};
  ByteWriter w;
  w.raw(as_bytes("kesu-dataset-key-v1"))
      .raw(vault.bytes())
      .raw(dataset.bytes())
      .raw(key.bytes())
      .raw(version.key.bytes());
  w.u8(1).u8(2).u8(3).u8(4);
  EXPECT_EQ(dataset_key_aad(vault, dataset, key, version), w.bytes());
}

}  // namespace
}  // namespace kesu
