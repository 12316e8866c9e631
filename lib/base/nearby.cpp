#include "base/nearby.h"

#include <fcntl.h>

namespace kesu {

int OpenNearby::open(const std::string& path, int flags) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == path.size()) return open_path(path, flags);
  const auto directory = std::string_view(path).substr(0, slash);
  if (!fd_.ok() || directory_ != directory) {
    directory_ = directory;
    fd_ = Fd(open_path(directory_, O_PATH | O_DIRECTORY));
    if (!fd_.ok()) return open_path(path, flags);
  }
  return ::openat(fd_.get(), path.c_str() + slash + 1, flags | O_CLOEXEC);
}

}  // namespace kesu
