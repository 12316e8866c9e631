// Sealing and opening: the STREAM construction over fixed chunks, record 0 in front.
#include "seal/object.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "seal/damage.h"
#include "seal/record_tree.h"

namespace kesu {

namespace {
constexpr size_t kDataKeyBytes = 64;
constexpr size_t kPad = 256, kMaxPlainMetadata = 65536;

using Nonce = std::array<uint8_t, 12>;

Nonce metadata_nonce() {
  Nonce n{};
  n[0] = 1;
  return n;
}

Nonce chunk_nonce(uint64_t index, bool last) {
  Nonce n{};
  for (size_t i = 0; i < 8; ++i) n[3 + i] = static_cast<uint8_t>(index >> (56 - 8 * i));
  n[11] = last;
  return n;
}

std::span<const uint8_t> content_key(const Secret& data_key, AeadAlg algorithm) {
  return data_key.reveal().first(aead_key_size(algorithm));
}

// Two record buffers of a thread, kept from object to object: a million small files would otherwise pay for
// clearing fresh pages each time. What plaintext stood in them is wiped when the object is done.
class Buffers {
 public:
  explicit Buffers(size_t record_size) : store_(std::exchange(spare(), Store{})), size_(record_size) {
    if (store_.each < record_size) {
      store_.data = std::make_unique_for_overwrite<uint8_t[]>(2 * record_size);
      store_.each = record_size;
    }
  }
  Buffers(const Buffers&) = delete;
  Buffers& operator=(const Buffers&) = delete;
  ~Buffers() {
    const bool failed =
        std::uncaught_exceptions() > exceptions_;  // then nobody said how far a buffer was filled
    for (size_t i = 0; i < 2; ++i) wipe({store_.data.get() + i * store_.each, failed ? size_ : used_[i]});
    spare() = std::move(store_);
  }
  // Buffer 0 or 1, of the whole record size.
  std::span<uint8_t> get(size_t index) { return {store_.data.get() + index * store_.each, size_}; }
  // The first `count` bytes of it are wiped at the end.
  void used(size_t index, size_t count) { used_[index] = std::max(used_[index], count); }

