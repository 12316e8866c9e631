// Which directory something is, whatever path leads there: mounts give one directory several, and hide
// others.
#pragma once
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

}  // namespace kesu
