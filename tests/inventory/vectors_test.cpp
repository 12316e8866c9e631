// tests/vectors/inventory: made again from fixed randomness and compared, then judged scenario by scenario.
// Write them with KESU_WRITE_VECTORS=1 bin/inventory_test --gtest_filter='InventoryVectors.*'.
#include "inventory/segment.h"

#include <gtest/gtest.h>
#include "seal/vector_kit.h"

namespace kesu {
namespace {
using namespace test;

constexpr const char* kFolder = "inventory";
constexpr size_t kNonceAt = 80 + 2 * 48;

std::string segment_outcome(ByteView segment, const Secret& key) {
  static constexpr std::string_view kPrefix = "inventory segment is damaged: ";
  try {
    open_segment(segment, key);
    return "opened";
  } catch (const Error& e) {
    std::string text(code_text(e.code()));
    if (e.message().starts_with(kPrefix)) text += ": " + e.message().substr(kPrefix.size());
    return text;
  }
}

TEST(InventoryVectors, AreWrittenAsCommitted) {
  FixedRandom random("kesu vector inventory");
  const SegmentHeader header{random.id<VaultId>(), random.id<DatasetId>(), random.id<BatchId>(),
                             random.id<DatasetKeyId>()};
  const Bytes key = random.bytes(64);
  std::vector<SegmentObject> objects(2);
  Json rows = Json(Json::Array{});
  for (size_t i = 0; i < 2; ++i) {
    SegmentObject& o = objects[i];
    ObjectHeader h;
    h.vault = header.vault;
    h.dataset = header.dataset;
    h.object = o.object = random.id<ObjectId>();
    h.metadata_size = 272;
    h.payload_bound = i == 0;
    random.fill(h.commitment);
    Digest32 root;
    random.fill(root);
    o.leaf = inventory_leaf(h, root);
    o.name = i ? "\xff\xfe.bin" : "loans/2019/0001.csv";
    o.place = "/mnt/out/" + o.name + ".kesu";
    o.bytes = i ? 0 : 4096;
    o.mode = 0640;
    o.mtime = {1795252320, 123456789};
    o.ctime = {1795252321, 5};
    o.salt = random.bytes(16);
    if (i) o.supersedes = random.id<ObjectId>();
    rows.push(Json::object({{"object", o.object.str()},
                            {"immutable", hex(h.bytes())},
                            {"payload_root", hex(root)},
                            {"leaf", hex(o.leaf)},
                            {"name", name_to_json(o.name)}}));
  }
  const Bytes segment = write_segment(header, objects, Secret::from(key), random);
  expect_committed(kFolder, "two.seg", segment);
  const auto scenario = [&](const std::string& name, const std::string& about, const std::string& expect,
                            Json edits = {}, std::optional<Bytes> other_key = {}) {
    Json s = Json::object({{"about", about},
                           {"file", "two.seg"},
                           {"dataset_key", hex(other_key.value_or(key))},
                           {"expect", expect}});
    if (!edits.is_null()) s.set("edits", Json::array({std::move(edits)}));
    if (expect == "opened") s.set("root", hex(parse_segment_leaves(segment).root())).set("objects", rows);
    expect_committed(kFolder, name + ".json", s);
  };
  const auto flip = [](size_t at, const char* with = "01") {
    return Json::object({{"at", at}, {"xor", with}});
  };
  const auto damaged = [&](const std::string& name, const std::string& about, Json edits,
                           const std::string& field) {
    scenario("bad-" + name, about, "ledger-damaged: " + field, std::move(edits));
  };
  scenario("good-two", "two objects, the first with its payload bound", "opened");
  damaged("magic", "not a segment", flip(7), "magic");
  damaged("version", "version 0", flip(9), "version");
  damaged("reserved", "must be zero", flip(10), "reserved bytes");
  damaged("count-zero", "no objects", flip(15, "02"), "count");
  damaged("count-above", "1,001 objects", Json::object({{"at", 14}, {"set", "03e9"}}), "count");
  damaged("count-wrong", "three objects named, two there", flip(15), "index length");
  damaged("objects-twice", "one identifier twice", Json::object({{"copy", 80}, {"at", 128}, {"length", 48}}),
          "objects");
  damaged("vault", "another vault", flip(16), "index");
  damaged("leaf", "another leaf", flip(80 + 16), "index");
  damaged("nonce", "another nonce", flip(kNonceAt), "index");
  damaged("index", "changed", flip(kNonceAt + 20), "index");
  damaged("index-length", "one more than there", flip(kNonceAt + 15), "index length");
  damaged("cut-header", "79 bytes", Json::object({{"truncate", 79}}), "header");
  damaged("cut-leaves", "ends within the leaves", Json::object({{"truncate", 100}}), "length");
  damaged("cut-one", "one byte less", Json::object({{"truncate", segment.size() - 1}}), "index length");
  damaged("extended", "one byte more", Json::object({{"append", "00"}}), "index length");
  scenario("bad-key", "another dataset key", "ledger-damaged: index", {}, random.bytes(64));
}

TEST(InventoryVectors, EveryScenarioEndsAsItSays) {
  size_t count = 0;
  for (const Scenario& s : scenarios(kFolder)) {
    SCOPED_TRACE(s.name);
    ++count;
    const Secret key = Secret::from(unhex_or_throw(s.json.str("dataset_key")));
    EXPECT_EQ(segment_outcome(s.file, key), s.json.str("expect"));
    if (s.json.str("expect") != "opened") continue;
    EXPECT_EQ(hex(parse_segment_leaves(s.file).root()), s.json.str("root"));
    const auto objects = open_segment(s.file, key);
    const auto& rows = s.json.at("objects").as_array();
    ASSERT_EQ(objects.size(), rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(objects[i].object.str(), rows[i].str("object"));
      EXPECT_EQ(objects[i].name, name_from_json(rows[i].at("name")));
      const ObjectHeader h = parse_object_header(unhex_or_throw(rows[i].str("immutable")));
      EXPECT_EQ(hex(inventory_leaf(h, unhex32(rows[i].str("payload_root")).value())), rows[i].str("leaf"));
    }
  }
  EXPECT_GE(count, 18u);
}

}  // namespace
}  // namespace kesu
