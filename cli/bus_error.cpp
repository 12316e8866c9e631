#include "bus_error.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "base/files.h"
#include "error_words.h"

namespace kesu::cli {

namespace {
// Written before the signal may come; what it needs then is there.
struct Words {
  std::string place, full, other;
  int fd = STDERR_FILENO;
};
Words* g_words = nullptr;
bool g_json = false;

// Less than this is no room for what a ledger needs.
constexpr uint64_t kRoom = 4 << 20;

std::string text_of(const Error& e) { return g_json ? error_json(e) + "\n" : error_text(e); }

Words* words_for(const std::string& place) {
  const std::string file = place.empty() ? "a mapped file" : path_join(place, "ledger.db-shm");
  const std::string next = ", then run the same command again";
  auto* words = new Words;
  words->place = place;
  words->fd = g_json ? STDOUT_FILENO : STDERR_FILENO;
  words->full = text_of(Error(Code::disk_full, "cannot write " + file)
                            .cause("no space left where it is mapped into memory (SIGBUS)")
                            .next("free some space there" + next));
  words->other =
      text_of(Error(Code::io_failed, "cannot write " + file)
                  .cause("where it is mapped into memory (SIGBUS): its disk is full, a quota is used "
                         "up, or the disk fails")
                  .next("free some space there, or look what is wrong with that disk (dmesg)" + next));
  return words;
}

// Calls nothing that takes a lock.
void say_and_end(int) {
  const Words* words = g_words;
  struct statvfs fs {};
  const bool full = !words->place.empty() && ::statvfs(words->place.c_str(), &fs) == 0 &&
                    static_cast<uint64_t>(fs.f_bavail) * fs.f_frsize < kRoom;
  const std::string& text = full ? words->full : words->other;
  for (size_t at = 0; at < text.size();) {
    const ssize_t n = ::write(words->fd, text.data() + at, text.size() - at);
    if (n <= 0) break;
    at += static_cast<size_t>(n);
  }
  ::_exit(1);
}
}  // namespace

void tell_bus_errors(bool json) {
  g_json = json;
  g_words = words_for("");
  struct sigaction action {};
  action.sa_handler = say_and_end;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, nullptr);
}

void bus_errors_are_of(const std::string& directory) {
  if (g_words && g_words->place != directory)
    g_words = words_for(directory);  // the former is left: it may be in use
}

}  // namespace kesu::cli
