#include "app/hollow_files.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/bytes.h"

namespace kesu {

bool is_hollow(int fd, const struct stat& st, Millis since) {
  constexpr Millis kTick = 10;  // the file system's clock may be behind by one
  const Millis changed = Millis{st.st_ctim.tv_sec} * 1000 + st.st_ctim.tv_nsec / 1'000'000;
  if (!S_ISREG(st.st_mode) || changed + kTick < since) return false;
  Bytes piece(64 << 10);
  for (off_t at = 0; at < st.st_size;) {
    const off_t data = ::lseek(fd, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return true;  // a hole to its end
    if (data > at) at = data;                     // holes not known of are read
    const ssize_t n = ::pread(fd, piece.data(), piece.size(), at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    if (std::any_of(piece.begin(), piece.begin() + n, [](uint8_t b) { return b != 0; })) return false;
    at += n;
  }
  return true;
}

}  // namespace kesu
