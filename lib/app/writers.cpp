#include "app/writers.h"

#include <fcntl.h>

#include <cerrno>
#include <csignal>

#include "base/error.h"

namespace kesu {

NoWriters::NoWriters(int fd) : fd_(fd) {
  static const bool ignored = std::signal(SIGIO, SIG_IGN) != SIG_ERR;
  if (!ignored) return;
  held_ = ::fcntl(fd_, F_SETLEASE, F_RDLCK) == 0;
  if (!held_ && errno == EAGAIN)
    throw Error(Code::conflict, "the source is kept")
        .cause("a process has it open for writing")
        .next("the same command again when that is done");
}

NoWriters::~NoWriters() {
  if (held_) ::fcntl(fd_, F_SETLEASE, F_UNLCK);
}

}  // namespace kesu
