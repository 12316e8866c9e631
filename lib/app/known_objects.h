// What a dataset's inventory says, as far as sealing has to compare with it, in little memory: 150 bytes an
// object, whatever its name's length.
#pragma once
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "inventory/segment.h"

namespace kesu {

class KnownObjects {
 public:
  // The first half of a text's SHA-256: names are chosen by others, so that a weaker hash could be made to
  // say of a new file that it is known.
  using Key = std::array<uint8_t, 16>;
  static Key key_of(std::string_view text);

  struct Object {
    ObjectId object;
    uint64_t bytes = 0, inode = 0;
    FileTime mtime, ctime;
    Key name{};
  };

  // In inventory order: a later one at the same place, or of the same name, takes its place.
  void add(const SegmentObject& object);
  const Object* at_place(std::string_view place) const;        // what was sealed there last; nullptr: nothing
  std::optional<ObjectId> named(std::string_view name) const;  // the newest of that name
  // Those that others were sealed instead of.
  const std::vector<ObjectId>& superseded() const { return superseded_; }

 private:
  struct Hash {
    size_t operator()(const Key& k) const {
      size_t out;
      std::memcpy(&out, k.data(), sizeof out);
      return out;
    }
  };
  std::unordered_map<Key, Object, Hash> by_place_;
  std::unordered_map<Key, ObjectId, Hash> by_name_;
  std::vector<ObjectId> superseded_;
};

}  // namespace kesu
