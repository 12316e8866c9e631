// Files that bear a name and hold nothing: what is left of one that had its final name, and whose bytes were
// not yet on the disk, when the power went.
#pragma once
#include <sys/stat.h>

#include "base/clock.h"

namespace kesu {

// Whether `fd` (borrowed), of which `st` was just taken, is a regular file that holds no byte but zeros, or
// none at all, and has changed since `since` by its change time, which nobody can set. False where it cannot
// be read.
bool is_hollow(int fd, const struct stat& st, Millis since);

}  // namespace kesu
