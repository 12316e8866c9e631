#include "app/tree_read.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>

#include "app/tree_entries_impl.h"
#include "base/interrupt.h"
#include "base/open_files.h"

namespace kesu {

namespace {
// Descriptors kept, beside the source's own.
size_t open_frames() {
  static const size_t most = std::clamp<size_t>(open_file_limit() / 16, 2, 16);
  return most;
}

FileTime time_of(const timespec& t) { return {t.tv_sec, t.tv_nsec}; }

struct Place {
  uint64_t device, inode;
  bool operator==(const Place&) const = default;
};
struct PlaceHash {
  size_t operator()(const Place& p) const { return p.inode * 0x9e3779b97f4a7c15u ^ p.device; }
};

class Walk {
 public:
  Walk(const std::string& source, const Selection& selection, const TreeSinks& sinks, bool rows)
      : source_(source), base_(base_name(source)), selection_(selection), sinks_(sinks), rows_(rows) {}

  TreeRead run() {
    struct stat st {};
    if (::lstat(source_.c_str(), &st) != 0) {
      sinks_.failed(source_, file_error(errno, "look at", source_));
    } else if (S_ISLNK(st.st_mode)) {
      sinks_.failed(source_, Error(Code::bad_input, source_ + " is a symbolic link")
                                 .cause("links are kept as links, never followed")
                                 .next("name what it leads to"));
    } else if (S_ISREG(st.st_mode)) {
      sinks_.file(file_of(base_, st));
    } else if (S_ISDIR(st.st_mode)) {
      directory();
    } else {
      sinks_.skipped(source_, kind_of(st.st_mode));
    }
    return std::move(result_);
  }

 private:
  struct Frame {
    Fd fd;
    Place place{};
    size_t length = 0;  // of name_ up to this directory
    Names names;
    size_t next = 0;
    bool listed = true;  // by the selection's list, it or a directory above it; else only on the way to names
    bool included = true;        // likewise by a pattern
    std::optional<TreeRow> row;  // not yet in the manifest
  };

  std::string path() const { return name_.empty() ? source_ : path_join(source_, name_); }
  void failed(const Error& e) { sinks_.failed(path(), e); }

