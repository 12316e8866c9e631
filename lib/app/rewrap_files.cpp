#include "app/rewrap_files.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/interrupt.h"
#include "base/open_files.h"
#include "seal/files.h"

namespace kesu {

namespace {
// Objects that a thread reads before the first of them is carried over: so many files are open in it, and as
// many that are carried over meanwhile.
constexpr size_t kGroup = Rewrapper::kOpen / 2;
// Less than this a thread does alone, in order.
constexpr size_t kFew = 2 * kGroup;

// Fewer where there are many threads, so that vault and providers can open files, too.
size_t group_of(unsigned threads) {
  constexpr rlim_t kOthers = 256;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur <= kOthers) return 1;
  return std::clamp<size_t>((limit.rlim_cur - kOthers) / (2 * threads), 1, kGroup);
}

std::string text_of(const Error& e) { return e.message() + (e.cause().empty() ? "" : ": " + e.cause()); }

// A provider or disk at fault, not the file.
bool ends_all(const Error& e) {
  return e.exit() == Exit::unavailable || e.code() == Code::disk_full || e.code() == Code::key_mismatch ||
         e.code() == Code::interrupted;
}
}  // namespace

bool RewrapCandidate::is_moved(const RewrapTask& task) const {
  return !files.empty() && !out_of_reach && std::all_of(files.begin(), files.end(), [&](const File& f) {
    return f.moved || f.newest == task.to.str();
  });
}

int64_t RewrapCandidate::wraps(const RewrapTask& task) const {
  return std::count_if(files.begin(), files.end(), [&](const File& f) { return task.is_to_move(f.newest); });
}

Crew RewrapFiles::crew(size_t work) const { return Crew(work < kFew ? 1 : threads_); }

std::vector<RewrapCandidate> RewrapFiles::look(const std::vector<RewrapWanted>& wanted,
                                               const SealedPlace* place, bool beside) {
  std::vector<RewrapCandidate> out(wanted.size());
  // Directories are looked up anew for each batch.
  const unsigned first = beside ? threads_ : 0;
  for (unsigned lane = first; lane <= threads_; ++lane) nearby_[lane] = {};
  (beside ? Crew(1) : crew(wanted.size())).each(wanted.size(), [&](unsigned lane, size_t i) {
    out[i] = look_at_one(first + lane, wanted[i], place);
  });
  check_interrupted();
  return out;
}

RewrapCandidate RewrapFiles::look_at_one(unsigned lane, const RewrapWanted& w, const SealedPlace* sealed_to) {
  RewrapCandidate out{w.position, w.object, {}, false, {}, {}};
  std::set<std::pair<uint64_t, uint64_t>> files;  // one file may be reached by several paths
  for (const std::string& path : w.paths) {
    FileLook l = look_at(task_.vault, task_.dataset, w.object, path, nearby_[lane]);
    const bool place = task_.with_paths && path == w.place;
    if (l.kind == FileLook::ours) {
      if (!files.emplace(l.device, l.inode).second) continue;
      // What a slot says of itself anybody can write.
      try {
        std::string newest = l.newest == w.on ? std::move(l.newest) : opens_under(lane, path);
        out.files.push_back({path, std::move(newest), l.size, std::move(l.bytes), std::move(l.region)});
      } catch (const Error& e) {
        if (e.exit() == Exit::unavailable) throw;
        out.failed.push_back({path, text_of(e), e.code()});
        out.out_of_reach = true;
      }
    } else if (l.kind == FileLook::unreadable) {
      out.failed.push_back({path, l.why, l.code});
      out.out_of_reach |= place;
    } else if (place && w.on != task_.to.str() && sealed_to &&
               sealed_to->may_hide(path, l.kind == FileLook::other)) {
      out.missing.push_back({path,
                             sealed_to->why_hidden(path) + "; there it opens with the older version alone",
                             Code::not_found});
      out.out_of_reach = true;
    } else if (!place) {
      out.missing.push_back({path, l.why, Code::not_found});
    }
  }
  return out;
}

