// Whatever is changed in a sealed object, it does not open.
#include "support.h"

#include <gtest/gtest.h>

namespace kesu {
namespace {
using namespace test;

class Damage : public testing::Test {
 protected:
  Damage() {
    version_ = keys_.make({system_random().id<KeyId>(), 1});
    request_ = request_for(system_random(), version_);
    request_.metadata.size = std::nullopt;  // the size would give every wrong length away
  }
  Bytes seal(size_t size, uint8_t seed = 1) {
    request_.object = system_random().id<ObjectId>();
    return seal_bytes(request_, pattern(size, seed), keys_);
  }
  std::string result(ByteView sealed) { return outcome(sealed, keys_.unwrap()); }

  static constexpr size_t kRecord = kMinChunk + kTagBytes;
  static constexpr size_t kPayloadAt = kRegionBytes + 272;
  Keys keys_;
  VersionRef version_;
  SealRequest request_;
};

TEST_F(Damage, EveryBitPatternInTheHeaderRegion) {
  Bytes sealed = seal(10);
  ASSERT_EQ(result(sealed), "opened");
  for (size_t at = 0; at < kRegionBytes; ++at) {
    for (const uint8_t flip : {uint8_t{0x01}, uint8_t{0x80}}) {
      sealed[at] ^= flip;
      ASSERT_TRUE(result(sealed).starts_with("sealed-damaged")) << "byte " << at << ": " << result(sealed);
      sealed[at] ^= flip;
    }
  }
}

TEST_F(Damage, EveryByteOfSmallObjects) {
  for (const AeadAlg algorithm :
       {AeadAlg::aes256_gcm, AeadAlg::chacha20_poly1305, AeadAlg::camellia256_gcm}) {
    request_.algorithm = algorithm;
    for (const size_t size : {size_t{0}, size_t{1}, size_t{300}}) {
      Bytes sealed = seal(size);
      for (size_t at = kRegionBytes; at < sealed.size(); ++at) {
        sealed[at] ^= 0x10;
        const std::string want = at < kPayloadAt ? "sealed-damaged: record 0" : "sealed-damaged: chunk 0";
        ASSERT_EQ(result(sealed), want) << at;
        sealed[at] ^= 0x10;
      }
    }
  }
}

TEST_F(Damage, OneByteOfEachChunk) {
  Bytes sealed = seal(3 * kMinChunk + 5);
  for (size_t chunk = 0; chunk < 4; ++chunk) {
    for (const size_t inside : {size_t{0}, size_t{20}}) {
      const size_t at = kPayloadAt + chunk * kRecord + inside;
      sealed[at] ^= 1;
      Bytes before;
      EXPECT_EQ(code_of([&] { open_bytes(sealed, keys_.unwrap(), &before); }), Code::sealed_damaged);
      EXPECT_EQ(before, Bytes(pattern(chunk * kMinChunk)));  // what left was whole, in order, and no more
      EXPECT_EQ(result(sealed), "sealed-damaged: chunk " + std::to_string(chunk));
      sealed[at] ^= 1;
    }
  }
}

TEST_F(Damage, TruncatedAtEveryInterestingLength) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{kMinChunk}, size_t{kMinChunk} + 1,
                            size_t{2 * kMinChunk}, size_t{3 * kMinChunk} + 5}) {
    const Bytes sealed = seal(size);
    std::set<size_t> lengths{0,
                             1,
                             127,
                             128,
                             129,
                             1023,
                             1024,
                             2048,
                             3072,
                             4095,
                             4096,
                             4097,
                             kPayloadAt - 1,
                             kPayloadAt,
                             kPayloadAt + 1,
                             kPayloadAt + 15,
                             kPayloadAt + 16,
                             kPayloadAt + 17};
    for (size_t end = kPayloadAt; end <= sealed.size() + kRecord; end += kRecord)
      for (const size_t near : {end - 17, end - 16, end - 1, end, end + 1, end + 15, end + 16, end + 17})
        lengths.insert(near);
    for (size_t less = 1; less <= 40; ++less) lengths.insert(sealed.size() - less);
    for (const size_t length : lengths) {
      if (length >= sealed.size()) continue;
      const std::string got = result(ByteView(sealed).first(length));
      ASSERT_TRUE(got.starts_with("sealed-damaged")) << size << " cut to " << length << ": " << got;
    }
  }
}

TEST_F(Damage, Extended) {
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{kMinChunk}, size_t{kMinChunk} + 1, size_t{2 * kMinChunk} - 1}) {
    const Bytes sealed = seal(size);
    for (const size_t more :
         {size_t{1}, size_t{15}, size_t{16}, size_t{17}, kRecord - 1, kRecord, kRecord + 1, 2 * kRecord}) {
      Bytes longer = sealed;
      longer.resize(sealed.size() + more);
      ASSERT_TRUE(result(longer).starts_with("sealed-damaged")) << size << " + " << more;
    }
    Bytes twice = sealed;  // its own last record once more
    twice.insert(twice.end(), sealed.begin() + kPayloadAt, sealed.end());
    ASSERT_TRUE(result(twice).starts_with("sealed-damaged"));
  }
}

