#include "app/seal_remove.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "app/batch_paths.h"
#include "app/writers.h"
#include "base/interrupt.h"

namespace kesu {

namespace {
class Remover {
 public:
  Remover(Sealer& sealer, const DatasetRecord& dataset, SealResult& result)
      : sealer_(sealer), dataset_(dataset), result_(result) {}

  void remove(const std::string& top, const Selection& selection, const TreeManifest* manifest) {
    TreeSinks sinks;
    for (const Skipped& f : result_.failed) said_.insert(f.path);
    const std::set<std::string> failed = said_;
    sinks.file = [&](const TreeFile& f) {
      SealSource s = source_of(top, f);
      // Its bytes may be sealed, and something else of it not.
      if (failed.contains(s.path)) return;
      if (!sealer_.unchanged(s))
        return kept(s.path,
                    Error(Code::conflict, "the source is kept").cause("it changed after it was sealed"));
      paths_ += s.path.size();
      sources_.push_back(std::move(s));
      if (sources_.size() == kMaxBatch || paths_ >= kBatchPaths) flush(top);
    };
    sinks.skipped = [](const std::string&, const std::string&) {};  // said as well
    sinks.failed = [&](const std::string& path, const Error& e) { kept(path, e); };
    read_tree(top, selection, sinks);
    flush(top);
    if (manifest) links(top, *manifest);
    make_durable(top);
  }

 private:
  // What came back after a loss of power would be plaintext that the command said is gone.
  void make_durable(const std::string& top) {
    for (auto& [device, directory] : std::exchange(disks_, {}))
      if (directory.ok() && ::syncfs(directory.get()) != 0)
        kept(top, file_error(errno, "make durable that files were removed from", top));
  }

