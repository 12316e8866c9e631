// tests/vectors/sealed: makes the scenarios again from fixed randomness and compares them byte for byte, then
// judges every scenario in the folder by its own words. Write them with KESU_WRITE_VECTORS=1 bin/seal_test
// --gtest_filter='SealedVectors.*'.
#include "seal/vector_kit.h"

#include <gtest/gtest.h>

namespace kesu {
namespace {
using namespace test;

constexpr const char* kFolder = "sealed";
constexpr size_t kRecord0 = kRegionBytes, kChunk0 = kRegionBytes + 272, kWhole = kMinChunk + kTagBytes;

// A sealed file with all that is needed to check it.
struct Made {
  std::string file;
  Bytes bytes;
  SealRequest request;
  SealedObject object;
  Bytes data_key;
  std::map<VersionRef, Bytes> wrap_keys;
};

class Kit {
 public:
  explicit Kit(std::string seed) : random_("kesu vector " + seed), keys_(random_) {
    made_.file = seed + ".kesu";
    made_.request = request_for(random_, version(1));
    made_.request.metadata.mode = 0640;
  }
  SealRequest& request() { return made_.request; }
  VersionRef version(uint32_t n) {
    if (key_.is_zero()) key_ = random_.id<KeyId>();
    const VersionRef v{key_, n};
    if (!made_.wrap_keys.contains(v)) {
      keys_.make(v);
      made_.wrap_keys[v] = to_bytes(keys_.key(v).reveal());
    }
    return v;
  }
  Kit& seal(size_t size) {
    const Bytes plain = pattern(size);
    MemorySink sink;
    const WrapKey wrap = [&](const Secret& key, ByteView aad) {
      made_.data_key = to_bytes(key.reveal());
      return keys_.wrap(made_.request.version)(key, aad);
    };
    made_.object = seal_object(made_.request, memory_source(plain), sink.sink(), wrap, random_);
    made_.bytes = std::move(sink.data);
    return *this;
  }
  Kit& rewrap(uint32_t n) {
    const VersionRef v = version(n);
    const NextSlot next = rewrap_object(memory_input(made_.bytes), keys_.unwrap(), v, keys_.wrap(v));
    std::ranges::copy(slot_bytes(next.slot), made_.bytes.begin() + next.offset);
    return *this;
  }
  // A slot of generation `g` with another data key, everything else in it good.
  Bytes foreign_slot(uint64_t generation) {
    const ObjectHeader& h = made_.object.header;
    const Secret other = random_.secret(64);
    Slot slot;
    slot.generation = generation;
    slot.version = made_.request.version;
    slot.wrapped = keys_.wrap(slot.version)(other, wrap_aad(h.vault, h.dataset, h.object, slot.version));
    slot.hmac = slot_hmac(h.object, slot, other);
    const auto bytes = slot_bytes(slot);
    return Bytes(bytes.begin(), bytes.end());
  }
  const Made& made() {
    expect_committed(kFolder, made_.file, made_.bytes);
    return made_;
  }

