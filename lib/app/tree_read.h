// Reading a source as the file system has it: its files one by one in a stable order, and its tree manifest.
// Links are never followed; no path longer than one name is handed to the system; any depth, few descriptors.
#pragma once
#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "app/place_id.h"
#include "app/selection.h"
#include "base/below.h"
#include "base/error.h"
#include "seal/tree_manifest.h"

namespace kesu {

struct TreeFile {
  std::string name;  // relative to the dataset: <base name of the source>/…
  uint64_t size = 0;
  FileTime mtime, ctime;
  uint64_t inode = 0, device = 0;
  uint32_t mode = 0;
  uint64_t nlink = 1;
};

struct TreeSinks {
  // A regular file, in manifest order, each inode once; it is not opened yet.
  std::function<void(const TreeFile&)> file;
  // FIFOs, sockets, devices: path and what it is.
  std::function<void(const std::string& path, const std::string& what)> skipped;
  // What could not be read, or is named in a list and not there. The rest goes on.
  std::function<void(const std::string& path, const Error&)> failed;
  // Optional: a directory that is entered, by what it is. It may throw.
  std::function<void(const std::string& path, const PlaceId&)> directory = {};
};

struct TreeRead {
  // Of a source that is a directory; complete when read_tree has returned. seal_object takes its source(),
  // with metadata {kind "manifest", name root(), size bytes()}. The same tree gives the same bytes.
  std::optional<TreeManifest> manifest;
};

// Walks `source` (an absolute path; a directory or a regular file; a symbolic link is refused by failed).
// Selected are what `selection` lists, includes and does not exclude; names in it are relative to the source,
// and it does not apply to a source that is a file. Hard links after the first selected name of a file become
// rows of the manifest. check_interrupted() between entries. Errors of one entry go to sinks.failed; thrown
// is what the sinks throw.
TreeRead read_tree(const std::string& source, const Selection& selection, const TreeSinks& sinks);
// The regular files alone, every name of each.
void read_files(const std::string& source, const TreeSinks& sinks);

// `name` of a TreeFile as a path for messages.
std::string tree_path(const std::string& source, const std::string& name);

// Opens found files; for one thread. Files in the order of read_tree are cheapest.
class TreeOpener {
 public:
  explicit TreeOpener(std::string source) : source_(std::move(source)) {}
  // For reading. Errors: not_found, io_failed; conflict when another file stands there by now.
  Fd open(const TreeFile& file);

 private:
  std::string source_;
  std::optional<Below> below_;
};

}  // namespace kesu
