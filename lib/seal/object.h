// Sealing and opening one object (docs/spec/sealed-object.md). Streams in, streams out: where bytes come from
// and go to is the caller's. Real files: seal/files.h.
#pragma once
#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "base/crew.h"
#include "base/random.h"
#include "seal/format.h"

namespace kesu {

struct FileTime {
  int64_t seconds = 0;
  int64_t nanos = 0;
  auto operator<=>(const FileTime&) const = default;
};

struct Metadata {
  std::string kind = "file";  // or "manifest"
  std::string name;           // bytes, relative to the dataset
  uint32_t mode = 0644;
  FileTime mtime;
  std::optional<uint64_t> size;
  Bytes plaintext() const;  // record 0 before encryption
  static Metadata parse(ByteView plaintext);
};

// A function that takes a `crew` shares its work among the crew's threads, and with nullptr does it in the
// caller's alone. The crew must not be at work already. Ctrl-C (base/interrupt.h) and a failure end the work
// between two runs of chunks: Error interrupted, or what failed.

// Reads up to out.size() bytes; 0 means the end. Short reads are allowed. Called by one thread at a time, not
// always the same.
using Source = std::function<size_t(std::span<uint8_t> out)>;
// Takes all of `bytes` at `offset`; offsets ascend without gaps except that the header region (offset 0)
// comes last. Called by one thread at a time, not always the same.
using Sink = std::function<void(uint64_t offset, ByteView bytes)>;
using WrapKey = std::function<WrappedKey(const Secret& data_key, ByteView aad)>;
// Throws what the provider throws (object_absent, key_mismatch, sealed_damaged …).
using UnwrapKey = std::function<Secret(const Slot& slot, ByteView aad)>;

struct SealRequest {
  VaultId vault;
  DatasetId dataset;
  ObjectId object;
  VersionRef version;
  AeadAlg algorithm = AeadAlg::aes256_gcm;
  uint32_t chunk = kDefaultChunk;
  bool bind_payload = true;
  Metadata metadata;
  std::atomic<int64_t>* bytes_done = nullptr;  // when given, counts payload bytes as they are sealed
  const Secret* fingerprint_key = nullptr;     // when given, blocks are fingerprinted (seal/fingerprint.h)
};
struct Fingerprints {
  std::vector<Digest32> blocks;  // of each 64 KiB of the payload, in order
  Digest32 file{};
  std::vector<uint8_t> common;  // of each block: 1 where it repeats every 64 bytes, like zeros
};
struct SealedObject {
  ObjectHeader header;
  Digest32 payload_root{};  // zero when not bound
  Digest32 leaf{};
  uint64_t plain_bytes = 0, sealed_bytes = 0;
  // Seconds of all threads together: in SHA-256 to bind the payload, and in all of reading, encrypting,
  // hashing and writing it.
  double hash_seconds = 0, total_seconds = 0;
  double print_seconds = 0;  // likewise, in fingerprints
  std::optional<Fingerprints> fingerprints;
};

// Makes a fresh data key, wraps it, encrypts `source` once into `sink`. When metadata.size is set and the
// source gives another number of bytes: Error conflict ("changed while it was read"); the caller throws the
// output away.
SealedObject seal_object(const SealRequest& request, const Source& source, const Sink& sink,
                         const WrapKey& wrap, Random& random, Crew* crew = nullptr);
// The same bytes from first to last, header region in front, for a sink that cannot go back.
SealedObject seal_stream(const SealRequest& request, const Source& source,
                         const std::function<void(ByteView)>& sink, const WrapKey& wrap, Random& random,
                         Crew* crew = nullptr);

// What can be told without any key.
struct ObjectInfo {
  Region region;
  uint64_t file_size = 0, payload_size = 0;
};

// Random access to a sealed object's bytes: fills `out` wholly from `offset` or throws. Where a crew works,
// its threads call `read` at once.
struct SealedInput {
  uint64_t size = 0;
  std::function<void(uint64_t offset, std::span<uint8_t> out)> read;
};
ObjectInfo inspect_object(const SealedInput& in);  // throws sealed_damaged
// The same by the file's first 4096 bytes (or all it has) and its size.
ObjectInfo inspect_region(ByteView region, uint64_t file_size);
// Recomputed from the ciphertext, no key needed; walks the whole object.
Digest32 payload_root_of(const SealedInput& in, const ObjectHeader& header, Crew* crew = nullptr);

struct OpenedObject {
  Metadata metadata;
  ObjectHeader header;
  VersionRef version;  // whose slot opened
  uint64_t plain_bytes = 0;
};
// Calls `begin` once with the authenticated metadata, then `sink` for each authenticated chunk in order, by
// one thread at a time. Throws sealed_damaged, of several damaged chunks for the first; errors of `unwrap`
// for all slots surface as the first slot's error. Nothing unauthenticated is handed on, but the object is
// only whole when this returns: the caller must not give the output its final name before.
OpenedObject open_object(const SealedInput& in, const UnwrapKey& unwrap,
                         const std::function<void(const Metadata&)>& begin,
                         const std::function<void(ByteView)>& sink, Crew* crew = nullptr);
// The same of an object that comes as a stream, read to its end. What its length says is only known then: a
// cut or lengthened object is told after the chunks before that.
OpenedObject open_stream(const Source& sealed, const UnwrapKey& unwrap,
                         const std::function<void(const Metadata&)>& begin,
                         const std::function<void(ByteView)>& sink, Crew* crew = nullptr);

// Whose slot opens the object. Reads the header region only. Errors as open_object.
VersionRef opening_version(const SealedInput& in, const UnwrapKey& unwrap);

// The slot that carries the object over to another key version. The caller writes slot_bytes(slot) at
// `offset`, in place and in one write, and counts the object as moved once that is durable; the other slot
// stays as it is.
struct NextSlot {
  size_t index = 0;
  uint64_t offset = 0;  // in the file
  Slot slot;
  VersionRef before;  // whose slot opened
};
// Made in steps, so that calls to the provider wait for nothing else: open_key, check_key, the caller's
// wrapping, next_slot. A data key as a slot's unwrapping gave it, not yet held against the header:
struct OpenedKey {
  Secret data_key;
  size_t slot = 0;  // which opened
};
// Slots are tried as open_object does. Errors: those of `unwrap` for all slots, as the first slot's.
OpenedKey open_key(const Region& region, const UnwrapKey& unwrap);
// Throws sealed_damaged unless the key fits header and slots. Before it the key must not be wrapped for use.
void check_key(const Region& region, const OpenedKey& opened);
// The slot for what wrapping gave under wrap_aad of `version`.
NextSlot next_slot(const Region& region, const OpenedKey& opened, const VersionRef& version,
                   WrappedKey wrapped);

}  // namespace kesu
