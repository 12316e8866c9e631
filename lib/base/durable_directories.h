// Directories that are there after a loss of power.
#pragma once
#include <string>

namespace kesu {

// As make_directories (base/files.h), and on return the directory is on its disk under its name, whoever made
// it: a journal that is written for another file takes new directories with it on ext4 and XFS, and not on
// btrfs, nor where the other file lies on another disk. Throws Error io_failed, disk_full of the sync; a
// directory that cannot be read, or a file system that cannot sync directories, is no error.
void make_directories_durable(const std::string& path, unsigned mode = 0755);

}  // namespace kesu
