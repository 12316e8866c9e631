#include "app/place_id.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/files.h"

namespace kesu {

std::optional<PlaceId> place_id(int fd, const std::string& leaf) {
  struct statx st {};
  if (::statx(fd, leaf.c_str(), AT_SYMLINK_NOFOLLOW | (leaf.empty() ? AT_EMPTY_PATH : 0),
              STATX_INO | STATX_MNT_ID, &st) != 0)
    return std::nullopt;
  return PlaceId{makedev(st.stx_dev_major, st.stx_dev_minor), st.stx_ino,
                 st.stx_mask & STATX_MNT_ID ? st.stx_mnt_id : 0};
}

std::optional<PlaceId> place_id_of(const std::string& path) {
  const Fd fd(open_path(path, O_PATH));
  return fd.ok() ? place_id(fd.get()) : std::nullopt;
}

}  // namespace kesu
