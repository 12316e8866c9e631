// A tree's manifest made anew with what the older one says of names that were not met now: of files that were
// removed after sealing, or not selected this time. Row by row, in the memory of one row of each.
#pragma once
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "seal/tree_manifest.h"

namespace kesu {

class ManifestMerge {
 public:
  // Whether a regular file is known under a name (below the root's parent): then an older row that says it
  // was anything else is out of date.
  using IsFile = std::function<bool(const std::string& name)>;
  // `now` is borrowed, and stays as it is.
  ManifestMerge(const TreeManifest& now, IsFile is_file);
  // The older one's rows, in their order. Throws bad_input.
  void older(const TreeRow& row);
  // After the last of them.
  TreeManifest finish();

 private:
  TreeRow* newer();  // the next one; nullptr: there is none
  void take_newer();

  Source source_;
  std::deque<TreeRow> rows_;
  TreeManifestReader reader_;
  bool over_ = false;
  IsFile is_file_;
  std::optional<TreeManifest> out_;
  std::string dropped_;  // a directory whose older rows are out of date, with its slash
};

}  // namespace kesu
