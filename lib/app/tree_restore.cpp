#include "app/tree_restore.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>

#include "app/known_objects.h"
#include "base/file_times.h"
#include "base/interrupt.h"
#include "base/rename_new.h"
#include "crypto/random.h"

namespace kesu {

namespace {
constexpr uint32_t kSetId = S_ISUID | S_ISGID;
// Where so much is free, an attribute (at most 64 KiB, by Linux) is not refused for want of space.
constexpr uint64_t kRoomForXattrs = 1 << 20;

Error in_the_way(const std::string& path) {
  return Error(Code::already_exists, path + " is already there")
      .next("choose another place, or ask for it to be replaced");
}

std::string by_descriptor(int fd, const std::string& leaf) {
  return "/proc/self/fd/" + std::to_string(fd) + "/" + leaf;
}

// Makes a link under a temporary name that nobody has; the name.
std::string new_link(const std::function<int(const char*)>& make, const std::string& shown) {
  for (int attempt = 0; attempt < 8; ++attempt) {
    Bytes bytes(16);
    system_random().fill(bytes);
    const std::string name = ".kesu-link-" + hex(bytes);
    if (make(name.c_str()) == 0) return name;
    if (errno != EEXIST) break;
  }
  throw file_error(errno, "create the link", shown);
}

std::string word(std::string text, int64_t n) { return std::to_string(n) + " " + text + (n == 1 ? "" : "s"); }
}  // namespace

void OpenedNames::add(const std::string& name, uint32_t mode) {
  entries_.push_back({KnownObjects::key_of(name), static_cast<uint16_t>(mode), false});
  set_ids_ += (mode & kSetId) != 0;
}

void OpenedNames::sort() {
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.key < b.key; });
}

const OpenedNames::Entry* OpenedNames::find(const std::string& name) const {
  const auto key = KnownObjects::key_of(name);
  const auto it = std::lower_bound(entries_.begin(), entries_.end(), key,
                                   [](const Entry& e, const auto& k) { return e.key < k; });
  return it != entries_.end() && it->key == key ? &*it : nullptr;
}

std::optional<uint32_t> OpenedNames::take(const std::string& name) {
  auto* entry = const_cast<Entry*>(find(name));
  if (!entry || entry->taken) return std::nullopt;
  entry->taken = true;
  return entry->mode;
}

TreeRestore::TreeRestore(const std::string& out, std::string root, bool force, OpenedNames& opened,
                         OpenResult& result)
    : out_(out),
      root_(std::move(root)),
      force_(force),
      as_root_(::geteuid() == 0),
      opened_(opened),
      result_(result),
      below_(out),
      targets_(out) {}

void TreeRestore::say(const std::string& name, const Error& e) {
  if (e.code() == Code::disk_full || e.code() == Code::interrupted) throw e;
  result_.failed.push_back(
      {shown(name), e.message() + (e.cause().empty() ? "" : ": " + e.cause()), e.code()});
}

void TreeRestore::row(const TreeRow& row) {
  check_interrupted();
  close_down_to(row.name);
  try {
    switch (row.type) {
      case TreeRow::Type::directory:
        return make_directory(row);
      case TreeRow::Type::symlink:
        return make_symlink(row);
      case TreeRow::Type::link:
        return make_link(row);
      case TreeRow::Type::file:
        return finish_file(row);
    }
  } catch (const Error& e) {
    say(row.name, e);
  }
}

void TreeRestore::close_down_to(const std::string& name) {
  while (!directories_.empty()) {
    const size_t length = directories_.back().length;
    const bool above = length == 0 || (name.size() > length && name[length] == '/' &&
                                       name.compare(0, length, path_, 0, length) == 0);
    if (above && !name.empty()) return;
    close_directory();
  }
}