TEST_F(Damage, ChunksReorderedDroppedOrFromElsewhere) {
  const Bytes sealed = seal(3 * kMinChunk), other = seal(3 * kMinChunk, 2);
  const auto record = [&](size_t i) { return sealed.begin() + kPayloadAt + i * kRecord; };
  Bytes swapped = sealed;
  std::swap_ranges(swapped.begin() + kPayloadAt, swapped.begin() + kPayloadAt + kRecord,
                   swapped.begin() + kPayloadAt + kRecord);
  EXPECT_EQ(result(swapped), "sealed-damaged: chunk 0");
  Bytes dropped(sealed.begin(), record(1));
  dropped.insert(dropped.end(), record(2), sealed.end());
  EXPECT_EQ(result(dropped), "sealed-damaged: chunk 1");
  Bytes spliced = sealed;
  std::copy_n(other.begin() + kPayloadAt + kRecord, kRecord, spliced.begin() + kPayloadAt + kRecord);
  EXPECT_EQ(result(spliced), "sealed-damaged: chunk 1");
  Bytes record0 = sealed;
  std::copy_n(other.begin() + kRegionBytes, 272, record0.begin() + kRegionBytes);
  EXPECT_EQ(result(record0), "sealed-damaged: record 0");
}

TEST_F(Damage, AnotherObjectsHeader) {
  const Bytes one = seal(500), two = seal(500);
  Bytes region = one;  // whole region: its key opens, its records do not fit
  std::copy_n(two.begin(), kRegionBytes, region.begin());
  EXPECT_EQ(result(region), "sealed-damaged: record 0");
  Bytes immutable = one;  // immutable part alone: the AAD names another object
  std::copy_n(two.begin(), kImmutableBytes, immutable.begin());
  EXPECT_EQ(result(immutable), "sealed-damaged: wrapped key");
  Bytes slot = one;
  std::copy_n(two.begin() + 1024, kSlotBytes, slot.begin() + 1024);
  EXPECT_EQ(result(slot), "sealed-damaged: wrapped key");
}

// Who may wrap can make a slot that opens to another data key. The header commits to the one it was sealed
// under.
TEST_F(Damage, ASlotWithAnotherDataKeyFailsAtTheCommitment) {
  Bytes sealed = seal(500);
  const ObjectHeader h = inspect_object(memory_input(sealed)).region.header;
  const Secret other = system_random().secret(64);
  Slot slot;
  slot.generation = 1;
  slot.version = version_;
  slot.wrapped = keys_.wrap(version_)(other, wrap_aad(h.vault, h.dataset, h.object, version_));
  slot.hmac = slot_hmac(h.object, slot, other);
  std::ranges::copy(slot_bytes(slot), sealed.begin() + 1024);
  EXPECT_EQ(result(sealed), "sealed-damaged: commitment");

  slot.hmac = {};
  std::ranges::copy(slot_bytes(slot), sealed.begin() + 1024);
  EXPECT_EQ(result(sealed), "sealed-damaged: slot 0 HMAC");
}

// Half of the key kept: K_mac passes every HMAC, the commitment still binds K_enc.
TEST_F(Damage, TheCommitmentBindsTheEncryptionKeyToo) {
  const Bytes sealed = seal(500);
  const UnwrapKey half = [&](const Slot& slot, ByteView aad) {
    Secret key = keys_.unwrap()(slot, aad);
    key.reveal()[0] ^= 1;
    return key;
  };
  EXPECT_EQ(outcome(sealed, half), "sealed-damaged: commitment");
  const UnwrapKey shorter = [&](const Slot&, ByteView) { return Secret(32); };
  EXPECT_EQ(outcome(sealed, shorter), "sealed-damaged: data key");
}

TEST_F(Damage, ForgedSlotsAreSeenThoughTheOtherOneOpens) {
  const Bytes sealed = seal(500);
  const Region region = inspect_object(memory_input(sealed)).region;
  Slot forged = *region.slots[0];
  const auto with = [&](const Slot& slot) {
    Bytes out = sealed;
    std::ranges::copy(slot_bytes(slot), out.begin() + 2048);
    return out;
  };
  EXPECT_EQ(result(with(forged)), "sealed-damaged: slot 1 generation");
  forged.generation = 2;
  EXPECT_EQ(result(with(forged)), "sealed-damaged: slot 1 HMAC");
  forged.wrapped.blob[0] ^= 1;  // does not unwrap: slot 0 is the fallback, and its key tells the forgery
  EXPECT_EQ(result(with(forged)), "sealed-damaged: slot 1 HMAC");
  forged.version.version = 9;
  EXPECT_EQ(result(with(forged)), "sealed-damaged: slot 1 HMAC");
}

TEST_F(Damage, TwoSlotsEveryByte) {
  Bytes sealed = seal(10);
  const NextSlot next = rewrap_object(memory_input(sealed), keys_.unwrap(), version_, keys_.wrap(version_));
  std::ranges::copy(slot_bytes(next.slot), sealed.begin() + next.offset);
  for (size_t at = 1024; at < 3072; ++at) {
    sealed[at] ^= 0x80;
    const size_t inside = at % kSlotBytes;
    if (inside < 8)
      ASSERT_TRUE(result(sealed).ends_with(" magic")) << at;
    else
      ASSERT_EQ(result(sealed), "opened") << at;  // a torn slot
    sealed[at] ^= 0x80;
  }
  for (const size_t at : {size_t{1100}, size_t{2124}}) sealed[at] ^= 1;  // both torn
  EXPECT_EQ(result(sealed), "sealed-damaged: slot 0 checksum");
}

TEST_F(Damage, MetadataSizeAgainstThePayload) {
  request_.metadata.size = 100;
  Bytes sealed = seal(100);
  ASSERT_EQ(result(sealed), "opened");
  sealed.push_back(0);
  EXPECT_EQ(result(sealed), "sealed-damaged: length");
}

}  // namespace
}  // namespace kesu
