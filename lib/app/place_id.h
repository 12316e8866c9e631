// Which directory something is, whatever path leads there: mounts give one directory several, and hide
// others. And what a directory is known by later (docs/spec/events.md, "Places").
#pragma once
#include <sys/stat.h>

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

namespace kesu {

struct PlaceId {
  uint64_t device = 0, inode = 0;
  uint64_t mount = 0;  // where it was reached; 0: the system does not say

  bool same_directory(const PlaceId& o) const { return device == o.device && inode == o.inode; }
  // Whether no mount point lies between the two, of which one is above the other.
  bool same_mount(const PlaceId& o) const { return mount && o.mount ? mount == o.mount : device == o.device; }
};

// Of an open descriptor (borrowed), or of `leaf` in the directory that it is, through no link. nullopt where
// it cannot be looked at.
std::optional<PlaceId> place_id(int fd, const std::string& leaf = "");
// Of what a path leads to, of any length.
std::optional<PlaceId> place_id_of(const std::string& path);

// What a directory is recognised by after a remount, under whatever device number; as entries say it.
struct PlaceMark {
  std::string inode;  // decimal; "": nothing is known
  std::string born;   // seconds since 1970 and nine digits, "1700000000.000000001"; "": nobody knows
  std::string
      filesystem;  // 16 hex: what the file system calls itself; "": by its device number alone, or not

  auto operator<=>(const PlaceMark&) const = default;
  // Whether `now` is that directory. False also where that cannot be known.
  bool is(const PlaceMark& now) const;
};
// Of an open descriptor (borrowed); of what a path leads to. Empty where it cannot be looked at.
PlaceMark place_mark(int fd);
PlaceMark place_mark_of(const std::string& path);

// A directory that objects were sealed to, as it can be seen now.
class SealedPlace {
 public:
  // `then`: its mark at the sealing.
  SealedPlace(const std::string& location, const PlaceMark& then);

  // Whether a file that was sealed to `path` below it, and is not there, may lie where it is not seen: the
  // place is not known to be the same, or something is mounted over it, or over a directory above it.
  // `other`: something else stands at `path`; then only the latter counts. From any thread.
  bool may_hide(const std::string& path, bool other) const {
    return same_ ? cover_of(path).has_value() : !other;
  }
  std::string why_hidden(const std::string& path) const;  // a sentence

 private:
  std::optional<std::string> cover_of(const std::string& path) const;
  std::string location_;
  std::optional<PlaceId> id_;
  bool same_ = false;
};

// Whether `leaf` in `directory` is what a file system has of its own at its root, closed to this user
// (lost+found): nothing is sealed there. `st`: of it.
bool is_of_the_filesystem(int directory, const std::string& leaf, const struct stat& st);

}  // namespace kesu
