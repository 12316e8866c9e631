#include "app/actor.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

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

// Field 22 of /proc/<pid>/stat: start time in clock ticks after boot. The name in field 2 may contain spaces.
std::optional<int64_t> start_ticks(int64_t pid) {
  std::optional<Bytes> text;
  try {
    text = read_file_if_there("/proc/" + std::to_string(pid) + "/stat", 65536);
  } catch (const Error&) {  // the process ended while its file was being read
  }
  if (!text) return std::nullopt;
  std::string s = to_text(*text);
  size_t at = s.rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = s.find(' ', at + 1);
  if (at == std::string::npos) return std::nullopt;
  if (s.find(") Z ") != std::string::npos) return std::nullopt;  // a zombie runs no more
  return std::stoll(s.substr(at + 1));
}
}  // namespace

Json this_process() {
  static const Json actor = [] {
    char host[256] = "unknown";
    ::gethostname(host, sizeof host - 1);
    passwd* user = ::getpwuid(::geteuid());
    return Json::object({{"host", host},
                         {"boot_id", boot_id()},
                         {"pid_namespace", pid_namespace()},
                         {"pid", static_cast<int64_t>(::getpid())},
                         {"start_ticks", start_ticks(::getpid()).value_or(0)},
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
  auto ticks = start_ticks(actor.num_or("pid", 0));
  return !ticks || *ticks != actor.num_or("start_ticks", 0);
}

}  // namespace kesu
