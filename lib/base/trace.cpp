// The sinks of the trace, and the form of its lines.
#include "base/trace.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"

namespace kesu {

namespace {
std::atomic<bool> listening{false};
std::mutex& lock() {
  static auto* m = new std::mutex;
  return *m;
}
std::vector<std::function<void(const std::string&)>>& sinks() {
  static auto* s = new std::vector<std::function<void(const std::string&)>>;
  return *s;
}

void write_line(int fd, const std::string& line) {
  const std::string text = utc_text(SystemClock().now()) + " " + line + "\n";
  [[maybe_unused]] ssize_t n = ::write(fd, text.data(), text.size());
}
}  // namespace

void trace_to_stderr() {
  add_trace_sink([](const std::string& line) { write_line(2, line); });
}

void trace_to_file(const std::string& path) {
  const std::string next = "KESU_LOG names a file of your own, or one that is not there yet";
  // Not blocking, should it be a pipe; judged by its descriptor.
  auto fd = std::make_shared<Fd>(::open(
      path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600));
  if (!fd->ok()) {
    if (errno == ELOOP)
      throw Error(Code::bad_input, "the log " + path + " is a symbolic link")
          .cause("it is not followed")
          .next(next);
    throw file_error(errno, "open the log", path).next(next);
  }
  struct stat st {};
  if (::fstat(fd->get(), &st) != 0) throw file_error(errno, "look at the log", path);
  if (!S_ISREG(st.st_mode))
    throw Error(Code::bad_input, "the log " + path + " is not a regular file").next(next);
  if (st.st_uid != ::geteuid())
    throw Error(Code::bad_input, "the log " + path + " belongs to another user").next(next);
  if ((st.st_mode & 0777) != 0600 && ::fchmod(fd->get(), 0600) != 0)
    throw file_error(errno, "close the log to others", path);
  add_trace_sink([fd](const std::string& line) { write_line(fd->get(), line); });
}

void add_trace_sink(std::function<void(const std::string&)> sink) {
  std::lock_guard guard(lock());
  sinks().push_back(std::move(sink));
  listening = true;
}

bool tracing() { return listening; }

void trace(std::string_view provider, std::string_view call, std::initializer_list<TraceField> fields,
           std::chrono::steady_clock::duration took) {
  if (!tracing()) return;
  std::string line(provider);
  line.append(" ").append(call);
  for (const TraceField& f : fields) {
    if (f.text.empty()) continue;
    line.append(" ").append(f.name).append("=").append(f.text);
  }
  char ms[32];
  std::snprintf(ms, sizeof ms, " ms=%.3f", std::chrono::duration<double, std::milli>(took).count());
  line += ms;
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  std::lock_guard guard(lock());
  for (auto& sink : sinks()) sink(line);
}

}  // namespace kesu
