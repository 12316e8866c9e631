// A command under ptrace and a seccomp filter: stopped at calls that change files, and at nothing else.
#include "tracer.h"

#include <elf.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {
using traced::Match;
using traced::Watched;

// Older architectures' calls (open, rename, unlink …) do not exist on newer ones.
const std::vector<Watched> kWatched = {
    {SYS_write, "write", Match::data_descriptor, 0},
    {SYS_writev, "writev", Match::data_descriptor, 0},
    {SYS_pwrite64, "pwrite64", Match::data_descriptor, 0},
    {SYS_pwritev, "pwritev", Match::data_descriptor, 0},
    {SYS_pwritev2, "pwritev2", Match::data_descriptor, 0},
    {SYS_ftruncate, "ftruncate", Match::data_descriptor, 0},
    {SYS_fallocate, "fallocate", Match::data_descriptor, 0},
    {SYS_copy_file_range, "copy_file_range", Match::always, 2},
    {SYS_sendfile, "sendfile", Match::data_descriptor, 0},
    {SYS_fsync, "fsync", Match::data_descriptor, 0},
    {SYS_fdatasync, "fdatasync", Match::data_descriptor, 0},
    {SYS_syncfs, "syncfs", Match::data_descriptor, 0},
    {SYS_sync_file_range, "sync_file_range", Match::data_descriptor, 0},
    {SYS_fchmod, "fchmod", Match::data_descriptor, 0},
    {SYS_openat, "openat", Match::creating_flags, 2},
    {SYS_renameat2, "renameat2", Match::always, 3},
    {SYS_unlinkat, "unlinkat", Match::always, 1},
    {SYS_linkat, "linkat", Match::always, 3},
    {SYS_symlinkat, "symlinkat", Match::always, 2},
    {SYS_mkdirat, "mkdirat", Match::always, 1},
    {SYS_mknodat, "mknodat", Match::always, 1},
    {SYS_fchmodat, "fchmodat", Match::always, 1},
    {SYS_truncate, "truncate", Match::always, 0},
#ifdef SYS_renameat
    {SYS_renameat, "renameat", Match::always, 3},
#endif
#ifdef SYS_open
    {SYS_open, "open", Match::creating_flags, 1},
    {SYS_creat, "creat", Match::always, 0},
    {SYS_rename, "rename", Match::always, 1},
    {SYS_unlink, "unlink", Match::always, 0},
    {SYS_link, "link", Match::always, 1},
    {SYS_symlink, "symlink", Match::always, 1},
    {SYS_mkdir, "mkdir", Match::always, 0},
    {SYS_rmdir, "rmdir", Match::always, 0},
    {SYS_chmod, "chmod", Match::always, 0},
#endif
};

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "the tracer knows x86-64 and aarch64"
#endif

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "tracer: %s: %s\n", what, std::strerror(errno));
  std::_Exit(125);
}

sock_filter statement(uint16_t code, uint32_t k) { return {code, 0, 0, k}; }
sock_filter jump(uint16_t code, uint32_t k, uint8_t yes, uint8_t no) { return {code, yes, no, k}; }

// Per watched call: compare the number; look at one argument where it matters; TRACE carries the table index.
std::vector<sock_filter> make_filter() {
  std::vector<sock_filter> f;
  f.push_back(statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)));
  f.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
  f.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
  for (size_t i = 0; i < kWatched.size(); ++i) {
    const Watched& w = kWatched[i];
    std::vector<sock_filter> body;
    // Little-endian: the low half of a 64-bit argument comes first.
    uint32_t low = offsetof(seccomp_data, args) + 8 * static_cast<uint32_t>(w.argument);
    if (w.match == Match::data_descriptor) {
      body.push_back(statement(BPF_LD | BPF_W | BPF_ABS, low));
      body.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, 1, 1, 0));
      body.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, 2, 0, 1));
      body.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    } else if (w.match == Match::creating_flags) {
      body.push_back(statement(BPF_LD | BPF_W | BPF_ABS, low));
      body.push_back(jump(BPF_JMP | BPF_JSET | BPF_K, O_CREAT | O_TRUNC, 1, 0));
      body.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    body.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_TRACE | static_cast<uint32_t>(i)));
    f.push_back(statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    f.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(w.number), 0,
                     static_cast<uint8_t>(body.size())));
    f.insert(f.end(), body.begin(), body.end());
  }
  f.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  return f;
}

[[noreturn]] void run_command(int go, char** command) {
  char byte;
  if (read(go, &byte, 1) != 1) std::_Exit(125);  // the tracer is attached once it has written
  close(go);
  std::vector<sock_filter> filter = make_filter();
  sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("no_new_privs");
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) fail("seccomp");
  execvp(command[0], command);
  std::fprintf(stderr, "tracer: %s: %s\n", command[0], std::strerror(errno));
  std::_Exit(127);
}

// The watched call's six arguments, read while the task stands at its seccomp stop.
std::vector<uint64_t> arguments_of(pid_t task) {
  __ptrace_syscall_info info{};
  if (ptrace(PTRACE_GET_SYSCALL_INFO, task, sizeof info, &info) <= 0) return {};
  return {info.seccomp.args, info.seccomp.args + 6};
}

std::string text_at(pid_t task, uint64_t address) {
  // One page may be readable and the next not: read up to the end of the page, then the rest.
  std::string out;
  while (out.size() < 4096) {
    char chunk[256];
    size_t want = sizeof chunk - (address + out.size()) % sizeof chunk;
    iovec local{chunk, want}, remote{reinterpret_cast<void*>(address + out.size()), want};
    ssize_t got = process_vm_readv(task, &local, 1, &remote, 1, 0);
    if (got <= 0) break;
    size_t length = strnlen(chunk, static_cast<size_t>(got));
    out.append(chunk, length);
    if (length < static_cast<size_t>(got)) break;
  }
  return out;
}