std::string RewrapFiles::opens_under(unsigned lane, const std::string& path) {
  const Fd fd(open_path(path, O_RDONLY | O_NOFOLLOW));
  if (!fd.ok()) throw file_error(errno, "open", path);
  return opening_version(file_input(fd.get()),
                         [&](const Slot& slot, ByteView aad) { return lanes_.unwrap(lane, slot, aad); })
      .str();
}

// A file that is open, its header region, and what came of it so far.
struct RewrapFiles::Ready {
  Fd fd;
  uint64_t device;
  const Region* region;
  RewrapCandidate* candidate;
  RewrapCandidate::File* file;
  bool beside = false;  // a process of ours carries it over
  OpenedKey opened{};
  Rewrapper::Written slot{};
  bool out = false;  // what it failed with stands in the candidate

  void failed(const Error& e) {
    candidate->failed.push_back({file->path, text_of(e), e.code()});
    out = true;
  }
};

RewrapFiles::RewrapFiles(const RewrapTask& task, Lanes& lanes, unsigned threads)
    : task_(task),
      lanes_(lanes),
      threads_(threads),
      group_(group_of(threads)),
      moving_(threads),
      nearby_(threads + 1) {
  make_room_for_open_files(64 + threads * 2 * group_);
}
RewrapFiles::~RewrapFiles() = default;

void RewrapFiles::move(std::span<RewrapCandidate> work, Durable& durable,
                       const std::function<void(int64_t)>& done) {
  Crew threads = crew(work.size());
  const size_t groups = (work.size() + group_ - 1) / group_;
  for (unsigned lane = 0; lane < threads.size(); ++lane) nearby_[lane] = {};
  ended_ = false;
  std::mutex one;
  std::exception_ptr ends;
  try {
    threads.each(groups, [&](unsigned lane, size_t i) {
      const auto group = work.subspan(i * group_, std::min(group_, work.size() - i * group_));
      move_group(threads, lane, group, durable);
      std::lock_guard lock(one);
      done(static_cast<int64_t>(group.size()));
    });
  } catch (...) {
    ends = std::current_exception();
  }
  for (unsigned lane = 0; lane < threads.size(); ++lane)
    if (const auto last = finish(lane, durable); last && !ends) ends = last;
  if (ends) std::rethrow_exception(ends);
  check_interrupted();
}

// Reads a group and has it carried over while the one before is written and the next one is read.
void RewrapFiles::move_group(Crew& crew, unsigned lane, std::span<RewrapCandidate> group, Durable& durable) {
  std::vector<std::pair<RewrapCandidate*, RewrapCandidate::File*>> files;
  for (RewrapCandidate& c : group)
    for (RewrapCandidate::File& f : c.files)
      if (task_.is_to_move(f.newest)) files.emplace_back(&c, &f);
  std::exception_ptr ends;
  for (size_t at = 0; at < files.size() && !ends && !ended_ && !crew.stopped();) {
    std::vector<Ready> ready;
    ready.reserve(group_);
    for (; at < files.size() && ready.size() < group_ && !ends; ++at) {
      auto [c, f] = files[at];
      try {
        if (auto r = read(lane, *c, *f)) ready.push_back(std::move(*r));
      } catch (const Error& e) {
        const bool full = errno == EMFILE;
        if (full && !ready.empty()) break;  // those that are open make room first
        if (full && !moving_[lane].empty()) {
          ends = finish(lane, durable);
          --at;
          continue;
        }
        c->failed.push_back({f->path, text_of(e), e.code()});
      }
    }
    for (Ready& r : ready) {
      Rewrapper* beside = lanes_.beside(lane, *r.region);
      if (!beside) continue;
      beside->submit(r.file->bytes);
      r.beside = true;
    }
    if (Rewrapper* beside = lanes_.beside(lane)) beside->hand_over();
    std::swap(ready, moving_[lane]);
    if (const auto before = finish(lane, std::move(ready), durable)) ends = before;
  }
  if (ends) std::rethrow_exception(ends);
}

