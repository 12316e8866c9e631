// How many of the files that a process may have open (ulimit -n) its work may take, so that the vault and a
// token's module, which opens files and sockets of its own at any time, are left enough.
#pragma once
#include <cstddef>

namespace kesu {

// Soft limit of open files; a large number where there is none.
size_t open_file_limit();
// As processors(), fewer where each could not have files of its own.
unsigned workers_by_open_files();
// How many directories one of them may keep open on its way through a tree, at least 1.
size_t directories_kept_open();

// How many finished files may stay open until they all get their names, beside what the work itself opens;
// at most 1000, and 0 where that is too few to be worth it.
size_t files_kept_open();

// Has the system make room for `count` open files (or as many as it allows) while there is one thread still:
// Linux doubles the table of open files as it fills, and between threads each doubling waits for every
// processor, 10 ms and more. Nothing is lost where it refuses.
void make_room_for_open_files(size_t count);

}  // namespace kesu
