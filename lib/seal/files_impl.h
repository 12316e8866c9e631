// Temporary names and writing in place; for lib/seal itself.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "seal/files.h"
#include "seal/opening_file.h"

namespace kesu {

void write_at(int fd, uint64_t offset, ByteView bytes, const std::string& path);

constexpr int kCreate = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;

Error there_already(const std::string& path);

// A part file of `object`; `part`: its name in the directory, or path, "" for a nameless one.
Temporary create_part(const At& directory, const ObjectId& object, std::string& part);

}  // namespace kesu
