// Directories below one root, reached component by component: never through a symbolic link, whatever others
// put there meanwhile, and at any depth (no path longer than one name is handed to the system).
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace kesu {

class Below {
 public:
  // `root` itself may be, or lie behind, a link. Throws not_found, io_failed.
  explicit Below(const std::string& root);

  // The descriptor of root/`relative` ("" is root), borrowed, good until the next call. `relative` has no
  // empty component, ".", or "..". With `create` what is missing is made (0755). Errors: not_found,
  // policy_refused where a component is a link or no directory, io_failed, disk_full.
  int directory(std::string_view relative, bool create = false);
  // The directory of `name` ("a/b/c": that of a/b), and the last component.
  int directory_of(std::string_view name, std::string& leaf, bool create = false);

  const std::string& root() const { return root_; }

 private:
  struct Mark {
    size_t length, depth;  // of at_ up to there
    Fd fd;
  };
  int deepest() const { return marks_.empty() ? top_.get() : marks_.back().fd.get(); }
  void mark(size_t length, size_t depth, Fd fd);

  std::string root_;
  Fd top_;
  // The last directory, and a few on the way to it, so that coming up again does not begin at the root.
  std::string at_;
  std::vector<Mark> marks_;
};

}  // namespace kesu
