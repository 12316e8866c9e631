// Inventory segments: writing and strict reading.
#include "inventory/segment.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "crypto/aead.h"
#include "inventory/superseded.h"

namespace kesu {

namespace {
constexpr std::string_view kMagic = "KESU-SEG";
constexpr size_t kFixedBytes = 80, kPerObject = 48, kNonceBytes = 12, kSaltBytesOfObject = 16;
constexpr size_t kDatasetKeyBytes = 64;
// A thousand names and places of 65,535 bytes each, all of characters that take six in JSON, and some. Such
// batches are not made any more, and stay readable.
constexpr size_t kMaxIndex = 1u << 30;

Error damaged_segment(std::string_view field, std::string why) {
  return Error(Code::ledger_damaged, "inventory segment is damaged: " + std::string(field))
      .cause(std::move(why));
}

std::span<const uint8_t> index_key(const Secret& dataset_key) {
  if (dataset_key.size() != kDatasetKeyBytes)
    throw Error(Code::bad_input, "a dataset key has 64 bytes, not " + std::to_string(dataset_key.size()));
  return dataset_key.reveal().first(32);
}

Json time_json(const FileTime& t) { return Json::array({t.seconds, t.nanos}); }
FileTime time_of(const Json& value) {
  if (value.as_array().size() != 2) throw Error(Code::bad_input, "a time has two members");
  return {value.as_array()[0].as_int(), value.as_array()[1].as_int()};
}

std::string id_hex(const ObjectId& id) { return hex(id.bytes()); }
Bytes sixteen(const std::string& text) {
  auto bytes = unhex(text);
  if (!bytes || bytes->size() != 16) throw Error(Code::bad_input, "not 32 hexadecimal digits");
  return std::move(*bytes);
}

Json index_row(const SegmentObject& o) {
  Json row = Json::object({{"object", id_hex(o.object)},
                           {"name", name_to_json(o.name)},
                           {"place", name_to_json(o.place)},
                           {"bytes", o.bytes},
                           {"mode", o.mode},
                           {"mtime", time_json(o.mtime)},
                           {"ctime", time_json(o.ctime)},
                           {"salt", hex(o.salt)}});
  if (o.inode) row.set("inode", std::to_string(o.inode));
  if (o.supersedes) row.set("supersedes", id_hex(*o.supersedes));
  return row;
}

SegmentObject object_of(const Json& row) {
  SegmentObject o;
  o.object = ObjectId(ByteView(sixteen(row.str("object"))));
  o.name = name_from_json(row.at("name"));
  o.place = name_from_json(row.at("place"));
  if (row.num("bytes") < 0 || row.num("mode") < 0 || row.num("mode") > 07777)
    throw Error(Code::bad_input, "bytes or mode out of range");
  o.bytes = static_cast<uint64_t>(row.num("bytes"));
  o.mode = static_cast<uint32_t>(row.num("mode"));
  o.mtime = time_of(row.at("mtime"));
  o.ctime = time_of(row.at("ctime"));
  o.salt = sixteen(row.str("salt"));
  if (row.has("inode")) {
    const std::string& digits = row.str("inode");
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), o.inode);
    if (error != std::errc() || end != digits.data() + digits.size() || std::to_string(o.inode) != digits ||
        !o.inode)
      throw Error(Code::bad_input, "inode is no number");
  }
  if (row.has("supersedes")) o.supersedes = ObjectId(ByteView(sixteen(row.str("supersedes"))));
  return o;
}

// The parts of a segment whose lengths fit each other.
struct Parts {
  SegmentLeaves leaves;
  ByteView before_nonce, nonce, sealed;
};

Parts split(ByteView segment) {
  if (segment.size() < kFixedBytes) throw damaged_segment("header", "it ends before its 80 bytes");
  ByteReader r(segment);
  Parts p;
  if (as_text(r.raw(kMagic.size())) != kMagic) throw damaged_segment("magic", "not KESU-SEG");
  if (const uint16_t version = r.u16(); version != 1)
    throw damaged_segment("version", std::to_string(version) + " is not known here");
  if (r.u16() != 0) throw damaged_segment("reserved bytes", "must be zero");
  const uint32_t count = r.u32();
  if (count == 0 || count > kMaxBatch)
    throw damaged_segment("count", std::to_string(count) + " is not within 1 to 1000");
  SegmentHeader& h = p.leaves.header;
  h.vault = VaultId(r.raw(16));
  h.dataset = DatasetId(r.raw(16));
  h.batch = BatchId(r.raw(16));
  h.dataset_key = DatasetKeyId(r.raw(16));
  if (r.left() < count * kPerObject + kNonceBytes + 4 + kAeadTag)
    throw damaged_segment("length", "it ends before its last field");
  std::set<ObjectId> seen;
  for (uint32_t i = 0; i < count; ++i) {
    const ObjectId object(r.raw(16));
    Digest32 leaf;
    std::ranges::copy(r.raw(32), leaf.begin());
    if (!seen.insert(object).second) throw damaged_segment("objects", object.str() + " stands there twice");
    p.leaves.objects.emplace_back(object, leaf);
  }
  p.before_nonce = segment.first(r.offset());
  p.nonce = r.raw(kNonceBytes);
  const uint32_t length = r.u32();
  if (length != r.left() || length < kAeadTag)
    throw damaged_segment("index length",
                          std::to_string(length) + " named, " + std::to_string(r.left()) + " there");
  p.sealed = r.raw(length);
  return p;
}
}  // namespace

