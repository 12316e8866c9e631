#include "base/open_files.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "base/crew.h"

namespace kesu {

namespace {
constexpr size_t kOthers = 32;    // vault, token, standard descriptors, the tree that is walked
constexpr size_t kPerWorker = 8;  // source, part, roots, and two directories in each tree
constexpr size_t kTrees = 4;      // that a worker may be in at once, with some to spare
}  // namespace

size_t open_file_limit() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? static_cast<size_t>(limit.rlim_cur)
                                                 : std::numeric_limits<size_t>::max();
}

unsigned workers_by_open_files() {
  const size_t limit = open_file_limit(), left = limit - std::min(limit, kOthers);
  return static_cast<unsigned>(std::clamp<size_t>(left / kPerWorker, 1, processors()));
}

size_t directories_kept_open() {
  const size_t limit = open_file_limit(), left = limit - std::min(limit, kOthers);
  return std::max<size_t>(1, left / workers_by_open_files() / kTrees);
}

size_t files_kept_open() {
  constexpr size_t kBeside = 256, kLeast = 16, kMost = 1000;
  const size_t limit = open_file_limit(), left = (limit - std::min(limit, kBeside)) / 2;
  return left < kLeast ? 0 : std::min(left, kMost);
}

void make_room_for_open_files(size_t count) {
  const size_t highest = std::min(count, open_file_limit());
  if (highest == 0) return;
  const int fd = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, static_cast<int>(highest - 1));
  if (fd >= 0) ::close(fd);
}

}  // namespace kesu
