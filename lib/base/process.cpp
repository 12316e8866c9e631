#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "base/files.h"

extern char** environ;

namespace kesu {

namespace {
constexpr size_t kMaxErr = 65536;

struct Pipe {
  Fd read, write;
  Pipe() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) throw file_error(errno, "make", "a pipe");
    read = Fd(fds[0]);
    write = Fd(fds[1]);
  }
};

Millis monotonic() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

std::vector<char*> pointers(const std::vector<std::string>& items) {
  std::vector<char*> out;
  for (const std::string& s : items) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

// Between fork and exec: only async-signal-safe calls.
[[noreturn]] void become(const ProgramRequest& request, char* const* argv, char* const* envp, int in, int out,
                         int err, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  if (!request.inherit_terminal_input) ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  ::close_range(3, ~0u, 0);
  ::signal(SIGPIPE, SIG_DFL);
  ::execvpe(argv[0], argv, envp);
  ::_exit(127);
}
}  // namespace

std::vector<std::string> whole_environment() {
  std::vector<std::string> out;
  for (char** e = environ; *e; ++e) out.emplace_back(*e);
  return out;
}

ProgramResult run_program(const ProgramRequest& request) {
  Pipe in, out, err;
  std::vector<char*> argv = pointers(request.argv), envp = pointers(request.environment);
  pid_t parent = ::getpid();
  pid_t child = ::fork();
  if (child < 0) throw file_error(errno, "start", request.argv.at(0));
  if (child == 0)
    become(request, argv.data(), envp.data(), in.read.get(), out.write.get(), err.write.get(), parent);
  in.read = Fd();
  out.write = Fd();
  err.write = Fd();
  if (request.inherit_terminal_input) in.write = Fd();

  // A child that ends before it has read its input must not end us.
  struct sigaction ignore {
  }, before{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &before);
  if (in.write.ok()) ::fcntl(in.write.get(), F_SETFL, O_NONBLOCK);

  ProgramResult result;
  size_t written = 0;
  Millis deadline = monotonic() + request.timeout;
  bool out_open = true, err_open = true, kill_it = false;
  if (in.write.ok() && request.input.empty()) in.write = Fd();
  while (out_open || err_open) {
    Millis left = deadline - monotonic();
    if (left <= 0) {
      result.timed_out = kill_it = true;
      break;
    }
    pollfd fds[3] = {{out_open ? out.read.get() : -1, POLLIN, 0},
                     {err_open ? err.read.get() : -1, POLLIN, 0},
                     {in.write.ok() ? in.write.get() : -1, POLLOUT, 0}};
    if (::poll(fds, 3, static_cast<int>(std::min<Millis>(left, 1000))) < 0 && errno != EINTR) break;
    uint8_t buffer[65536];
    if (fds[0].revents) {
      ssize_t n = ::read(out.read.get(), buffer, sizeof buffer);
      if (n <= 0)
        out_open = false;
      else
        result.out.insert(result.out.end(), buffer, buffer + n);
      if (result.out.size() > request.max_output) {
        kill_it = true;
        break;
      }
    }
    if (fds[1].revents) {
      ssize_t n = ::read(err.read.get(), buffer, sizeof buffer);
      if (n <= 0)
        err_open = false;
      else if (result.err.size() < kMaxErr)
        result.err.append(reinterpret_cast<char*>(buffer), static_cast<size_t>(n));
    }
    if (fds[2].revents) {
      ssize_t n = ::write(in.write.get(), request.input.data() + written, request.input.size() - written);
      if (n > 0) written += static_cast<size_t>(n);
      if ((n < 0 && errno != EAGAIN && errno != EINTR) || written == request.input.size()) in.write = Fd();
    }
  }
  if (kill_it) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ::sigaction(SIGPIPE, &before, nullptr);
  if (result.err.size() > kMaxErr) result.err.resize(kMaxErr);
  result.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace kesu
