// Files under temporary names, and the locked one that holds plaintext until all of it has authenticated.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "base/files.h"

namespace kesu {

// A file under a temporary name, or under none; unlinked unless it was kept.
class Temporary {
 public:
  Temporary(std::string path, Fd fd) : Temporary(AT_FDCWD, path, path, std::move(fd)) {}
  // `name` in `directory` (borrowed), `path` for messages.
  Temporary(int directory, std::string name, std::string path, Fd fd)
      : directory_(directory), name_(std::move(name)), path_(std::move(path)), fd_(std::move(fd)) {}
  Temporary(Temporary&&) = default;
  ~Temporary() {
    if (fd_.ok() && !kept_ && !name_.empty()) ::unlinkat(directory_, name_.c_str(), 0);
  }
  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }
  void keep() { kept_ = true; }
  Fd take() { return std::move(fd_); }

 private:
  int directory_;
  std::string name_, path_;
  Fd fd_;
  bool kept_ = false;
};

// The named file is the one behind `fd`.
bool same_file(int fd, const std::string& path);
// The lock tells a living opener from what a killed one left behind: only the latter is taken away.
Temporary create_opening(const std::string& path);

}  // namespace kesu
