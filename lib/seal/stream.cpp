// Sealing and opening where bytes come and go in order: pipes, memory, other programs.
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "seal/damage.h"
#include "seal/engine_impl.h"

namespace kesu {

namespace {
// Cuts a stream into pieces of equal size, the last one shorter or equal. One byte of look-ahead tells the
// last one. Not for use by two threads at once.
class Pieces {
 public:
  explicit Pieces(const Source& source) : source_(source) {}
  bool ended() const { return ended_; }
  // Fills `out`; less than its size only at the end.
  size_t fill(std::span<uint8_t> out) {
    size_t got = 0;
    if (ahead_) {
      out[got++] = *ahead_;
      ahead_.reset();
    }
    got += read_full(source_, out.subspan(got));
    if (got < out.size()) ended_ = true;
    return got;
  }
  // Whether anything follows what was read.
  bool more() {
    if (ended_ || ahead_) return !ended_;
    uint8_t byte = 0;
    if (read_full(source_, {&byte, 1}))
      ahead_ = byte;
    else
      ended_ = true;
    return !ended_;
  }
  ~Pieces() {
    if (ahead_) wipe({&*ahead_, 1});
  }

 private:
  const Source& source_;
  std::optional<uint8_t> ahead_;
  bool ended_ = false;
};

bool worth(const std::optional<uint64_t>& size) { return !size || *size >= kWorthThreads; }

// Runs of plaintext, read by one worker at a time, each into its own buffer.
class PlainRuns {
 public:
  PlainRuns(const SealJob& job, const Source& source, const Crew& crew)
      : cut_(job.header), size_(job.size), pieces_(source), crew_(crew) {}

  bool take(Run& run, RunBuffer& buffer) {
    std::lock_guard lock(mutex_);
    if (ended_ || crew_.stopped()) return false;
    run = {.number = number_, .first = number_ * cut_.chunks};
    // No more memory than an announced size needs, and a byte that would give away a longer source.
    const uint64_t left = size_ && *size_ >= total_ ? *size_ - total_ : cut_.plain();
    run.buffer = buffer.take(std::min<uint64_t>(cut_.sealed(), left + cut_.chunks * kTagBytes + 1));
    for (size_t i = 0; i < cut_.chunks && !pieces_.ended(); ++i) {
      const size_t at = i * cut_.record();
      if (at >= run.buffer.size()) break;
      run.plain += pieces_.fill(run.buffer.subspan(at, std::min(cut_.chunk, run.buffer.size() - at)));
      if (run.plain < (i + 1) * cut_.chunk || !pieces_.more()) break;
    }
    total_ += run.plain;
    if (size_ && total_ > *size_) throw changed(*size_, total_);
    ended_ = run.last = !pieces_.more();
    if (ended_ && size_ && total_ != *size_) throw changed(*size_, total_);
    ++number_;
    return true;
  }
  uint64_t total() const { return total_; }

 private:
  const Cut cut_;
  const std::optional<uint64_t> size_;
  Pieces pieces_;
  const Crew& crew_;
  std::mutex mutex_;
  uint64_t number_ = 0, total_ = 0;
  bool ended_ = false;
};

SealedObject seal_ordered(const SealJob& job, const Source& source, const Sink& sink, Crew& crew) {
  PlainRuns runs(job, source, crew);
  SealedObject out = seal_in_order(
      job, [&](Run& run, RunBuffer& buffer) { return runs.take(run, buffer); }, sink, crew);
  out.plain_bytes = runs.total();
  out.sealed_bytes = sealed_size(job.header, out.plain_bytes);
  return out;
}

void hand_on(const Cut& cut, const Run& run, size_t good, const std::function<void(ByteView)>& sink) {
  for (size_t i = 0; i < good; ++i)
    if (const auto plain = run.piece(i, cut.chunk); !plain.empty()) sink(plain);
  if (good < run.count(cut.chunk)) throw damaged_chunk(cut, run.first + good);
}

// Runs of records out of a stream whose length nobody knows.
class SealedRuns {
 public:
  SealedRuns(const Cut& cut, Pieces& pieces, const Crew& crew) : cut_(cut), pieces_(pieces), crew_(crew) {}

  bool take(Run& run, RunBuffer& buffer) {
    std::lock_guard lock(mutex_);
    if (ended_ || crew_.stopped()) return false;
    run = {.number = number_, .first = number_ * cut_.chunks};
    run.buffer = buffer.take(cut_.sealed());
    const size_t got = pieces_.fill(run.buffer), rest = got % cut_.record();
    const uint64_t full = got / cut_.record();
    run.last = ended_ = !pieces_.more();
    // What is shorter than a tag is no record; an empty one stands only in an empty payload.
    run.bad_length = run.last && ((rest > 0 && rest < kTagBytes) || (rest == kTagBytes && run.first + full) ||
                                  (got == 0 && run.first == 0));
    run.plain = full * cut_.chunk + (rest > kTagBytes ? rest - kTagBytes : 0);
    total_ += run.plain;
    bytes_ += got;
    ++number_;
    return true;
  }
  uint64_t total() const { return total_; }
  uint64_t file_size() const { return cut_.start + bytes_; }

