// Round trips, keys, metadata, re-wrapping.
#include "seal/object.h"

#include <gtest/gtest.h>

#include "support.h"

namespace kesu {
namespace {
using namespace test;

struct Shape {
  AeadAlg algorithm;
  uint32_t chunk;
};

class RoundTrip : public testing::TestWithParam<Shape> {};

TEST_P(RoundTrip, GivesBackEverySizeAtTheEdgesOfChunks) {
  const auto [algorithm, chunk] = GetParam();
  Keys keys;
  const VersionRef version = keys.make({system_random().id<KeyId>(), 3});
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{chunk} - 1, size_t{chunk}, size_t{chunk} + 1, 3 * size_t{chunk} + 5}) {
    for (const bool bound : {true, false}) {
      SealRequest request = request_for(system_random(), version);
      request.algorithm = algorithm;
      request.chunk = chunk;
      request.bind_payload = bound;
      if (bound) request.metadata.size = size;
      const Bytes plain = pattern(size);
      MemorySink sink;
      const SealedObject sealed =
          seal_object(request, memory_source(plain, 7777), sink.sink(), keys.wrap(version), system_random());
      ASSERT_TRUE(sink.finished);
      ASSERT_EQ(sealed.plain_bytes, size);
      ASSERT_EQ(sealed.sealed_bytes, sink.data.size());
      ASSERT_EQ(sealed_size(sealed.header, size), sink.data.size());
      ASSERT_EQ(payload_size(sealed.header, sink.data.size()), size);

      const SealedInput in = memory_input(sink.data);
      const ObjectInfo info = inspect_object(in);
      ASSERT_EQ(info.region.header, sealed.header);
      ASSERT_EQ(info.payload_size, size);
      const Digest32 root = payload_root_of(in, sealed.header);
      if (bound)
        ASSERT_EQ(root, sealed.payload_root);
      else
        ASSERT_EQ(sealed.payload_root, Digest32{});
      ASSERT_EQ(inventory_leaf(info.region.header, root), sealed.leaf);

      const Opened opened = open_bytes(sink.data, keys.unwrap());
      ASSERT_EQ(opened.plain, plain);
      ASSERT_EQ(opened.begins, 1);
      ASSERT_EQ(opened.object.version, version);
      ASSERT_EQ(opened.object.plain_bytes, size);
      ASSERT_EQ(opened.object.metadata.name, request.metadata.name);
      ASSERT_EQ(opened.object.metadata.mtime, request.metadata.mtime);
      ASSERT_EQ(opened.object.metadata.size, request.metadata.size);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    AllAlgorithms, RoundTrip,
    testing::Values(Shape{AeadAlg::aes256_gcm, kMinChunk}, Shape{AeadAlg::aes256_gcm, kDefaultChunk},
                    Shape{AeadAlg::aes256_gcm, kMaxChunk}, Shape{AeadAlg::chacha20_poly1305, kMinChunk},
                    Shape{AeadAlg::chacha20_poly1305, kDefaultChunk},
                    Shape{AeadAlg::camellia256_gcm, kMinChunk},
                    Shape{AeadAlg::camellia256_gcm, kDefaultChunk}, Shape{AeadAlg::aes128_gcm, kMinChunk},
                    Shape{AeadAlg::aes128_gcm, 64 * 1024}),
    [](const auto& shape) {
      return "alg" + std::to_string(static_cast<int>(shape.param.algorithm)) + "_" +
             std::to_string(shape.param.chunk);
    });

TEST(Sizes, OnlyLengthsThatAPayloadGivesAreLengths) {
  ObjectHeader h;
  h.chunk = kMinChunk;
  h.metadata_size = 272;
  std::set<uint64_t> real;
  for (uint64_t payload = 0; payload <= 2 * kMinChunk + 40; ++payload) {
    const uint64_t whole = sealed_size(h, payload);
    ASSERT_TRUE(real.insert(whole).second);
    ASSERT_EQ(payload_size(h, whole), payload);
  }
  for (uint64_t size = 0; size <= *real.rbegin(); ++size)
    ASSERT_EQ(payload_size(h, size).has_value(), real.contains(size));
}

TEST(DataKeys, NoTwoSealsShareKeyOrCiphertext) {
  Keys keys;
  const VersionRef version = keys.make({system_random().id<KeyId>(), 1});
  SealRequest request = request_for(system_random(), version);
  const Bytes plain = pattern(100);
  std::set<Bytes> payloads;
  for (int i = 0; i < 200; ++i) {
    if (i == 100) {  // an attempt that dies on the way counts as much
      MemorySink sink;
      int reads = 0;
      const Source dies = [&](std::span<uint8_t> out) -> size_t {
        if (++reads > 3) throw Error(Code::io_failed, "gone");
        std::ranges::fill(out, uint8_t{0});
        return out.size();
      };
      EXPECT_EQ(
          code_of([&] { seal_object(request, dies, sink.sink(), keys.wrap(version), system_random()); }),
          Code::io_failed);
      EXPECT_FALSE(sink.finished);
    }
    const Bytes sealed = seal_bytes(request, plain, keys);
    payloads.emplace(sealed.begin() + kRegionBytes, sealed.end());
  }
  EXPECT_EQ(payloads.size(), 200u);
  EXPECT_EQ(keys.seen.size(), 201u);
  EXPECT_EQ(std::set<Digest32>(keys.seen.begin(), keys.seen.end()).size(), 201u);
}

TEST(Changed, SourceOfAnotherSizeLeavesNoHeader) {
  Keys keys;
  const VersionRef version = keys.make({system_random().id<KeyId>(), 1});
  for (const size_t announced : {size_t{0}, size_t{5}, size_t{kMinChunk}, size_t{3 * kMinChunk}}) {
    for (const size_t given : {size_t{1}, size_t{4}, size_t{kMinChunk} + 1, size_t{3 * kMinChunk} + 1}) {
      SealRequest request = request_for(system_random(), version);
      request.metadata.size = announced;
      MemorySink sink;
      const Bytes plain = pattern(given);
      const auto act = [&] {
        seal_object(request, memory_source(plain), sink.sink(), keys.wrap(version), system_random());
      };
      ASSERT_EQ(code_of(act), Code::conflict) << announced << " " << given;
      ASSERT_FALSE(sink.finished);
      ASSERT_EQ(outcome(sink.data, keys.unwrap()), "sealed-damaged: magic");
    }
  }
}

TEST(Names, AreBytesOfAnyLengthThatFits) {
  for (const std::string& name :
       {std::string("a"), std::string("\xff\xfe/\x80x"), std::string("\xe5\xb8\xb3\xe7\xa5\xa8.csv"),
        std::string("nul\0in", 6), std::string("e\xcc\x81"), std::string("\xc3\xa9"), std::string(40000, 'n'),
        std::string(40000, '\xff'), std::string("")}) {
    Metadata m;
    m.name = name;
    m.kind = "manifest";
    m.mode = 07755;
    m.mtime = {-5, 999'999'999};
    const Bytes plain = m.plaintext();
    EXPECT_EQ(plain.size() % 256, 0u);
    const Metadata back = Metadata::parse(plain);
    EXPECT_EQ(back.name, name);
    EXPECT_EQ(back.kind, "manifest");
    EXPECT_EQ(back.mode, 07755u);
    EXPECT_EQ(back.mtime, m.mtime);
    EXPECT_FALSE(back.size);
  }
  Metadata m;
  m.name = std::string(66000, 'n');
  EXPECT_EQ(code_of([&] { m.plaintext(); }), Code::bad_input);
}

Bytes record_of(std::string_view json, size_t padded = 256) {
  ByteWriter w;
  w.u32(static_cast<uint32_t>(json.size())).raw(as_bytes(json)).zeros(padded - 4 - json.size());
  return w.bytes();
}

TEST(Names, MetadataHasOneForm) {
  const std::string good = R"({"kind":"file","mode":420,"mtime":[1,2],"name":"a","size":3})";
  EXPECT_EQ(Metadata::parse(record_of(good)).size, 3u);
  for (const std::string_view bad : {R"({"kind":"file","mode":420,"mtime":[1,2],"name":"a","size":3,"x":1})",
                                     R"({"kind":"file","mode":420,"mtime":[1,2],"name":"a","size":-3})",
                                     R"({"kind":"link","mode":420,"mtime":[1,2],"name":"a"})",
                                     R"({"kind":"file","mode":4096,"mtime":[1,2],"name":"a"})",
                                     R"({"kind":"file","mode":420,"mtime":[1,1000000000],"name":"a"})",
                                     R"({"kind":"file","mode":420,"mtime":[1],"name":"a"})",
                                     R"({"kind":"file","mode":420,"mtime":[1,2],"name":{"b64":"YQ=="}})",
                                     R"({"kind":"file", "mode":420,"mtime":[1,2],"name":"a"})",
                                     R"({"mode":420,"mtime":[1,2],"name":"a"})", R"([])", ""}) {
    EXPECT_EQ(code_of([&] { Metadata::parse(record_of(bad)); }), Code::sealed_damaged) << bad;
  }
  EXPECT_EQ(code_of([&] { Metadata::parse(record_of(good, 512)); }), Code::sealed_damaged);
  EXPECT_EQ(code_of([&] { Metadata::parse(Bytes(3)); }), Code::sealed_damaged);
  Bytes padding = record_of(good);
  padding.back() = 1;
  EXPECT_EQ(code_of([&] { Metadata::parse(padding); }), Code::sealed_damaged);
}

TEST(Requests, WhatTheFormatCannotSayIsRefused) {
  Keys keys;
  const VersionRef version = keys.make({system_random().id<KeyId>(), 1});
  for (const uint32_t chunk : {0u, 1u, 100'000u, kMinChunk / 2, kMaxChunk * 2}) {
    SealRequest request = request_for(system_random(), version);
    request.chunk = chunk;
    MemorySink sink;
    EXPECT_TRUE(code_of(
        [&] { seal_object(request, memory_source({}), sink.sink(), keys.wrap(version), system_random()); }));
    EXPECT_FALSE(sink.finished);
  }
  EXPECT_TRUE(keys.seen.empty());
}

class Rewrap : public testing::Test {
 protected:
  Rewrap() {
    old_ = keys_.make({key_, 1});
    new_ = keys_.make({key_, 2});
    request_ = request_for(system_random(), old_);
    sealed_ = seal_bytes(request_, plain_, keys_);
  }
  void rewrap(const VersionRef& version) {
    const NextSlot next = rewrap_object(memory_input(sealed_), keys_.unwrap(), version, keys_.wrap(version));
    std::ranges::copy(slot_bytes(next.slot), sealed_.begin() + next.offset);
    written_.push_back(next.index);
  }
  Keys keys_;
  KeyId key_ = system_random().id<KeyId>();
  VersionRef old_, new_;
  SealRequest request_;
  Bytes plain_ = pattern(1000), sealed_;
  std::vector<size_t> written_;
};

TEST_F(Rewrap, HighestGenerationWinsAndTheOtherIsTheFallback) {
  const Digest32 leaf = inventory_leaf(inspect_object(memory_input(sealed_)).region.header, {});
  rewrap(new_);
  Opened opened = open_bytes(sealed_, keys_.unwrap());
  EXPECT_EQ(opened.object.version, new_);
  EXPECT_EQ(opened.plain, plain_);
  EXPECT_EQ(keys_.unwraps, 2);  // one to re-wrap, one to open: the older slot was not asked
  EXPECT_EQ(inventory_leaf(opened.object.header, {}), leaf);
  EXPECT_EQ(keys_.seen[0], keys_.seen[1]);

  keys_.drop(new_);
  opened = open_bytes(sealed_, keys_.unwrap());
  EXPECT_EQ(opened.object.version, old_);
  EXPECT_EQ(opened.plain, plain_);
}

TEST_F(Rewrap, AlternatesSlotsAndOutlivesTheOldVersions) {
  rewrap(new_);
  const VersionRef third = keys_.make({key_, 3});
  rewrap(third);
  keys_.drop(old_);
  keys_.drop(new_);
  rewrap(third);
  EXPECT_EQ(written_, (std::vector<size_t>{1, 0, 1}));
  EXPECT_EQ(open_bytes(sealed_, keys_.unwrap()).object.version, third);
}

TEST_F(Rewrap, WritesOverTheSlotThatDidNotOpen) {
  rewrap(new_);      // slot 1, generation 2
  keys_.drop(new_);  // its version is gone; slot 0 still opens
  rewrap(old_);      // must not take slot 0
  EXPECT_EQ(written_, (std::vector<size_t>{1, 1}));
  EXPECT_EQ(open_bytes(sealed_, keys_.unwrap()).plain, plain_);
}

TEST_F(Rewrap, TheFirstErrorIsTheOneThatIsTold) {
  rewrap(new_);
  const UnwrapKey none = [&](const Slot& slot, ByteView) -> Secret {
    if (slot.version == new_) throw Error(Code::provider_unavailable, "away");
    throw Error(Code::object_absent, "gone");
  };
  EXPECT_EQ(outcome(sealed_, none), "provider-unavailable");
}

TEST_F(Rewrap, ATornWriteAtAnyByteIsSurvived) {
  Bytes whole = sealed_;
  const NextSlot next = rewrap_object(memory_input(sealed_), keys_.unwrap(), new_, keys_.wrap(new_));
  const auto slot = slot_bytes(next.slot);
  for (size_t written = 0; written <= kSlotBytes; ++written) {
    std::copy_n(slot.begin(), written, whole.begin() + next.offset);
    if (written > 0 &&
        written < 8) {  // no device tears there; the rule for what is torn needs the whole magic
      ASSERT_EQ(outcome(whole, keys_.unwrap()), "sealed-damaged: slot 1 magic");
      continue;
    }
    const Opened opened = open_bytes(whole, keys_.unwrap());
    ASSERT_EQ(opened.plain, plain_);
    ASSERT_EQ(opened.object.version, written == kSlotBytes ? new_ : old_) << written;
  }
  // And over an older generation, both ways round.
  sealed_ = whole;
  const VersionRef third = keys_.make({key_, 3});
  const NextSlot later = rewrap_object(memory_input(sealed_), keys_.unwrap(), third, keys_.wrap(third));
  ASSERT_EQ(later.index, 0u);
  const auto bytes = slot_bytes(later.slot);
  for (const bool front : {true, false}) {
    whole = sealed_;
    std::copy_n(bytes.begin() + (front ? 0 : 512), 512, whole.begin() + later.offset + (front ? 0 : 512));
    const ObjectInfo info = inspect_object(memory_input(whole));
    EXPECT_EQ(info.region.states[0], SlotState::torn);
    EXPECT_EQ(info.region.states[1], SlotState::good);
    EXPECT_EQ(open_bytes(whole, keys_.unwrap()).object.version, new_);
  }
}

}  // namespace
}  // namespace kesu
