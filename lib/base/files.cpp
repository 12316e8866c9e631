#include "base/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/rename_new.h"

namespace kesu {

namespace {
std::string remedy(int err) {
  switch (err) {
    case ENOSPC:
    case EDQUOT:
      return "free some space there, then run the same command again";
    case EMFILE:
      return "allow this user more open files (ulimit -n), then run the same command again";
    case ENFILE:
      return "the whole machine has too many files open: end something, then run the same command again";
    case ENOMEM:
      return "end something that uses memory, then run the same command again";
    case EFBIG:
      return "raise the limit of file sizes (ulimit -f), or use a file system that takes files as large";
    case EROFS:
      return "mount that file system for writing, or name another place";
    case EACCES:
    case EPERM:
      return "run it as a user who may, or name another place";
    case EIO:
      return "look what is wrong with that disk (dmesg); then run the same command again";
    case ENOENT:
      return "";  // what should be there only the caller knows
    default:
      return "remove the cause, then run the same command again";
  }
}
}  // namespace

Error file_error(int err, std::string_view doing, std::string_view path) {
  Code code = err == ENOSPC || err == EDQUOT ? Code::disk_full
              : err == ENOENT                ? Code::not_found
              : err == EROFS                 ? Code::read_only
                                             : Code::io_failed;
  return Error(code, "cannot " + std::string(doing) + " " + std::string(path))
      .cause(std::strerror(err))
      .next(remedy(err));
}

Fd& Fd::operator=(Fd&& o) noexcept {
  if (this != &o) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(o.fd_, -1);
  }
  return *this;
}
Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}
void Fd::close() {
  int fd = std::exchange(fd_, -1);
  if (fd >= 0 && ::close(fd) != 0 && errno != EINTR) throw file_error(errno, "close", "a file");
}

namespace {
std::optional<Bytes> read_if(const std::string& path, size_t max_bytes, bool& absent) {
  absent = false;
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok()) {
    absent = errno == ENOENT;
    if (absent) return std::nullopt;
    throw file_error(errno, "open", path);
  }
  Bytes out;
  size_t used = 0;
  struct stat st {};
  if (::fstat(fd.get(), &st) == 0 && st.st_size > 0)
    out.resize(std::min<size_t>(static_cast<size_t>(st.st_size) + 1, max_bytes + 1));
  for (;;) {
    if (used == out.size()) out.resize(std::max<size_t>(4096, out.size() * 2));
    ssize_t n = ::read(fd.get(), out.data() + used, out.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw file_error(errno, "read", path);
    if (n == 0) break;
    used += static_cast<size_t>(n);
    if (used > max_bytes)
      throw Error(Code::bad_input, path + " is larger than " + std::to_string(max_bytes) + " bytes");
  }
  out.resize(used);
  return out;
}
}  // namespace

Bytes read_file(const std::string& path, size_t max_bytes) {
  bool absent;
  auto out = read_if(path, max_bytes, absent);
  if (!out) throw file_error(ENOENT, "open", path);
  return std::move(*out);
}

std::optional<Bytes> read_file_if_there(const std::string& path, size_t max_bytes) {
  bool absent;
  return read_if(path, max_bytes, absent);
}

void write_all(int fd, ByteView content, std::string_view path) {
  while (!content.empty()) {
    ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw file_error(errno, "write", path);
    content = content.subspan(static_cast<size_t>(n));
  }
}

namespace {
// A new file beside `path`, under a lock that shows everybody, in whatever container, that its writer lives
// (base/leftovers.h). No two share one: what a kill left under its name is nobody's to write into.
Fd new_temporary(const std::string& path, unsigned mode, std::string& temp) {
  static std::atomic<unsigned> counter{0};
  for (;;) {
    temp = path + ".tmp" + std::to_string(::getpid()) + "." + std::to_string(counter++);
    Fd fd(::open(temp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!fd.ok() && errno == EEXIST) continue;
    if (!fd.ok()) throw file_error(errno, "create", temp);
    struct stat st {};
    // Taken for a leftover in the moment before it was locked: once more. File systems without locks do
    // without.
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) continue;
    if (::fstat(fd.get(), &st) == 0 && st.st_nlink == 0) continue;
    return fd;
  }
}
}  // namespace

void write_file_durable(const std::string& path, ByteView content, unsigned mode, bool replace) {
  std::string temp;
  Fd fd = new_temporary(path, mode, temp);
  try {
    write_all(fd.get(), content, temp);
    if (::fsync(fd.get()) != 0) throw file_error(errno, "make durable", temp);
    fd.close();
    if (replace) {
      if (::rename(temp.c_str(), path.c_str()) != 0) throw file_error(errno, "rename into place", path);
    } else {
      const int why = rename_new(AT_FDCWD, temp, path);
      if (why == EEXIST)
        throw Error(Code::already_exists, path + " is already there")
            .next("choose another name or remove it");
      if (why != 0) throw file_error(why, "put into place", path);
    }
  } catch (...) {
    ::unlink(temp.c_str());
    throw;
  }
  sync_directory(dir_name(path));
}

