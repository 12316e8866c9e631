// Files of the vault and files that kesu makes: whole, durable, never half there under their final name.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace kesu {

// errno as an Error: disk_full for ENOSPC/EDQUOT, not_found, read_only for EROFS, else io_failed; the path,
// the system's words and the next step in it.
Error file_error(int err, std::string_view doing, std::string_view path);

// Owner of a descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  Fd& operator=(Fd&& o) noexcept;
  ~Fd();
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }
  void close();  // throws Error io_failed when the system reports a late write error

 private:
  int fd_ = -1;
};

// The whole of a regular file; throws not_found, io_failed, or bad_input when it is larger than `max_bytes`.
Bytes read_file(const std::string& path, size_t max_bytes = 256u << 20);
std::optional<Bytes> read_file_if_there(const std::string& path, size_t max_bytes = 256u << 20);

// Writes `path` durably: temporary file beside it, fsync, rename, fsync of the directory. `mode` as for
// open(2). An existing file is replaced only if `replace`; else Error already_exists.
void write_file_durable(const std::string& path, ByteView content, unsigned mode = 0644, bool replace = true);

void write_all(int fd, ByteView content, std::string_view path);
void sync_directory(const std::string& path);
void make_directories(const std::string& path, unsigned mode = 0755);  // like mkdir -p
bool exists(const std::string& path);
// open(2), close-on-exec, also of a path that is longer than the system takes at once: the rest is then
// walked by components, through no link. -1 and errno as open(2).
int open_path(const std::string& path, int flags);
void remove_file(const std::string& path);                         // a file that is not there is no error
std::vector<std::string> list_directory(const std::string& path);  // names, sorted by bytes, without . and ..
// The same by its descriptor (borrowed); `path` is for errors.
std::vector<std::string> list_directory(int fd, const std::string& path);

std::string path_join(std::string_view dir, std::string_view name);
std::string base_name(std::string_view path);
std::string dir_name(std::string_view path);
std::string absolute_path(std::string_view path);  // its links stay, but one that `..` comes after

// "nfs", "smb", … when `path` lies on a network file system, else nullopt.
std::optional<std::string> network_filesystem(const std::string& path);
// Throws Error network_filesystem where `directory`, or what is to become it, lies on one.
void refuse_network_filesystem(const std::string& directory);

}  // namespace kesu
