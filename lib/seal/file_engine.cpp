// Sealing and opening of real files by position: each thread reads, works and writes runs of its own, in no
// order.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/file_times.h"
#include "base/interrupt.h"
#include "seal/damage.h"
#include "seal/engine_impl.h"
#include "seal/files_impl.h"

namespace kesu {

namespace {
constexpr size_t kHole = 64 * 1024;
constexpr size_t kMaxPieces = kDefaultChunk / kMinChunk;

// Up to kMaxPieces places in memory that lie one after the other in a file.
class Scatter {
 public:
  size_t size() const { return size_; }
  void add(std::span<uint8_t> bytes) {
    if (bytes.empty()) return;
    size_ += bytes.size();
    if (count_ &&
        static_cast<uint8_t*>(list_[count_ - 1].iov_base) + list_[count_ - 1].iov_len == bytes.data())
      list_[count_ - 1].iov_len += bytes.size();
    else
      list_.at(count_++) = {bytes.data(), bytes.size()};
  }
  // Calls preadv or pwritev until all is done; what it gives at last: 0 for the end of the file, −1 with
  // errno, else the size.
  template <class Call>
  ssize_t transfer(Call call, int fd, uint64_t at) {
    iovec* list = list_.data();
    size_t count = count_, left = size_;
    while (left) {
      const ssize_t n = call(fd, list, static_cast<int>(count), static_cast<off_t>(at));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return n;
      at += static_cast<uint64_t>(n);
      left -= static_cast<size_t>(n);
      for (size_t done = static_cast<size_t>(n); done;) {
        const size_t step = std::min(done, list->iov_len);
        list->iov_base = static_cast<uint8_t*>(list->iov_base) + step;
        list->iov_len -= step;
        done -= step;
        if (!list->iov_len) ++list, --count;
      }
    }
    return static_cast<ssize_t>(size_);
  }
  void clear() { count_ = size_ = 0; }

 private:
  std::array<iovec, kMaxPieces + 1> list_;
  size_t count_ = 0, size_ = 0;
};

Scatter pieces_of(const Run& run, size_t chunk) {
  Scatter out;
  for (size_t i = 0, n = run.count(chunk); i < n; ++i) out.add(run.piece(i, chunk));
  return out;
}

// Whether the file has holes, so that it is worth asking where.
bool sparse(int fd, uint64_t size) {
  struct stat st {};
  return size >= kHole && ::fstat(fd, &st) == 0 && static_cast<uint64_t>(st.st_blocks) * 512 + kHole <= size;
}

bool hole(int fd, uint64_t at, size_t size) {
  const off_t data = ::lseek(fd, static_cast<off_t>(at), SEEK_DATA);
  if (data < 0) return errno == ENXIO;
  return static_cast<uint64_t>(data) >= at + size;
}

bool all_zero(std::span<const uint8_t> b) {
  return b.empty() || (b[0] == 0 && std::memcmp(b.data(), b.data() + 1, b.size() - 1) == 0);
}

// Plaintext to its place; aligned blocks of zeros are left out, which leaves holes.
void write_sparse(const Run& run, const Cut& cut, int fd, const std::string& path) {
  const uint64_t start = run.number * cut.plain();
  Scatter pending;
  uint64_t from = start;
  const auto flush = [&] {
    if (pending.size() && pending.transfer(::pwritev, fd, from) < 0) throw file_error(errno, "write", path);
    from += pending.size();
    pending.clear();
  };
  for (size_t at = 0; at < run.plain; at += kHole) {
    const size_t block = std::min(kHole, run.plain - at);
    std::array<std::span<uint8_t>, kHole / kMinChunk> parts;
    size_t count = 0;
    bool zero = block == kHole;
    for (size_t inside = 0; inside < block; inside += parts[count++].size()) {
      const size_t i = (at + inside) / cut.chunk, skip = (at + inside) % cut.chunk;
      const auto piece = run.piece(i, cut.chunk).subspan(skip);
      parts[count] = piece.first(std::min(piece.size(), block - inside));
      zero = zero && all_zero(parts[count]);
    }
    if (zero) {
      flush();
      from = start + at + block;
    } else {
      for (size_t i = 0; i < count; ++i) pending.add(parts[i]);
    }
  }
  flush();
}

// Number of the first damaged chunk that anybody found.
class FirstDamage {
 public:
  void note(uint64_t index) {
    uint64_t now = first_;
    while (index < now && !first_.compare_exchange_weak(now, index)) {
    }
  }
  bool any() const { return first_.load(std::memory_order_relaxed) != UINT64_MAX; }
  uint64_t first() const { return first_; }

 private:
  std::atomic<uint64_t> first_{UINT64_MAX};
};

// Runs of [0, payload) by number, each given once.
class RunNumbers {
 public:
  RunNumbers(const Cut& cut, uint64_t payload) : cut_(cut), payload_(payload), count_(cut.runs(payload)) {}
  bool take(Run& run, RunBuffer& buffer) {
    const uint64_t number = next_++;
    if (number >= count_) return false;
    run = {.number = number, .first = number * cut_.chunks};
    run.plain = std::min<uint64_t>(cut_.plain(), payload_ - number * cut_.plain());
    run.last = number + 1 == count_;
    run.buffer = buffer.take(run.sealed(cut_.chunk));
    return true;
  }

