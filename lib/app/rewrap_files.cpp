#include "app/rewrap_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/interrupt.h"
#include "seal/files.h"

namespace kesu {

namespace {
// Objects whose slots a thread prepares before it asks for the proofs of their wraps and writes them: that
// many files are open in it.
constexpr size_t kGroup = 32;
// Less than this a thread does alone, in order.
constexpr size_t kFew = 2 * kGroup;

std::string text_of(const Error& e) { return e.message() + (e.cause().empty() ? "" : ": " + e.cause()); }

struct AnotherObject {};

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
  (beside ? Crew(1) : crew(wanted.size())).each(wanted.size(), [&](unsigned lane, size_t i) {
    out[i] = look_at_one(beside ? threads_ : lane, wanted[i], place);
  });
  check_interrupted();
  return out;
}

RewrapCandidate RewrapFiles::look_at_one(unsigned lane, const RewrapWanted& w, const SealedPlace* sealed_to) {
  RewrapCandidate out{w.position, w.object, {}, false, {}, {}};
  std::set<std::pair<uint64_t, uint64_t>> files;  // one file may be reached by several paths
  for (const std::string& path : w.paths) {
    const FileLook l = look_at(task_.vault, task_.dataset.str(), w.object, path);
    const bool place = task_.with_paths && path == w.place;
    if (l.kind == FileLook::ours) {
      if (!files.emplace(l.device, l.inode).second) continue;
      // What a slot says of itself anybody can write.
      try {
        out.files.push_back({path, l.newest == w.on ? l.newest : opens_under(lane, path)});
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

// A file that is open, its header region as read, and its next slot once that is made.
struct RewrapFiles::Ready {
  Fd fd;
  uint64_t size;
  Bytes region;
  NextSlot next;
  RewrapCandidate* candidate;
  RewrapCandidate::File* file;

  void failed(const Error& e) const { candidate->failed.push_back({file->path, text_of(e), e.code()}); }
};

void RewrapFiles::move(std::span<RewrapCandidate> work, Durable& durable,
                       const std::function<void(int64_t)>& done) {
  Crew threads = crew(work.size());
  const size_t groups = (work.size() + kGroup - 1) / kGroup;
  std::mutex one;
  threads.each(groups, [&](unsigned lane, size_t i) {
    const auto group = work.subspan(i * kGroup, std::min(kGroup, work.size() - i * kGroup));
    move_group(threads, lane, group, durable);
    std::lock_guard lock(one);
    done(static_cast<int64_t>(group.size()));
  });
  check_interrupted();
}

// Reads, wraps, has the wraps proven, writes what was proven, whatever happened in between. The token's turn
// is kept for the wraps alone: other threads read and write meanwhile.
void RewrapFiles::move_group(Crew& crew, unsigned lane, std::span<RewrapCandidate> group, Durable& durable) {
  std::vector<std::pair<RewrapCandidate*, RewrapCandidate::File*>> files;
  for (RewrapCandidate& c : group)
    for (RewrapCandidate::File& f : c.files)
      if (task_.is_to_move(f.newest)) files.emplace_back(&c, &f);
  std::exception_ptr ends;
  for (size_t at = 0; at < files.size() && !ends && !crew.stopped();) {
    std::vector<Ready> ready;
    for (; at < files.size() && ready.size() < kGroup; ++at) {
      auto [c, f] = files[at];
      try {
        ready.push_back(read(*c, *f));
      } catch (const Error& e) {
        if (errno == EMFILE && !ready.empty()) break;  // those that are open make room first
        c->failed.push_back({f->path, text_of(e), e.code()});
      }
    }
    std::vector<Ready> wrapped;
    try {
      const Lanes::Stay stay(lanes_, lane, task_.to);
      for (Ready& r : ready) {
        if (crew.stopped()) break;
        try {
          wrap(lane, r);
          wrapped.push_back(std::move(r));
        } catch (const Error& e) {
          if (ends_all(e)) throw;
          r.failed(e);
        } catch (const AnotherObject&) {
          r.candidate->missing.push_back({r.file->path, "another object stands there", Code::not_found});
        }
      }
    } catch (const Error&) {
      ends = std::current_exception();
    }
    write(lane, wrapped, durable);
  }
  if (ends) std::rethrow_exception(ends);
}

RewrapFiles::Ready RewrapFiles::read(RewrapCandidate& c, RewrapCandidate::File& f) const {
  errno = 0;
  Fd fd(open_path(f.path, O_RDWR | O_NOFOLLOW));
  if (!fd.ok()) throw file_error(errno, "write into", f.path);
  const SealedInput in = file_input(fd.get());
  Bytes region(std::min<uint64_t>(in.size, kRegionBytes));
  in.read(0, region);
  errno = 0;
  return {std::move(fd), in.size, std::move(region), {}, &c, &f};
}

void RewrapFiles::wrap(unsigned lane, Ready& r) {
  const SealedInput in{r.size, [&](uint64_t offset, std::span<uint8_t> out) {
                         if (offset > r.region.size() || out.size() > r.region.size() - offset)
                           throw Error(Code::sealed_damaged, "a slot beyond the header region");
                         std::copy_n(r.region.begin() + static_cast<ptrdiff_t>(offset), out.size(),
                                     out.begin());
                       }};
  // Another object that took the file's place is known by the additional data that its header makes.
  const auto unwrap = [&](const Slot& slot, ByteView aad) {
    if (to_bytes(aad) != wrap_aad(task_.vault, task_.dataset, r.candidate->object, slot.version))
      throw AnotherObject();
    return lanes_.unwrap(lane, slot, aad);
  };
  r.next = rewrap_object(in, unwrap, task_.to, [&](const Secret& key, ByteView aad) {
    return lanes_.wrap_later(lane, task_.to, key, aad, r.file->path);
  });
}

void RewrapFiles::write(unsigned lane, std::span<Ready> ready, Durable& durable) {
  size_t proven = ready.size();
  std::exception_ptr ends;
  try {
    lanes_.confirm(lane);
  } catch (const Error&) {
    proven = std::min(proven, lanes_.good(lane));
    ends = std::current_exception();
  }
  for (Ready& r : ready.first(proven)) {
    try {
      write_slot(r.fd.get(), r.next, r.file->path);
      durable.wrote(r.fd.get(), r.file->path);
      r.file->moved = true;
    } catch (const Error& e) {
      if (ends_all(e)) {
        ends = std::current_exception();
        break;
      }
      r.failed(e);
    }
  }
  if (ends) std::rethrow_exception(ends);
}

}  // namespace kesu
