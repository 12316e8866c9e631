// The engine under sealing and opening: runs of chunks, the threads that work on them, what they hand on in
// order. For lib/seal itself.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "seal/fingerprint.h"
#include "seal/object.h"
#include "seal/record_tree.h"

namespace kesu {

// What a sealing has before any payload is read.
struct SealJob {
  ObjectHeader header;
  Secret data_key;
  Bytes region;   // header region, as it will stand in the file
  Bytes record0;  // sealed
  std::optional<uint64_t> size;
  std::atomic<int64_t>* bytes_done;
  const Secret* fingerprint_key;
};
SealJob begin_seal(const SealRequest& request, const WrapKey& wrap, Random& random);

// What an opening has before any payload is read.
struct OpenJob {
  ObjectHeader header;
  Secret data_key;
  VersionRef version;
  Metadata metadata;
};
// Errors: those of unlocking, and record 0's.
OpenJob begin_open(const Region& region, const UnwrapKey& unwrap,
                   const std::function<void(uint64_t offset, std::span<uint8_t>)>& read);

Error changed(uint64_t wanted, uint64_t got);
// Error sealed_damaged `length` unless the payload fits what the metadata says.
void check_size(const Metadata& metadata, uint64_t payload, uint64_t file_size);
// payload_size, or Error sealed_damaged `length`.
uint64_t whole_payload(const ObjectHeader& header, uint64_t file_size);
// Fills `out` from short reads; less than its size only at the end of the source.
size_t read_full(const Source& source, std::span<uint8_t> out);

// How a payload is cut into runs: what one thread takes at a time. At least one chunk, about 256 KiB (more
// leaves the processor's cache), always whole blocks of 64 KiB.
struct Cut {
  explicit Cut(const ObjectHeader& h)
      : chunk(h.chunk),
        chunks(std::max<size_t>(1, kDefaultChunk / h.chunk)),
        start(kRegionBytes + h.metadata_size) {}
  size_t chunk, chunks;  // bytes of one; number in a run
  uint64_t start;        // of the payload's records in the file
  size_t record() const { return chunk + kTagBytes; }
  size_t plain() const { return chunk * chunks; }
  size_t sealed() const { return record() * chunks; }
  uint64_t runs(uint64_t payload) const { return payload ? (payload + plain() - 1) / plain() : 1; }
  uint64_t record_at(uint64_t index) const { return start + index * record(); }
};

// Chunks number first, first + 1 … of the payload, `plain` bytes together, in a worker's buffer, each
// followed by room for its tag. All but the last are whole.
struct Run {
  uint64_t number = 0, first = 0;
  size_t plain = 0;
  bool last = false;        // the payload ends with it
  bool bad_length = false;  // bytes after its chunks that are no record
  std::span<uint8_t> buffer{};

  // An empty payload is one empty chunk, and in its first run.
  size_t count(size_t chunk) const { return plain ? (plain + chunk - 1) / chunk : bad_length ? 0 : 1; }
  size_t sealed(size_t chunk) const { return plain + count(chunk) * kTagBytes; }
  // Chunk i of the run and the room for its tag.
  std::span<uint8_t> record(size_t i, size_t chunk) const {
    return buffer.subspan(i * (chunk + kTagBytes), std::min(chunk, plain - i * chunk) + kTagBytes);
  }
  std::span<uint8_t> piece(size_t i, size_t chunk) const {
    const auto whole = record(i, chunk);
    return whole.first(whole.size() - kTagBytes);
  }
};

// Memory for a run, kept by its thread from object to object: a million small files would otherwise pay for
// clearing fresh pages each time. What stood in it is wiped at the end.
class RunBuffer {
 public:
  RunBuffer();
  RunBuffer(const RunBuffer&) = delete;
  RunBuffer& operator=(const RunBuffer&) = delete;
  ~RunBuffer();
  std::span<uint8_t> take(size_t size);  // at its start, always the same memory while sizes do not grow

 private:
  struct Store {
    std::unique_ptr<uint8_t[]> data;
    size_t size = 0;
  };
  static Store& spare();
  Store store_;
  size_t used_ = 0;
};

// Where the runs come from, and where they go. Called by all workers at once. `take` sets the run up, gets
// its memory from the buffer and fills it; false: there are no more.
using TakeRun = std::function<bool(Run& run, RunBuffer& buffer)>;
using PutRun = std::function<void(const Run& run)>;
// Of an opened run the first `good` chunks are authentic; where that is not all of them, it throws or notes.
using PutOpened = std::function<void(const Run& run, size_t good)>;

// Seals every run, gives the finished object without plain_bytes and sealed_bytes.
SealedObject seal_runs(const SealJob& job, const TakeRun& take, const PutRun& put, Crew& crew);
void open_runs(const OpenJob& job, const TakeRun& take, const PutOpened& put, Crew& crew);
// Puts that hand runs on in their order.
SealedObject seal_in_order(const SealJob& job, const TakeRun& take, const Sink& sink, Crew& crew);
// The error for chunk `index`.
Error damaged_chunk(const Cut& cut, uint64_t index);

// The given crew where the work is worth more threads than one, else a crew of one.
class CrewFor {
 public:
  CrewFor(Crew* crew, bool worth) : crew_(crew && crew->size() > 1 && worth ? crew : &alone_) {}
  Crew& operator*() { return *crew_; }

 private:
  Crew alone_{1};
  Crew* crew_;
};
// Below this a thread costs more than it does.
constexpr uint64_t kWorthThreads = 1 << 20;

// Runs leave in their order: wait(n) returns when runs 0 … n − 1 have been passed on; false: the work ended.
class Turns {
 public:
  explicit Turns(const Crew& crew) : crew_(crew) {}
  bool wait(uint64_t number);
  void pass();

 private:
  const Crew& crew_;
  std::mutex mutex_;
  std::condition_variable moved_;
  uint64_t now_ = 0;
  unsigned waiting_ = 0;
};

// The payload root from leaf hashes that come run by run in whatever order: what waits for an earlier run is
// kept aside, 32 bytes a record.
class RootOfRuns {
 public:
  explicit RootOfRuns(ByteView record0) { tree_.add(record0); }
  void add(uint64_t run, std::span<const Digest32> leaves);
  Digest32 root() const { return tree_.root(); }

 private:
  std::mutex mutex_;
  RecordTree tree_;
  uint64_t next_ = 0;
  std::map<uint64_t, std::vector<Digest32>> waiting_;
};

// Fingerprints of a payload's blocks, from runs that come in whatever order.
class BlockPrints {
 public:
  // Before the run's chunks are sealed in place.
  void add(const Run& run, size_t chunk, Fingerprinter& with);
  Fingerprints finish(const Secret& key);

 private:
  std::mutex mutex_;
  std::vector<Digest32> blocks_;
  std::vector<uint8_t> common_;
};

}  // namespace kesu
