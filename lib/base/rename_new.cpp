#include "base/rename_new.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/files.h"

namespace kesu {

int rename_new(int directory, const std::string& from, const std::string& to) {
  if (::renameat2(directory, from.c_str(), directory, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  if (::linkat(directory, from.c_str(), directory, to.c_str(), 0) == 0) {
    ::unlinkat(directory, from.c_str(), 0);
    return 0;
  }
  if (errno != EPERM && errno != ENOSYS && errno != EOPNOTSUPP && errno != EMLINK) return errno;
  const Fd place(::openat(directory, dir_name(to).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (place.ok())  // a file system without locks goes without
    while (::flock(place.get(), LOCK_EX) != 0 && errno == EINTR) {
    }
  struct stat st {};
  if (::fstatat(directory, to.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) return EEXIST;
  if (errno != ENOENT) return errno;
  return ::renameat(directory, from.c_str(), directory, to.c_str()) == 0 ? 0 : errno;
}

}  // namespace kesu
