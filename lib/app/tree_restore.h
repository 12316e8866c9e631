// Restoring what a tree manifest says, below one directory and never through a link
// (docs/spec/tree-manifest.md).
#pragma once
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/opening.h"
#include "base/below.h"
#include "seal/tree_manifest.h"

namespace kesu {

// Which files an opening put into place, 20 bytes each.
class OpenedNames {
 public:
  void add(const std::string& name, uint32_t mode);
  void sort();  // before the first look-up
  bool has(const std::string& name) const { return find(name) != nullptr; }
  // Their mode as sealed, once: a second call gives nullopt.
  std::optional<uint32_t> take(const std::string& name);
  // How many were sealed with a set-user-id or set-group-id bit; 0 when asked again.
  int64_t take_set_ids() { return std::exchange(set_ids_, 0); }

 private:
  struct Entry {
    std::array<uint8_t, 16> key;
    uint16_t mode;
    bool taken;
  };
  const Entry* find(const std::string& name) const;
  std::vector<Entry> entries_;
  int64_t set_ids_ = 0;
};

class TreeRestore {
 public:
  // `root` is the manifest's. `opened` has names relative to the dataset: root/….
  TreeRestore(const std::string& out, std::string root, bool force, OpenedNames& opened, OpenResult& result);
  void row(const TreeRow& row);  // in manifest order; what fails is listed in the result
  void finish();                 // modes and times of the directories still open; notes

 private:
  struct Directory {
    size_t length;  // of its name, which path_ begins with
    TreeRow row;    // without the name
  };
  std::string full(const std::string& name) const { return name.empty() ? root_ : root_ + "/" + name; }
  std::string shown(const std::string& name) const { return path_join(out_, full(name)); }
  void say(const std::string& name, const Error& e);
  void close_down_to(const std::string& name);
  void close_directory();
  void make_directory(const TreeRow& row);
  void make_symlink(const TreeRow& row);
  void make_link(const TreeRow& row);
  void finish_file(const TreeRow& row);
  void finish_file(int directory, const std::string& leaf, const std::string& name, const TreeOwner& owner,
                   const TreeRow* row, uint32_t mode);
  bool set_owner(int directory, const char* leaf, int flags, const TreeOwner& owner, const std::string& name);
  void set_time(int directory, const char* leaf, const TreeRow& row);  // leaf null: of the directory
  void set_xattrs(const std::string& path, const TreeRow& row);
  // Gives `temp` in `directory` the name `leaf`; over what is there only by force.
  void put(int directory, const std::string& temp, const std::string& leaf, const std::string& name);

  std::string out_, root_;
  std::string path_;  // the name of the deepest open directory
  bool force_, as_root_;
  OpenedNames& opened_;
  OpenResult& result_;
  Below below_, targets_;
  std::vector<Directory> directories_;
  std::map<std::string, int64_t> users_, groups_;
  int64_t absent_ = 0, own_files_ = 0;
  bool other_owners_ = false;
};

}  // namespace kesu
