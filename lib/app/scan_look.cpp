#include "app/scan_look.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <numeric>

#include "app/seal_file.h"
#include "base/interrupt.h"

namespace kesu {

namespace {
constexpr uint64_t kUnit = 4u << 20;  // bytes of a file that one thread looks through at a time
constexpr size_t kFilesAtOnce = 1000;
constexpr uint64_t kBytesAtOnce = 1u << 30;
constexpr size_t kMostFound = 10'000;
}  // namespace

bool of_the_file(const Error& e) {
  return !(e.code() == Code::interrupted || e.code() == Code::out_of_memory || e.exit() == Exit::unavailable);
}

ScanLook::ScanLook(For what, Crew& crew, KeyHolder& holder, ScanResult& result, Progress& progress)
    : what_(std::move(what)),
      window_(what_.windows ? what_.windows->window() : 1),
      crew_(crew),
      holder_(holder),
      result_(result),
      progress_(progress) {
  for (unsigned i = 0; i < crew_.size(); ++i) {
    Worker& w = workers_.emplace_back();
    for (const std::string& place : result_.places) w.openers.emplace_back(place);
    if (what_.windows) w.windows.emplace(*what_.windows);
    for (const PrintIndex* index : what_.prints) w.prints.emplace_back(*index);
    w.buffer.reserve(kUnit + window_);  // so that no copy is left behind when it grows
  }
}

ScanLook::~ScanLook() {
  for (Worker& w : workers_) {
    w.buffer.resize(w.buffer.capacity());
    wipe(w.buffer);
  }
}

void ScanLook::look() {
  for (size_t place = 0; place < result_.places.size(); ++place) {
    read_files(result_.places[place],
               {.file = [&](const TreeFile& f) { add(place, f); },
                .skipped =
                    [&](const std::string&, const std::string& what) {
                      result_.special += what != "not a regular file";  // that is a link
                    },
                .failed = [&](const std::string& path, const Error& e) { fail(path, e); }});
    look_through(place);
  }
}

void ScanLook::fail(const std::string& path, const Error& e) {
  std::lock_guard lock(mutex_);
  result_.unreadable.push_back({path, text_of(e), e.code()});
}

void ScanLook::add(size_t place, const TreeFile& f) {
  files_.push_back(f);
  waiting_ += f.size;
  if (files_.size() == kFilesAtOnce || waiting_ >= kBytesAtOnce) look_through(place);
}

void ScanLook::look_through(size_t place) {
  std::vector<std::optional<Error>> errors(files_.size());
  std::vector<size_t> all(files_.size());
  std::iota(all.begin(), all.end(), size_t{0});
  Found found = look_through(place, all, errors);
  // What changed meanwhile is read once more, as it is by now.
  std::vector<size_t> again;
  for (const size_t i : all)
    if (errors[i] && errors[i]->code() == Code::conflict && refresh(place, files_[i], errors[i]))
      again.push_back(i);
  if (!again.empty()) {
    Found second = look_through(place, again, errors);
    second.merge(found);  // what was found the first time was found all the same
    found = std::move(second);
  }
  for (size_t i = 0; i < files_.size(); ++i) {
    ++progress_.files;
    if (errors[i]) {
      fail(tree_path(result_.places[place], files_[i].name), *errors[i]);
      continue;
    }
    ++result_.files;
    result_.bytes += static_cast<int64_t>(files_[i].size);
  }
  for (auto& [where, hit] : found) {
    ++result_.hits;
    if (result_.found.size() < kMostFound) result_.found.push_back(std::move(hit));
  }
  files_.clear();
  waiting_ = 0;
}

// Parts of large files overlap by what a window needs, so that none is cut by their borders.
ScanLook::Found ScanLook::look_through(size_t place, const std::vector<size_t>& which,
                                       std::vector<std::optional<Error>>& errors) {
  check_interrupted();
  holder_.keep();
  std::vector<Unit> units;
  for (const size_t i : which) {
    const uint64_t size = files_[i].size;
    for (uint64_t at = 0; at == 0 || at + window_ <= size; at += kUnit)
      units.push_back({place, i, at, std::min(size - at, kUnit + window_ - 1)});
  }
  std::vector<Seen> seen(units.size());
  crew_.each(units.size(), [&](unsigned worker, size_t n) {
    check_interrupted();
    const Unit& u = units[n];
    try {
      look_at(u, workers_[worker], seen[n]);
    } catch (const Error& e) {
      if (!of_the_file(e)) throw;
      std::lock_guard lock(mutex_);
      errors[u.file] = e;
    }
  });
  // What was found in a file that could not be read to its end was found all the same.
  Found found;
  const auto hit = [&](size_t file, uint64_t offset, uint32_t object) -> ScanHit& {
    auto [it, fresh] = found.try_emplace({file, object});
    ScanHit& h = it->second;
    if (fresh) {
      h.path = tree_path(result_.places[place], files_[file].name);
      h.offset = static_cast<int64_t>(offset);
      h.object = hex((*what_.objects)[object].bytes());
    }
    h.offset = std::min(h.offset, static_cast<int64_t>(offset));
    return h;
  };
  Worker& first = workers_.front();
  Seen whole;  // of one file
  whole.values.resize(what_.prints.size());
  for (size_t n = 0; n < units.size(); ++n) {
    const size_t file = units[n].file;
    for (const auto& [offset, object, bytes] : seen[n].hits) {
      ScanHit& h = hit(file, offset, object);
      ++h.windows;
      h.bytes += bytes;
    }
    whole.blocks.insert(whole.blocks.end(), seen[n].blocks.begin(), seen[n].blocks.end());
    for (size_t k = 0; k < seen[n].values.size(); ++k)
      whole.values[k].insert(whole.values[k].end(), seen[n].values[k].begin(), seen[n].values[k].end());
    if (n + 1 < units.size() && units[n + 1].file == file) continue;
    const uint64_t size = files_[file].size;
    const auto is_object = [&](std::optional<uint32_t> object) {
      if (!object) return;
      ScanHit& h = hit(file, 0, *object);
      h.whole = true;
      h.bytes = static_cast<int64_t>(size);
    };
    if (!errors[file]) {
      if (!whole.blocks.empty()) is_object(first.windows->whole(size, whole.blocks));
      for (size_t k = 0; k < whole.values.size(); ++k)
        if (!whole.values[k].empty()) is_object(first.prints[k].whole(size, whole.values[k]));
    }
    whole.blocks.clear();
    for (auto& values : whole.values) values.clear();
  }
  return found;
}

// Takes a file that changed as it is by now; false: it cannot be looked at, and `error` says why.
bool ScanLook::refresh(size_t place, TreeFile& f, std::optional<Error>& error) {
  try {
    const Fd fd = workers_.front().openers.at(place).open(f);
    const struct stat st = stat_of(fd, place, f);
    f.size = static_cast<uint64_t>(st.st_size);
    f.mtime = {st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
    f.ctime = {st.st_ctim.tv_sec, st.st_ctim.tv_nsec};
    error.reset();
    return true;
  } catch (const Error& e) {
    if (!of_the_file(e)) throw;
    error = e;
    return false;
  }
}

struct stat ScanLook::stat_of(const Fd& fd, size_t place, const TreeFile& f) const {
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0)
    throw file_error(errno, "look at", tree_path(result_.places[place], f.name));
  return st;
}

// What was written after the file was listed, or while it was read, may not have been seen.
void ScanLook::refuse_changed(const Fd& fd, size_t place, const TreeFile& f) const {
  const struct stat st = stat_of(fd, place, f);
  if (static_cast<uint64_t>(st.st_size) == f.size &&
      FileTime{st.st_mtim.tv_sec, st.st_mtim.tv_nsec} == f.mtime &&
      FileTime{st.st_ctim.tv_sec, st.st_ctim.tv_nsec} == f.ctime)
    return;
  throw changed(place, f);
}

Error ScanLook::changed(size_t place, const TreeFile& f) const {
  return Error(Code::conflict, tree_path(result_.places[place], f.name) + " changed while it was read")
      .next("scan again when nothing writes there");
}

void ScanLook::look_at(const Unit& u, Worker& w, Seen& seen) {
  const TreeFile& f = files_[u.file];
  const bool windows = w.windows && f.size >= window_;
  const bool may_be_whole = w.windows && what_.windows->whole(f.size);
  std::vector<bool> values(w.prints.size());
  bool prints = !w.prints.empty() && f.size >= kFingerprintBlock;
  for (size_t k = 0; k < w.prints.size(); ++k) prints |= values[k] = what_.prints[k]->whole(f.size);
  const Fd fd = w.openers[u.place].open(f);  // also of those that are too short: can it be read?
  refuse_changed(fd, u.place, f);
  if (!windows && !may_be_whole && !prints) return;
  Bytes& buffer = w.buffer;
  buffer.resize(u.size);
  for (size_t have = 0; have < u.size;) {
    const ssize_t n = ::pread(fd.get(), buffer.data() + have, u.size - have, static_cast<off_t>(u.at + have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw file_error(errno, "read", tree_path(result_.places[u.place], f.name));
    if (n == 0) throw changed(u.place, f);
    have += static_cast<size_t>(n);
  }
  progress_.bytes += static_cast<int64_t>(std::min<uint64_t>(u.size, kUnit));
  if (windows)
    w.windows->scan(buffer, [&](size_t offset, uint32_t object) {
      seen.hits.push_back({u.at + offset, object, static_cast<uint32_t>(window_)});
    });
  // Up to where the next part begins.
  const ByteView own = u.at + u.size == f.size ? ByteView(buffer) : ByteView(buffer).first(kUnit);
  if (may_be_whole) w.windows->blocks(own, seen.blocks);
  if (prints) {
    seen.values.resize(w.prints.size());
    for (size_t k = 0; k < w.prints.size(); ++k)
      w.prints[k].scan(
          own,
          [&](size_t offset, uint32_t object) {
            seen.hits.push_back({u.at + offset, object, kFingerprintBlock});
          },
          values[k] ? &seen.values[k] : nullptr);
  }
  refuse_changed(fd, u.place, f);
}

}  // namespace kesu
