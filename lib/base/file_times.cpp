#include "base/file_times.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

namespace kesu {

namespace {
// Between these every file system keeps every time, give or take two seconds: FAT begins in 1980, and the
// first to end ends in 2038.
constexpr int64_t kFirst = 315'619'200, kLast = 2'147'400'000;
constexpr int64_t kCoarse = 2;
}  // namespace

int set_mtime(int directory, const char* leaf, int64_t seconds, int64_t nanos) {
  const timespec times[2] = {{0, UTIME_OMIT}, {static_cast<time_t>(seconds), static_cast<long>(nanos)}};
  if ((leaf ? ::utimensat(directory, leaf, times, AT_SYMLINK_NOFOLLOW) : ::futimens(directory, times)) != 0)
    return errno;
  if (seconds >= kFirst && seconds <= kLast) return 0;
  struct stat st {};
  if ((leaf ? ::fstatat(directory, leaf, &st, AT_SYMLINK_NOFOLLOW) : ::fstat(directory, &st)) != 0) return 0;
  const int64_t kept = st.st_mtim.tv_sec;
  return kept < seconds - kCoarse || kept > seconds + kCoarse ? ERANGE : 0;
}

}  // namespace kesu
