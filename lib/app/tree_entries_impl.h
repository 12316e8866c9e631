// What tree_read.cpp asks the system of directories and their entries.
#pragma once
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "seal/tree_manifest.h"

namespace kesu {

// The names of a directory, sorted by bytes, in one block: a million of them cost little more than their
// letters.
class Names {
 public:
  void add(std::string_view name, uint8_t type) {
    offsets_.push_back(text_.size());
    text_ += static_cast<char>(type);
    text_ += name;
    text_ += '\0';
  }
  void sort() {
    std::sort(offsets_.begin(), offsets_.end(),
              [&](size_t a, size_t b) { return std::strcmp(&text_[a + 1], &text_[b + 1]) < 0; });
    text_.shrink_to_fit();
    offsets_.shrink_to_fit();
  }
  size_t size() const { return offsets_.size(); }
  const char* name(size_t i) const { return &text_[offsets_[i] + 1]; }
  uint8_t type(size_t i) const { return static_cast<uint8_t>(text_[offsets_[i]]); }

 private:
  std::string text_;
  std::vector<size_t> offsets_;
};

inline Names list(int fd, const std::string& path) {
  Names out;
  alignas(dirent64) char buffer[1 << 16];
  for (;;) {
    const ssize_t n = ::getdents64(fd, buffer, sizeof buffer);
    if (n < 0) throw file_error(errno, "list", path);
    if (n == 0) break;
    for (ssize_t at = 0; at < n;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
      at += entry->d_reclen;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") out.add(name, entry->d_type);
    }
  }
  out.sort();
  return out;
}

inline const char* kind_of(mode_t mode) {
  return S_ISFIFO(mode)   ? "a FIFO"
         : S_ISSOCK(mode) ? "a socket"
         : S_ISBLK(mode)  ? "a block device"
         : S_ISCHR(mode)  ? "a character device"
                          : "not a regular file";
}

// Names of users and groups, asked once each.
class Owners {
 public:
  TreeOwner of(const struct stat& st) {
    return {static_cast<uint32_t>(st.st_uid), static_cast<uint32_t>(st.st_gid), user(st.st_uid),
            group(st.st_gid)};
  }

 private:
  const std::string& user(uid_t id) {
    auto [it, fresh] = users_.try_emplace(id);
    if (const passwd* p = fresh ? ::getpwuid(id) : nullptr) it->second = p->pw_name;
    return it->second;
  }
  const std::string& group(gid_t id) {
    auto [it, fresh] = groups_.try_emplace(id);
    if (const ::group* g = fresh ? ::getgrgid(id) : nullptr) it->second = g->gr_name;
    return it->second;
  }
  std::map<uid_t, std::string> users_;
  std::map<gid_t, std::string> groups_;
};

inline bool kept_xattr(std::string_view name) {
  return name.starts_with("user.") || name == "security.capability" || name == "system.posix_acl_access" ||
         name == "system.posix_acl_default";
}

// Of the entry `leaf` in a directory, which is not followed; by the directory's place in /proc, so that a
// file need not be opened, or by opening it where there is no /proc. Most have none, which newer kernels say
// without a look-up in /proc.
class Xattrs {
 public:
  Xattrs(int directory, const char* leaf) : directory_(directory), leaf_(leaf) {}
  std::vector<std::pair<std::string, Bytes>> read() {
    if (none()) return {};
    find();
    std::vector<std::pair<std::string, Bytes>> out;
    char small[1024];
    std::string names;
    ssize_t n = list(small, sizeof small);
    if (n > 0) names.assign(small, static_cast<size_t>(n));
    while (n < 0 && errno == ERANGE && names.size() < (1u << 20)) {
      names.resize(std::max<size_t>(names.size() * 2, 64 << 10));
      n = list(names.data(), names.size());
    }
    if (n < 0 && errno == ENOTSUP) return out;
    if (n < 0) throw file_error(errno, "list", "its extended attributes");
    names.resize(static_cast<size_t>(n));
    Bytes value;
    for (size_t at = 0; at < names.size();) {
      const std::string name = names.c_str() + at;
      at += name.size() + 1;
      if (!kept_xattr(name)) continue;
      value.resize(64 << 10);
      const ssize_t got = get(name.c_str(), value);
      if (got < 0 && errno == ENODATA) continue;
      if (got < 0) throw file_error(errno, "read", "its extended attribute " + name);
      out.emplace_back(name, Bytes(value.begin(), value.begin() + got));
    }
    std::sort(out.begin(), out.end());
    return out;
  }

 private:
  // False: there may be some.
  bool none() const {
    static std::atomic<bool> can{true};
    if (!can) return false;
    constexpr long kListxattrat = 465;  // Linux 6.13; the same number on all architectures but alpha
    char names[256];
    const long n = ::syscall(kListxattrat, directory_, leaf_, AT_SYMLINK_NOFOLLOW, names, sizeof names);
    if (n < 0 && (errno == ENOSYS || errno == EPERM)) can = false;
    return n == 0;
  }
  void find() {
    path_ = "/proc/self/fd/" + std::to_string(directory_);
    static const bool proc = ::access(path_.c_str(), F_OK) == 0;
    path_ += '/';
    path_ += leaf_;
    if (!proc)
      file_ = Fd(::openat(directory_, leaf_, O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    proc_ = proc;
  }
  ssize_t list(char* to, size_t size) const {
    return proc_ ? ::llistxattr(path_.c_str(), to, size) : ::flistxattr(file_.get(), to, size);
  }
  ssize_t get(const char* name, Bytes& to) const {
    return proc_ ? ::lgetxattr(path_.c_str(), name, to.data(), to.size())
                 : ::fgetxattr(file_.get(), name, to.data(), to.size());
  }
  const int directory_;
  const char* leaf_;
  std::string path_;
  Fd file_;
  bool proc_ = false;
};

}  // namespace kesu