  void directory() {
    Fd fd(::open(source_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.ok()) return failed(file_error(errno, "open directory", source_));
    const bool listed =
        !selection_.names() || (!selection_.names()->empty() && selection_.names()->front().empty());
    if (!enter(std::move(fd), listed, !selection_.has_includes())) return;
    walk();
    if (!any_row_) result_.manifest.reset();  // nothing of it is selected
  }

  void walk() {
    while (!frames_.empty()) {
      check_interrupted();
      Frame& f = frames_.back();
      if (f.next == f.names.size()) {
        leave();
        continue;
      }
      name_.resize(f.length);
      const size_t i = f.next++;
      if (f.length) name_ += '/';
      name_ += f.names.name(i);
      if (const int fd = descriptor(); fd >= 0) entry(fd, f.names.name(i));
    }
  }

  // The descriptor of the deepest frame's directory: where it was closed to save one, opened anew from
  // below, else from the top. What stands there must be what was there. -1: said as failed, once.
  int descriptor() {
    Frame& f = frames_.back();
    if (f.fd.ok()) return f.fd.get();
    const auto same = [&](const Fd& fd) {
      struct stat st {};
      return fd.ok() && ::fstat(fd.get(), &st) == 0 && Place{st.st_dev, st.st_ino} == f.place;
    };
    constexpr int kHow = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    if (left_.ok()) f.fd = Fd(::openat(left_.get(), "..", kHow));
    left_ = Fd();
    if (!same(f.fd)) {
      Fd at;
      for (size_t from = 0, to; from < f.length; from = to + 1) {
        to = std::min(name_.find('/', from), f.length);
        at = Fd(::openat(at.ok() ? at.get() : frames_.front().fd.get(), name_.substr(from, to - from).c_str(),
                         kHow));
        if (!at.ok()) break;
      }
      f.fd = std::move(at);
    }
    if (same(f.fd)) return f.fd.get();
    f.fd = Fd();
    f.next = f.names.size();
    name_.resize(f.length);
    failed(Error(Code::conflict, path() + " was moved while it was read")
               .next("seal it again when nothing moves there"));
    return -1;
  }

  void leave() {
    if (frames_.size() > 1 && !frames_[frames_.size() - 2].fd.ok()) left_ = std::move(frames_.back().fd);
    frames_.pop_back();
  }

  // Enters the directory name_.
  bool enter(Fd fd, bool listed, bool included) {
    struct stat st {};
    Frame f;
    f.length = name_.size();
    f.listed = listed;
    f.included = included;
    try {
      if (::fstat(fd.get(), &st) != 0) throw file_error(errno, "look at", path());
      if (listed)
        f.names = list(fd.get(), path());
      else
        f.names = named();
    } catch (const Error& e) {
      failed(e);
      return false;
    }
    f.place = {st.st_dev, st.st_ino};
    if (sinks_.directory) sinks_.directory(path(), {st.st_dev, st.st_ino, 0});
    if (rows_) f.row = directory_row(fd.get(), f.names, st);
    f.fd = std::move(fd);
    frames_.push_back(std::move(f));
    left_ = Fd();
    if (frames_.size() > open_frames() + 1) frames_[frames_.size() - open_frames() - 1].fd = Fd();
    if (listed && included) flush();
    return true;
  }

  TreeRow directory_row(int fd, const Names& names, const struct stat& st) {
    TreeRow row;
    row.type = TreeRow::Type::directory;
    row.name = name_;
    row.owner = owners_.of(st);
    row.files_owner = files_owner(fd, names, row.owner);
    row.mode = st.st_mode & 07777;
    row.mtime = time_of(st.st_mtim);
    xattrs(fd, ".", row);
    if (!result_.manifest) result_.manifest.emplace(base_, row.owner);
    return row;
  }

  // The rows of the directories down to here, which something selected makes part of the tree.
  void flush() {
    size_t first = frames_.size();
    while (first > 0 && frames_[first - 1].row) --first;
    for (; first < frames_.size(); ++first) add(*std::exchange(frames_[first].row, std::nullopt));
  }

  // The components that lead from this directory to listed names.
  Names named() const {
    Names out;
    const auto& all = *selection_.names();
    const std::string prefix = name_.empty() ? "" : name_ + '/';
    auto it = prefix.empty() ? all.begin() : std::lower_bound(all.begin(), all.end(), prefix, tree_before);
    std::string_view last;
    for (; it != all.end() && it->starts_with(prefix); ++it) {
      std::string_view component = std::string_view(*it).substr(prefix.size());
      component = component.substr(0, component.find('/'));
      if (!component.empty() && component != last) out.add(last = component, DT_UNKNOWN);
    }
    out.sort();
    return out;
  }

  // What cannot be reached; where only a list leads there, each name that it gives.
  void missed(bool listed, int err, const char* doing) {
    if (listed) return failed(file_error(err, doing, path()));
    const auto& all = *selection_.names();
    for (auto it = std::lower_bound(all.begin(), all.end(), name_, tree_before);
         it != all.end() && it->starts_with(name_) &&
         (it->size() == name_.size() || (*it)[name_.size()] == '/');
         ++it) {
      const std::string named = path_join(source_, *it);
      sinks_.failed(named, file_error(err, doing, named));
    }
  }

  bool in_list() const {
    const auto& all = *selection_.names();
    return std::binary_search(all.begin(), all.end(), name_, tree_before);
  }

  // Whose the files in it are: that of the first one.
  TreeOwner files_owner(int fd, const Names& names, const TreeOwner& directory) {
    for (size_t i = 0; i < names.size(); ++i) {
      if (names.type(i) != DT_REG && names.type(i) != DT_UNKNOWN) continue;
      struct stat st {};
      if (::fstatat(fd, names.name(i), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
        return owners_.of(st);
      if (names.type(i) == DT_UNKNOWN && i > 8) break;
    }
    return directory;
  }

  void xattrs(int directory, const char* leaf, TreeRow& row) {
    try {
      row.xattrs = Xattrs(directory, leaf).read();
      size_t sum = 0;
      for (const auto& [name, value] : row.xattrs) sum += name.size() + value.size();
      if (sum > kMaxTreeXattrs)
        throw Error(Code::bad_input, "its extended attributes are too large to be kept")
            .cause(std::to_string(sum) + " bytes; at most " + std::to_string(kMaxTreeXattrs) + " are");
    } catch (const Error& e) {
      row.xattrs.clear();
      failed(e);
    }
  }

  void add(const TreeRow& row) {
    try {
      result_.manifest->add(row);
      any_row_ = true;
    } catch (const Error& e) {
      sinks_.failed(row.name.empty() ? source_ : path_join(source_, row.name), e);
    }
  }

  void entry(int fd, const char* leaf) {
    Frame& f = frames_.back();
    struct stat st {};
    if (::fstatat(fd, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0) return missed(f.listed, errno, "look at");
    const bool directory = S_ISDIR(st.st_mode);
    if (selection_.excluded(name_, directory)) return;
    const bool listed = f.listed || in_list();
    const bool included = f.included || selection_.included(name_, directory);
    if (name_.size() > kMaxTreeName)
      return failed(Error(Code::bad_input, "a name is too long to be kept")
                        .cause(std::to_string(name_.size()) + " bytes; at most " +
                               std::to_string(kMaxTreeName) + " are"));
    if (directory) {
      Fd below(::openat(fd, leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!below.ok()) return failed(file_error(errno, "open directory", path()));
      enter(std::move(below), listed, included);
      return;
    }
    if (!listed) return missed(false, ENOTDIR, "enter");
    if (!included) return;
    if (S_ISREG(st.st_mode))
      regular(fd, leaf, st);
    else if (S_ISLNK(st.st_mode) && rows_)
      symlink(fd, leaf, st);
    else
      sinks_.skipped(path(), kind_of(st.st_mode));
  }

  TreeFile file_of(std::string name, const struct stat& st) const {
    TreeFile out;
    out.name = std::move(name);
    out.size = static_cast<uint64_t>(st.st_size);
    out.mtime = time_of(st.st_mtim);
    out.ctime = time_of(st.st_ctim);
    out.inode = st.st_ino;
    out.device = st.st_dev;
    out.mode = st.st_mode & 07777;
    out.nlink = st.st_nlink;
    return out;
  }

  void regular(int fd, const char* leaf, const struct stat& st) {
    if (!rows_) return sinks_.file(file_of(base_ + "/" + name_, st));
    flush();
    TreeRow row;
    row.name = name_;
    if (st.st_nlink > 1) {
      auto [it, fresh] = links_.try_emplace(Place{st.st_dev, st.st_ino}, Linked{name_, st.st_nlink});
      if (!fresh) {
        row.type = TreeRow::Type::link;
        row.target = it->second.name;
        add(row);
        if (--it->second.left == 1) links_.erase(it);  // all its names were met
        return;
      }
    }
    row.type = TreeRow::Type::file;
    row.owner = owners_.of(st);
    xattrs(fd, leaf, row);
    add(row);
    sinks_.file(file_of(base_ + "/" + name_, st));
  }

  void symlink(int fd, const char* leaf, const struct stat& st) {
    flush();
    std::string target(4096, '\0');
    ssize_t n;
    while ((n = ::readlinkat(fd, leaf, target.data(), target.size())) == static_cast<ssize_t>(target.size()))
      target.resize(target.size() * 2);
    if (n < 0) return failed(file_error(errno, "read the link", path()));
    target.resize(static_cast<size_t>(n));
    TreeRow row;
    row.type = TreeRow::Type::symlink;
    row.name = name_;
    row.owner = owners_.of(st);
    row.mtime = time_of(st.st_mtim);
    row.target = std::move(target);
    add(row);
  }

  struct Linked {
    std::string name;  // sealed under
    uint64_t left;     // names, that one included, that were not met yet
  };

  const std::string source_, base_;
  const Selection& selection_;
  const TreeSinks& sinks_;
  const bool rows_;  // for a manifest
  TreeRead result_;
  Owners owners_;
  std::vector<Frame> frames_;
  Fd left_;           // of the directory that was left last, where the one above it is closed
  std::string name_;  // of the entry at work, below the source
  bool any_row_ = false;
  std::unordered_map<Place, Linked, PlaceHash> links_;
};
}  // namespace

TreeRead read_tree(const std::string& source, const Selection& selection, const TreeSinks& sinks) {
  return Walk(source, selection, sinks, true).run();
}

void read_files(const std::string& source, const TreeSinks& sinks) { Walk(source, {}, sinks, false).run(); }

std::string tree_path(const std::string& source, const std::string& name) {
  const size_t slash = name.find('/');
  return slash == std::string::npos ? source : path_join(source, name.substr(slash + 1));
}

Fd TreeOpener::open(const TreeFile& file) {
  constexpr int kHow = O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
  const size_t slash = file.name.find('/');
  Fd fd;
  if (slash == std::string::npos) {
    fd = Fd(::open(source_.c_str(), kHow));
  } else {
    if (!below_) below_.emplace(source_);
    std::string leaf;
    const int directory = below_->directory_of(std::string_view(file.name).substr(slash + 1), leaf);
    fd = Fd(::openat(directory, leaf.c_str(), kHow));
  }
  const std::string path = tree_path(source_, file.name);
  if (!fd.ok()) throw file_error(errno, "open", path);
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) throw file_error(errno, "look at", path);
  if (!S_ISREG(st.st_mode) || st.st_dev != file.device || st.st_ino != file.inode)
    throw Error(Code::conflict, path + " is another file by now")
        .cause("it was replaced after the directory was read")
        .next("seal it again when nothing writes there");
  return fd;
}

}  // namespace kesu