 private:
  FixedRandom random_;
  Keys keys_;
  KeyId key_;
  Made made_;
};

Json scenario(const Made& made, const std::string& about, const std::string& expect) {
  Json keys = Json(Json::Object{});
  for (const auto& [version, key] : made.wrap_keys) keys.set(version.str(), hex(key));
  return Json::object({{"about", about}, {"file", made.file}, {"wrap_keys", keys}, {"expect", expect}});
}

void good(const std::string& name, const Made& made, const std::string& about, const VersionRef& opens_with,
          Json edits = {}, std::optional<VersionRef> without = {}) {
  Json s = scenario(made, about, "opened");
  if (without) s.set("wrap_keys", Json::object({{opens_with.str(), hex(made.wrap_keys.at(opens_with))}}));
  if (!edits.is_null()) s.set("edits", edits);
  const ObjectHeader& h = made.object.header;
  const Metadata& m = made.request.metadata;
  s.set("opens_with", opens_with.str());
  s.set("data_key", hex(made.data_key));
  s.set("algorithm", static_cast<int>(h.algorithm))
      .set("chunk", h.chunk)
      .set("payload_bound", h.payload_bound);
  s.set("vault", h.vault.str()).set("dataset", h.dataset.str()).set("object", h.object.str());
  s.set("commitment", hex(h.commitment))
      .set("payload_root", hex(made.object.payload_root))
      .set("leaf", hex(made.object.leaf));
  Json meta = Json::object({{"kind", m.kind},
                            {"name", name_to_json(m.name)},
                            {"mode", m.mode},
                            {"mtime", Json::array({m.mtime.seconds, m.mtime.nanos})}});
  if (m.size) meta.set("size", *m.size);
  s.set("metadata", meta);
  s.set("plain_bytes", made.object.plain_bytes)
      .set("plain_sha256", hex(sha256(pattern(made.object.plain_bytes))));
  expect_committed(kFolder, name + ".json", s);
}

void bad(const std::string& name, const Made& made, const std::string& about, Json edits,
         const std::string& expect) {
  Json s = scenario(made, about, expect);
  s.set("edits", std::move(edits));
  expect_committed(kFolder, name + ".json", s);
}

Json flip(size_t at, const char* with = "01") { return Json::object({{"at", at}, {"xor", with}}); }
Json set(size_t at, ByteView with) { return Json::object({{"at", at}, {"set", hex(with)}}); }
Json copy(size_t from, size_t at, size_t length) {
  return Json::object({{"copy", from}, {"at", at}, {"length", length}});
}
Json truncate(size_t size) { return Json::object({{"truncate", size}}); }
Json append(ByteView more) { return Json::object({{"append", hex(more)}}); }
Json one(Json edit) { return Json::array({std::move(edit)}); }

// A slot changed by someone who can compute its checksum but has no key.
Json reforged(const Made& made, size_t index, const std::function<void(Bytes&)>& change) {
  const size_t at = 1024 + index * kSlotBytes;
  Bytes slot(made.bytes.begin() + at, made.bytes.begin() + at + kSlotBytes);
  change(slot);
  std::ranges::copy(sha256(ByteView(slot).first(992)), slot.begin() + 992);
  return set(at, slot);
}

TEST(SealedVectors, GoodOnesAreWrittenAsCommitted) {
  Kit small("aes256-small");
  small.request().metadata.size = 100;
  good("good-aes256-small", small.seal(100).made(), "100 bytes, payload bound", small.version(1));

  Kit empty("aes256-empty");
  empty.request().metadata.size = 0;
  good("good-aes256-empty", empty.seal(0).made(), "an empty payload is one empty last chunk",
       empty.version(1));

  Kit exact("aes256-exact");
  good("good-aes256-exact", exact.seal(kMinChunk).made(), "exactly one chunk; a stream, so without size",
       exact.version(1));

  Kit chunks("aes256-chunks");
  chunks.request().metadata.size = 2 * kMinChunk + 5;
  good("good-aes256-chunks", chunks.seal(2 * kMinChunk + 5).made(), "three chunks", chunks.version(1));

  Kit chacha("chacha20-unbound");
  chacha.request().algorithm = AeadAlg::chacha20_poly1305;
  chacha.request().bind_payload = false;
  good("good-chacha20-unbound", chacha.seal(100).made(), "payload not bound: its root counts as zero",
       chacha.version(1));

  Kit camellia("camellia256-name");
  camellia.request().algorithm = AeadAlg::camellia256_gcm;
  camellia.request().metadata.name = "\xff\xfe/\x80";
  good("good-camellia256-name", camellia.seal(33).made(), "a name that is not UTF-8", camellia.version(1));

  Kit aes128("aes128-manifest");
  aes128.request().algorithm = AeadAlg::aes128_gcm;
  aes128.request().metadata.kind = "manifest";
  aes128.request().metadata.name = std::string(300, 'n');
  good("good-aes128-manifest", aes128.seal(33).made(),
       "first 16 bytes of K_enc; a long name makes record 0 longer", aes128.version(1));

  Kit moved("rewrapped");
  const Made& m = moved.seal(100).rewrap(2).made();
  good("good-rewrapped", m, "two slots: the newer one opens", moved.version(2));
  good("good-rewrapped-fallback", m, "the newer version's key is not there: the older slot opens",
       moved.version(1), {}, moved.version(2));
  good("good-torn", m, "a torn slot is survived", moved.version(1), one(set(2048 + 512, Bytes(512))));
  bad("bad-torn-magic", m, "torn within the magic: damage", one(flip(2048)), "sealed-damaged: slot 1 magic");
  bad("bad-both-torn", m, "no good slot", Json::array({flip(1024 + 90), flip(2048 + 90)}),
      "sealed-damaged: slot 0 checksum");
  bad("bad-slot-twice", m, "one generation in both slots", one(copy(1024, 2048, 1024)),
      "sealed-damaged: slot 1 generation");
  bad("bad-slot-forged", m, "a changed wrap with a fitting checksum; the older slot's key shows it",
      one(reforged(m, 1, [](Bytes& s) { s[80] ^= 1; })), "sealed-damaged: slot 1 HMAC");
  bad("bad-old-slot-forged", m, "the slot that was not needed is checked too",
      one(reforged(m, 0, [](Bytes& s) { s[100] ^= 1; })), "sealed-damaged: slot 0 HMAC");
}

TEST(SealedVectors, BadOnesAreWrittenAsCommitted) {
  Kit kit("aes256-small");
  kit.request().metadata.size = 100;
  const Made& s = kit.seal(100).made();
  const auto damaged_at = [&](const std::string& name, const std::string& about, Json edits,
                              const std::string& field) {
    bad("bad-" + name, s, about, std::move(edits), "sealed-damaged: " + field);
  };
  const auto number = [](std::initializer_list<uint8_t> b) { return Bytes(b); };
  damaged_at("magic", "not a sealed object", one(flip(0)), "magic");
  damaged_at("version", "format version 2", one(set(8, number({0, 2}))), "format version");
  damaged_at("algorithm", "algorithm 5", one(set(10, number({0, 5}))), "content algorithm");
  damaged_at("algorithm-swapped", "another algorithm than committed to", one(set(10, number({0, 2}))),
             "commitment");
  damaged_at("chunk-odd", "no power of two", one(set(12, number({0, 0, 0x60, 0}))), "chunk size");
  damaged_at("chunk-small", "8 KiB", one(set(12, number({0, 0, 0x20, 0}))), "chunk size");
  damaged_at("chunk-large", "8 MiB", one(set(12, number({0, 0x80, 0, 0}))), "chunk size");
  damaged_at("chunk-swapped", "another size than committed to", one(set(12, number({0, 1, 0, 0}))),
             "commitment");
  damaged_at("vault", "another vault: the wrap's AAD does not fit", one(flip(16)), "wrapped key");
  damaged_at("object", "another object: the wrap's AAD does not fit", one(flip(63)), "wrapped key");
  damaged_at("metadata-size", "no multiple of 256 and 16", one(flip(67)), "metadata size");
  damaged_at("metadata-none", "zero", one(set(64, number({0, 0, 0, 16}))), "metadata size");
  damaged_at("flags", "an unknown flag", one(flip(69, "02")), "flags");
  damaged_at("unbound", "the flag payload bound taken away", one(flip(69, "01")), "commitment");
  damaged_at("reserved-immutable", "must be zero", one(flip(95)), "reserved bytes");
  damaged_at("reserved-front", "must be zero", one(flip(128)), "reserved bytes");
  damaged_at("reserved-back", "must be zero", one(flip(4095)), "reserved bytes");
  damaged_at("commitment", "changed", one(flip(96)), "commitment");
  damaged_at("slot-checksum", "the only slot does not fit its checksum", one(flip(1024 + 500)),
             "slot 0 checksum");
  damaged_at("slot-magic", "the only slot's magic", one(flip(1024)), "slot 0 magic");
  damaged_at("slots-empty", "both slots zero", one(set(1024, Bytes(1024))), "slots");
  damaged_at("slot-unused", "the unused slot is neither zero nor a slot", one(flip(2048 + 20)),
             "slot 1 magic");
  using Change = std::function<void(Bytes&)>;
  const std::pair<std::string, Change> forged[] = {
      {"generation", [](Bytes& b) { b[15] = 0; }},
      {"key version", [](Bytes& b) { b[35] = 0; }},
      {"wrap algorithm", [](Bytes& b) { b[37] = 3; }},
      {"nonce length", [](Bytes& b) { b[39] = 33; }},
      {"blob length", [](Bytes& b) { b[40] = 3, b[41] = 0x51; }},
      {"reserved bytes", [](Bytes& b) { b[47] = 1; }},
      {"nonce", [](Bytes& b) { b[79] = 1; }},
      {"blob", [](Bytes& b) { b[927] = 1; }},
      {"HMAC", [](Bytes& b) { b[928] ^= 1; }},
  };
  for (const auto& [field, change] : forged) {
    std::string name = "slot-" + field;
    std::ranges::replace(name, ' ', '-');
    damaged_at(name, "with a fitting checksum", one(reforged(s, 0, change)), "slot 0 " + field);
  }
  damaged_at("wrapped-key", "the blob changed, with a fitting checksum",
             one(reforged(s, 0, [](Bytes& b) { b[80] ^= 1; })), "wrapped key");
  damaged_at("other-data-key", "a good slot for another data key", one(set(1024, kit.foreign_slot(1))),
             "commitment");
  damaged_at("record0", "changed", one(flip(kRecord0)), "record 0");
  damaged_at("record0-tag", "changed", one(flip(kChunk0 - 1)), "record 0");
  damaged_at("chunk", "changed", one(flip(kChunk0 + 50)), "chunk 0");
  damaged_at("tag", "changed", one(flip(s.bytes.size() - 1)), "chunk 0");
  damaged_at("nothing", "an empty file", one(truncate(0)), "header region");
  damaged_at("cut-in-region", "4,095 bytes", one(truncate(4095)), "header region");
  damaged_at("cut-in-record0", "the region and half of record 0", one(truncate(4200)), "length");
  damaged_at("cut-before-chunk", "no chunk", one(truncate(kChunk0)), "length");
  damaged_at("cut-one", "one byte less", one(truncate(s.bytes.size() - 1)), "length");
  damaged_at("extended-one", "one byte more", one(append(Bytes(1))), "length");

  Kit streamed("aes256-exact");
  const Made& e = streamed.seal(kMinChunk).made();
  bad("bad-stream-cut-one", e, "one byte less, no size in the metadata", one(truncate(e.bytes.size() - 1)),
      "sealed-damaged: chunk 0");
  bad("bad-stream-extended-one", e, "one byte more: less than a tag", one(append(Bytes(1))),
      "sealed-damaged: length");
  bad("bad-stream-extended", e, "a chunk of one byte more", one(append(Bytes(17))),
      "sealed-damaged: chunk 0");
  bad("bad-stream-doubled", e, "the last chunk twice", one(copy(kChunk0, kChunk0 + kWhole, kWhole)),
      "sealed-damaged: chunk 0");

  Kit several("aes256-chunks");
  several.request().metadata.size = 2 * kMinChunk + 5;
  const Made& c = several.seal(2 * kMinChunk + 5).made();
  bad("bad-chunks-swapped", c, "chunks 0 and 1 swapped",
      Json::array({copy(kChunk0, kChunk0 + kWhole, kWhole), copy(kChunk0 + kWhole, kChunk0, kWhole)}),
      "sealed-damaged: chunk 0");
  bad("bad-chunk-1", c, "a bit in chunk 1", one(flip(kChunk0 + kWhole + 7, "80")), "sealed-damaged: chunk 1");
  bad("bad-last-chunk-gone", c, "ends after chunk 1", one(truncate(kChunk0 + 2 * kWhole)),
      "sealed-damaged: length");
}

TEST(SealedVectors, EveryScenarioEndsAsItSays) {
  size_t opened = 0, refused = 0;
  for (const Scenario& s : scenarios(kFolder)) {
    SCOPED_TRACE(s.name);
    Keys keys;
    for (const auto& [version, key] : s.json.at("wrap_keys").as_object())
      keys.set(VersionRef::parse(version).value(), unhex_or_throw(key.as_string()));
    EXPECT_EQ(outcome(s.file, keys.unwrap()), s.json.str("expect"));
    if (s.json.str("expect") != "opened") {
      ++refused;
      continue;
    }
    ++opened;
    const Opened got = open_bytes(s.file, keys.unwrap());
    EXPECT_EQ(hex(sha256(got.plain)), s.json.str("plain_sha256"));
    EXPECT_EQ(got.object.version.str(), s.json.str("opens_with"));
    EXPECT_EQ(got.object.metadata.name, name_from_json(s.json.at("metadata").at("name")));
    EXPECT_EQ(hex(got.object.header.commitment), s.json.str("commitment"));
    EXPECT_EQ(hex(commitment_of(got.object.header, Secret::from(unhex_or_throw(s.json.str("data_key"))))),
              s.json.str("commitment"));
    const Digest32 root = payload_root_of(memory_input(s.file), got.object.header);
    EXPECT_EQ(hex(got.object.header.payload_bound ? root : Digest32{}), s.json.str("payload_root"));
    EXPECT_EQ(hex(inventory_leaf(got.object.header, root)), s.json.str("leaf"));
  }
  EXPECT_EQ(opened, 10u);
  EXPECT_GE(refused, 50u);
}

}  // namespace
}  // namespace kesu
