// The time of a file, set so that it is told where the file system keeps another one.
#pragma once
#include <cstdint>

namespace kesu {

// Sets the time of change of content of `leaf` in `directory`, or of the open file itself where `leaf` is
// null; not through a link. 0, or errno. ERANGE where the system took a time that its file system cannot keep
// (after 2038 or 2486 on XFS, before 1901 on ext4, …) and keeps the nearest that it can; what is only coarser
// is none.
int set_mtime(int directory, const char* leaf, int64_t seconds, int64_t nanos);

}  // namespace kesu
