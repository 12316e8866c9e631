// What a dataset's inventory says, as far as sealing has to compare with it, in little memory: that of the
// first objects in some 110 bytes each, whatever their names' length, that of all others on disk.
#pragma once
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "inventory/segment.h"
#include "store/scratch.h"

namespace kesu {

class KnownObjects {
 public:
  // The first half of a SHA-256: names and times are chosen by others, so that a weaker hash could be made to
  // say of a new file that it is known.
  using Key = std::array<uint8_t, 16>;
  static Key key_of(std::string_view text);

  // So many objects are kept in memory.
  static constexpr size_t kInMemory = 32'768;
  explicit KnownObjects(size_t in_memory = kInMemory);

  // As key_of, under a key of this object: what lies on disk says nothing of names and files.
  Key tag_of(std::string_view text) const;
  // Of what tells a changed file from an unchanged one. Without an inode (an object adopted after an
  // interruption) bytes and mtime alone.
  Key facts_of(uint64_t bytes, const FileTime& mtime, const FileTime& ctime, uint64_t inode) const;

  struct Object {
    ObjectId object;
    uint64_t bytes = 0;
    bool adopted = false;  // its facts do not show by themselves that its source is unchanged
    Key name{}, place{}, facts{};
    Key seat{};  // directory and name, where its file is called by its identifier; else zero
  };

  // In inventory order: a later one at the same place, or of the same name, takes its place.
  // Errors: those of Scratch.
  void add(const SegmentObject& object);
  std::optional<Object> at_place(std::string_view place) const;  // what was sealed there last
  std::optional<ObjectId> named(std::string_view name) const;    // the newest of that name, wherever it lies
  // The newest of that name among those that lie in `directory` under their identifiers: one that was sealed
  // to another place is neither it nor its successor.
  std::optional<ObjectId> named_in(std::string_view directory, std::string_view name) const;

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

  Key seat_of(std::string_view directory, std::string_view name) const;

  Digest32 key_;
  size_t in_memory_;
  std::deque<Object> all_;
  Index by_place_{&Object::place}, by_name_{&Object::name}, by_seat_{&Object::seat};
  std::unique_ptr<Scratch> others_;  // newer than all in memory
};

}  // namespace kesu
