// Many files made durable at once.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"

namespace kesu {

// Files and directories that are open, each with the path that an error names.
using OpenPaths = std::vector<std::pair<Fd, std::string>>;

// Each is durable on return: fsync(2) of every one. The device is asked to write all of them before the first
// is waited for, and several are waited for at the same time, so that one flush serves many: one after the
// other each waits for a flush of its own, behind whatever else is written on that disk. Throws the first
// Error of a failed fsync, after all have ended; a directory on a file system that cannot sync directories is
// no error.
void sync_together(const OpenPaths& paths);

// A directory, for it.
std::pair<Fd, std::string> open_directory(const std::string& path);

}  // namespace kesu
