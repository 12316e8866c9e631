// Writing to standard output, behind which somebody may have stopped to read.
#pragma once
#include <string_view>

#include "base/bytes.h"

namespace kesu {

// As write_all (base/files.h), but waiting for a reader ends with Ctrl-C: Error interrupted. The descriptor's
// own flags, which others share, stay as they are; a pipe is asked to hold a MiB.
// `fd` is the same in each call of a process.
void write_to_reader(int fd, ByteView bytes, std::string_view name);

}  // namespace kesu
