// Temporary files that a kill left of durable writes (base/files.h): <name>.tmp<pid>.<n>.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace kesu {

// Names of those in `directory` that begin with `begin`, and whose writer has ended: nobody holds the lock
// that write_file_durable() takes on its file, and no process of that number is there, or it is another one,
// for the file is an hour old. Only regular files of this user. Nothing where the directory cannot be read.
std::vector<std::string> left_behind(const std::string& directory, std::string_view begin = "");

// Removes those, under their lock: what somebody begins to write just now is not among them. What cannot be
// removed stays. Never throws but std::bad_alloc.
void remove_left_behind(const std::string& directory, std::string_view begin = "");

// write_file_durable() for a file that a person asked for, in a place where nothing else clears up: takes
// away what a killed run of the same command left beside it.
void write_output(const std::string& path, ByteView content, unsigned mode = 0644, bool replace = true);

// Whether `path` is a file with just these bytes: what a run that was killed before it could say so wrote.
bool holds(const std::string& path, ByteView content);

}  // namespace kesu