 private:
  const Cut cut_;
  const uint64_t payload_, count_;
  std::atomic<uint64_t> next_{0};
};

// Runs of a regular file whose size was announced, read by whoever works on them.
class FileRuns {
 public:
  FileRuns(const SealJob& job, int fd, const FdSource& facts)
      : cut_(job.header),
        payload_(*job.size),
        numbers_(cut_, payload_),
        fd_(fd),
        facts_(facts),
        holes_(sparse(fd, payload_)) {}
  bool take(Run& run, RunBuffer& buffer) {
    if (!numbers_.take(run, buffer)) return false;
    const uint64_t at = run.number * cut_.plain();
    if (holes_ && run.plain && hole(fd_, at, run.plain)) {
      std::ranges::fill(run.buffer, uint8_t{0});
      if (run.last) no_more();
      return true;
    }
    const ssize_t n = pieces_of(run, cut_.chunk).transfer(::preadv, fd_, at);
    if (n < 0) throw file_error(errno, "read", "the source");
    if (n == 0 && run.plain) {
      facts_.check();
      throw changed(payload_, at);
    }
    if (run.last) no_more();
    return true;
  }

 private:
  // Files of some file systems say a size that is not theirs, /proc's say 0: they would be sealed cut short.
  void no_more() const {
    uint8_t byte;
    ssize_t n;
    while ((n = ::pread(fd_, &byte, 1, static_cast<off_t>(payload_))) < 0 && errno == EINTR)
      check_interrupted();
    if (n < 0) throw file_error(errno, "read", "the source");
    if (n == 0) return;
    facts_.check();
    throw Error(Code::conflict, "the source gives more bytes than its size says")
        .cause("its size says " + std::to_string(payload_))
        .next("cat FILE | kesu seal DATASET - --name NAME");
  }

