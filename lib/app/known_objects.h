// What a dataset's inventory says, as far as sealing has to compare with it, in little memory: some 90 bytes
// an object, whatever its name's length.
#pragma once
#include <array>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "inventory/segment.h"

namespace kesu {

class KnownObjects {
 public:
  // The first half of a SHA-256: names and times are chosen by others, so that a weaker hash could be made to
  // say of a new file that it is known.
  using Key = std::array<uint8_t, 16>;
  static Key key_of(std::string_view text);
  // Of what tells a changed file from an unchanged one. Without an inode (an object adopted after an
  // interruption) bytes and mtime alone.
  static Key facts_of(uint64_t bytes, const FileTime& mtime, const FileTime& ctime, uint64_t inode);

  struct Object {
    ObjectId object;
    uint64_t bytes = 0;
    bool adopted = false;  // its facts do not show by themselves that its source is unchanged
    Key name{}, place{}, facts{};
  };

  // In inventory order: a later one at the same place, or of the same name, takes its place.
  void add(const SegmentObject& object);
  const Object* at_place(std::string_view place) const;        // what was sealed there last; nullptr: nothing
  std::optional<ObjectId> named(std::string_view name) const;  // the newest of that name
  // Those that others were sealed instead of.
  const std::vector<ObjectId>& superseded() const { return superseded_; }

 private:
  // Numbers of objects (from 1; 0: free) by a key of theirs: open addressing, at most 3/4 full.
  class Index {
   public:
    explicit Index(Key Object::*key) : key_(key) {}
    uint32_t find(const std::deque<Object>& all, const Key& key) const;
    void put(const std::deque<Object>& all, uint32_t number);  // in place of an earlier one of the same key

   private:
    size_t slot(const std::deque<Object>& all, const Key& key) const;  // its own, or the free one for it
    Key Object::*key_;
    std::vector<uint32_t> slots_;
    size_t used_ = 0;
  };

  std::deque<Object> all_;
  Index by_place_{&Object::place}, by_name_{&Object::name};
  std::vector<ObjectId> superseded_;
};

}  // namespace kesu