void TreeRestore::make_directory(const TreeRow& row) {
  std::string leaf;
  const int above = below_.directory_of(full(row.name), leaf);
  if (::mkdirat(above, leaf.c_str(), 0700) != 0) {
    if (errno != EEXIST) throw file_error(errno, "create directory", shown(row.name));
    struct stat st {};
    if (::fstatat(above, leaf.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
      throw file_error(errno, "look at", shown(row.name));
    if (!S_ISDIR(st.st_mode))  // by force neither: what it stands for may be elsewhere
      throw Error(Code::already_exists, shown(row.name) + " is there and is no directory")
          .next("move it away, or choose another place");
  }
  ++result_.directories;
  path_ = row.name;
  directories_.push_back({row.name.size(), row});
  directories_.back().row.name.clear();  // path_ has it, for all that are open
}

void TreeRestore::close_directory() {
  TreeRow row = std::move(directories_.back().row);
  row.name = path_.substr(0, directories_.back().length);
  directories_.pop_back();
  if (!directories_.empty()) path_.resize(directories_.back().length);
  try {
    const int fd = below_.directory(full(row.name));
    if (as_root_) {
      // Its files that no row speaks of.
      for (const std::string& leaf : list_directory(fd, shown(row.name))) {
        const std::string name = row.name.empty() ? leaf : row.name + "/" + leaf;
        if (const auto mode = opened_.take(full(name)))
          finish_file(fd, leaf, name, row.files_owner, nullptr, *mode);
      }
    }
    set_owner(fd, "", AT_EMPTY_PATH, row.owner, row.name);
    set_xattrs(by_descriptor(fd, "."), row);
    if (::fchmod(fd, row.mode) != 0) throw file_error(errno, "set the mode of", shown(row.name));
    set_time(fd, nullptr, row);
  } catch (const Error& e) {
    say(row.name, e);
  }
}

void TreeRestore::put(int directory, const std::string& temp, const std::string& leaf,
                      const std::string& name) {
  struct stat st {};
  const bool there = ::fstatat(directory, leaf.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
  int why = 0;
  if (!there)
    why = rename_new(directory, temp, leaf);
  else if (!force_ || S_ISDIR(st.st_mode))
    why = EEXIST;
  else if (::renameat(directory, temp.c_str(), directory, leaf.c_str()) != 0)
    why = errno;
  if (why == 0) return;
  ::unlinkat(directory, temp.c_str(), 0);
  if (why == EEXIST) throw in_the_way(shown(name));
  throw file_error(why, "rename into place", shown(name));
}

void TreeRestore::make_symlink(const TreeRow& row) {
  std::string leaf;
  const int directory = below_.directory_of(full(row.name), leaf);
  std::string there(row.target.size() + 1, '\0');
  const ssize_t n = ::readlinkat(directory, leaf.c_str(), there.data(), there.size());
  if (n < 0 || std::string_view(there.data(), static_cast<size_t>(n)) != row.target) {
    const std::string temp = new_link(
        [&](const char* as) { return ::symlinkat(row.target.c_str(), directory, as); }, shown(row.name));
    put(directory, temp, leaf, row.name);
  }
  ++result_.symlinks;
  set_owner(directory, leaf.c_str(), AT_SYMLINK_NOFOLLOW, row.owner, row.name);
  set_time(directory, leaf.c_str(), row);
}

void TreeRestore::make_link(const TreeRow& row) {
  if (opened_.has(full(row.name))) {  // sealed as a file of its own, at another time
    ++own_files_;
    return;
  }
  std::string target_leaf, leaf;
  struct stat target {
  }, there{};
  int from = -1;
  try {
    from = targets_.directory_of(full(row.target), target_leaf);
  } catch (const Error& e) {
    if (e.code() != Code::not_found) throw;
  }
  if (from < 0 || ::fstatat(from, target_leaf.c_str(), &target, AT_SYMLINK_NOFOLLOW) != 0) {
    ++absent_;
    return;
  }
  if (!S_ISREG(target.st_mode))
    throw Error(Code::policy_refused, "no other name for " + shown(row.target))
        .cause("it is no regular file");
  const int directory = below_.directory_of(full(row.name), leaf);
  if (::fstatat(directory, leaf.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0 || there.st_dev != target.st_dev ||
      there.st_ino != target.st_ino) {
    const std::string temp =
        new_link([&](const char* as) { return ::linkat(from, target_leaf.c_str(), directory, as, 0); },
                 shown(row.name));
    put(directory, temp, leaf, row.name);
  }
  ++result_.links;
}

void TreeRestore::finish_file(const TreeRow& row) {
  const auto mode = opened_.take(full(row.name));
  if (!mode) return;  // not of this opening
  std::string leaf;
  const int directory = below_.directory_of(full(row.name), leaf);
  finish_file(directory, leaf, row.name, row.owner, &row, *mode);
}

void TreeRestore::finish_file(int directory, const std::string& leaf, const std::string& name,
                              const TreeOwner& owner, const TreeRow* row, uint32_t mode) try {
  struct stat st {};
  if (::fstatat(directory, leaf.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
    throw file_error(errno, "look at", shown(name));
  if (!S_ISREG(st.st_mode)) throw Error(Code::conflict, shown(name) + " was replaced meanwhile");
  const bool owned = set_owner(directory, leaf.c_str(), AT_SYMLINK_NOFOLLOW, owner, name);
  const auto change_mode = [&](uint32_t to) {
    if (::fchmodat(directory, leaf.c_str(), to, AT_SYMLINK_NOFOLLOW) != 0)
      throw file_error(errno, "set the mode of", shown(name));
  };
  const uint32_t wanted = mode & (as_root_ && owned ? 07777 : 0777);
  const bool attributes = row && !row->xattrs.empty();
  const bool locked = attributes && !as_root_ && !(mode & S_IWUSR);  // attributes are written like content
  if (locked) change_mode(wanted | S_IWUSR);
  if (attributes) set_xattrs(by_descriptor(directory, leaf), *row);
  if (locked || owned || (wanted & (kSetId | S_ISVTX))) change_mode(wanted);
} catch (const Error& e) {
  say(name, e);
}

// Whether the owner is now as the manifest says.
bool TreeRestore::set_owner(int directory, const char* leaf, int flags, const TreeOwner& owner,
                            const std::string& name) {
  if (!as_root_) {
    other_owners_ = other_owners_ || owner.uid != ::geteuid() || owner.gid != ::getegid();
    return false;
  }
  const auto known = [](auto& cache, const std::string& text, uint32_t number, auto look_up) {
    if (text.empty()) return number;
    auto [it, fresh] = cache.try_emplace(text, -1);
    if (fresh) it->second = look_up(text.c_str());
    return it->second < 0 ? number : static_cast<uint32_t>(it->second);
  };
  const uint32_t uid = known(users_, owner.user, owner.uid, [](const char* n) -> int64_t {
    const passwd* p = ::getpwnam(n);
    return p ? static_cast<int64_t>(p->pw_uid) : -1;
  });
  const uint32_t gid = known(groups_, owner.group, owner.gid, [](const char* n) -> int64_t {
    const ::group* g = ::getgrnam(n);
    return g ? static_cast<int64_t>(g->gr_gid) : -1;
  });
  if (::fchownat(directory, leaf, uid, gid, flags) == 0) return true;
  say(name, file_error(errno, "give to its owner", shown(name)));
  return false;
}

void TreeRestore::set_time(int directory, const char* leaf, const TreeRow& row) {
  if (const int why = set_mtime(directory, leaf, row.mtime.seconds, row.mtime.nanos))
    throw file_error(why, "set the time of", shown(row.name));
}

void TreeRestore::set_xattrs(const std::string& path, const TreeRow& row) {
  for (const auto& [name, value] : row.xattrs) {
    if (::lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0) == 0) continue;
    const int why = errno;
    const std::string doing = "set the extended attribute " + name + " of";
    // ext4 and btrfs say "no space" of what is more than they keep of one file, however much is free.
    struct statvfs fs {};
    const bool room = why == ENOSPC && ::statvfs(out_.c_str(), &fs) == 0 &&
                      static_cast<uint64_t>(fs.f_bavail) * fs.f_frsize >= kRoomForXattrs;
    say(row.name, !room ? file_error(why, doing, shown(row.name))
                        : Error(Code::io_failed, "cannot " + doing + " " + shown(row.name))
                              .cause("its " + std::to_string(value.size()) +
                                     " bytes are more than the file system there takes")
                              .next("open it onto the file system that it was sealed from, or one like it"));
  }
}

void TreeRestore::finish() {
  while (!directories_.empty()) close_directory();
  if (absent_)
    result_.notes.push_back(word("hard link", absent_) + " of " + root_ +
                            " not made: the file is not among what was opened");
  if (own_files_)
    result_.notes.push_back(word("hard link", own_files_) + " of " + root_ +
                            " left as the file that was sealed under that name");
  if (other_owners_) result_.notes.push_back("owners of " + root_ + " not restored: only root can");
  if (const int64_t set_ids = as_root_ ? 0 : opened_.take_set_ids())
    result_.notes.push_back("set-user-id and set-group-id bits of " + word("file", set_ids) +
                            " not restored: only root can, together with the owner");
}

}  // namespace kesu