  const Cut cut_;
  const uint64_t payload_;
  RunNumbers numbers_;
  const int fd_;
  const FdSource& facts_;
  const bool holes_;
};

SealRequest with_facts(const SealRequest& request, const FileFacts& facts) {
  SealRequest r = request;
  r.metadata.mode = facts.mode;
  r.metadata.mtime = facts.mtime;
  r.metadata.size = facts.regular ? std::optional(facts.size) : std::nullopt;
  return r;
}

// Small enough to leave in one write, with the header region in front.
constexpr size_t kOneWrite = 64 * 1024;

SealedObject seal_by_position(const SealJob& job, int source, const Temporary& part, Crew* crew,
                              const FdSource& facts) {
  const Cut cut(job.header);
  const uint64_t payload = *job.size;
  const bool one_write = payload <= kOneWrite;
  // Kept by its thread: ciphertext, of which a small file has two or three pages.
  thread_local Bytes kept;
  Bytes& front = kept;
  front.assign(job.region.begin(), job.region.end());
  front.insert(front.end(), job.record0.begin(), job.record0.end());
  FileRuns runs(job, source, facts);
  CrewFor chosen(crew, payload >= kWorthThreads);
  SealedObject out = seal_runs(
      job, [&](Run& run, RunBuffer& buffer) { return runs.take(run, buffer); },
      [&](const Run& run) {
        const auto records = run.buffer.first(run.sealed(cut.chunk));
        if (one_write)  // one run: 64 KiB and less
          front.insert(front.end(), records.begin(), records.end());
        else
          write_at(part.fd(), cut.record_at(run.first), records, part.path());
      },
      *chosen);
  facts.check();
  // A part file has no header before all else is in it.
  write_at(part.fd(), 0, front, part.path());
  out.plain_bytes = payload;
  out.sealed_bytes = sealed_size(job.header, payload);
  return out;
}

}  // namespace

SealedObject seal_file_stream(const SealRequest& request, int source_fd,
                              const std::function<void(ByteView)>& sink, const WrapKey& wrap, Random& random,
                              Crew& crew) {
  FdSource source(source_fd, &crew);
  const SealRequest r = with_facts(request, source.facts());
  if (!source.facts().regular) return seal_stream(r, std::ref(source), sink, wrap, random, &crew);
  const SealJob job = begin_seal(r, wrap, random);
  sink(job.region);
  sink(job.record0);
  FileRuns runs(job, source_fd, source);
  CrewFor chosen(&crew, *job.size >= kWorthThreads);
  SealedObject out = seal_in_order(
      job, [&](Run& run, RunBuffer& buffer) { return runs.take(run, buffer); },
      [&](uint64_t, ByteView bytes) { sink(bytes); }, *chosen);
  source.check();
  out.plain_bytes = *job.size;
  out.sealed_bytes = sealed_size(job.header, out.plain_bytes);
  return out;
}

SealedFile seal_file_to(const SealRequest& request, int source_fd, const std::string& directory,
                        const WrapKey& wrap, Random& random, Crew& crew) {
  return seal_file_to(request, source_fd, At{-1, directory}, wrap, random, crew);
}

SealedFile seal_file_to(const SealRequest& request, int source_fd, const At& directory, const WrapKey& wrap,
                        Random& random, Crew& crew) {
  FdSource source(source_fd, &crew);
  const SealRequest r = with_facts(request, source.facts());
  SealedFile out;
  Temporary part = create_part(directory, r.object, out.part);
  out.source = source.facts();
  if (out.source.regular) {
    out.object = seal_by_position(begin_seal(r, wrap, random), source_fd, part, &crew, source);
  } else {
    out.object = seal_object(
        r, std::ref(source),
        [&](uint64_t at, ByteView bytes) { write_at(part.fd(), at, bytes, part.path()); }, wrap, random,
        &crew);
    out.source.size = out.object.plain_bytes;
  }
  part.keep();
  if (out.part.empty()) out.file = part.take();
  return out;
}

SealedFile seal_source_to(const SealRequest& request, const Source& source, const At& directory,
                          const WrapKey& wrap, Random& random, Crew* crew) {
  SealedFile out;
  Temporary part = create_part(directory, request.object, out.part);
  out.object = seal_object(
      request, source, [&](uint64_t at, ByteView bytes) { write_at(part.fd(), at, bytes, part.path()); },
      wrap, random, crew);
  out.source.size = out.object.plain_bytes;
  out.source.mode = request.metadata.mode;
  out.source.mtime = request.metadata.mtime;
  part.keep();
  if (out.part.empty()) out.file = part.take();
  return out;
}

OpenedFile open_to_file(const std::string& sealed, const UnwrapKey& unwrap,
                        const std::function<std::string(const Metadata&)>& choose, Crew& crew,
                        const OpenFileOptions& options) {
  Fd in(::open(sealed.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in.ok()) throw file_error(errno, "open", sealed);
  if (!file_facts(in.get()).regular) throw Error(Code::bad_input, sealed + " is no regular file");
  const SealedInput input = file_input(in.get());
  const ObjectInfo info = inspect_object(input);
  OpenJob job = begin_open(info.region, unwrap, input.read);
  check_size(job.metadata, info.payload_size, input.size);

  OpenedFile out;
  out.path = choose(job.metadata);
  if (!options.replace && exists(out.path)) throw there_already(out.path);
  Temporary temp = create_opening(opening_path(dir_name(out.path), job.header.object));

  const Cut cut(job.header);
  RunNumbers numbers(cut, info.payload_size);
  FirstDamage damage;
  CrewFor chosen(&crew, info.payload_size >= kWorthThreads);
  open_runs(
      job,
      [&](Run& run, RunBuffer& buffer) {
        // Runs are begun in ascending order, so what lies before a damaged chunk is judged all the same.
        if (damage.any() || !numbers.take(run, buffer)) return false;
        input.read(cut.record_at(run.first), run.buffer);
        return true;
      },
      [&](const Run& run, size_t good) {
        if (good < run.count(cut.chunk)) return damage.note(run.first + good);
        write_sparse(run, cut, temp.fd(), temp.path());
        if (options.bytes_done) *options.bytes_done += static_cast<int64_t>(run.plain);
      },
      *chosen);
  if (damage.any()) throw damaged_chunk(cut, damage.first());
  // The end may be a hole.
  if (::ftruncate(temp.fd(), static_cast<off_t>(info.payload_size)) != 0)
    throw file_error(errno, "set the size of", temp.path());

  const Metadata& m = job.metadata;
  // exFAT and its like know no modes; some say so. The bytes are what somebody wants back.
  const auto set = [&](int why, const char* doing) {
    if (why == 0) return;
    if (why != EPERM && why != EOPNOTSUPP && why != ENOSYS && why != EINVAL && why != ERANGE)
      throw file_error(why, doing, temp.path());
    out.refused = file_error(why, doing, out.path);
  };
  set(::fchmod(temp.fd(), m.mode & 0777) == 0 ? 0 : errno, "set the mode of");
  set(set_mtime(temp.fd(), nullptr, m.mtime.seconds, m.mtime.nanos), "set the time of");
  if (options.durable && ::fsync(temp.fd()) != 0) throw file_error(errno, "make durable", temp.path());
  if (!same_file(temp.fd(), temp.path()))
    throw Error(Code::conflict, "another process took away the file under work").cause(temp.path());
  if (options.named) {
    publish(temp.path(), out.path, options.replace);
    temp.keep();
    if (options.durable) sync_directory(dir_name(out.path));
  } else {
    out.part = base_name(temp.path());
    temp.keep();
    out.file = temp.take();
  }
  out.object = {std::move(job.metadata), job.header, job.version, info.payload_size};
  return out;
}

}  // namespace kesu
