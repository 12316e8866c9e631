#include "base/durable_directories.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/files.h"

namespace kesu {

namespace {
void sync_if_possible(const std::string& path) {
  const Fd fd(open_path(path, O_RDONLY | O_DIRECTORY));
  if (!fd.ok() || ::fsync(fd.get()) == 0) return;
  if (errno == EIO || errno == ENOSPC || errno == EDQUOT) throw file_error(errno, "make durable", path);
}
}  // namespace

void make_directories_durable(const std::string& path, unsigned mode) {
  std::vector<std::string> names{path};  // it, what is to be made above it, and what that is made in
  while (!exists(names.back()) && names.back() != dir_name(names.back()))
    names.push_back(dir_name(names.back()));
  if (names.size() == 1) names.push_back(dir_name(path));  // another process may have made it just now
  make_directories(path, mode);
  for (const std::string& name : names) sync_if_possible(name);
}

}  // namespace kesu