 private:
  struct Store {
    std::unique_ptr<uint8_t[]> data;
    size_t each = 0;
  };
  static Store& spare() {
    thread_local Store store;
    return store;
  }
  Store store_;
  size_t size_;
  size_t used_[2] = {0, 0};
  int exceptions_ = std::uncaught_exceptions();
};

// Fills `out` from short reads; less than its size only at the end of the source.
size_t read_full(const Source& source, std::span<uint8_t> out) {
  size_t got = 0;
  while (got < out.size()) {
    const size_t n = source(out.subspan(got));
    if (n == 0) break;
    if (n > out.size() - got) throw Error(Code::failed, "a source gave more bytes than it was asked for");
    got += n;
  }
  return got;
}

Error changed(uint64_t wanted, uint64_t got) {
  return Error(Code::conflict, "the source changed while it was read")
      .cause(std::to_string(wanted) + " bytes were announced, " + std::to_string(got) + " or more were read")
      .next("seal it again when nothing writes to it");
}

Json time_json(const FileTime& t) { return Json::array({t.seconds, t.nanos}); }

FileTime time_of(const Json& value) {
  if (value.as_array().size() != 2) throw Error(Code::bad_input, "a time has two members");
  return {value.as_array()[0].as_int(), value.as_array()[1].as_int()};
}

std::string metadata_problem(const Metadata& m) {
  if (m.kind != "file" && m.kind != "manifest") return "kind is neither file nor manifest";
  if (m.mode > 07777) return "mode has other than permission bits";
  if (m.mtime.nanos < 0 || m.mtime.nanos > 999'999'999) return "mtime's nanoseconds are not within a second";
  return "";
}

size_t slot_index(const Region& region, const Slot& slot) {
  return region.slots[0] && &slot == &*region.slots[0] ? 0 : 1;
}

// The key must fit header and slots, each proven by its own field.
void check_key(const Region& region, const Slot& opened, const Secret& data_key) {
  const ObjectHeader& h = region.header;
  const auto check_slot = [&](const Slot& slot) {
    const size_t index = slot_index(region, slot);
    if (!equal_constant_time(slot_hmac(h.object, slot, data_key), slot.hmac))
      throw damaged("slot " + std::to_string(index) + " HMAC", 1024 + index * kSlotBytes + 928,
                    "does not fit the key");
  };
  check_slot(opened);
  if (!equal_constant_time(commitment_of(h, data_key), h.commitment))
    throw damaged("commitment", 96, "header and key do not belong together");
  for (const Slot* slot : region.usable())
    if (slot != &opened) check_slot(*slot);
}

struct Unlocked {
  Secret data_key;
  const Slot* slot;
};

Secret unwrap_slot(const Region& region, const Slot& slot, const UnwrapKey& unwrap) {
  const ObjectHeader& h = region.header;
  const uint64_t at = 1024 + slot_index(region, slot) * kSlotBytes + 80;
  Secret key;
  try {
    key = unwrap(slot, wrap_aad(h.vault, h.dataset, h.object, slot.version));
  } catch (const Error& e) {
    if (e.code() == Code::sealed_damaged) throw damaged("wrapped key", at, e.message());
    throw;
  }
  if (key.size() != kDataKeyBytes)
    throw damaged("data key", at, "unwrapping gave " + std::to_string(key.size()) + " bytes, not 64");
  return key;
}

Unlocked unlock(const Region& region, const UnwrapKey& unwrap) {
  std::exception_ptr first;
  for (const Slot* slot : region.usable()) {
    Secret key;
    try {
      key = unwrap_slot(region, *slot, unwrap);
    } catch (const Error&) {
      if (!first) first = std::current_exception();
      continue;
    }
    check_key(region, *slot, key);
    return {std::move(key), slot};
  }
  std::rethrow_exception(first);
}

// Where record `index` of the payload lies, and how long it is.
struct Extent {
  uint64_t offset;
  size_t size;
  bool last;
};
Extent chunk_extent(const ObjectHeader& h, uint64_t file_size, uint64_t index) {
  const uint64_t whole = h.chunk + kTagBytes;
  const uint64_t offset = kRegionBytes + h.metadata_size + index * whole;
  const uint64_t left = file_size - offset;
  return {offset, static_cast<size_t>(std::min(left, whole)), left <= whole};
}

uint64_t whole_payload(const ObjectHeader& h, uint64_t file_size) {
  const auto size = payload_size(h, file_size);
  if (!size) throw damaged("length", file_size, "no payload gives an object of this length");
  return *size;
}
}  // namespace

Bytes Metadata::plaintext() const {
  if (const std::string problem = metadata_problem(*this); !problem.empty())
    throw Error(Code::bad_input, "metadata: " + problem);
  Json json = Json::object(
      {{"kind", kind}, {"name", name_to_json(name)}, {"mode", mode}, {"mtime", time_json(mtime)}});
  if (size) json.set("size", *size);
  const std::string text = json.canonical();
  const size_t padded = (4 + text.size() + kPad - 1) / kPad * kPad;
  if (padded > kMaxPlainMetadata)
    throw Error(Code::bad_input, "the name is too long to be sealed")
        .cause(std::to_string(name.size()) + " bytes");
  ByteWriter w;
  w.u32(static_cast<uint32_t>(text.size())).raw(as_bytes(text)).zeros(padded - 4 - text.size());
  return std::move(w).bytes();
}

Metadata Metadata::parse(ByteView plaintext) {
  try {
    ByteReader r(plaintext);
    const uint32_t length = r.u32();
    const ByteView text = r.raw(length);
    if (r.failed()) throw Error(Code::bad_input, "its length does not fit");
    const Json json = parse_canonical_json(as_text(text), "metadata");
    Metadata m;
    m.kind = json.str("kind");
    m.name = name_from_json(json.at("name"));
    const int64_t mode = json.num("mode");
    if (mode < 0 || mode > 07777) throw Error(Code::bad_input, "mode is out of range");
    m.mode = static_cast<uint32_t>(mode);
    m.mtime = time_of(json.at("mtime"));
    if (json.has("size")) {
      if (json.num("size") < 0) throw Error(Code::bad_input, "size is negative");
      m.size = static_cast<uint64_t>(json.num("size"));
    }
    // Unknown members, other paddings and other spellings of a name would all be written differently.
    if (m.plaintext() != to_bytes(plaintext))
      throw Error(Code::bad_input, "it is not in its one canonical form");
    return m;
  } catch (const Error& e) {
    throw Error(Code::sealed_damaged, "sealed object is damaged: metadata").cause(e.message());
  }
}

SealedObject seal_object(const SealRequest& request, const Source& source, const Sink& sink,
                         const WrapKey& wrap, Random& random) {
  const Bytes metadata = request.metadata.plaintext();
  SealedObject out;
  ObjectHeader& h = out.header;
  h.algorithm = request.algorithm;
  h.chunk = request.chunk;
  h.vault = request.vault;
  h.dataset = request.dataset;
  h.object = request.object;
  h.metadata_size = static_cast<uint32_t>(metadata.size() + kTagBytes);
  h.payload_bound = request.bind_payload;
  if (parse_object_header(h.bytes()) != h) throw Error(Code::bad_input, "no object can be sealed so");

  const Secret data_key = random.secret(kDataKeyBytes);
  h.commitment = commitment_of(h, data_key);
  Slot slot;
  slot.generation = 1;
  slot.version = request.version;
  slot.wrapped = wrap(data_key, wrap_aad(h.vault, h.dataset, h.object, slot.version));
  slot.hmac = slot_hmac(h.object, slot, data_key);
  Aead aead(h.algorithm, content_key(data_key, h.algorithm));

  RecordTree tree;
  uint64_t at = kRegionBytes;
  const auto put = [&](ByteView record) {
    if (h.payload_bound) tree.add(record);
    sink(at, record);
    at += record.size();
  };
  put(aead.seal(metadata_nonce(), {}, metadata));

  // One chunk of look-ahead tells the last one; records are made in place.
  Buffers buffers(h.chunk + kTagBytes);
  const auto fill = [&](size_t which) {
    const size_t n = read_full(source, buffers.get(which).first(h.chunk));
    buffers.used(which, n);
    out.plain_bytes += n;
    if (request.metadata.size && out.plain_bytes > *request.metadata.size)
      throw changed(*request.metadata.size, out.plain_bytes);
    return n;
  };
  size_t current = 0, size = fill(0);
  for (uint64_t index = 0;; ++index) {
    const size_t following = size == h.chunk ? fill(1 - current) : 0;
    const bool last = following == 0;
    const std::span<uint8_t> record = buffers.get(current).first(size + kTagBytes);
    if (last && request.metadata.size && out.plain_bytes != *request.metadata.size)
      throw changed(*request.metadata.size, out.plain_bytes);
    aead.seal(AeadNonce(chunk_nonce(index, last)), {}, record.first(size), record);
    put(record);
    if (last) break;
    current = 1 - current;
    size = following;
  }

  if (h.payload_bound) out.payload_root = tree.root();
  out.leaf = inventory_leaf(h, out.payload_root);
  out.sealed_bytes = at;
  sink(0, region_bytes(h, slot));
  return out;
}

ObjectInfo inspect_object(const SealedInput& in) {
  if (in.size < kRegionBytes) throw damaged("header region", in.size, "the file ends before its 4096 bytes");
  std::array<uint8_t, kRegionBytes> region;
  in.read(0, region);
  ObjectInfo info;
  info.region = parse_region(region);
  info.file_size = in.size;
  info.payload_size = whole_payload(info.region.header, in.size);
  return info;
}

Digest32 payload_root_of(const SealedInput& in, const ObjectHeader& header) {
  whole_payload(header, in.size);
  Buffers buffers(std::max<size_t>(header.chunk + kTagBytes, header.metadata_size));
  RecordTree tree;
  const auto add = [&](uint64_t offset, size_t size) {
    const std::span<uint8_t> record = buffers.get(0).first(size);
    in.read(offset, record);
    tree.add(record);
  };
  add(kRegionBytes, header.metadata_size);
  for (uint64_t index = 0;; ++index) {
    const Extent e = chunk_extent(header, in.size, index);
    add(e.offset, e.size);
    if (e.last) return tree.root();
  }
}

OpenedObject open_object(const SealedInput& in, const UnwrapKey& unwrap,
                         const std::function<void(const Metadata&)>& begin,
                         const std::function<void(ByteView)>& sink) {
  const ObjectInfo info = inspect_object(in);
  const ObjectHeader& h = info.region.header;
  const Unlocked unlocked = unlock(info.region, unwrap);
  Aead aead(h.algorithm, content_key(unlocked.data_key, h.algorithm));

  OpenedObject out;
  out.header = h;
  out.version = unlocked.slot->version;
  out.plain_bytes = info.payload_size;

  Bytes record0(h.metadata_size);
  in.read(kRegionBytes, record0);
  const auto metadata = aead.open(metadata_nonce(), {}, record0);
  if (!metadata) throw damaged("record 0", kRegionBytes, "does not authenticate");
  out.metadata = Metadata::parse(*metadata);
  if (out.metadata.size && *out.metadata.size != info.payload_size)
    throw damaged(
        "length", in.size,
        "holds " + std::to_string(info.payload_size) + " bytes, not " + std::to_string(*out.metadata.size));
  begin(out.metadata);

  Buffers buffers(h.chunk + kTagBytes);
  for (uint64_t index = 0;; ++index) {
    const Extent e = chunk_extent(h, in.size, index);
    const std::span<uint8_t> record = buffers.get(0).first(e.size), plain = record.first(e.size - kTagBytes);
    buffers.used(0, e.size);
    in.read(e.offset, record);
    if (!aead.open(AeadNonce(chunk_nonce(index, e.last)), {}, record, plain))
      throw damaged("chunk " + std::to_string(index), e.offset, "does not authenticate");
    if (!plain.empty()) sink(plain);
    if (e.last) return out;
  }
}

VersionRef opening_version(const SealedInput& in, const UnwrapKey& unwrap) {
  const ObjectInfo info = inspect_object(in);
  return unlock(info.region, unwrap).slot->version;
}

NextSlot rewrap_object(const SealedInput& in, const UnwrapKey& unwrap, const VersionRef& version,
                       const WrapKey& wrap) {
  const ObjectInfo info = inspect_object(in);
  const ObjectHeader& h = info.region.header;
  const Unlocked unlocked = unlock(info.region, unwrap);
  const Slot& newest = *info.region.usable().front();
  NextSlot next;
  // Never the slot that opened: until the new one is durable it is the only proven way in.
  next.index = 1 - slot_index(info.region, *unlocked.slot);
  next.slot.generation = newest.generation + 1;
  next.slot.version = version;
  next.slot.wrapped = wrap(unlocked.data_key, wrap_aad(h.vault, h.dataset, h.object, version));
  next.slot.hmac = slot_hmac(h.object, next.slot, unlocked.data_key);
  next.before = unlocked.slot->version;
  next.offset = 1024 + next.index * kSlotBytes;
  return next;
}

}  // namespace kesu
