// Use cases: open sealed files, and the trees they came from; describe one.
#pragma once
#include <string>
#include <vector>

#include "app/progress.h"
#include "app/sealing.h"

namespace kesu {

struct OpenOptions {
  bool force = false;   // replace what is there
  bool resume = false;  // pass over files that are there with the size and time they were sealed with
  std::string accept_compromised;  // open under compromised versions, too: why; recorded with the opening
};
struct OpenResult {
  int64_t opened = 0, already = 0, bytes = 0;
  int64_t directories = 0, symlinks = 0, links = 0;  // restored from manifests
  std::vector<Skipped> failed;
  std::vector<std::string> notes;  // what was left out though nothing failed
};

// Opens files, and the .kesu files below directories, to OUT/<name>, small ones side by side, then what their
// tree manifests say (docs/spec/tree-manifest.md). The entry of the unwraps is durable before the first byte
// leaves. What fails is listed, the rest goes on; thrown are: frozen and others of KeyHolder, disk_full,
// interrupted (what was opened stays, nothing half done has a final name).
OpenResult open_files(Vault& vault, const std::vector<std::string>& sources, const std::string& out,
                      const OpenOptions& options, Progress& progress);

// One object through descriptors. `source`: a path, or "-" for standard input; `out`: a directory, or "-" for
// standard output. Bytes leave as they authenticate: whoever reads standard output knows only by the exit
// code that they are all. Errors of open_object, thrown; bad_input for a manifest.
OpenResult open_stream_file(Vault& vault, const std::string& source, const std::string& out,
                            const OpenOptions& options);

// What can be said without any key; with a vault, names of dataset and key too.
Json describe_object(const std::string& path, const State* state);

}  // namespace kesu