// nullopt: another object took the file's place.
std::optional<RewrapFiles::Ready> RewrapFiles::read(unsigned lane, RewrapCandidate& c,
                                                    RewrapCandidate::File& f) {
  errno = 0;
  Fd fd(nearby_[lane].open(f.path, O_RDWR | O_NOFOLLOW));
  struct stat st {};
  if (!fd.ok() || ::fstat(fd.get(), &st) != 0) throw file_error(errno, "write into", f.path);
  const auto size = static_cast<uint64_t>(st.st_size);
  Bytes bytes = region_at(fd.get(), size);
  if (size != f.size || bytes != f.bytes) {
    f.region = inspect_region(bytes, size).region;
    f.size = size, f.bytes = std::move(bytes);
    const ObjectHeader& h = f.region.header;
    if (h.vault != task_.vault || h.dataset != task_.dataset || h.object != c.object) {
      c.missing.push_back({f.path, "another object stands there", Code::not_found});
      return std::nullopt;
    }
  }
  errno = 0;
  return Ready{std::move(fd), st.st_dev, &f.region, &c, &f};
}

// What no process beside carried over: here, every wrap proven. The token's turn is kept for its own work
// alone: other threads do the rest meanwhile. Returns what ended it.
std::exception_ptr RewrapFiles::carry_over(unsigned lane, std::span<Ready> some) {
  std::exception_ptr ends;
  const auto each = [&](const std::function<void(Ready&)>& step) {
    for (Ready& r : some) {
      if (r.out || !r.slot.slot.empty() || ended_ || interrupted()) continue;
      try {
        step(r);
      } catch (const Error& e) {
        if (ends_all(e))  // while the turn is held: what the provider says to the next one explains less
          ended_ = true, ends = std::current_exception();
        else
          r.failed(e);
      }
    }
  };
  const auto at_the_token = [&](const std::function<void(Ready&)>& step) {
    try {
      const Lanes::Stay stay(lanes_, lane, task_.to);
      each(step);
    } catch (const Error&) {
      ended_ = true, ends = std::current_exception();
    }
  };
  at_the_token([&](Ready& r) {
    r.opened =
        open_key(*r.region, [&](const Slot& slot, ByteView aad) { return lanes_.unwrap(lane, slot, aad); });
  });
  each([](Ready& r) { check_key(*r.region, r.opened); });
  at_the_token([&](Ready& r) {
    const NextSlot next = next_slot(
        *r.region, r.opened, task_.to,
        lanes_.wrap(lane, task_.to, r.opened.data_key,
                    wrap_aad(task_.vault, task_.dataset, r.candidate->object, task_.to), r.file->path));
    r.slot = {next.offset, to_bytes(slot_bytes(next.slot))};
    r.opened.data_key = Secret();
  });
  return ends;
}

std::exception_ptr RewrapFiles::finish(unsigned lane, Durable& durable) {
  return finish(lane, std::exchange(moving_[lane], {}), durable);
}

// Awaits what is carried over beside, does the rest here, and writes.
std::exception_ptr RewrapFiles::finish(unsigned lane, std::vector<Ready> group, Durable& durable) {
  bool all = true;
  for (Ready& r : group) {
    if (r.beside)
      if (auto slot = lanes_.beside(lane)->take()) r.slot = std::move(*slot);
    all &= !r.slot.slot.empty();
  }
  std::exception_ptr ends;
  if (!all) {
    std::vector<Ready*> asked;
    for (Ready& r : group)
      if (r.beside && r.slot.slot.empty()) asked.push_back(&r);
    ends = carry_over(lane, group);
    const bool here = std::ranges::any_of(asked, [](const Ready* r) { return !r->slot.slot.empty(); });
    if (here && !lanes_.beside(lane)->dead()) lanes_.done_here();
  }
  for (Ready& r : group) {
    if (r.slot.slot.empty()) continue;
    try {
      write_slot(r.fd.get(), r.slot.offset, r.slot.slot, r.file->path);
      durable.wrote(r.fd.get(), r.device, r.file->path);
      r.file->moved = true;
    } catch (const Error& e) {
      if (ends_all(e)) {
        ended_ = true;
        if (!ends) ends = std::current_exception();
        break;
      }
      r.failed(e);
    }
  }
  return ends;
}

}  // namespace kesu
