#include "base/sync_together.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <exception>
#include <thread>

namespace kesu {

namespace {
// What waits is the device, not a processor.
constexpr size_t kAtOnce = 8;

bool is_directory(int fd) {
  struct stat st {};
  return ::fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}
}  // namespace

void sync_together(const OpenPaths& paths) {
  for (const auto& [fd, path] : paths) ::sync_file_range(fd.get(), 0, 0, SYNC_FILE_RANGE_WRITE);  // a hint
  std::atomic<size_t> next{0};
  std::vector<int> errors(paths.size(), 0);
  const auto some = [&] {
    for (size_t i; (i = next++) < paths.size();) {
      const int fd = paths[i].first.get();
      if (::fsync(fd) == 0) continue;
      const int err = errno;
      if (err != EINVAL || !is_directory(fd)) errors[i] = err;
    }
  };
  std::vector<std::thread> threads;
  try {
    const size_t more = std::min(kAtOnce, std::max<size_t>(paths.size(), 1)) - 1;
    threads.reserve(more);
    while (threads.size() < more) threads.emplace_back(some);
  } catch (const std::exception&) {  // no more threads to be had: fewer do it
  }
  some();
  for (std::thread& t : threads) t.join();
  for (size_t i = 0; i < paths.size(); ++i)
    if (errors[i]) throw file_error(errors[i], "make durable", paths[i].second);
}

std::pair<Fd, std::string> open_directory(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.ok()) throw file_error(errno, "open directory", path);
  return {std::move(fd), path};
}

}  // namespace kesu
