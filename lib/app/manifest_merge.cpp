#include "app/manifest_merge.h"

#include <array>
#include <utility>

#include "base/files.h"

namespace kesu {

ManifestMerge::ManifestMerge(const TreeManifest& now, IsFile is_file)
    : source_(now.source()),
      reader_([this](const TreeRow& row) { rows_.push_back(row); }),
      is_file_(std::move(is_file)) {
  newer();  // reads the first line, too
  out_.emplace(now.root(), reader_.owner());
}

TreeRow* ManifestMerge::newer() {
  std::array<uint8_t, 4096> piece;
  while (rows_.empty() && !over_) {
    const size_t n = source_(piece);
    if (n) {
      reader_.feed(ByteView(piece).first(n));
    } else {
      reader_.finish();
      over_ = true;
    }
  }
  return rows_.empty() ? nullptr : &rows_.front();
}

void ManifestMerge::take_newer() {
  out_->add(rows_.front());
  rows_.pop_front();
}

void ManifestMerge::older(const TreeRow& row) {
  TreeRow* next = newer();
  for (; next && tree_before(next->name, row.name); next = newer()) take_newer();
  if (next && next->name == row.name) {
    // Files that are not met any more have the owner that the directory says.
    if (row.type == TreeRow::Type::directory && next->type == TreeRow::Type::directory)
      next->files_owner = row.files_owner;
    else if (row.type == TreeRow::Type::directory)
      dropped_ = row.name + "/";
    return take_newer();
  }
  if (!dropped_.empty() && row.name.starts_with(dropped_)) return;
  if (row.type != TreeRow::Type::file && is_file_(path_join(out_->root(), row.name))) {
    if (row.type == TreeRow::Type::directory) dropped_ = row.name + "/";
    return;
  }
  out_->add(row);
}

TreeManifest ManifestMerge::finish() {
  while (newer()) take_newer();
  return std::move(*out_);
}

}  // namespace kesu
