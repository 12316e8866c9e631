// One object's header, keys and slots: what sealing and opening have before any payload is read.
#include "seal/object.h"

#include <exception>
#include <utility>

#include "base/error.h"
#include "seal/damage.h"
#include "seal/engine_impl.h"
#include "seal/nonce_impl.h"

namespace kesu {

namespace {
constexpr size_t kDataKeyBytes = 64;

size_t slot_index(const Region& region, const Slot& slot) {
  return region.slots[0] && &slot == &*region.slots[0] ? 0 : 1;
}

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

OpenedKey unlock(const Region& region, const UnwrapKey& unwrap) {
  OpenedKey opened = open_key(region, unwrap);
  check_key(region, opened);
  return opened;
}
}  // namespace

OpenedKey open_key(const Region& region, const UnwrapKey& unwrap) {
  std::exception_ptr first;
  for (const Slot* slot : region.usable()) {
    try {
      return {unwrap_slot(region, *slot, unwrap), slot_index(region, *slot)};
    } catch (const Error&) {
      if (!first) first = std::current_exception();
    }
  }
  std::rethrow_exception(first);
}

// Header and slots, each proven by its own field.
void check_key(const Region& region, const OpenedKey& opened) {
  const ObjectHeader& h = region.header;
  HmacSha256 hmac = header_hmac(opened.data_key);
  const auto check_slot = [&](size_t index) {
    const Slot& slot = *region.slots[index];
    if (!equal_constant_time(slot_hmac(h.object, slot, hmac), slot.hmac))
      throw damaged("slot " + std::to_string(index) + " HMAC", 1024 + index * kSlotBytes + 928,
                    "does not fit the key");
  };
  check_slot(opened.slot);
  if (!equal_constant_time(commitment_of(h, opened.data_key, hmac), h.commitment))
    throw damaged("commitment", 96, "header and key do not belong together");
  if (region.slots[1 - opened.slot]) check_slot(1 - opened.slot);
}

Error changed(uint64_t wanted, uint64_t got) {
  return Error(Code::conflict, "the source changed while it was read")
      .cause(std::to_string(wanted) + " bytes were announced, " + std::to_string(got) + " or more were read")
      .next("seal it again when nothing writes to it");
}

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

uint64_t whole_payload(const ObjectHeader& h, uint64_t file_size) {
  const auto size = payload_size(h, file_size);
  if (!size) throw damaged("length", file_size, "no payload gives an object of this length");
  return *size;
}

void check_size(const Metadata& metadata, uint64_t payload, uint64_t file_size) {
  if (metadata.size && *metadata.size != payload)
    throw damaged("length", file_size,
                  "holds " + std::to_string(payload) + " bytes, not " + std::to_string(*metadata.size));
}

SealJob begin_seal(const SealRequest& request, const WrapKey& wrap, Random& random) {
  const Bytes metadata = request.metadata.plaintext();
  SealJob job;
  ObjectHeader& h = job.header;
  h.algorithm = request.algorithm;
  h.chunk = request.chunk;
  h.vault = request.vault;
  h.dataset = request.dataset;
  h.object = request.object;
  h.metadata_size = static_cast<uint32_t>(metadata.size() + kTagBytes);
  h.payload_bound = request.bind_payload;
  if (parse_object_header(h.bytes()) != h) throw Error(Code::bad_input, "no object can be sealed so");

  job.data_key = random.secret(kDataKeyBytes);
  HmacSha256 hmac = header_hmac(job.data_key);
  h.commitment = commitment_of(h, job.data_key, hmac);
  Slot slot;
  slot.generation = 1;
  slot.version = request.version;
  slot.wrapped = wrap(job.data_key, wrap_aad(h.vault, h.dataset, h.object, slot.version));
  slot.hmac = slot_hmac(h.object, slot, hmac);
  job.region = region_bytes(h, slot);
  job.record0 =
      Aead(h.algorithm, content_key(job.data_key, h.algorithm)).seal(metadata_nonce(), {}, metadata);
  job.size = request.metadata.size;
  job.bytes_done = request.bytes_done;
  job.fingerprint_key = request.fingerprint_key;
  return job;
}

OpenJob begin_open(const Region& region, const UnwrapKey& unwrap,
                   const std::function<void(uint64_t, std::span<uint8_t>)>& read) {
  OpenJob job;
  job.header = region.header;
  OpenedKey opened = unlock(region, unwrap);
  job.version = region.slots[opened.slot]->version;
  job.data_key = std::move(opened.data_key);
  Bytes record0(job.header.metadata_size);
  read(kRegionBytes, record0);
  const auto metadata = Aead(job.header.algorithm, content_key(job.data_key, job.header.algorithm))
                            .open(metadata_nonce(), {}, record0);
  if (!metadata) throw damaged("record 0", kRegionBytes, "does not authenticate");
  job.metadata = Metadata::parse(*metadata);
  return job;
}

ObjectInfo inspect_region(ByteView region, uint64_t file_size) {
  if (file_size < kRegionBytes)
    throw damaged("header region", file_size, "the file ends before its 4096 bytes");
  ObjectInfo info;
  info.region = parse_region(region);
  info.file_size = file_size;
  info.payload_size = whole_payload(info.region.header, file_size);
  return info;
}

ObjectInfo inspect_object(const SealedInput& in) {
  std::array<uint8_t, kRegionBytes> region;
  if (in.size >= kRegionBytes) in.read(0, region);
  return inspect_region(region, in.size);
}

VersionRef opening_version(const SealedInput& in, const UnwrapKey& unwrap) {
  const ObjectInfo info = inspect_object(in);
  return info.region.slots[unlock(info.region, unwrap).slot]->version;
}

NextSlot next_slot(const Region& region, const OpenedKey& opened, const VersionRef& version,
                   WrappedKey wrapped) {
  NextSlot next;
  // Never the slot that opened: until the new one is durable it is the only proven way in.
  next.index = 1 - opened.slot;
  next.slot.generation = region.usable().front()->generation + 1;
  next.slot.version = version;
  next.slot.wrapped = std::move(wrapped);
  next.slot.hmac = slot_hmac(region.header.object, next.slot, opened.data_key);
  next.before = region.slots[opened.slot]->version;
  next.offset = 1024 + next.index * kSlotBytes;
  return next;
}

}  // namespace kesu
