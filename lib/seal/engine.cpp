// Runs of chunks under the STREAM construction, worked on by a crew.
#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "base/interrupt.h"
#include "seal/damage.h"
#include "seal/engine_impl.h"
#include "seal/nonce_impl.h"

namespace kesu {

namespace {
using Ticks = std::chrono::steady_clock;

double since(Ticks::time_point from) { return std::chrono::duration<double>(Ticks::now() - from).count(); }

// From here on a faster cipher is worth what loading it takes, half a millisecond.
AeadUse use_of(const std::optional<uint64_t>& size) {
  return !size || *size > kWorthThreads / 4 ? AeadUse::much : AeadUse::little;
}

// Takes and works until there are no more; then whether all of it was done.
void work(Crew& crew, const std::function<void(unsigned)>& worker) {
  crew.run(worker);
  if (crew.stopped()) check_interrupted();
}
}  // namespace

RunBuffer::Store& RunBuffer::spare() {
  thread_local Store store;
  return store;
}
RunBuffer::RunBuffer() : store_(std::exchange(spare(), Store{})) {}
RunBuffer::~RunBuffer() {
  if (used_) wipe({store_.data.get(), used_});
  spare() = std::move(store_);
}

std::span<uint8_t> RunBuffer::take(size_t size) {
  if (store_.size < size) {
    if (used_) wipe({store_.data.get(), used_});
    store_.data = std::make_unique_for_overwrite<uint8_t[]>(size);
    store_.size = size;
    used_ = 0;
  }
  used_ = std::max(used_, size);
  return {store_.data.get(), size};
}

bool Turns::wait(uint64_t number) {
  std::unique_lock lock(mutex_);
  while (now_ != number) {
    if (crew_.stopped()) return false;
    // Who fails does not say so here: looked up now and then.
    ++waiting_;
    moved_.wait_for(lock, std::chrono::milliseconds(20));
    --waiting_;
  }
  return true;
}

void Turns::pass() {
  bool anybody = false;
  {
    std::lock_guard lock(mutex_);
    ++now_;
    anybody = waiting_ > 0;
  }
  if (anybody) moved_.notify_all();
}

void RootOfRuns::add(uint64_t run, std::span<const Digest32> leaves) {
  std::lock_guard lock(mutex_);
  if (run != next_) {
    waiting_.emplace(run, std::vector<Digest32>(leaves.begin(), leaves.end()));
    return;
  }
  for (const Digest32& leaf : leaves) tree_.add_leaf(leaf);
  ++next_;
  for (auto it = waiting_.begin(); it != waiting_.end() && it->first == next_;
       it = waiting_.erase(it), ++next_)
    for (const Digest32& leaf : it->second) tree_.add_leaf(leaf);
}

SealedObject seal_runs(const SealJob& job, const TakeRun& take, const PutRun& put, Crew& crew) {
  const ObjectHeader& h = job.header;
  SealedObject out;
  out.header = h;
  std::optional<RootOfRuns> root;
  if (h.payload_bound) root.emplace(job.record0);
  BlockPrints prints;
  std::mutex sums;
  work(crew, [&](unsigned) {
    const auto begun = Ticks::now();
    double hashing = 0, printing = 0;
    Aead aead(h.algorithm, content_key(job.data_key, h.algorithm), use_of(job.size));
    RunBuffer buffer;
    std::optional<Fingerprinter> with;
    if (job.fingerprint_key) with.emplace(*job.fingerprint_key, use_of(job.size));
    std::array<Digest32, kDefaultChunk / kMinChunk> leaves;
    for (Run run; !crew.stopped() && take(run, buffer);) {
      const size_t count = run.count(h.chunk);
      if (with) {
        const auto before = Ticks::now();
        prints.add(run, h.chunk, *with);
        printing += since(before);
      }
      for (size_t i = 0; i < count; ++i) {
        const std::span<uint8_t> record = run.record(i, h.chunk);
        const bool last = run.last && i + 1 == count;
        aead.seal(AeadNonce(chunk_nonce(run.first + i, last)), {}, run.piece(i, h.chunk), record);
        if (!root) continue;
        const auto before = Ticks::now();
        leaves[i] = RecordTree::leaf(record);
        hashing += since(before);
      }
      if (root) root->add(run.number, std::span(leaves).first(count));
      put(run);
      if (job.bytes_done) *job.bytes_done += static_cast<int64_t>(run.plain);
    }
    const double all = since(begun);
    std::lock_guard lock(sums);
    out.hash_seconds += hashing;
    out.print_seconds += printing;
    out.total_seconds += all;
  });
  if (root) out.payload_root = root->root();
  if (job.fingerprint_key) out.fingerprints = prints.finish(*job.fingerprint_key);
  out.leaf = inventory_leaf(h, out.payload_root);
  return out;
}

SealedObject seal_in_order(const SealJob& job, const TakeRun& take, const Sink& sink, Crew& crew) {
  const Cut cut(job.header);
  Turns turns(crew);
  return seal_runs(
      job, take,
      [&](const Run& run) {
        if (!turns.wait(run.number)) return;
        sink(cut.record_at(run.first), run.buffer.first(run.sealed(cut.chunk)));
        turns.pass();
      },
      crew);
}

void open_runs(const OpenJob& job, const TakeRun& take, const PutOpened& put, Crew& crew) {
  const ObjectHeader& h = job.header;
  work(crew, [&](unsigned) {
    Aead aead(h.algorithm, content_key(job.data_key, h.algorithm), use_of(job.metadata.size));
    RunBuffer buffer;
    for (Run run; !crew.stopped() && take(run, buffer);) {
      const size_t count = run.count(h.chunk);
      size_t good = 0;
      for (; good < count; ++good) {
        const bool last = run.last && !run.bad_length && good + 1 == count;
        if (!aead.open(AeadNonce(chunk_nonce(run.first + good, last)), {}, run.record(good, h.chunk),
                       run.piece(good, h.chunk)))
          break;
      }
      put(run, good);
    }
  });
}

Error damaged_chunk(const Cut& cut, uint64_t index) {
  return damaged("chunk " + std::to_string(index), cut.record_at(index), "does not authenticate");
}

}  // namespace kesu
