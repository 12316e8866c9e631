#include "app/actor.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "base/error.h"
#include "base/files.h"

namespace kesu {

namespace {
std::string boot_id() {
  auto text = read_file_if_there("/proc/sys/kernel/random/boot_id", 4096);
  std::string out = text ? to_text(*text) : "unknown";
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

int64_t pid_namespace() {
  struct stat st {};
  return ::stat("/proc/self/ns/pid", &st) == 0 ? static_cast<int64_t>(st.st_ino) : 0;
}

// Wall clock minus time since boot: constant until somebody moves the clock.
int64_t wall_since_boot() {
  timespec wall{}, boot{};
  ::clock_gettime(CLOCK_REALTIME, &wall);
  ::clock_gettime(CLOCK_BOOTTIME, &boot);
  return (wall.tv_sec - boot.tv_sec) * 1000 + (wall.tv_nsec - boot.tv_nsec) / 1'000'000;
}

// What /proc says about a process: when it was started, that it is not there, or nothing (no descriptor left
// to look with is no sign of its end).
struct Look {
  bool seen = false, there = false;
  int64_t ticks = 0;
};

// Field 22 of /proc/<pid>/stat: start time in clock ticks after boot. The name in field 2 may contain spaces.
Look look_at(int64_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok()) {
    if (errno != ENOENT) return {};
    // Where /proc hides other users' processes (hidepid), a signal still tells: not allowed is there.
    return {.seen = ::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH};
  }
  char text[4096];
  const ssize_t n = ::read(fd.get(), text, sizeof text);
  if (n < 0) return {.seen = errno == ESRCH};  // it ended while its file was open
  const std::string s(text, static_cast<size_t>(n));
  size_t at = s.rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = s.find(' ', at + 1);
  if (at == std::string::npos) return {};
  if (s.find(") Z ") != std::string::npos) return {.seen = true};  // a zombie runs no more
  return {.seen = true, .there = true, .ticks = std::stoll(s.substr(at + 1))};
}
}  // namespace

Json this_process() {
  static const Json actor = [] {
    char host[256] = "unknown";
    ::gethostname(host, sizeof host - 1);
    passwd* user = ::getpwuid(::geteuid());
    const Look me = look_at(::getpid());
    if (!me.there)  // others would take this process for one that has ended
      throw Error(Code::io_failed, "cannot read when this process was started")
          .tried("/proc/self/stat")
          .next("see that /proc is mounted and that files can be opened (ulimit -n)");
    return Json::object({{"host", host},
                         {"boot_id", boot_id()},
                         {"pid_namespace", pid_namespace()},
                         {"pid", static_cast<int64_t>(::getpid())},
                         {"start_ticks", me.ticks},
                         {"clock", wall_since_boot()},
                         {"user", user ? std::string(user->pw_name) : std::to_string(::geteuid())}});
  }();
  return actor;
}

bool is_this_process(const Json& actor) {
  Json me = this_process();
  for (const char* member : {"host", "boot_id", "pid_namespace", "pid", "start_ticks"})
    if (!actor.find(member) || *actor.find(member) != me.at(member)) return false;
  return true;
}

std::optional<bool> has_ended(const Json& actor) {
  Json me = this_process();
  if (actor.str_or("host", "") != me.str("host")) return std::nullopt;
  if (actor.str_or("boot_id", "") != me.str("boot_id")) return true;  // the machine was started anew since
  if (actor.num_or("pid_namespace", 0) != me.num("pid_namespace")) return std::nullopt;
  const Look look = look_at(actor.num_or("pid", 0));
  if (!look.seen) return std::nullopt;
  return !look.there || look.ticks != actor.num_or("start_ticks", 0);
}

}  // namespace kesu
