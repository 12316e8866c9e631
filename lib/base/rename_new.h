// Giving a file its final name, never another one's.
#pragma once
#include <string>

namespace kesu {

// Renames `from` to `to`, both names in the open directory `directory` or paths (AT_FDCWD), in one directory,
// unless something stands there: EEXIST. In one step where the file system can, else by a link. Where it
// knows neither (exFAT and object stores behind FUSE) it looks first, under a lock of the directory that
// every kesu of this machine takes; another program could come between. Returns 0 or an errno; never throws
// for the files' sake.
int rename_new(int directory, const std::string& from, const std::string& to);

}  // namespace kesu
