#include "app/opening.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "app/batch_paths.h"
#include "app/known_objects.h"
#include "app/lanes.h"
#include "app/opening_impl.h"
#include "app/settle.h"
#include "app/tree_read.h"
#include "app/tree_restore.h"
#include "base/crew.h"
#include "base/interrupt.h"
#include "base/open_files.h"
#include "seal/files.h"
#include "seal/opening_file.h"

namespace kesu {

namespace {
constexpr uint64_t kLarge = 4u << 20;   // from here on the whole crew opens one object
constexpr size_t kShortPath = 3 << 10;  // longer ones are reached by descriptors
constexpr uint64_t kUnnamed = 1 << 30;  // so many bytes of large objects wait at most for their names

// A part of OUT that did not exist: closed to others while the files in it have not got the directories'
// modes yet.
class ClosedTops {
 public:
  explicit ClosedTops(const std::string& out) : fd_(::open(out.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (!fd_.ok()) throw file_error(errno, "open directory", out);
    ::umask(mask_ = ::umask(022));
  }
  ~ClosedTops() {
    for (const std::string& name : ours_) open(name);
  }
  // Any thread.
  void make(const std::string& name) {
    const size_t slash = name.find('/');
    if (slash == std::string::npos) return;
    std::lock_guard lock(mutex_);
    const std::string top = name.substr(0, slash);
    if (seen_.insert(top).second && ::mkdirat(fd_.get(), top.c_str(), 0700) == 0) ours_.insert(top);
  }
  // A manifest says its mode.
  void leave(const std::string& name) { ours_.erase(name); }
  int fd() const { return fd_.get(); }

 private:
  void open(const std::string& name) {
    const Fd top(::openat(fd_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (top.ok()) ::fchmod(top.get(), 0755 & ~mask_);
  }
  Fd fd_;
  mode_t mask_ = 022;
  std::mutex mutex_;
  std::set<std::string> seen_, ours_;
};

struct Outcome {
  enum { none, opened, there, manifest, failed } what = none;
  std::string name;  // opened, there: relative to the dataset; manifest: its root
  FileTime sealed;   // a manifest: when
  uint32_t mode = 0;
  uint64_t bytes = 0;
  std::optional<Error> error;
  std::string part;  // opened, and not named yet: what it is called so long, and
  Fd file;           // its lock
};

class Opener {
 public:
  Opener(Vault& vault, const std::string& out, const OpenOptions& options, OpenResult& result,
         Progress& progress)
      : vault_(vault),
        out_(out),
        options_(options),
        result_(result),
        progress_(progress),
        lanes_(vault, crew_.size()),
        tops_(out) {
    make_room_for_open_files(64 + files_kept_open());
    for (unsigned i = 0; i < crew_.size(); ++i) places_.emplace_back(out);
    sources_.resize(crew_.size());
  }

  void run(const std::vector<std::string>& sources) {
    for (const std::string& source : sources) {
      roots_.push_back(absolute_path(source));
      const size_t index = roots_.size() - 1;
      struct stat st {};
      const bool directory = ::lstat(roots_.back().c_str(), &st) == 0 && S_ISDIR(st.st_mode);
      for (auto& openers : sources_) openers.emplace_back(roots_.back());
      read_files(roots_.back(), {.file =
                                     [&](const TreeFile& file) {
                                       if (!directory || file.name.ends_with(".kesu")) found(file, index);
                                     },
                                 .skipped =
                                     [&](const std::string& path, const std::string& what) {
                                       if (!directory)
                                         fail(path, Error(Code::bad_input, path + " is " + what));
                                     },
                                 .failed = [&](const std::string& path, const Error& e) { fail(path, e); }});
    }
    for (auto& [dataset, files] : waiting_) open_batch(dataset, files);
    restore_trees();
    for (auto& [dataset, holder] : holders_) holder->end("returned");
    if (result_.opened || result_.directories)
      if (::syncfs(tops_.fd()) != 0) throw file_error(errno, "make durable", out_);
  }

 private:
  void fail(const std::string& path, const Error& e) {
    result_.failed.push_back({path, in_words(e), e.code()});
  }

  void found(const TreeFile& file, size_t source) {
    Candidate c;
    c.path = tree_path(roots_[source], file.name);
    c.source = source;
    c.file = file;
    try {
      const Fd fd = sources_[0][source].open(file);
      const ObjectInfo info = inspect_object(file_input(fd.get()));
      describe(c, info.region);
      c.payload = info.payload_size;
      readable(vault_, vault_.state(), c);
    } catch (const Error& e) {
      return fail(c.path, e);
    }
    const std::string dataset = c.header.dataset.str();
    auto& files = waiting_[dataset];
    size_t& paths = waiting_paths_[dataset];
    paths += c.path.size();
    files.push_back(std::move(c));
    if (files.size() < kMaxBatch && paths < kBatchPaths) return;
    paths = 0;
    open_batch(dataset, files);
  }

  void open_batch(const std::string& dataset, std::vector<Candidate>& files) {
    if (files.empty()) return;
    check_interrupted();
    auto& holder = holders_[dataset];
    if (!holder) holder = std::make_unique<KeyHolder>(vault_, dataset, "open");
    holder->keep();
    lanes_.allow_all(vault_.state().datasets.at(dataset), purpose_of(options_));
    record_opening(vault_, holder->id(), dataset, files, options_);
    std::vector<Outcome> outcomes(files.size());
    // Copies of one object one after the other: they go through one temporary name, which is locked.
    std::map<ObjectId, std::vector<size_t>> small;
    std::map<ObjectId, int> copies_of;
    std::vector<size_t> large;
    for (size_t i = 0; i < files.size(); ++i) {
      try {
        readable(vault_, vault_.state(), files[i]);
      } catch (const Error& e) {
        outcomes[i].what = Outcome::failed;
        outcomes[i].error = e;
        continue;
      }
      (files[i].payload >= kLarge ? large : small[files[i].header.object]).push_back(i);
      ++copies_of[files[i].header.object];
    }
    const size_t together = files_kept_open();
    const auto one = [&](unsigned worker, size_t i, Crew& crew) {
      const bool named = !together || copies_of.at(files[i].header.object) > 1;
      open_one(worker, files[i], crew, outcomes[i], named);
      ++progress_.files;
    };
    std::exception_ptr stopped;
    try {
      std::vector<const std::vector<size_t>*> objects;
      for (const auto& [object, copies] : small) objects.push_back(&copies);
      std::sort(objects.begin(), objects.end(), [](auto* a, auto* b) { return a->front() < b->front(); });
      const size_t stretch = together ? together : objects.size();
      for (size_t from = 0; from < objects.size(); from += stretch) {
        crew_.each(std::min(stretch, objects.size() - from), [&](unsigned worker, size_t i) {
          Crew alone(1);
          for (const size_t copy : *objects[from + i]) one(worker, copy, alone);
        });
        name_opened(outcomes);
      }
      size_t unnamed = 0;
      uint64_t bytes = 0;
      for (const size_t i : large) {
        check_interrupted();
        holder->keep();
        one(0, i, crew_);
        bytes += outcomes[i].bytes;
        if (++unnamed < together && bytes < kUnnamed) continue;
        name_opened(outcomes);
        unnamed = bytes = 0;
      }
    } catch (...) {
      stopped = std::current_exception();
    }
    try {
      name_opened(outcomes);
    } catch (...) {
      if (!stopped) stopped = std::current_exception();
    }
    for (size_t i = 0; i < files.size(); ++i) take(files[i], outcomes[i]);
    files.clear();
    if (stopped) std::rethrow_exception(stopped);
    check_interrupted();
  }

  // What was opened gets its name when its bytes are on the disk: with a name, and the size and time that it
  // was sealed with, it would count as there also after a loss of power that took the bytes.
  void name_opened(std::vector<Outcome>& outcomes) {
    if (std::all_of(outcomes.begin(), outcomes.end(), [](const Outcome& o) { return o.part.empty(); }))
      return;
    struct stat top {};
    const int failed = ::fstat(tops_.fd(), &top) == 0 && ::syncfs(tops_.fd()) == 0 ? 0 : errno;
    const dev_t device = top.st_dev;
    for (Outcome& o : outcomes) {
      if (o.part.empty()) continue;
      const std::string part = std::exchange(o.part, {});
      const Fd locked = std::move(o.file);
      const std::string above = dir_name(path_join(out_, o.name));
      int directory = -1;
      try {
        std::string leaf;
        directory = places_[0].directory_of(o.name, leaf);
        struct stat st {};
        if (failed) throw file_error(failed, "make durable", out_);
        // Behind a mount it lies on another file system.
        if (::fstat(locked.get(), &st) != 0 || (st.st_dev != device && ::fsync(locked.get()) != 0))
          throw file_error(errno, "make durable", path_join(out_, o.name));
        if (!same_file(locked.get(), "/proc/self/fd/" + std::to_string(directory) + "/" + part))
          throw Error(Code::conflict, "another process took away the file under work").cause(above);
        publish(At{directory, above}, part, leaf, options_.force && replaces(directory, leaf, o.name));
        if (options_.force) note_named(st, o.name);
      } catch (const Error& e) {
        if (directory >= 0 && e.code() != Code::conflict) ::unlinkat(directory, part.c_str(), 0);
        o.what = Outcome::failed;
        o.error = e;
      }
    }
    if (failed) throw file_error(failed, "make durable", out_);
  }

  // The path under which an object is read: a descriptor's where the way there is too long for the system.
  std::string way(unsigned worker, const Candidate& c, Fd& fd) {
    if (c.path.size() < kShortPath) return c.path;
    fd = sources_[worker][c.source].open(c.file);
    return "/proc/self/fd/" + std::to_string(fd.get());
  }

  // By force a second object of one name would replace what the first gave, in whatever order they come: the
  // first keeps it. Any thread.
  void claim(const std::string& name, const ObjectId& object) {
    const std::string id = hex(object.bytes()).substr(0, 16);
    const auto key = KnownObjects::key_of(name);
    std::lock_guard lock(claims_mutex_);
    const auto [it, fresh] = claims_.try_emplace(key, KnownObjects::key_of(id));
    if (!fresh && it->second != KnownObjects::key_of(id))
      throw Error(Code::already_exists, name + " was opened in this run from another object already")
          .next("open one of the two, or each into a directory of its own");
  }

  // By force: whether something stands there, to be replaced. Where names differ for us and not for the file
  // system (upper and lower case), not what this run put there under another name. Any thread.
  bool replaces(int directory, const std::string& leaf, const std::string& name) {
    struct stat st {};
    if (::fstatat(directory, leaf.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return false;
    std::lock_guard lock(claims_mutex_);
    const auto it = named_.find({st.st_dev, st.st_ino});
    if (it != named_.end() && it->second != KnownObjects::key_of(name))
      throw Error(Code::already_exists,
                  name + " is the same name there as another that was opened in this run")
          .next("open one of the two, or into a directory where names differ in case");
    return true;
  }
  void note_named(const struct stat& st, const std::string& name) {
    std::lock_guard lock(claims_mutex_);
    named_.insert_or_assign({st.st_dev, st.st_ino}, KnownObjects::key_of(name));
  }

  void open_one(unsigned worker, const Candidate& c, Crew& crew, Outcome& out, bool named) {
    std::string by_fd, real;
    const auto in_real_words = [&](const Error& e) {
      const auto words = [&](std::string text) {
        for (size_t at; !by_fd.empty() && (at = text.find(by_fd + "/")) != std::string::npos;)
          text.replace(at, by_fd.size(), real);
        return text;
      };
      return Error(e.code(), words(e.message())).tried(e.tried()).cause(words(e.cause())).next(e.next());
    };
    try {
      Fd fd;
      const auto choose = [&](const Metadata& m) {
        if (m.kind == "manifest") throw IsManifest{m.name, m.mtime};
        out.name = safe_relative_path(m.name);
        out.mode = m.mode;
        if (options_.force) claim(out.name, c.header.object);
        tops_.make(out.name);
        std::string leaf;
        const int directory = places_[worker].directory_of(out.name, leaf, true);
        struct stat st {};
        if (options_.resume && ::fstatat(directory, leaf.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode) && static_cast<uint64_t>(st.st_size) == m.size.value_or(c.payload) &&
            FileTime{st.st_mtim.tv_sec, st.st_mtim.tv_nsec} == m.mtime)
          throw IsThere{};
        if (options_.force) replaces(directory, leaf, out.name);
        real = dir_name(path_join(out_, out.name));
        by_fd = "/proc/self/fd/" + std::to_string(directory);
        return by_fd + "/" + leaf;
      };
      OpenedFile opened = open_to_file(
          way(worker, c, fd),
          [&](const Slot& slot, ByteView aad) { return lanes_.unwrap(worker, slot, aad); }, choose, crew,
          {.replace = options_.force, .durable = named, .named = named, .bytes_done = &progress_.bytes});
      if (struct stat st{}; named && options_.force && ::lstat(opened.path.c_str(), &st) == 0)
        note_named(st, out.name);
      out.what = Outcome::opened;
      out.part = std::move(opened.part);
      out.file = std::move(opened.file);
      out.bytes = opened.object.plain_bytes;
      if (opened.refused) out.error = in_real_words(*opened.refused);
    } catch (const IsManifest& m) {
      out.what = Outcome::manifest;
      out.name = m.root;
      out.sealed = m.sealed;
    } catch (const IsThere&) {
      out.what = Outcome::there;
    } catch (const Error& e) {
      out.what = Outcome::failed;
      out.error = in_real_words(e);
      // The others would meet the same.
      if (e.code() == Code::disk_full || e.code() == Code::interrupted || e.code() == Code::out_of_memory)
        throw *out.error;
    }
  }

  void take(const Candidate& c, Outcome& o) {
    switch (o.what) {
      case Outcome::none:
        break;
      case Outcome::opened:
        ++result_.opened;
        result_.bytes += static_cast<int64_t>(o.bytes);
        opened_.add(o.name, o.mode);
        if (o.error) fail(c.path, *o.error);
        break;
      case Outcome::there:
        ++result_.already;
        opened_.add(o.name, o.mode);
        break;
      case Outcome::manifest:
        take_tree(c, o);
        break;
      case Outcome::failed:
        fail(c.path, *o.error);
        break;
    }
  }

  void read_manifest(const Candidate& c, const std::string& root, const TreeManifestReader::TakeRow& row) {
    TreeManifestReader reader(row);
    const Fd fd = sources_[0][c.source].open(c.file);
    open_object(
        file_input(fd.get()), [&](const Slot& slot, ByteView aad) { return lanes_.unwrap(0, slot, aad); },
        [&](const Metadata& m) {
          if (m.kind != "manifest" || m.name != root)
            throw Error(Code::conflict, c.path + " was replaced meanwhile");
        },
        [&](ByteView piece) { reader.feed(piece); });
    reader.finish();
    if (reader.root() != root)
      throw Error(Code::bad_input, "the tree manifest is not acceptable").cause("it is that of another root");
  }

  // Of several manifests of a tree at one place the newest says what the older ones did.
  void take_tree(const Candidate& c, const Outcome& o) {
    auto [it, fresh] = trees_.try_emplace({dir_name(c.path), o.name}, o.sealed, c);
    if (!fresh && std::tie(it->second.first, it->second.second.path) < std::tie(o.sealed, c.path))
      it->second = {o.sealed, c};
  }

  void restore_trees() {
    opened_.sort();
    for (const auto& [key, tree] : trees_) {
      const std::string& root = key.second;
      const Candidate& c = tree.second;
      check_interrupted();
      try {
        readable(vault_, vault_.state(), c);
        read_manifest(c, root, [](const TreeRow&) {});  // all of it is sound before any of it is done
        tops_.leave(root);
        TreeRestore restore(out_, root, options_.force, opened_, result_);
        read_manifest(c, root, [&](const TreeRow& row) { restore.row(row); });
        restore.finish();
      } catch (const Error& e) {
        if (e.code() == Code::interrupted || e.code() == Code::disk_full) throw;
        fail(c.path, e);
      }
    }
  }

  Vault& vault_;
  const std::string out_;
  const OpenOptions& options_;
  OpenResult& result_;
  Progress& progress_;
  Crew crew_{workers_by_open_files()};
  Lanes lanes_;
  ClosedTops tops_;
  std::vector<Below> places_;                     // by worker
  std::vector<std::vector<TreeOpener>> sources_;  // by worker, by source
  std::vector<std::string> roots_;
  std::map<std::string, std::unique_ptr<KeyHolder>> holders_;
  std::map<std::string, std::vector<Candidate>> waiting_;  // by dataset
  std::map<std::string, size_t> waiting_paths_;            // their bytes
  // Manifests by place and root, each with its time.
  std::map<std::pair<std::string, std::string>, std::pair<FileTime, Candidate>> trees_;
  OpenedNames opened_;
  std::mutex claims_mutex_;
  std::map<KnownObjects::Key, KnownObjects::Key> claims_;       // by force: name, object
  std::map<std::pair<dev_t, ino_t>, KnownObjects::Key> named_;  // by force: what this run put there, its name
};
}  // namespace

void describe(Candidate& c, const Region& region) {
  c.header = region.header;
  for (const Slot* slot : region.usable()) c.versions.push_back(slot->version.str());
}

ProcessFor purpose_of(const OpenOptions& options) {
  return options.accept_compromised.empty() ? ProcessFor::opening : ProcessFor::accepted;
}

// A header that names another vault or dataset, over a key of this vault, was altered: identifiers are never
// given twice.
const DatasetRecord& readable(const Vault& vault, const State& state, const Candidate& c) {
  auto foreign = [&](const std::string& why) {
    bool our_key = std::any_of(c.versions.begin(), c.versions.end(),
                               [&](const std::string& v) { return state.version(v) != nullptr; });
    return Error(our_key ? Code::sealed_damaged : Code::state_refused,
                 our_key ? "its header was altered: " + why + ", under a key of this vault" : why);
  };
  if (c.header.vault != vault.id()) throw foreign("it was sealed by another vault, " + c.header.vault.str());
  auto it = state.datasets.find(c.header.dataset.str());
  if (it == state.datasets.end())
    throw foreign("it belongs to a dataset that this vault does not know, " + c.header.dataset.str());
  if (it->second.state == "erased")
    throw Error(Code::state_refused, "dataset " + it->second.name + " was erased by " + it->second.erasure +
                                         ": its key is destroyed, nobody can open this");
  return it->second;
}

void record_opening(Vault& vault, const std::string& process, const std::string& dataset,
                    const std::vector<Candidate>& files, const OpenOptions& options) {
  const std::string purpose = options.accept_compromised.empty()
                                  ? "open"
                                  : "open; compromised versions accepted: " + options.accept_compromised;
  Json objects(Json::Array{}), versions(Json::Array{});
  std::set<std::string> seen;
  for (const Candidate& c : files) {
    objects.push(hex(c.header.object.bytes()));
    for (const std::string& v : c.versions)
      if (seen.insert(v).second) versions.push(v);
  }
  vault.append({{.type = "objects-opened",
                 .nodes = {{.id = process}, {.id = dataset, .n = static_cast<int64_t>(files.size())}},
                 .edges = {{process, dataset}},
                 .body = Json::object({{"purpose", purpose}, {"objects", objects}, {"versions", versions}})}},
               {});
}

Secret unwrap_slot(Vault& vault, const DatasetRecord& dataset, const Slot& slot, ByteView aad,
                   ProcessFor why) {
  const VersionRecord* v = vault.state().version(slot.version.str());
  if (!v || !v->ref)
    throw Error(Code::object_absent, "key version " + slot.version.brief() + " of dataset " + dataset.name +
                                         " is not in this vault");
  refuse_to_process(vault, *v, why);
  return vault.provider(v->provider).unwrap(*v->ref, slot.wrapped, aad);
}

OpenResult open_files(Vault& vault, const std::vector<std::string>& sources, const std::string& out,
                      const OpenOptions& options, Progress& progress) {
  settle(vault);
  OpenResult result;
  const std::string root = absolute_path(out);
  make_directories(root);
  try {
    Opener(vault, root, options, result, progress).run(sources);
  } catch (Error& e) {
    if (e.code() != Code::interrupted && e.code() != Code::disk_full) throw;
    throw Error(e)
        .tried("opened " + std::to_string(result.opened) + " files, which stay in " + root)
        .next((e.next().empty() ? "" : e.next() + "; ") +
              "the same command with --resume passes over what is there");
  }
  return result;
}

}  // namespace kesu
