// The tree manifest: what of a sealed directory does not stand in its objects (docs/spec/tree-manifest.md).
// Written and read row by row; the reader is strict and needs memory for one row and the directories above
// it.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "seal/object.h"

namespace kesu {

constexpr size_t kMaxTreeName = 65535;  // bytes of a name or a link's target
constexpr size_t kMaxTreeXattrs = 256u
                                  << 10;   // bytes of the extended attributes of one row, names and values
constexpr size_t kMaxTreeLine = 1u << 20;  // bytes of a line without its line feed

struct TreeOwner {
  uint32_t uid = 0, gid = 0;
  std::string user, group;  // "" where the machine that sealed had no name for it
  bool operator==(const TreeOwner&) const = default;
};

struct TreeRow {
  enum class Type { directory, file, symlink, link };
  Type type = Type::directory;
  std::string name;  // below the root, "" is the root itself
  TreeOwner owner;   // not of a link; the owner in force, whether or not the row says it
  // Directories: the owner of the files and symbolic links in it that do not say another.
  TreeOwner files_owner;
  uint32_t mode = 0;   // directories
  FileTime mtime;      // directories, symbolic links
  std::string target;  // symbolic link: its bytes; link: the name of the file it is another name of
  // Directories and files; ascending by name.
  std::vector<std::pair<std::string, Bytes>> xattrs;
};

// Whether `a` comes before `b` in a manifest: by bytes, "/" before every other byte, so that what is in a
// directory follows it at once.
bool tree_before(std::string_view a, std::string_view b);

// What the rows so far say of the row to come: the directories open above it. For writer and reader.
class TreeContext {
 public:
  explicit TreeContext(TreeOwner owner) : root_owner_(std::move(owner)) {}
  // The owner that a row of this name and type has unless it says another; then, the row's own rules. Both
  // throw bad_input: out of order, no directory above, names and links that break the rules.
  const TreeOwner& inherited(const TreeRow& row);
  void take(const TreeRow& row);
  // The name of an entry that stands `depth` directories below the root's parent, as a row gives it. Throws
  // bad_input.
  std::string place(int64_t depth, const std::string& leaf) const;

 private:
  struct Open {
    size_t length;
    TreeOwner owner, files;
  };
  void close_down_to(std::string_view name);
  TreeOwner root_owner_;
  std::string last_;
  bool any_ = false;
  std::string path_;  // of the deepest open directory
  std::vector<Open> open_;
};

// A manifest in the making, kept as text, compressed: a million rows take some tens of MiB.
class TreeManifest {
 public:
  // `root` is the base name of the sealed directory, `owner` who owns it. Throws bad_input for a root that is
  // no single name.
  TreeManifest(std::string root, TreeOwner owner);
  // Rows in order, the root first. A file of which nothing is to be said is passed over. Throws bad_input.
  void add(const TreeRow& row);
  const std::string& root() const { return root_; }
  uint64_t bytes() const { return bytes_; }
  // Its bytes, from the start; any number of times. The manifest must outlive it and stay as it is.
  Source source() const;

 private:
  void put(std::string line);
  std::string root_;
  TreeContext context_;
  struct Piece {
    Bytes packed;
    size_t size;  // of the text
  };
  static void unpack(const Piece& piece, std::string& text);
  std::deque<Piece> pieces_;
  std::string last_;  // what comes after them
  uint64_t bytes_ = 0;
};

// Reads a manifest from pieces of any size. Errors: bad_input, the line's number in it.
class TreeManifestReader {
 public:
  using TakeRow = std::function<void(const TreeRow&)>;
  explicit TreeManifestReader(TakeRow row) : row_(std::move(row)) {}
  void feed(ByteView piece);
  void finish();  // refuses a last line that is not whole, and a manifest without a root
  // After the first line.
  const std::string& root() const { return root_; }
  const TreeOwner& owner() const { return owner_; }

 private:
  void line(std::string_view text);
  TakeRow row_;
  std::string partial_, root_;
  TreeOwner owner_;
  std::optional<TreeContext> context_;
  uint64_t lines_ = 0;
  bool any_row_ = false;
};

}  // namespace kesu
