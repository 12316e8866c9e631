#include "base/stream_out.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "base/files.h"
#include "base/interrupt.h"

namespace kesu {

namespace {
constexpr int kSlice = 100;  // milliseconds between looks for Ctrl-C

// What a pipe is asked to hold, so that neither side waits for the other often.
constexpr int kWide = 1 << 20;
constexpr int kPage = 4096, kTorn = 4 * kPage;  // a pipe holds pages, of which a few may be filled in part

// What is taken at once without waiting, where poll says that something is: of a pipe that holds `holds`
// bytes what must be free, else as much as always has room.
size_t at_once(int fd, int holds) {
  int waiting = 0;
  if (holds <= 0 || ::ioctl(fd, FIONREAD, &waiting) != 0) return PIPE_BUF;
  const int room = waiting ? (holds - waiting - kTorn) / kPage * kPage : holds;
  return static_cast<size_t>(std::max(room, PIPE_BUF));
}

constexpr int kFile = -2, kSocket = -3;
// What a pipe holds; kFile where nobody reads while it is written (a device, too, that is no terminal),
// kSocket; another negative number for what else there is.
int look(int fd) {
  struct stat st {};
  if (::fstat(fd, &st) == 0) {
    if (S_ISSOCK(st.st_mode)) return kSocket;
    if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || (S_ISCHR(st.st_mode) && !::isatty(fd))) return kFile;
  }
  const int holds = ::fcntl(fd, F_GETPIPE_SZ);
  const bool narrow = holds > 0 && holds < kWide;
  if (narrow && ::fcntl(fd, F_SETPIPE_SZ, kWide) > 0) return ::fcntl(fd, F_GETPIPE_SZ);
  return holds;
}
}  // namespace

void write_to_reader(int fd, ByteView bytes, std::string_view name) {
  static const int holds = look(fd);
  if (holds == kFile) return write_all(fd, bytes, name);
  while (!bytes.empty()) {
    check_interrupted();
    pollfd wait{fd, POLLOUT, 0};
    const int ready = ::poll(&wait, 1, kSlice);
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t n = holds == kSocket
                          ? ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT)
                          : ::write(fd, bytes.data(), std::min(bytes.size(), at_once(fd, holds)));
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) throw file_error(errno, "write", std::string(name));
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

}  // namespace kesu
