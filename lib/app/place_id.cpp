#include "app/place_id.h"

#include <fcntl.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/files.h"

namespace kesu {

namespace {
// Up to here inodes are those of roots: 1, 2, 5, 64, 128, 256, by the kind of file system. They tell nothing.
constexpr uint64_t kRoots = 256;
}  // namespace

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

PlaceMark place_mark(int fd) {
  PlaceMark out;
  struct statx st {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) != 0) return out;
  out.inode = std::to_string(st.stx_ino);
  // A birth at the begin of all time is none.
  if (st.stx_mask & STATX_BTIME && (st.stx_btime.tv_sec || st.stx_btime.tv_nsec)) {
    char nanoseconds[16];
    std::snprintf(nanoseconds, sizeof nanoseconds, ".%09u", st.stx_btime.tv_nsec % 1'000'000'000u);
    out.born = std::to_string(st.stx_btime.tv_sec) + nanoseconds;
  }
  // Some put their device number here, which is below 2^32, and another disk's tomorrow.
  struct statfs fs {};
  if (::fstatfs(fd, &fs) == 0) {
    uint32_t halves[2];
    static_assert(sizeof halves == sizeof fs.f_fsid);
    std::memcpy(halves, &fs.f_fsid, sizeof halves);
    char name[17];
    std::snprintf(name, sizeof name, "%08x%08x", halves[1], halves[0]);
    if (halves[1]) out.filesystem = name;
  }
  return out;
}

PlaceMark place_mark_of(const std::string& path) {
  const Fd fd(open_path(path, O_PATH));
  return fd.ok() ? place_mark(fd.get()) : PlaceMark();
}

bool PlaceMark::is(const PlaceMark& now) const {
  if (inode.empty() || inode != now.inode) return false;
  const bool both_named = !filesystem.empty() && !now.filesystem.empty();
  const bool both_born = !born.empty() && !now.born.empty();
  if (both_named && filesystem != now.filesystem) return false;
  if (both_born && born != now.born) return false;
  if (both_named) return true;
  // Disks that were made in the same second by mkfs have the same birth.
  if (both_born && !born.ends_with(".000000000")) return true;
  return inode.size() > 19 || std::strtoull(inode.c_str(), nullptr, 10) > kRoots;
}

SealedPlace::SealedPlace(const std::string& location, const PlaceMark& then) : location_(location) {
  const Fd fd(open_path(location, O_PATH));
  if (!fd.ok()) return;
  id_ = place_id(fd.get());
  same_ = id_ && then.is(place_mark(fd.get()));
}

std::optional<std::string> SealedPlace::cover_of(const std::string& path) const {
  const std::string below = location_ == "/" ? location_ : location_ + "/";
  if (!path.starts_with(below)) return path;
  // From the file itself to the deepest of what is there: no mount can be above that and not be seen in it.
  for (std::string at = path; at.size() >= below.size(); at = dir_name(at)) {
    const Fd fd(open_path(at, O_PATH | O_NOFOLLOW));
    if (!fd.ok() && (errno == ENOENT || errno == ENOTDIR)) continue;
    const auto id = fd.ok() ? place_id(fd.get()) : std::nullopt;
    struct stat st {};
    // Sealing makes no links: where one stands now, what was there is elsewhere.
    if (!id || !id->same_mount(*id_) || ::fstat(fd.get(), &st) != 0 || S_ISLNK(st.st_mode)) return at;
    return std::nullopt;
  }
  const auto now = place_id_of(location_);
  if (!now || !now->same_directory(*id_) || !now->same_mount(*id_)) return location_;
  return std::nullopt;
}

std::string SealedPlace::why_hidden(const std::string& path) const {
  const auto cover = same_ ? cover_of(path) : std::nullopt;
  return cover ? "what was put at " + *cover + " later may hide it"
               : location_ + " is not there, or not known to be the directory that was sealed to";
}

bool is_of_the_filesystem(int directory, const std::string& leaf, const struct stat& st) {
  if (leaf != "lost+found" || st.st_uid != 0 || !S_ISDIR(st.st_mode)) return false;
  if (::faccessat(directory, leaf.c_str(), R_OK | X_OK, AT_EACCESS) == 0 || errno != EACCES) return false;
  struct statx above {};
  return ::statx(directory, "", AT_EMPTY_PATH, STATX_INO, &above) == 0 &&
         ((above.stx_attributes & STATX_ATTR_MOUNT_ROOT) || above.stx_ino == 2);
}

}  // namespace kesu
