// Fingerprints of a batch: writing and strict reading.
#include "inventory/prints.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "crypto/aead.h"

namespace kesu {

namespace {
constexpr std::string_view kMagic = "KESU-FPR";
constexpr size_t kFixedBytes = 96, kNonceBytes = 12, kDatasetKeyBytes = 64, kObjectBytes = 56;

Error damaged_prints(std::string_view field, std::string why) {
  return Error(Code::ledger_damaged, "a batch's fingerprints are damaged: " + std::string(field))
      .cause(std::move(why))
      .next("kesu ledger verify names what is damaged; kesu inventory scan --from-sealed does without them");
}

// What stands before the nonce, and is authenticated with what is sealed.
Bytes head_of(const SegmentHeader& h, const DatasetKeyId& key, size_t count) {
  ByteWriter w;
  w.raw(as_bytes(kMagic)).u16(1).u16(0).u32(static_cast<uint32_t>(count));
  w.raw(h.vault.bytes()).raw(h.dataset.bytes()).raw(h.batch.bytes()).raw(h.dataset_key.bytes());
  w.raw(key.bytes());
  return std::move(w).bytes();
}

std::span<const uint8_t> sealing_key(const Secret& dataset_key) {
  if (dataset_key.size() != kDatasetKeyBytes)
    throw Error(Code::bad_input, "a dataset key has 64 bytes, not " + std::to_string(dataset_key.size()));
  return dataset_key.reveal().first(32);
}
}  // namespace

Bytes write_prints(const SegmentHeader& header, const DatasetKeyId& key,
                   const std::vector<ObjectPrints>& objects, const Secret& dataset_key, Random& random) {
  if (objects.empty() || objects.size() > kMaxBatch)
    throw Error(Code::bad_input, "a batch has 1 to 1000 objects, not " + std::to_string(objects.size()));
  ByteWriter w;
  std::set<ObjectId> seen;
  for (const ObjectPrints& o : objects) {
    if (!seen.insert(o.object).second)
      throw Error(Code::bad_input, o.object.str() + " stands twice in a batch");
    w.raw(o.object.bytes()).raw(o.file).u64(o.blocks.size());
    for (const Print& p : o.blocks) w.raw(p);
  }
  Bytes out = head_of(header, key, objects.size());
  std::array<uint8_t, kNonceBytes> nonce;
  random.fill(nonce);
  const Bytes sealed =
      Aead(AeadAlg::aes256_gcm, sealing_key(dataset_key)).seal(AeadNonce(nonce), out, w.bytes());
  out.insert(out.end(), nonce.begin(), nonce.end());
  out.insert(out.end(), sealed.begin(), sealed.end());
  return out;
}

std::vector<ObjectPrints> open_prints(ByteView file, const SegmentHeader& header, const DatasetKeyId& key,
                                      const Secret& dataset_key) {
  if (file.size() < kFixedBytes + kNonceBytes + kAeadTag)
    throw damaged_prints("length", "it ends before its last field");
  ByteReader r(file);
  if (as_text(r.raw(kMagic.size())) != kMagic) throw damaged_prints("magic", "not KESU-FPR");
  if (const uint16_t version = r.u16(); version != 1)
    throw damaged_prints("version", std::to_string(version) + " is not known here");
  if (r.u16() != 0) throw damaged_prints("reserved bytes", "must be zero");
  const uint32_t count = r.u32();
  if (count == 0 || count > kMaxBatch)
    throw damaged_prints("count", std::to_string(count) + " is not within 1 to 1000");
  const ByteView head = file.first(kFixedBytes);
  if (!std::ranges::equal(head, head_of(header, key, count)))
    throw damaged_prints("header", "it names another vault, dataset, batch or key");
  const auto plain = Aead(AeadAlg::aes256_gcm, sealing_key(dataset_key))
                         .open(AeadNonce(file.subspan(kFixedBytes).data(), kNonceBytes), head,
                               file.subspan(kFixedBytes + kNonceBytes));
  if (!plain) throw damaged_prints("content", "does not authenticate under this dataset key");
  std::vector<ObjectPrints> out;
  std::set<ObjectId> seen;
  ByteReader p(*plain);
  for (uint32_t i = 0; i < count; ++i) {
    if (p.left() < kObjectBytes) throw damaged_prints("content", "it ends before its last object");
    ObjectPrints& o = out.emplace_back();
    o.object = ObjectId(p.raw(16));
    std::ranges::copy(p.raw(32), o.file.begin());
    const uint64_t blocks = p.u64();
    if (blocks > p.left() / kPrintBytes) throw damaged_prints("content", "it ends before its last block");
    if (!seen.insert(o.object).second)
      throw damaged_prints("content", o.object.str() + " stands there twice");
    o.blocks.resize(blocks);
    for (Print& b : o.blocks) std::ranges::copy(p.raw(kPrintBytes), b.begin());
  }
  if (p.left()) throw damaged_prints("content", "something stands behind its last object");
  return out;
}

Bytes fingerprint_key_aad(const VaultId& vault, const DatasetId& dataset, const DatasetKeyId& key,
                          const VersionRef& version) {
  ByteWriter w;
  w.raw(as_bytes("kesu-fingerprint-key-v1")).raw(vault.bytes()).raw(dataset.bytes()).raw(key.bytes());
  w.raw(version.key.bytes()).u32(version.version);
  return std::move(w).bytes();
}

}  // namespace kesu
