// The sealed object's header region: immutable part and slots (docs/spec/sealed-object.md). Pure, no keys
// used here except for the two HMACs.
#pragma once
#include <array>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/secret.h"
#include "crypto/aead.h"
#include "crypto/mac.h"
#include "provider/provider.h"

namespace kesu {

constexpr size_t kRegionBytes = 4096;
constexpr size_t kImmutableBytes = 128;
constexpr size_t kSlotBytes = 1024;
constexpr size_t kTagBytes = 16;
constexpr uint32_t kDefaultChunk = 256 * 1024;
constexpr uint32_t kMinChunk = 16 * 1024, kMaxChunk = 4 * 1024 * 1024;

struct ObjectHeader {
  AeadAlg algorithm = AeadAlg::aes256_gcm;
  uint32_t chunk = kDefaultChunk;
  VaultId vault;
  DatasetId dataset;
  ObjectId object;
  uint32_t metadata_size = 0;  // record 0, tag included
  bool payload_bound = false;
  Digest32 commitment{};

  std::array<uint8_t, kImmutableBytes> bytes() const;
  bool operator==(const ObjectHeader&) const = default;
};

struct Slot {
  uint64_t generation = 0;
  VersionRef version;
  WrappedKey wrapped;
  Digest32 hmac{};
};

enum class SlotState { empty, good, torn };

struct Region {
  ObjectHeader header;
  std::array<std::optional<Slot>, 2> slots;
  std::array<SlotState, 2> states{SlotState::empty, SlotState::empty};
  // The slots to try, newest first; at least one in a region that parse_region accepted.
  std::vector<const Slot*> usable() const;
};

// Throws sealed_damaged naming the field and offset.
Region parse_region(ByteView region);
// The immutable part alone (first 128 bytes), for inventory checks.
ObjectHeader parse_object_header(ByteView immutable);

Digest32 commitment_of(const ObjectHeader& header, const Secret& data_key);
Digest32 slot_hmac(const ObjectId& object, const Slot& slot, const Secret& data_key);
// Both by one context, for whoever holds a key against several: it is keyed once.
HmacSha256 header_hmac(const Secret& data_key);
Digest32 commitment_of(const ObjectHeader& header, const Secret& data_key, HmacSha256& hmac);
Digest32 slot_hmac(const ObjectId& object, const Slot& slot, HmacSha256& hmac);
std::array<uint8_t, kSlotBytes> slot_bytes(const Slot& slot);
Bytes region_bytes(const ObjectHeader& header, const Slot& slot0);
Bytes wrap_aad(const VaultId& vault, const DatasetId& dataset, const ObjectId& object,
               const VersionRef& version);

// Inventory leaf (docs/spec/inventory.md); `payload_root` is ignored and zero used when the header is not
// bound.
Digest32 inventory_leaf(const ObjectHeader& header, const Digest32& payload_root);

// Bytes of a whole object whose payload has `payload` bytes.
uint64_t sealed_size(const ObjectHeader& header, uint64_t payload);
// The payload's size of a whole object of `file_size` bytes; nullopt when no payload gives that size.
std::optional<uint64_t> payload_size(const ObjectHeader& header, uint64_t file_size);

}  // namespace kesu
