// kesu doctor, the machine: programs, memory, core dumps, file systems, clock.
#include "app/doctor.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <thread>

#include "base/files.h"
#include "base/process.h"
#include "base/secret.h"
#include "policy/policy.h"

namespace kesu {

namespace {
using enum CheckResult;

std::string mebibytes(uint64_t bytes) {
  if (bytes < 1 << 20) return std::to_string(bytes >> 10) + " KiB";
  if (bytes >= uint64_t{1} << 40) return std::to_string(bytes >> 30) + " GiB";
  return std::to_string(bytes >> 20) + " MiB";
}

Check programs(const DoctorOrder& order) {
  struct stat st {};
  if (::stat(order.program.c_str(), &st) == 0 && (st.st_mode & 022))
    return {"program", fail, order.program + " can be replaced by others: it is writable for group or others",
            "chmod go-w " + order.program + ", and install it anew"};
  return {"program", ok, std::string(kProgram) + ", " + order.program, ""};
}

// The probe is asked about a place that no provider serves: it answers with its own name.
Check probe(const Environment& env) {
  std::string install = "install kesu and kesu-probe of one version in one directory";
  if (::access(env.probe_program.c_str(), X_OK) != 0)
    return {"probe", fail,
            "there is no " + env.probe_program + ": nothing can be inspected, so nothing erased", install};
  try {
    ProbeRequest nothing;
    nothing.uri = "none:";
    nothing.try_remaining = false;
    ProbeTranscript t = run_probe(env.probe_program, nothing.to_json(), 20'000);
    if (!t.answer.is_object())
      return {"probe", fail,
              "kesu-probe gives no answer (exit " + std::to_string(t.exit) + ")" +
                  (t.stderr_text.empty() ? "" : ": " + t.stderr_text.substr(0, 200)),
              install};
    std::string is = t.answer.str_or("program", "?");
    if (is != kProbeProgram)
      return {"probe", fail, "it is " + is + ", this program needs " + std::string(kProbeProgram), install};
    return {"probe", ok, is + ", " + env.probe_program, ""};
  } catch (const Error& e) {
    return {"probe", fail, e.message() + (e.cause().empty() ? "" : ": " + e.cause()), install};
  }
}

Check ssh_keygen() {
  // ssh-keygen does not tell its version; ssh of the same package does.
  try {
    ProgramRequest keygen{
        .argv = {"ssh-keygen", "-?"}, .environment = whole_environment(), .timeout = 10'000};
    if (run_program(keygen).exit == 127)
      return {"ssh-keygen", warn,
              "it is not installed: kesu erase request and approve cannot sign with --key",
              "install openssh-client, or sign elsewhere (--export, --signature)"};
    ProgramRequest ssh{.argv = {"ssh", "-V"}, .environment = whole_environment(), .timeout = 10'000};
    ProgramResult said = run_program(ssh);
    std::string version = said.err.substr(0, said.err.find('\n'));
    return {"ssh-keygen", ok, said.exit == 0 ? version : "there, of an unknown version", ""};
  } catch (const Error& e) {
    return {"ssh-keygen", warn, e.message() + ": " + e.cause(), ""};
  }
}

// Secrets that are not locked may be written to swap. Looking at one that is held tells more than limits do.
Check memory_lock() {
  const uint64_t need = (std::max(1u, std::thread::hardware_concurrency()) + 2) * uint64_t{48 << 10};
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  const bool unlimited = limit.rlim_cur == RLIM_INFINITY;
  std::string words =
      std::string("limit ") + (unlimited ? "none" : mebibytes(limit.rlim_cur)) + ", need " + mebibytes(need);
  const std::string raise =
      "raise it: ulimit -l, LimitMEMLOCK= of a service, memlock in /etc/security/limits.conf";
  try {
    Secret held(32);
    std::string status = to_text(read_file("/proc/self/status", 65536));
    size_t at = status.find("VmLck:");
    bool locked = at != std::string::npos && std::atoll(status.c_str() + at + 6) > 0;
    if (!locked)
      return {"memory-lock", warn, "secrets are not locked in memory and may reach swap (" + words + ")",
              raise};
  } catch (const Error& e) {
    return {"memory-lock", fail, e.message() + " (" + words + ")", raise};
  }
  if (!unlimited && limit.rlim_cur < need && ::geteuid() != 0)
    return {"memory-lock", warn, "secrets are locked now, but not enough can be: " + words, raise};
  return {"memory-lock", ok, "secrets are locked in memory; " + words, ""};
}

Check core_dumps() {
  rlimit limit{};
  ::getrlimit(RLIMIT_CORE, &limit);
  if (limit.rlim_cur == 0 && ::prctl(PR_GET_DUMPABLE) == 0)
    return {"core-dumps", ok, "off for this program; no other process of its user can read its memory", ""};
  return {"core-dumps", fail, "this program could not switch them off",
          "kesu has to be a program of its own, not "
          "one run under a debugger"};
}

std::string filesystem_name(int64_t type) {
  struct Row {
    int64_t type;
    const char* name;
  };
  static constexpr Row kRows[] = {{0xef53, "ext4"},      {0x58465342, "xfs"},     {0x9123683e, "btrfs"},
                                  {0x01021994, "tmpfs"}, {0x794c7630, "overlay"}, {0x2fc12fc1, "zfs"},
                                  {0xf2f52010, "f2fs"},  {0x4d44, "vfat"},        {0x65735546, "fuse"},
                                  {0x2011bab0, "exfat"}};
  for (const Row& r : kRows)
    if (r.type == type) return r.name;
  char text[32];
  std::snprintf(text, sizeof text, "type 0x%llx", static_cast<unsigned long long>(type));
  return text;
}

Check filesystem(const std::string& check, const std::string& path, bool keeps) {
  constexpr uint64_t kLittle = uint64_t{1} << 30, kNothing = uint64_t{64} << 20;
  struct statfs fs {};
  if (::statfs(path.c_str(), &fs) != 0) {
    Error e = file_error(errno, "look at", path);
    return {check, fail, e.message() + ": " + e.cause(), "make it, or name another"};
  }
  const uint64_t free = static_cast<uint64_t>(fs.f_bavail) * static_cast<uint64_t>(fs.f_bsize);
  std::string words =
      path + ": " + filesystem_name(static_cast<int64_t>(fs.f_type)) + ", " + mebibytes(free) + " free";
  if (auto network = network_filesystem(path))
    return {check, keeps ? fail : warn, words + ", a network file system (" + *network + ")",
            keeps ? "move the vault to a local disk: its locks and its durability are needed" : ""};
  if (keeps && (fs.f_flags & ST_RDONLY))
    return {check, warn, words + ", mounted read-only",
            "nothing can be recorded; reading and verifying work"};
  if (free < kNothing) return {check, fail, words, "free some space there"};
  if (keeps && fs.f_type == 0x01021994)
    return {check, warn, words + ": what lies there is gone after a restart", "keep the vault on a disk"};
  if (free < kLittle) return {check, warn, words, "free some space there"};
  return {check, ok, words, ""};
}

Check clock_sync() {
  timex t{};
  int state = ::adjtimex(&t);
  if (state < 0) return {"clock", warn, "the kernel does not say whether the clock is synchronised", ""};
  if (state == TIME_ERROR || (t.status & STA_UNSYNC))
    return {"clock", warn, "the kernel says that the clock is not synchronised",
            "run chrony or systemd-timesyncd; where the host of a container does, this may be ignored"};
  return {"clock", ok, "synchronised, error at most " + std::to_string((t.maxerror + 999) / 1000) + " ms",
          ""};
}
}  // namespace

std::string_view check_text(CheckResult result) {
  return result == ok ? "ok" : result == warn ? "warn" : "fail";
}

std::vector<Check> examine_machine(Environment& env, const DoctorOrder& order) {
  std::vector<Check> out = {programs(order), probe(env), ssh_keygen(), memory_lock(), core_dumps()};
  const char* tmp = std::getenv("TMPDIR");
  out.push_back(filesystem("temporary-files", tmp && *tmp ? tmp : "/tmp", false));
  out.push_back(clock_sync());
  Millis now = env.clock.now();
  out.push_back(
      {"time-zone", ok, "times are shown as " + local_text(now) + ", kept as " + utc_text(now), ""});
  out.push_back({"policy", ok, "edition " + policy::policy_edition() + ", built in", ""});
  return out;
}

std::vector<Check> examine(Environment& env, const DoctorOrder& order) {
  std::vector<Check> out = examine_machine(env, order);
  if (!order.vault) {
    out.push_back({"vault", ok, "none here, or none named: only the machine was looked at", "--vault DIR"});
    return out;
  }
  out.push_back(filesystem("vault-file-system", *order.vault, true));
  for (Check& c : examine_vault(env, *order.vault, order.offline)) out.push_back(std::move(c));
  return out;
}

}  // namespace kesu
