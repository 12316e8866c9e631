#include "store/waiting.h"

#include <sys/stat.h>

#include <fstream>
#include <mutex>
#include <sstream>

#include "store/waiting_impl.h"

namespace kesu {

namespace {
std::mutex g_mutex;
std::function<void(const std::string&)> g_say;

// The process that has the write lock of SQLite's shared memory (its byte 120), by /proc/locks: to ask for
// the lock itself, the file would have to be opened, and closing it gives up the locks that this process has
// there.
std::string writer_of(const std::string& path) {
  struct stat st {};
  if (::stat((path + "-shm").c_str(), &st) != 0) return "";
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, kind, advisory, use, pid, file, from, to;
    words >> number >> kind >> advisory >> use >> pid >> file >> from >> to;
    const size_t inode = file.rfind(':');
    if (kind != "POSIX" || use != "WRITE" || from != "120" || to != "120" || inode == std::string::npos ||
        file.substr(inode + 1) != std::to_string(st.st_ino))
      continue;
    std::ifstream state("/proc/" + pid + "/stat");
    std::string text;
    std::getline(state, text);
    const size_t name = text.rfind(')');
    const bool stopped = name != std::string::npos && name + 2 < text.size() &&
                         (text[name + 2] == 'T' || text[name + 2] == 't');
    return pid + (stopped ? ", which is stopped" : "");
  }
  return "";
}
}  // namespace

void say_of_waiting(std::function<void(const std::string&)> say) {
  const std::lock_guard lock(g_mutex);
  g_say = std::move(say);
}

void said_waiting(const std::string& path, Millis at_most) noexcept try {
  const std::lock_guard lock(g_mutex);
  if (!g_say) return;
  const std::string writer = writer_of(path);
  g_say("another process" + (writer.empty() ? "" : " (" + writer + ")") + " is writing to " + path +
        ": waiting for it, for " + std::to_string(at_most / 1000) + " seconds at most");
} catch (...) {  // what cannot be said stops no work
}

}  // namespace kesu