 private:
  const Cut cut_;
  Pieces& pieces_;
  const Crew& crew_;
  std::mutex mutex_;
  uint64_t number_ = 0, total_ = 0, bytes_ = 0;
  bool ended_ = false;
};

OpenedObject opened(OpenJob&& job, uint64_t plain_bytes) {
  return {std::move(job.metadata), job.header, job.version, plain_bytes};
}
}  // namespace

SealedObject seal_object(const SealRequest& request, const Source& source, const Sink& sink,
                         const WrapKey& wrap, Random& random, Crew* crew) {
  const SealJob job = begin_seal(request, wrap, random);
  CrewFor chosen(crew, worth(job.size));
  sink(kRegionBytes, job.record0);
  SealedObject out = seal_ordered(job, source, sink, *chosen);
  sink(0, job.region);
  return out;
}

SealedObject seal_stream(const SealRequest& request, const Source& source,
                         const std::function<void(ByteView)>& sink, const WrapKey& wrap, Random& random,
                         Crew* crew) {
  const SealJob job = begin_seal(request, wrap, random);
  CrewFor chosen(crew, worth(job.size));
  sink(job.region);
  sink(job.record0);
  return seal_ordered(
      job, source, [&](uint64_t, ByteView bytes) { sink(bytes); }, *chosen);
}

OpenedObject open_object(const SealedInput& in, const UnwrapKey& unwrap,
                         const std::function<void(const Metadata&)>& begin,
                         const std::function<void(ByteView)>& sink, Crew* crew) {
  const ObjectInfo info = inspect_object(in);
  OpenJob job = begin_open(info.region, unwrap, in.read);
  check_size(job.metadata, info.payload_size, in.size);
  begin(job.metadata);

  const Cut cut(job.header);
  const uint64_t count = cut.runs(info.payload_size);
  CrewFor chosen(crew, info.payload_size >= kWorthThreads);
  Turns turns(*chosen);
  std::atomic<uint64_t> next{0};
  open_runs(
      job,
      [&](Run& run, RunBuffer& buffer) {
        const uint64_t number = next++;
        if (number >= count) return false;
        const uint64_t at = number * cut.plain();
        run = {.number = number, .first = number * cut.chunks};
        run.plain = std::min<uint64_t>(cut.plain(), info.payload_size - at);
        run.last = number + 1 == count;
        run.buffer = buffer.take(run.sealed(cut.chunk));
        in.read(cut.record_at(run.first), run.buffer);
        return true;
      },
      [&](const Run& run, size_t good) {
        if (!turns.wait(run.number)) return;
        hand_on(cut, run, good, sink);
        turns.pass();
      },
      *chosen);
  return opened(std::move(job), info.payload_size);
}

OpenedObject open_stream(const Source& sealed, const UnwrapKey& unwrap,
                         const std::function<void(const Metadata&)>& begin,
                         const std::function<void(ByteView)>& sink, Crew* crew) {
  Pieces pieces(sealed);
  Bytes region(kRegionBytes);
  if (const size_t got = pieces.fill(region); got < kRegionBytes)
    throw damaged("header region", got, "the stream ends before its 4096 bytes");
  OpenJob job = begin_open(parse_region(region), unwrap, [&](uint64_t at, std::span<uint8_t> out) {
    if (const size_t got = pieces.fill(out); got < out.size())
      throw damaged("length", at + got, "the stream ends in record 0");
  });
  begin(job.metadata);

  const Cut cut(job.header);
  CrewFor chosen(crew, worth(job.metadata.size));
  SealedRuns runs(cut, pieces, *chosen);
  Turns turns(*chosen);
  open_runs(
      job, [&](Run& run, RunBuffer& buffer) { return runs.take(run, buffer); },
      [&](const Run& run, size_t good) {
        if (!turns.wait(run.number)) return;
        hand_on(cut, run, good, sink);
        if (run.bad_length)
          throw damaged("length", runs.file_size(), "no payload gives an object of this length");
        turns.pass();
      },
      *chosen);
  check_size(job.metadata, runs.total(), runs.file_size());
  return opened(std::move(job), runs.total());
}

Digest32 payload_root_of(const SealedInput& in, const ObjectHeader& header, Crew* crew) {
  const uint64_t payload = whole_payload(header, in.size);
  const Cut cut(header);
  Bytes record0(header.metadata_size);
  in.read(kRegionBytes, record0);
  RootOfRuns root(record0);
  CrewFor chosen(crew, payload >= kWorthThreads);
  (*chosen).each(cut.runs(payload), [&](unsigned, size_t number) {
    Run run{.number = number, .first = number * cut.chunks};
    run.plain = std::min<uint64_t>(cut.plain(), payload - number * cut.plain());
    RunBuffer buffer;
    run.buffer = buffer.take(run.sealed(cut.chunk));
    in.read(cut.record_at(run.first), run.buffer);
    std::vector<Digest32> leaves(run.count(cut.chunk));
    for (size_t i = 0; i < leaves.size(); ++i) leaves[i] = RecordTree::leaf(run.record(i, cut.chunk));
    root.add(number, leaves);
  });
  if ((*chosen).stopped()) check_interrupted();
  return root.root();
}

}  // namespace kesu
