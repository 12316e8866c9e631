#include "app/scan.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <numeric>

#include "app/current_objects.h"
#include "app/inventory_look.h"
#include "app/lanes.h"
#include "app/seal_file.h"
#include "app/settle.h"
#include "app/tree_read.h"
#include "base/interrupt.h"
#include "seal/windows.h"

namespace kesu {

namespace {
constexpr uint64_t kUnit = 4u << 20;  // bytes of a file that one thread looks through at a time
constexpr size_t kFilesAtOnce = 1000;
constexpr uint64_t kBytesAtOnce = 1u << 30;
constexpr size_t kMostFound = 10'000;

// The errors that say something of a file alone.
bool of_the_file(const Error& e) {
  return !(e.code() == Code::interrupted || e.code() == Code::out_of_memory || e.exit() == Exit::unavailable);
}

class Scan {
 public:
  Scan(Vault& vault, const ScanOrder& order, Progress& progress)
      : vault_(vault), order_(order), progress_(progress) {}
  // Whatever ended it: nothing that recognises plaintext lives on when the holder says that it ended.
  ~Scan() { forget(); }
  Scan(const Scan&) = delete;
  Scan& operator=(const Scan&) = delete;

  ScanResult run() {
    for (const std::string& p : order_.paths) {
      const std::string place = absolute_path(p);
      struct stat st {};
      if (::lstat(place.c_str(), &st) != 0) throw file_error(errno, "look at", place);
      result_.places.push_back(place);
    }
    result_.started = vault_.env().clock.now();
    holder_.emplace(vault_, order_.dataset, "scan");
    key_ = vault_.env().random.secret(kFingerprintKeyBytes);
    const DatasetRecord d = vault_.state().datasets.at(order_.dataset);
    const uint64_t seals = d.batches.sums().batches;
    {
      const CurrentObjects all(vault_, d);
      result_.superseded = all.superseded();
      result_.window = static_cast<int64_t>(window_for(static_cast<uint64_t>(all.bytes())));
      windows_.emplace(key_, static_cast<size_t>(result_.window));
      take(all, d);
      windows_->finish();
      result_.common = windows_->common();
      result_.whole = windows_->whole_only();
      look();
      if (result_.hits) name_objects(all);
    }
    result_.ended = vault_.env().clock.now();
    record(holder_->id(), seals);
    forget();
    holder_->end("returned");
    vault_.checkpoint();
    return result_;
  }

 private:
  // The key, what was made with it, and what was read.
  void forget() {
    scanners_.clear();
    windows_.reset();
    for (Bytes& b : buffers_) {
      b.resize(b.capacity());
      wipe(b);
    }
    buffers_.clear();
    key_ = Secret();
  }

  // Their values: each object is opened to its end, to nowhere.
  void take(const CurrentObjects& all, const DatasetRecord& d) {
    std::vector<std::unique_ptr<Windows::Taker>> takers;
    for (unsigned i = 0; i < crew_.size(); ++i) takers.push_back(std::make_unique<Windows::Taker>(*windows_));
    Lanes lanes(vault_, crew_.size());
    lanes.allow_all(d, ProcessFor::moving);
    all.each_batch([&](std::vector<SegmentObject> some) {
      check_interrupted();
      holder_->keep();
      std::vector<ObjectId> ids;
      for (const SegmentObject& o : some) ids.push_back(o.object);
      record_objects_opened(vault_, holder_->id(), d, ids, "scan");
      const auto first = static_cast<uint32_t>(objects_.size());
      objects_.insert(objects_.end(), ids.begin(), ids.end());
      crew_.each(some.size(), [&](unsigned worker, size_t i) {
        check_interrupted();
        const SegmentObject& o = some[i];
        Windows::Taker& taker = *takers[worker];
        try {
          const SealedFileAt file(o.place);
          taker.begin(first + static_cast<uint32_t>(i));
          const OpenedObject opened = open_object(
              file.input(), [&](const Slot& slot, ByteView aad) { return lanes.unwrap(worker, slot, aad); },
              [](const Metadata&) {}, [&](ByteView piece) { taker.feed(piece); });
          if (opened.header.object != o.object || opened.plain_bytes != o.bytes)
            throw Error(Code::sealed_damaged, "another object stands there");
          taker.end();
          std::lock_guard lock(mutex_);
          ++result_.objects;
        } catch (const Error& e) {
          if (!of_the_file(e)) throw;
          std::lock_guard lock(mutex_);
          result_.without.push_back({o.place, text_of(e), e.code()});
        }
      });
    });
  }

