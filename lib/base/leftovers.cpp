#include "base/leftovers.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "base/error.h"
#include "base/files.h"

namespace kesu {

namespace {
constexpr time_t kLongest = 3600;  // seconds that no write of a small file takes

bool all_digits(std::string_view text) {
  return !text.empty() && text.size() <= 10 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// The writer's number in <name>.tmp<pid>.<n>; empty: another name.
std::string_view writer_in(std::string_view name) {
  constexpr std::string_view kMark = ".tmp";
  const size_t mark = name.rfind(kMark);
  if (mark == std::string_view::npos || mark == 0) return {};
  const std::string_view tail = name.substr(mark + kMark.size());
  const size_t dot = tail.find('.');
  if (dot == std::string_view::npos || !all_digits(tail.substr(0, dot)) || !all_digits(tail.substr(dot + 1)))
    return {};
  return tail.substr(0, dot);
}

// An owner of the file's lock, where its writer has ended; else empty.
Fd locked_leftover(const std::string& path, std::string_view writer) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat st {};
  if (!fd.ok() || ::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != ::geteuid()) return {};
  // Without locks (some file systems have none) its age and number have to tell.
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return {};
  // The number alone would not: in a container every kesu may be process 1.
  const time_t age = ::time(nullptr) - st.st_mtime;
  if (exists("/proc/" + std::string(writer)) && age >= 0 && age < kLongest) return {};
  return fd;
}

template <class Take>
void each_left_behind(const std::string& directory, std::string_view begin, const Take& take) {
  std::vector<std::string> names;
  try {
    names = list_directory(directory);
  } catch (const Error&) {
    return;
  }
  for (const std::string& name : names) {
    const std::string_view writer = name.starts_with(begin) ? writer_in(name) : std::string_view();
    if (writer.empty()) continue;
    if (const Fd lock = locked_leftover(path_join(directory, name), writer); lock.ok()) take(name);
  }
}
}  // namespace

std::vector<std::string> left_behind(const std::string& directory, std::string_view begin) {
  std::vector<std::string> out;
  each_left_behind(directory, begin, [&](const std::string& name) { out.push_back(name); });
  return out;
}

void remove_left_behind(const std::string& directory, std::string_view begin) {
  each_left_behind(directory, begin,
                   [&](const std::string& name) { ::unlink(path_join(directory, name).c_str()); });
}

void write_output(const std::string& path, ByteView content, unsigned mode, bool replace) {
  remove_left_behind(dir_name(path), base_name(path) + ".tmp");
  write_file_durable(path, content, mode, replace);
}

bool holds(const std::string& path, ByteView content) {
  try {
    const auto there = read_file_if_there(path, content.size());
    return there && std::equal(there->begin(), there->end(), content.begin(), content.end());
  } catch (const Error&) {  // larger, or not to be read
    return false;
  }
}

}  // namespace kesu