  void removed_from_disk(dev_t device, int directory, const std::string& leaf) {
    auto [it, fresh] = disks_.try_emplace(device);
    if (!fresh) return;
    it->second = directory == AT_FDCWD ? Fd(open_path(dir_name(leaf), O_RDONLY | O_DIRECTORY))
                                       : Fd(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }

  void flush(const std::string& top) {
    std::vector<SealSource> sources = std::exchange(sources_, {});
    paths_ = 0;
    if (sources.empty()) return;
    std::vector<ObjectId> objects;
    for (const SealSource& s : sources)
      objects.push_back(sealer_.inventory().at_place(sealer_.known_place(s))->object);
    sealer_.record_opening(objects, "compare with its source before that is removed");
    sealer_.lanes().allow_all(dataset_, ProcessFor::opening);
    std::vector<std::string> places;
    for (const SealSource& s : sources) places.push_back(sealer_.known_place(s));
    std::vector<std::optional<Error>> failures(sources.size());
    std::vector<std::unique_ptr<Worker>> workers(sealer_.crew().size());
    sealer_.crew().each(sources.size(), [&](unsigned worker, size_t i) {
      if (!workers[worker]) workers[worker] = std::make_unique<Worker>(top);
      try {
        compare_and_remove(*workers[worker], sources[i], places[i], worker);
      } catch (const Error& e) {
        if (e.code() == Code::interrupted || e.exit() == Exit::unavailable) throw;
        failures[i] = e;
      }
    });
    for (size_t i = 0; i < sources.size(); ++i)
      if (failures[i]) kept(sources[i].path, *failures[i]);
    check_interrupted();
  }

  struct Worker {
    explicit Worker(const std::string& top) : opener(top), top_(top) {}
    // The directory that `name` (below the dataset's) lies in, and the last component.
    int directory_of(const std::string& name, std::string& leaf) {
      const size_t slash = name.find('/');
      if (slash == std::string::npos) return leaf = top_, AT_FDCWD;
      if (!below_) below_.emplace(top_);
      return below_->directory_of(std::string_view(name).substr(slash + 1), leaf);
    }
    TreeOpener opener;

   private:
    std::string top_;
    std::optional<Below> below_;
  };

  void compare_and_remove(Worker& worker, const SealSource& s, const std::string& place, unsigned lane) {
    const Fd fd = worker.opener.open(s.file);
    const bool equal = equals_source(place, fd.get(), s.file.size, [&](const Slot& slot, ByteView aad) {
      return sealer_.lanes().unwrap(lane, slot, aad);
    });
    struct stat now {};
    if (::fstat(fd.get(), &now) != 0) throw file_error(errno, "look at", s.path);
    if (!as_sealed(s, now))
      throw Error(Code::conflict, "the source is kept").cause("it changed after it was sealed");
    if (!equal)
      throw Error(Code::sealed_damaged, "the source is kept")
          .cause(place + " does not open to the same bytes");
    std::string leaf;
    const int directory = worker.directory_of(s.file.name, leaf);
    const NoWriters none(fd.get());
    struct stat st {};
    if (::fstatat(directory, leaf.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) ||
        !as_sealed(s, st))
      throw Error(Code::conflict, "the source is kept").cause("it changed after it was sealed");
    if (::unlinkat(directory, leaf.c_str(), 0) != 0) throw file_error(errno, "remove", s.path);
    // Its other names go later: until then it must stay what was compared.
    std::optional<struct stat> left;
    if (s.file.nlink > 1) left = removed_from(fd.get(), st);
    std::lock_guard lock(mutex_);
    removed_from_disk(st.st_dev, directory, leaf);
    ++result_.removed;
    if (s.file.nlink > 1) removed_[s.file.name] = left;
  }

  // What differs from the sealed bytes is no damaged object where the file is another by now.
  static bool as_sealed(const SealSource& s, const struct stat& st) {
    return st.st_dev == s.file.device && st.st_ino == s.file.inode &&
           static_cast<uint64_t>(st.st_size) == s.file.size && time_of(st.st_mtim) == s.file.mtime &&
           time_of(st.st_ctim) == s.file.ctime;
  }

  static bool same(const timespec& a, const timespec& b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
  }

  // What a file of which a name was removed is like now; nullopt: it changed otherwise, too.
  static std::optional<struct stat> removed_from(int fd, const struct stat& before) {
    struct stat st {};
    if (::fstat(fd, &st) != 0 || st.st_size != before.st_size || !same(st.st_mtim, before.st_mtim))
      return std::nullopt;
    return st;
  }

  void remove_link(int directory, const std::string& leaf, std::optional<struct stat>& known) {
    const Fd fd(::openat(directory, leaf.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat st {};
    if (!fd.ok() || ::fstat(fd.get(), &st) != 0) throw file_error(errno, "look at", leaf);
    const NoWriters none(fd.get());
    if (!known || st.st_dev != known->st_dev || st.st_ino != known->st_ino || st.st_size != known->st_size ||
        !same(st.st_mtim, known->st_mtim) || !same(st.st_ctim, known->st_ctim))
      throw changed();
    if (::unlinkat(directory, leaf.c_str(), 0) != 0) throw file_error(errno, "remove", leaf);
    known = removed_from(fd.get(), st);
  }

  void kept(const std::string& path, const Error& e) {
    if (said_.insert(path).second) result_.failed.push_back({path, text_of(e), e.code()});
  }

  // Links are in the manifest, which is durable; further names of a file go with its first.
  void links(const std::string& top, const TreeManifest& manifest) {
    Worker worker(top);
    TreeManifestReader reader([&](const TreeRow& row) {
      if (row.type != TreeRow::Type::link && row.type != TreeRow::Type::symlink) return;
      const std::string name = path_join(base_name(top), row.name);
      try {
        std::string leaf;
        const int directory = worker.directory_of(name, leaf);
        struct stat st {};
        if (::fstatat(directory, leaf.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
          return;  // of an earlier sealing
        if (row.type == TreeRow::Type::link) {
          auto first = removed_.find(path_join(base_name(top), row.target));
          if (first == removed_.end()) return;
          remove_link(directory, leaf, first->second);
        } else {
          std::string target(row.target.size() + 1, '\0');
          const ssize_t n = ::readlinkat(directory, leaf.c_str(), target.data(), target.size());
          if (n < 0 || std::string_view(target.data(), static_cast<size_t>(n)) != row.target) throw changed();
          if (::unlinkat(directory, leaf.c_str(), 0) != 0) throw file_error(errno, "remove", leaf);
        }
        removed_from_disk(st.st_dev, directory, leaf);
        ++result_.removed;
      } catch (const Error& e) {
        kept(tree_path(top, name), e);
      }
    });
    const Source source = manifest.source();
    Bytes piece(64 << 10);
    while (const size_t n = source(piece)) reader.feed(ByteView(piece).first(n));
    reader.finish();
  }

  static Error changed() {
    return Error(Code::conflict, "it is kept").cause("something else stands there by now, or it changed");
  }
  static FileTime time_of(const timespec& t) { return {t.tv_sec, t.tv_nsec}; }

  Sealer& sealer_;
  const DatasetRecord& dataset_;
  SealResult& result_;
  std::vector<SealSource> sources_;
  size_t paths_ = 0;  // their bytes
  std::mutex mutex_;
  // First names of files that have more, and what those were like when the last name was removed; nullopt:
  // they changed meanwhile.
  std::map<std::string, std::optional<struct stat>> removed_;
  std::set<std::string> said_;
  std::map<dev_t, Fd> disks_;  // from which something was removed: a directory on each
};
}  // namespace

void remove_sources(Vault& vault, Sealer& sealer, const std::string& top, const Selection& selection,
                    const TreeManifest* manifest, SealResult& result) {
  const DatasetRecord dataset = vault.state().datasets.at(sealer.dataset_id());
  Remover(sealer, dataset, result).remove(top, selection, manifest);
}

}  // namespace kesu