void sync_directory(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.ok()) throw file_error(errno, "open directory", path);
  if (::fsync(fd.get()) != 0 && errno != EINVAL) throw file_error(errno, "make durable", path);
}

void make_directories(const std::string& path, unsigned mode) {
  if (path.empty() || path == "/") return;
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return;
  if (errno != ENOENT) throw file_error(errno, "create directory", path);
  make_directories(dir_name(path), mode);
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) throw file_error(errno, "create directory", path);
}

bool exists(const std::string& path) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) == 0) return true;
  return errno == ENAMETOOLONG && Fd(open_path(path, O_PATH | O_NOFOLLOW)).ok();
}

int open_path(const std::string& path, int flags) {
  constexpr size_t kMost = 4000;  // PATH_MAX is 4096
  flags |= O_CLOEXEC;
  if (path.size() < kMost) return ::open(path.c_str(), flags);
  size_t at = path.rfind('/', kMost);
  if (at == std::string::npos || at == 0) {
    errno = ENAMETOOLONG;
    return -1;
  }
  Fd directory(::open(path.substr(0, at).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  while (directory.ok()) {
    const size_t from = at + 1, to = path.find('/', from);
    const std::string component = path.substr(from, to == std::string::npos ? to : to - from);
    if (to == std::string::npos) return ::openat(directory.get(), component.c_str(), flags);
    directory =
        Fd(::openat(directory.get(), component.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    at = to;
  }
  return -1;
}

void remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) throw file_error(errno, "remove", path);
}

namespace {
std::vector<std::string> names_in(DIR* dir, const std::string& path) {
  if (!dir) throw file_error(errno, "list", path);
  std::vector<std::string> out;
  errno = 0;
  while (dirent* entry = ::readdir(dir)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") out.push_back(std::move(name));
  }
  int err = errno;
  ::closedir(dir);
  if (err) throw file_error(err, "list", path);
  std::sort(out.begin(), out.end());
  return out;
}
}  // namespace

std::vector<std::string> list_directory(const std::string& path) {
  return names_in(::opendir(path.c_str()), path);
}

std::vector<std::string> list_directory(int fd, const std::string& path) {
  // Opened anew: a duplicate would share its position with the one that was lent.
  const int own = ::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* dir = own < 0 ? nullptr : ::fdopendir(own);
  if (!dir && own >= 0) {
    const int err = errno;
    ::close(own);
    errno = err;
  }
  return names_in(dir, path);
}

std::string path_join(std::string_view dir, std::string_view name) {
  if (dir.empty()) return std::string(name);
  std::string out;
  out.reserve(dir.size() + 1 + name.size());
  out += dir;
  if (out.back() != '/') out.push_back('/');
  return out += name;
}

std::string base_name(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos || path == "/" ? path : path.substr(slash + 1));
}

std::string dir_name(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

namespace {
std::string working_directory() {
  std::error_code e;
  std::string out = std::filesystem::current_path(e).string();
  if (e)
    throw Error(Code::not_found, "the working directory cannot be told")
        .cause(e.message())
        .next("cd to a directory that is there, or name everything by its whole path");
  return out;
}

// Taken back by one component, as the system would: `link/..` is the directory above what the link leads to,
// not the one that the link lies in.
void step_up(std::string& path) {
  if (std::error_code e; std::filesystem::is_symlink(std::filesystem::symlink_status(path, e))) {
    const auto real = std::filesystem::canonical(path, e);
    if (!e) path = real.string();
  }
  path.resize(path.rfind('/'));
}
}  // namespace

std::string absolute_path(std::string_view path) {
  std::string out;
  if (!path.starts_with('/')) out = working_directory();
  if (out == "/") out.clear();
  for (size_t from = 0; from <= path.size();) {
    const size_t to = std::min(path.find('/', from), path.size());
    const std::string_view component = path.substr(from, to - from);
    from = to + 1;
    if (component == "..") {
      if (!out.empty()) step_up(out);
    } else if (!component.empty() && component != ".") {
      out.append(1, '/').append(component);
    }
  }
  return out.empty() ? "/" : out;
}

std::optional<std::string> network_filesystem(const std::string& path) {
  struct statfs fs {};
  if (::statfs(path.c_str(), &fs) != 0) return std::nullopt;
  switch (static_cast<uint32_t>(fs.f_type)) {
    case 0x6969:
      return "nfs";
    case 0x517b:
      return "smb";
    case 0xff534d42:
      return "cifs";
    case 0xfe534d42:
      return "smb2";
    case 0x01021997:
      return "9p";
    case 0x00c36400:
      return "ceph";
    case 0x5346414f:
      return "afs";
    case 0x65735546:
      return "fuse";
    default:
      return std::nullopt;
  }
}

void refuse_network_filesystem(const std::string& directory) {
  std::string at = absolute_path(directory);
  while (!exists(at) && at != "/") at = dir_name(at);
  if (auto kind = network_filesystem(at))
    throw Error(Code::network_filesystem, directory + " lies on a network file system (" + *kind + ")")
        .cause("its locks and its durability are not those of a local disk: two kesu could break the ledger")
        .next("put the vault on a local disk");
}

}  // namespace kesu
