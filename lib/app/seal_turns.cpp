#include "app/seal_turns.h"

#include <fcntl.h>

#include <cerrno>

#include "crypto/hash.h"

namespace kesu {

namespace {
// 62 bits: two roots in a million million million have the same.
off_t number_of(const std::string& dataset, const std::string& out, const std::string& root) {
  const Digest32 digest = sha256(as_bytes(dataset + '\0' + out + '\0' + root));
  uint64_t number = 0;
  for (size_t i = 0; i < sizeof number; ++i) number = number << 8 | digest[i];
  return static_cast<off_t>(number >> 2);
}
}  // namespace

SealTurns::SealTurns(const std::string& directory)
    : fd_(::open(path_join(directory, "kesu.toml").c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC)) {}

void SealTurns::take(const std::string& dataset, const std::string& out, const std::string& root) {
  if (!fd_.ok()) return;
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = number_of(dataset, out, root);
  lock.l_len = 1;
  if (::fcntl(fd_.get(), F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES)) return;
  throw Error(Code::conflict, "another process is sealing " + root + " to " + out)
      .cause("under hidden names both would stand there, and the older one would be restored, too")
      .next("run the same command again when that process has ended");
}

}  // namespace kesu