  struct Unit {
    size_t place = 0;
    size_t file = 0;
    uint64_t at = 0, size = 0;
  };
  struct Seen {
    std::vector<std::pair<uint64_t, uint32_t>> hits;  // offset of a window, object
    std::vector<Digest32> blocks;                     // where the file may be, whole, an object
  };

  void look() {
    openers_.resize(crew_.size());
    for (auto& own : openers_)
      for (const std::string& place : result_.places) own.emplace_back(place);
    for (unsigned i = 0; i < crew_.size(); ++i) {
      scanners_.emplace_back(*windows_);
      buffers_.emplace_back();
      buffers_.back().reserve(kUnit + windows_->window());  // so that no copy is left behind when it grows
    }
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

  void fail(const std::string& path, const Error& e) {
    std::lock_guard lock(mutex_);
    result_.unreadable.push_back({path, text_of(e), e.code()});
  }

  void add(size_t place, const TreeFile& f) {
    files_.push_back(f);
    waiting_ += f.size;
    if (files_.size() == kFilesAtOnce || waiting_ >= kBytesAtOnce) look_through(place);
  }

  using Found = std::map<std::pair<size_t, uint32_t>, ScanHit>;  // by file and object

  void look_through(size_t place) {
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
  Found look_through(size_t place, const std::vector<size_t>& which,
                     std::vector<std::optional<Error>>& errors) {
    check_interrupted();
    holder_->keep();
    const auto window = static_cast<uint64_t>(result_.window);
    std::vector<Unit> units;
    for (const size_t i : which) {
      const uint64_t size = files_[i].size;
      for (uint64_t at = 0; at == 0 || at + window <= size; at += kUnit)
        units.push_back({place, i, at, std::min(size - at, kUnit + window - 1)});
    }
    std::vector<Seen> seen(units.size());
    crew_.each(units.size(), [&](unsigned worker, size_t n) {
      check_interrupted();
      const Unit& u = units[n];
      try {
        look_at(u, worker, seen[n]);
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
        h.object = hex(objects_[object].bytes());
      }
      h.offset = std::min(h.offset, static_cast<int64_t>(offset));
      return h;
    };
    std::vector<Digest32> blocks;
    for (size_t n = 0; n < units.size(); ++n) {
      const size_t file = units[n].file;
      for (const auto& [offset, object] : seen[n].hits) ++hit(file, offset, object).windows;
      blocks.insert(blocks.end(), seen[n].blocks.begin(), seen[n].blocks.end());
      if (n + 1 < units.size() && units[n + 1].file == file) continue;
      if (!blocks.empty() && !errors[file])
        if (const auto object = scanners_.front().whole(files_[file].size, blocks))
          hit(file, 0, *object).whole = true;
      blocks.clear();
    }
    return found;
  }

  // Takes a file that changed as it is by now; false: it cannot be looked at, and `error` says why.
  bool refresh(size_t place, TreeFile& f, std::optional<Error>& error) {
    try {
      const Fd fd = openers_.front().at(place).open(f);
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

  struct stat stat_of(const Fd& fd, size_t place, const TreeFile& f) const {
    struct stat st {};
    if (::fstat(fd.get(), &st) != 0)
      throw file_error(errno, "look at", tree_path(result_.places[place], f.name));
    return st;
  }

  // What was written after the file was listed, or while it was read, may not have been seen.
  void refuse_changed(const Fd& fd, size_t place, const TreeFile& f) const {
    const struct stat st = stat_of(fd, place, f);
    if (static_cast<uint64_t>(st.st_size) == f.size &&
        FileTime{st.st_mtim.tv_sec, st.st_mtim.tv_nsec} == f.mtime &&
        FileTime{st.st_ctim.tv_sec, st.st_ctim.tv_nsec} == f.ctime)
      return;
    throw changed(place, f);
  }

  Error changed(size_t place, const TreeFile& f) const {
    return Error(Code::conflict, tree_path(result_.places[place], f.name) + " changed while it was read")
        .next("scan again when nothing writes there");
  }

  void look_at(const Unit& u, unsigned worker, Seen& seen) {
    const TreeFile& f = files_[u.file];
    const bool small = f.size < static_cast<uint64_t>(result_.window);
    const bool may_be_whole = windows_->whole(f.size);
    const Fd fd = openers_[worker].at(u.place).open(f);  // also of those that are too short: can it be read?
    refuse_changed(fd, u.place, f);
    if (small && !may_be_whole) return;
    Bytes& buffer = buffers_[worker];
    buffer.resize(u.size);
    for (size_t have = 0; have < u.size;) {
      const ssize_t n =
          ::pread(fd.get(), buffer.data() + have, u.size - have, static_cast<off_t>(u.at + have));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw file_error(errno, "read", tree_path(result_.places[u.place], f.name));
      if (n == 0) throw changed(u.place, f);
      have += static_cast<size_t>(n);
    }
    progress_.bytes += static_cast<int64_t>(std::min<uint64_t>(u.size, kUnit));
    if (!small)
      scanners_[worker].scan(
          buffer, [&](size_t offset, uint32_t object) { seen.hits.emplace_back(u.at + offset, object); });
    // Up to where the next part begins.
    if (may_be_whole)
      scanners_[worker].blocks(u.at + u.size == f.size ? buffer : ByteView(buffer).first(kUnit), seen.blocks);
    refuse_changed(fd, u.place, f);
  }

  // Only of what was found.
  void name_objects(const CurrentObjects& all) {
    std::map<std::string, std::string> names;
    for (const ScanHit& h : result_.found) names[h.object];
    all.each_batch([&](const std::vector<SegmentObject>& some) {
      for (const SegmentObject& o : some)
        if (const auto it = names.find(hex(o.object.bytes())); it != names.end()) it->second = o.name;
    });
    for (ScanHit& h : result_.found) h.name = names[h.object];
  }

  // Counts and places, and no name of a file: whoever gets the certificate learns where was looked.
  void record(const std::string& process, uint64_t seals) {
    Json places(Json::Array{});
    for (const std::string& p : result_.places) places.push(name_to_json(p));
    Json document = Json::object({{"format", "kesu-residue-scan-v1"},
                                  {"vault", vault_.state().vault.id},
                                  {"dataset", order_.dataset},
                                  {"process", process},
                                  {"program", std::string(kProgram)},
                                  {"window", result_.window},
                                  {"objects", result_.objects},
                                  {"superseded", result_.superseded},
                                  {"without", static_cast<int64_t>(result_.without.size())},
                                  {"common", result_.common},
                                  {"whole", result_.whole},
                                  {"places", places},
                                  {"files", result_.files},
                                  {"bytes", result_.bytes},
                                  {"special", result_.special},
                                  {"unreadable", static_cast<int64_t>(result_.unreadable.size())},
                                  {"hits", result_.hits},
                                  {"started", utc_text(result_.started)},
                                  {"ended", utc_text(result_.ended)}});
    result_.document = vault_.store().put_blob(as_bytes(document.canonical()));
    vault_.decide({order_.dataset, process}, [&] {
      const DatasetRecord& d = vault_.state().datasets.at(order_.dataset);
      if (static_cast<uint64_t>(d.batches.sums().batches) != seals || !d.batches.open().empty())
        throw Error(Code::conflict, "objects were sealed into " + d.name + " while it was looked for")
            .cause("the scan does not know them")
            .next("the same command again");
      return std::vector<Event>{
          {.type = "residue-scanned",
           .nodes = {{.id = order_.dataset, .n = result_.hits, .b = result_.bytes, .d = result_.document},
                     {.id = process}},
           .body = Json::object({{"document", result_.document}})}};
    });
  }

  Vault& vault_;
  const ScanOrder& order_;
  Progress& progress_;
  std::optional<KeyHolder> holder_;  // destroyed after all that follows
  Secret key_;                       // of this scan: nobody else ever has it
  Crew crew_;
  std::optional<Windows> windows_;
  std::vector<ObjectId> objects_;
  std::mutex mutex_;
  std::vector<std::vector<TreeOpener>> openers_;
  std::deque<Windows::Scanner> scanners_;
  std::vector<Bytes> buffers_;
  std::vector<TreeFile> files_;
  uint64_t waiting_ = 0;
  ScanResult result_;
};
}  // namespace

ScanResult scan_for_residue(Vault& vault, const ScanOrder& order, Progress& progress) {
  CatchInterrupts interrupts;
  settle(vault);
  return Scan(vault, order, progress).run();
}

}  // namespace kesu
