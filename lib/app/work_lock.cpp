#include "app/work_lock.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>

namespace kesu {

namespace {
std::string user_of(int64_t pid) {
  struct stat st {};
  if (::stat(("/proc/" + std::to_string(pid)).c_str(), &st) != 0) return "";
  const passwd* user = ::getpwuid(st.st_uid);
  return " of " + (user ? std::string(user->pw_name) : std::to_string(st.st_uid));
}

// Who holds the lock, from the kernel's list: "7: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF". A process of
// another container stands there without its number.
std::string holder_of(int fd) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return "";
  const auto list = read_file_if_there("/proc/locks", 16 << 20);
  std::istringstream lines(list ? to_text(*list) : "");
  const std::string inode = ":" + std::to_string(st.st_ino);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string number, kind, advisory, mode, place;
    int64_t pid = 0;
    words >> number >> kind >> advisory >> mode >> pid >> place;
    if (kind == "FLOCK" && place.ends_with(inode) && pid > 0)
      return "process " + std::to_string(pid) + user_of(pid);
  }
  return "another process";
}
}  // namespace

WorkLock::WorkLock(const std::string& path, const std::string& what, const std::string& look)
    : fd_(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) {
  if (!fd_.ok()) throw file_error(errno, "open", path);
  if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) return;
  if (errno != EWOULDBLOCK) throw file_error(errno, "lock", path);
  throw Error(Code::conflict, holder_of(fd_.get()) + " is at work on " + what)
      .cause("one process at a time does that")
      .next(
          look +
          " shows how far it is; when that process has ended, run the same command again if it is still due");
}

}  // namespace kesu
