// For tests that hold kesu against other programs: a directory that goes away, and running a command.
#pragma once
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "base/files.h"

namespace kesu::test {

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "kesu-test-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  std::string write(std::string_view name, ByteView content, unsigned mode = 0600) const {
    std::string path = *this / name;
    write_file_durable(path, content, mode);
    return path;
  }

 private:
  std::string path_;
};

struct Ran {
  int status = -1;     // exit status, 128 + n after signal n
  std::string output;  // standard output and error together
};

// Through /bin/sh, so quote what needs it.
inline Ran run(const std::string& command) {
  FILE* pipe = popen(("{ " + command + "\n} 2>&1 </dev/null").c_str(), "r");
  if (!pipe) throw std::runtime_error("popen failed");
  Ran ran;
  std::array<char, 4096> part;
  while (size_t n = fread(part.data(), 1, part.size(), pipe)) ran.output.append(part.data(), n);
  const int status = pclose(pipe);
  ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ran;
}

}  // namespace kesu::test