Digest32 SegmentLeaves::root() const {
  std::vector<Digest32> leaves;
  leaves.reserve(objects.size());
  for (const auto& [object, leaf] : objects) leaves.push_back(leaf);
  return tree_root(leaves);
}

Bytes write_segment(const SegmentHeader& header, const std::vector<SegmentObject>& objects,
                    const Secret& dataset_key, Random& random) {
  if (objects.empty() || objects.size() > kMaxBatch)
    throw Error(Code::bad_input, "a batch has 1 to 1000 objects, not " + std::to_string(objects.size()));
  ByteWriter w;
  w.raw(as_bytes(kMagic)).u16(1).u16(0).u32(static_cast<uint32_t>(objects.size()));
  w.raw(header.vault.bytes())
      .raw(header.dataset.bytes())
      .raw(header.batch.bytes())
      .raw(header.dataset_key.bytes());
  Json rows = Json(Json::Array{});
  std::set<ObjectId> seen;
  for (const SegmentObject& o : objects) {
    if (o.salt.size() != kSaltBytesOfObject) throw Error(Code::bad_input, "an object's salt has 16 bytes");
    if (!seen.insert(o.object).second)
      throw Error(Code::bad_input, o.object.str() + " stands twice in a batch");
    w.raw(o.object.bytes()).raw(o.leaf);
    rows.push(index_row(o));
  }
  const std::string index = Json::object({{"objects", std::move(rows)}}).canonical();
  std::array<uint8_t, kNonceBytes> nonce;
  random.fill(nonce);
  const Bytes sealed =
      Aead(AeadAlg::aes256_gcm, index_key(dataset_key)).seal(AeadNonce(nonce), w.bytes(), as_bytes(index));
  w.raw(nonce).u32(static_cast<uint32_t>(sealed.size())).raw(sealed);
  return std::move(w).bytes();
}

SegmentLeaves parse_segment_leaves(ByteView segment) { return split(segment).leaves; }

namespace {
Bytes open_index(const Parts& p, const Secret& dataset_key) {
  auto index = Aead(AeadAlg::aes256_gcm, index_key(dataset_key))
                   .open(AeadNonce(p.nonce.data(), kNonceBytes), p.before_nonce, p.sealed);
  if (!index) throw damaged_segment("index", "does not authenticate under this dataset key");
  return std::move(*index);
}

std::vector<SegmentObject> read_index(const Parts& p, ByteView index) {
  try {
    const Json json = parse_canonical_json(as_text(index), "inventory index", {.max_bytes = kMaxIndex});
    std::vector<SegmentObject> out;
    for (const Json& row : json.at("objects").as_array()) {
      const SegmentObject& o = out.emplace_back(object_of(row));
      if (index_row(o) != row) throw Error(Code::bad_input, "unknown members, or another spelling of a name");
    }
    if (json.size() != 1 || out.size() != p.leaves.objects.size())
      throw Error(Code::bad_input, "it does not list the segment's objects");
    for (size_t i = 0; i < out.size(); ++i) {
      if (out[i].object != p.leaves.objects[i].first)
        throw Error(Code::bad_input, "other objects, or another order");
      out[i].leaf = p.leaves.objects[i].second;
    }
    return out;
  } catch (const Error& e) {
    throw damaged_segment("index", e.message());
  }
}
}  // namespace

std::vector<SegmentObject> open_segment(ByteView segment, const Secret& dataset_key) {
  const Parts p = split(segment);
  return read_index(p, open_index(p, dataset_key));
}

std::vector<ObjectId> superseded_by(ByteView segment, const Secret& dataset_key) {
  const Parts p = split(segment);
  const Bytes index = open_index(p, dataset_key);
  std::vector<ObjectId> out;
  // The member's name, or a file's that holds these letters; then the objects are read.
  if (as_text(index).find("supersedes") == std::string_view::npos) return out;
  for (const SegmentObject& o : read_index(p, index))
    if (o.supersedes) out.push_back(*o.supersedes);
  return out;
}

Bytes dataset_key_aad(const VaultId& vault, const DatasetId& dataset, const DatasetKeyId& key,
                      const VersionRef& version) {
  ByteWriter w;
  w.raw(as_bytes("kesu-dataset-key-v1")).raw(vault.bytes()).raw(dataset.bytes()).raw(key.bytes());
  w.raw(version.key.bytes()).u32(version.version);
  return std::move(w).bytes();
}

}  // namespace kesu
