// The sealed object's header region: writing and strict reading.
#include "seal/format.h"

#include <algorithm>

#include "base/error.h"
#include "crypto/hash.h"
#include "crypto/mac.h"
#include "seal/damage.h"

namespace kesu {

namespace {
constexpr std::string_view kObjectMagic = "KESU-OBJ";
constexpr std::string_view kSlotMagic = "KESUSLOT";
constexpr uint16_t kFormatVersion = 1;
constexpr uint16_t kFlagBound = 1;
constexpr size_t kCommitmentAt = 96;
constexpr size_t kNonceMax = 32, kBlobMax = 848;
constexpr size_t kSlotHmacAt = 928, kSlotSumAt = 992;
constexpr size_t kDataKeyBytes = 64;
constexpr uint32_t kMetadataUnit = 256, kMaxMetadata = 65552;

constexpr size_t slot_at(size_t index) { return 1024 + index * kSlotBytes; }

bool all_zero(ByteView b) {
  return std::all_of(b.begin(), b.end(), [](uint8_t v) { return v == 0; });
}

bool has_magic(ByteView b, std::string_view magic) { return as_text(b.first(magic.size())) == magic; }

void check_zero(ByteView whole, size_t from, size_t to, std::string_view field, size_t base) {
  for (size_t i = from; i < to; ++i)
    if (whole[i]) throw damaged(field, base + i, "must be zero");
}

std::span<const uint8_t> part_of_key(const Secret& data_key, size_t offset) {
  if (data_key.size() != kDataKeyBytes)
    throw Error(Code::bad_input, "a data key has 64 bytes, not " + std::to_string(data_key.size()));
  return data_key.reveal().subspan(offset, 32);
}

std::array<uint8_t, kImmutableBytes> immutable_bytes(const ObjectHeader& h, const Digest32& commitment) {
  ByteWriter w;
  w.raw(as_bytes(kObjectMagic)).u16(kFormatVersion).u16(static_cast<uint16_t>(h.algorithm)).u32(h.chunk);
  w.raw(h.vault.bytes()).raw(h.dataset.bytes()).raw(h.object.bytes());
  w.u32(h.metadata_size).u16(h.payload_bound ? kFlagBound : 0).zeros(26).raw(commitment);
  std::array<uint8_t, kImmutableBytes> out;
  std::copy_n(w.bytes().begin(), kImmutableBytes, out.begin());
  return out;
}

// Slot bytes 0 to 927, what its HMAC covers.
Bytes slot_covered(const Slot& s) {
  if (s.wrapped.nonce.size() > kNonceMax)
    throw Error(Code::bad_input, "a wrapped data key's nonce has at most 32 bytes, not " +
                                     std::to_string(s.wrapped.nonce.size()));
  if (s.wrapped.blob.empty() || s.wrapped.blob.size() > kBlobMax)
    throw Error(Code::bad_input,
                "a wrapped data key has 1 to 848 bytes, not " + std::to_string(s.wrapped.blob.size()));
  if (s.generation == 0 || s.version.version == 0)
    throw Error(Code::bad_input, "generations and key versions count from 1");
  ByteWriter w;
  w.raw(as_bytes(kSlotMagic)).u64(s.generation).raw(s.version.key.bytes()).u32(s.version.version);
  w.u16(static_cast<uint16_t>(s.wrapped.algorithm));
  w.u16(static_cast<uint16_t>(s.wrapped.nonce.size()))
      .u16(static_cast<uint16_t>(s.wrapped.blob.size()))
      .zeros(6);
  w.raw(s.wrapped.nonce).zeros(kNonceMax - s.wrapped.nonce.size());
  w.raw(s.wrapped.blob).zeros(kBlobMax - s.wrapped.blob.size());
  return std::move(w).bytes();
}

bool slot_sum_good(ByteView b) {
  return std::ranges::equal(sha256(b.first(kSlotSumAt)), b.subspan(kSlotSumAt));
}

// Of a slot whose checksum is good: what is malformed now was written so.
Slot parse_slot(ByteView b, size_t index) {
  const std::string name = "slot " + std::to_string(index) + " ";
  const size_t base = slot_at(index);
  if (!has_magic(b, kSlotMagic)) throw damaged(name + "magic", base, "not KESUSLOT");
  ByteReader r(b.subspan(kSlotMagic.size()));
  Slot s;
  s.generation = r.u64();
  s.version.key = KeyId(r.raw(16));
  s.version.version = r.u32();
  const uint16_t algorithm = r.u16(), nonce = r.u16(), blob = r.u16();
  if (s.generation == 0) throw damaged(name + "generation", base + 8, "zero");
  if (s.version.version == 0) throw damaged(name + "key version", base + 32, "zero");
  if (algorithm != static_cast<uint16_t>(WrapAlg::aes256_gcm) &&
      algorithm != static_cast<uint16_t>(WrapAlg::rsa_oaep_sha256))
    throw damaged(name + "wrap algorithm", base + 36, "unknown number " + std::to_string(algorithm));
  s.wrapped.algorithm = static_cast<WrapAlg>(algorithm);
  if (nonce > kNonceMax)
    throw damaged(name + "nonce length", base + 38, std::to_string(nonce) + " is above 32");
  if (blob == 0 || blob > kBlobMax)
    throw damaged(name + "blob length", base + 40, std::to_string(blob) + " is not within 1 to 848");
  check_zero(b, 42, 48, name + "reserved bytes", base);
  s.wrapped.nonce = to_bytes(b.subspan(48, nonce));
  check_zero(b, 48 + nonce, 80, name + "nonce", base);
  s.wrapped.blob = to_bytes(b.subspan(80, blob));
  check_zero(b, 80 + blob, kSlotHmacAt, name + "blob", base);
  std::copy_n(b.begin() + kSlotHmacAt, 32, s.hmac.begin());
  check_zero(b, kSlotHmacAt + 32, kSlotSumAt, name + "reserved bytes", base);
  return s;
}
}  // namespace

Error damaged(std::string_view field, uint64_t offset, std::string_view why) {
  return Error(Code::sealed_damaged, "sealed object is damaged: " + std::string(field))
      .cause("byte " + std::to_string(offset) + ": " + std::string(why));
}

std::array<uint8_t, kImmutableBytes> ObjectHeader::bytes() const {
  return immutable_bytes(*this, commitment);
}

std::vector<const Slot*> Region::usable() const {
  std::vector<const Slot*> out;
  for (const auto& slot : slots)
    if (slot) out.push_back(&*slot);
  std::ranges::sort(out, [](const Slot* a, const Slot* b) { return a->generation > b->generation; });
  return out;
}

ObjectHeader parse_object_header(ByteView b) {
  if (b.size() != kImmutableBytes) throw damaged("immutable part", b.size(), "has not its 128 bytes");
  if (!has_magic(b, kObjectMagic)) throw damaged("magic", 0, "not KESU-OBJ");
  ByteReader r(b.subspan(kObjectMagic.size()));
  ObjectHeader h;
  if (const uint16_t version = r.u16(); version != kFormatVersion)
    throw damaged("format version", 8, std::to_string(version) + " is not known here")
        .next("if a newer kesu made the object, open it with that one");
  const uint16_t number = r.u16();
  const auto algorithm = aead_from_number(number);
  if (!algorithm) throw damaged("content algorithm", 10, "unknown number " + std::to_string(number));
  h.algorithm = *algorithm;
  h.chunk = r.u32();
  if (h.chunk < kMinChunk || h.chunk > kMaxChunk || (h.chunk & (h.chunk - 1)))
    throw damaged("chunk size", 12, std::to_string(h.chunk) + " is no power of two within 16384 to 4194304");
  h.vault = VaultId(r.raw(16));
  h.dataset = DatasetId(r.raw(16));
  h.object = ObjectId(r.raw(16));
  h.metadata_size = r.u32();
  if (h.metadata_size < kAeadTag + kMetadataUnit || h.metadata_size > kMaxMetadata ||
      (h.metadata_size - kAeadTag) % kMetadataUnit)
    throw damaged("metadata size", 64, std::to_string(h.metadata_size) + " is no size of record 0");
  const uint16_t flags = r.u16();
  if (flags & ~kFlagBound) throw damaged("flags", 68, "unknown flag set");
  h.payload_bound = flags & kFlagBound;
  check_zero(b, 70, kCommitmentAt, "reserved bytes", 0);
  std::copy_n(b.begin() + kCommitmentAt, 32, h.commitment.begin());
  return h;
}

Region parse_region(ByteView b) {
  if (b.size() != kRegionBytes) throw damaged("header region", b.size(), "has not its 4096 bytes");
  Region region;
  region.header = parse_object_header(b.first(kImmutableBytes));
  check_zero(b, kImmutableBytes, slot_at(0), "reserved bytes", 0);
  check_zero(b, slot_at(2), kRegionBytes, "reserved bytes", 0);

  for (size_t i = 0; i < 2; ++i) {
    const ByteView s = b.subspan(slot_at(i), kSlotBytes);
    if (all_zero(s)) continue;
    if (slot_sum_good(s)) {
      region.slots[i] = parse_slot(s, i);
      region.states[i] = SlotState::good;
    } else {
      region.states[i] = SlotState::torn;
    }
  }
  for (size_t i = 0; i < 2; ++i) {
    if (region.states[i] != SlotState::torn) continue;
    const std::string name = "slot " + std::to_string(i) + " ";
    if (!has_magic(b.subspan(slot_at(i), kSlotBytes), kSlotMagic))
      throw damaged(name + "magic", slot_at(i), "not KESUSLOT");
    if (region.states[1 - i] != SlotState::good)
      throw damaged(name + "checksum", slot_at(i) + kSlotSumAt, "does not fit, and no other slot is good");
  }
  if (!region.slots[0] && !region.slots[1]) throw damaged("slots", slot_at(0), "both are empty");
  if (region.slots[0] && region.slots[1] && region.slots[0]->generation == region.slots[1]->generation)
    throw damaged("slot 1 generation", slot_at(1) + 8, "the same as slot 0's");
  return region;
}

HmacSha256 header_hmac(const Secret& data_key) { return HmacSha256(part_of_key(data_key, 32)); }

Digest32 commitment_of(const ObjectHeader& header, const Secret& data_key, HmacSha256& hmac) {
  return hmac.update(immutable_bytes(header, Digest32{})).update(sha256(part_of_key(data_key, 0))).finish();
}
Digest32 commitment_of(const ObjectHeader& header, const Secret& data_key) {
  HmacSha256 hmac = header_hmac(data_key);
  return commitment_of(header, data_key, hmac);
}

Digest32 slot_hmac(const ObjectId& object, const Slot& slot, HmacSha256& hmac) {
  return hmac.update(object.bytes()).update(slot_covered(slot)).finish();
}
Digest32 slot_hmac(const ObjectId& object, const Slot& slot, const Secret& data_key) {
  HmacSha256 hmac = header_hmac(data_key);
  return slot_hmac(object, slot, hmac);
}

std::array<uint8_t, kSlotBytes> slot_bytes(const Slot& slot) {
  const Bytes covered = slot_covered(slot);
  std::array<uint8_t, kSlotBytes> out{};
  std::ranges::copy(covered, out.begin());
  std::ranges::copy(slot.hmac, out.begin() + kSlotHmacAt);
  std::ranges::copy(sha256(ByteView(out).first(kSlotSumAt)), out.begin() + kSlotSumAt);
  return out;
}

Bytes region_bytes(const ObjectHeader& header, const Slot& slot0) {
  Bytes out(kRegionBytes);
  std::ranges::copy(header.bytes(), out.begin());
  std::ranges::copy(slot_bytes(slot0), out.begin() + slot_at(0));
  return out;
}

Bytes wrap_aad(const VaultId& vault, const DatasetId& dataset, const ObjectId& object,
               const VersionRef& version) {
  ByteWriter w;
  w.raw(as_bytes("kesu-wrap-v1")).raw(vault.bytes()).raw(dataset.bytes()).raw(object.bytes());
  w.raw(version.key.bytes()).u32(version.version);
  return std::move(w).bytes();
}

Digest32 inventory_leaf(const ObjectHeader& header, const Digest32& payload_root) {
  static constexpr uint8_t kLeaf[] = {0};
  const Digest32 root = header.payload_bound ? payload_root : Digest32{};
  return sha256({ByteView(kLeaf), as_bytes("kesu-inventory-v1"), ByteView(header.bytes()), ByteView(root)});
}

uint64_t sealed_size(const ObjectHeader& header, uint64_t payload) {
  const uint64_t chunks = payload / header.chunk + (payload % header.chunk || payload == 0);
  return kRegionBytes + header.metadata_size + payload + kTagBytes * chunks;
}

std::optional<uint64_t> payload_size(const ObjectHeader& header, uint64_t file_size) {
  const uint64_t before = kRegionBytes + header.metadata_size;
  if (file_size < before + kTagBytes) return std::nullopt;
  const uint64_t records = file_size - before, whole = header.chunk + kTagBytes;
  const uint64_t full = records / whole, rest = records % whole;
  if (rest == 0) return full * header.chunk;
  // An empty last record stands only in an empty payload.
  if (rest < kTagBytes || (rest == kTagBytes && full > 0)) return std::nullopt;
  return full * header.chunk + rest - kTagBytes;
}

}  // namespace kesu
