// Files that sealing and opening meet: sources, temporary names, places below a root.
#include "seal/files.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>

#include "base/interrupt.h"
#include "base/rename_new.h"
#include "seal/damage.h"
#include "seal/files_impl.h"

namespace kesu {

namespace {
FileTime time_of(const timespec& t) { return {t.tv_sec, t.tv_nsec}; }

// Names in `directory`, or paths; `shown` is the new one for messages.
void put_new(int directory, const std::string& from, const std::string& to, const std::string& shown) {
  const int why = rename_new(directory, from, to);
  if (why == EEXIST) throw there_already(shown);
  if (why != 0) throw file_error(why, "rename into place", shown);
}
}  // namespace

void write_at(int fd, uint64_t offset, ByteView bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw file_error(errno, "write", path);
    offset += static_cast<uint64_t>(n);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

bool same_file(int fd, const std::string& path) {
  struct stat a {
  }, b{};
  return ::fstat(fd, &a) == 0 && ::lstat(path.c_str(), &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

Temporary create_opening(const std::string& path) {
  for (int attempt = 0; attempt < 8; ++attempt) {
    Fd fd(::open(path.c_str(), kCreate, 0600));
    if (fd.ok()) {
      if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0 && same_file(fd.get(), path))
        return Temporary(path, std::move(fd));
      continue;
    }
    if (errno != EEXIST) throw file_error(errno, "create", path);
    Fd old(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!old.ok()) {
      if (errno == ENOENT) continue;
      throw file_error(errno, "create", path);
    }
    if (::flock(old.get(), LOCK_EX | LOCK_NB) != 0) break;
    if (same_file(old.get(), path) && ::unlink(path.c_str()) != 0 && errno != ENOENT)
      throw file_error(errno, "remove what an interrupted run left:", path);
  }
  throw Error(Code::conflict, "another process is opening the same object there").cause(path + " is in use");
}

Error there_already(const std::string& path) {
  return Error(Code::already_exists, path + " is already there")
      .next("choose another place, or ask for it to be replaced");
}

FileFacts file_facts(int fd) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) throw file_error(errno, "examine", "an open file");
  FileFacts f;
  f.regular = S_ISREG(st.st_mode);
  f.size = f.regular ? static_cast<uint64_t>(st.st_size) : 0;
  f.mode = st.st_mode & 07777;
  f.mtime = time_of(st.st_mtim);
  f.ctime = time_of(st.st_ctim);
  return f;
}

FdSource::FdSource(int fd, const Crew* crew, bool from_here) : fd_(fd), crew_(crew), facts_(file_facts(fd)) {
  if (from_here) facts_.regular = false, facts_.size = 0;
  if (facts_.regular && facts_.size > (1u << 20)) ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
}

size_t FdSource::operator()(std::span<uint8_t> out) {
  for (;;) {
    check_interrupted();
    if (!facts_.regular) {
      // A pipe may stay silent for ever: looks up now and then.
      pollfd wait{fd_, POLLIN, 0};
      const int ready = ::poll(&wait, 1, 100);
      if (crew_ && crew_->stopped()) throw Error(Code::interrupted, "reading ended: other work failed");
      if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    }
    const ssize_t n = facts_.regular ? ::pread(fd_, out.data(), out.size(), static_cast<off_t>(at_))
                                     : ::read(fd_, out.data(), out.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw file_error(errno, "read", "the source");
    at_ += static_cast<uint64_t>(n);
    if (n == 0) check();
    return static_cast<size_t>(n);
  }
}

void FdSource::check() const {
  if (!facts_.regular) return;
  const FileFacts now = file_facts(fd_);
  const char* what = now.size != facts_.size     ? "its size is another"
                     : now.mtime != facts_.mtime ? "its modification time is another"
                     : now.ctime != facts_.ctime ? "its change time is another"
                                                 : nullptr;
  if (what)
    throw Error(Code::conflict, "the source changed while it was read")
        .cause(what)
        .next("seal it again when nothing writes to it");
}

SealedInput file_input(int fd) { return file_input(fd, file_facts(fd).size); }

SealedInput file_input(int fd, uint64_t size) {
  SealedInput in;
  in.size = size;
  in.read = [fd](uint64_t offset, std::span<uint8_t> out) {
    while (!out.empty()) {
      const ssize_t n = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw file_error(errno, "read", "a sealed object");
      if (n == 0) throw damaged("length", offset, "the file ends there");
      offset += static_cast<uint64_t>(n);
      out = out.subspan(static_cast<size_t>(n));
    }
  };
  return in;
}

std::string part_path(const std::string& directory, const ObjectId& object) {
  return path_join(directory, "." + hex(object.bytes()) + ".kesu-part");
}
std::string opening_path(const std::string& directory, const ObjectId& object) {
  return path_join(directory, "." + hex(object.bytes()) + ".kesu-open");
}

void publish(const std::string& part, const std::string& final_path, bool replace) {
  if (!replace) return put_new(AT_FDCWD, part, final_path, final_path);
  if (::rename(part.c_str(), final_path.c_str()) != 0)
    throw file_error(errno, "rename into place", final_path);
}

void publish(const At& directory, const std::string& part, const std::string& name, bool replace) {
  const std::string shown = path_join(directory.path, name);
  if (!replace) return put_new(directory.fd, part, name, shown);
  if (::renameat(directory.fd, part.c_str(), directory.fd, name.c_str()) != 0)
    throw file_error(errno, "rename into place", shown);
}

Temporary create_part(const At& directory, const ObjectId& object, std::string& part) {
  const std::string shown = part_path(directory.path, object);
  const int at = directory.fd < 0 ? AT_FDCWD : directory.fd;
  if (directory.nameless && directory.fd >= 0) {
    Fd fd(::openat(at, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
    part.clear();
    if (fd.ok()) return Temporary(at, "", shown, std::move(fd));
    // A file system that has none, or what a named one will say.
  }
  part = directory.fd < 0 ? shown : base_name(shown);
  Fd fd(::openat(at, part.c_str(), kCreate, 0600));
  if (!fd.ok()) {
    if (errno == EEXIST) throw there_already(shown);
    throw file_error(errno, "create", shown);
  }
  return Temporary(at, part, shown, std::move(fd));
}

namespace {
// Whether the file got the name; errno. By its descriptor, which older kernels allow to a privileged process
// alone (ENOENT says that, too); else by /proc, where each look-up costs as much as the link.
bool link_nameless(int part, int directory, const std::string& name) {
  static std::atomic<bool> by_descriptor{true};
  if (by_descriptor) {
    if (::linkat(part, "", directory, name.c_str(), AT_EMPTY_PATH) == 0) return true;
    if (errno != ENOENT) return false;
  }
  const std::string self = "/proc/self/fd/" + std::to_string(part);
  if (::linkat(AT_FDCWD, self.c_str(), directory, name.c_str(), AT_SYMLINK_FOLLOW) != 0) return false;
  by_descriptor = false;
  return true;
}
}  // namespace

void publish(const At& directory, const Fd& part, const ObjectId& object, const std::string& name) {
  if (link_nameless(part.get(), directory.fd, name)) return;
  const std::string shown = path_join(directory.path, name);
  if (errno == EEXIST) throw there_already(shown);
  // No /proc, or somebody forbids it.
  const SealedInput in = file_input(part.get());
  std::string copied;
  Temporary copy = create_part({directory.fd, directory.path}, object, copied);
  Bytes piece(64 * 1024);
  // From the end: a part file has no header before all else is in it.
  for (uint64_t left = in.size; left > 0;) {
    const uint64_t at = (left - 1) / piece.size() * piece.size();
    const auto bytes = std::span(piece).first(static_cast<size_t>(left - at));
    in.read(at, bytes);
    write_at(copy.fd(), at, bytes, copy.path());
    left = at;
  }
  put_new(directory.fd, copied, name, shown);
  copy.keep();
}

void write_slot(int fd, uint64_t offset, ByteView slot, const std::string& path) {
  write_at(fd, offset, slot, path);
}

void write_slot(const std::string& path, const NextSlot& next) {
  Fd fd(::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.ok()) throw file_error(errno, "open", path);
  write_slot(fd.get(), next.offset, slot_bytes(next.slot), path);
  fd.close();
}

std::string safe_relative_path(const std::string& name) {
  const auto refuse = [](std::string why) {
    return Error(Code::bad_input, "a name that does not stay below its directory").cause(std::move(why));
  };
  if (name.empty()) throw refuse("it is empty");
  if (name.front() == '/') throw refuse("it is absolute");
  if (name.find('\0') != std::string::npos) throw refuse("it has a NUL byte");
  for (size_t from = 0; from <= name.size();) {
    size_t to = name.find('/', from);
    if (to == std::string::npos) to = name.size();
    const std::string_view component = std::string_view(name).substr(from, to - from);
    if (component.empty()) throw refuse("it has an empty component");
    if (component == "." || component == "..") throw refuse("it has the component " + std::string(component));
    from = to + 1;
  }
  return name;
}

std::string safe_destination(const std::string& root, const std::string& name) {
  const std::string relative = safe_relative_path(name);
  Fd at(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!at.ok()) throw file_error(errno, "open directory", root);
  for (size_t from = 0;;) {
    const size_t to = relative.find('/', from);
    if (to == std::string::npos) break;
    const std::string component = relative.substr(from, to - from),
                      so_far = path_join(root, relative.substr(0, to));
    if (::mkdirat(at.get(), component.c_str(), 0755) != 0 && errno != EEXIST)
      throw file_error(errno, "create directory", so_far);
    Fd below(::openat(at.get(), component.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!below.ok()) {
      if (errno == ELOOP || errno == ENOTDIR)
        throw Error(Code::policy_refused, "nothing is restored through " + so_far)
            .cause("it is a symbolic link, or no directory")
            .next("choose an empty directory");
      throw file_error(errno, "open directory", so_far);
    }
    at = std::move(below);
    from = to + 1;
  }
  return path_join(root, relative);
}

}  // namespace kesu