std::string link_text(pid_t task, const std::string& below) {
  std::string link = "/proc/" + std::to_string(task) + below;
  char path[4096];
  ssize_t n = readlink(link.c_str(), path, sizeof path);
  return n < 0 ? "?" : std::string(path, static_cast<size_t>(n));
}
std::string descriptor_text(pid_t task, uint64_t fd) {
  return link_text(task, "/fd/" + std::to_string(static_cast<int>(fd)));
}

bool begins_with_directory(long number) {
  switch (number) {
    case SYS_openat:
    case SYS_renameat2:
    case SYS_unlinkat:
    case SYS_linkat:
    case SYS_symlinkat:
    case SYS_mkdirat:
    case SYS_mknodat:
    case SYS_fchmodat:
#ifdef SYS_renameat
    case SYS_renameat:
#endif
      return true;
    default:
      return false;
  }
}

// The file that a call is about; absolute where the call names it below a directory.
std::string target_of(pid_t task, const Watched& w) {
  std::vector<uint64_t> args = arguments_of(task);
  if (args.empty()) return "?";
  if (w.match == Match::data_descriptor || w.number == SYS_copy_file_range)
    return descriptor_text(task, args[static_cast<size_t>(w.argument)]);
  auto index = static_cast<size_t>(w.match == Match::creating_flags ? w.argument - 1 : w.argument);
  std::string path = text_at(task, args[index]);
  if (path.starts_with('/')) return path;
  const bool below = begins_with_directory(w.number) && static_cast<int>(args[index - 1]) != AT_FDCWD;
  return (below ? descriptor_text(task, args[index - 1]) : link_text(task, "/cwd")) + "/" + path;
}

// The call is not made; the task sees it return -error.
void skip_call(pid_t task, int error) {
#if defined(__x86_64__)
  user_regs_struct regs{};
  if (ptrace(PTRACE_GETREGS, task, nullptr, &regs)) fail("registers");
  regs.orig_rax = ~0ull;
  regs.rax = static_cast<unsigned long long>(-static_cast<long long>(error));
  if (ptrace(PTRACE_SETREGS, task, nullptr, &regs)) fail("registers");
#else
  int none = -1;
  iovec part{&none, sizeof none};
  if (ptrace(PTRACE_SETREGSET, task, NT_ARM_SYSTEM_CALL, &part)) fail("call number");
  user_pt_regs regs{};
  part = {&regs, sizeof regs};
  if (ptrace(PTRACE_GETREGSET, task, NT_PRSTATUS, &part)) fail("registers");
  regs.regs[0] = static_cast<unsigned long long>(-static_cast<long long>(error));
  if (ptrace(PTRACE_SETREGSET, task, NT_PRSTATUS, &part)) fail("registers");
#endif
}
}  // namespace

namespace traced {

int run(char** command_line, const Decide& decide) {
  int go[2];
  if (pipe2(go, O_CLOEXEC)) fail("pipe");
  pid_t command = fork();
  if (command < 0) fail("fork");
  if (command == 0) run_command(go[0], command_line);
  long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                 PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  if (ptrace(PTRACE_SEIZE, command, nullptr, options)) fail("ptrace");
  if (write(go[1], "g", 1) != 1) fail("start");

  std::map<pid_t, int> tasks{{command, 0}};
  std::set<pid_t> alive{command};  // only these may be killed: the number of a task that ended can be reused
  long ordinal = 0;
  int code = 0;
  bool killed = false;
  while (true) {
    int status = 0;
    pid_t task = waitpid(-1, &status, __WALL);
    if (task < 0) {
      if (errno == EINTR) continue;
      break;  // ECHILD: the whole tree is gone
    }
    tasks.emplace(task, static_cast<int>(tasks.size()));
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      alive.erase(task);
      if (task == command) code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      continue;
    }
    if (!WIFSTOPPED(status)) continue;
    alive.insert(task);
    int event = status >> 16;
    if (event == PTRACE_EVENT_SECCOMP && !killed) {
      unsigned long index = 0;
      ptrace(PTRACE_GETEVENTMSG, task, nullptr, &index);
      ++ordinal;
      const Watched& w = kWatched.at(index);
      const Verdict verdict = decide({ordinal, w.name, tasks[task], target_of(task, w)});
      if (verdict.kill) {
        killed = true;
        // SIGKILL acts on stopped tasks too, and the pending call is not made.
        for (pid_t other : alive) kill(other, SIGKILL);
        continue;
      }
      if (verdict.error) skip_call(task, verdict.error);
    } else if (event == PTRACE_EVENT_STOP && (WSTOPSIG(status) == SIGSTOP || WSTOPSIG(status) == SIGTSTP)) {
      ptrace(PTRACE_LISTEN, task, nullptr, nullptr);
      continue;
    }
    if (killed) {
      kill(task, SIGKILL);  // a task that appeared while the others were being killed
      continue;
    }
    ptrace(PTRACE_CONT, task, nullptr, event ? 0 : WSTOPSIG(status));
  }
  return killed ? 137 : code;
}

FILE* open_report(const std::string& path) {
  FILE* report = std::fopen(path.c_str(), "we");
  if (!report) fail("report");
  return report;
}

void close_report(FILE* report) {
  if (std::fclose(report)) fail("report");
}

}  // namespace traced
