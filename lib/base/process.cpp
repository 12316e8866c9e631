// Starting a program: pipes, an environment of its own, no inherited descriptors, a deadline.
#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/files.h"

namespace kesu {

namespace {
using Deadline = std::chrono::steady_clock::time_point;

// argv and envp, built before the fork: after it, only system calls are safe.
struct Launch {
  explicit Launch(const ProgramRequest& request) {
    for (const std::string& word : request.argv) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    for (const std::string& item : request.environment) envp.push_back(const_cast<char*>(item.c_str()));
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry)
      for (const std::string& name : request.pass)
        if (!name.empty() && std::strncmp(*entry, name.c_str(), name.size()) == 0 &&
            (*entry)[name.size()] == '=') {
          envp.push_back(*entry);
          break;
        }
    envp.push_back(nullptr);
  }
  std::vector<char*> argv, envp;
};

[[noreturn]] void become(Launch& launch, int in, int out, int err, pid_t parent) {
  // A program without its caller has nobody to answer to.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  // First away from 0 to 2: one of the three may lie there.
  in = ::fcntl(in, F_DUPFD, 3), out = ::fcntl(out, F_DUPFD, 3), err = ::fcntl(err, F_DUPFD, 3);
  if (::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0 || ::close_range(3, ~0u, 0) != 0)
    ::_exit(126);
  struct sigaction plain {};
  plain.sa_handler = SIG_DFL;
  for (int sig : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD}) ::sigaction(sig, &plain, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execvpe(launch.argv[0], launch.argv.data(), launch.envp.data());
  constexpr char said[] = "cannot be executed\n";
  [[maybe_unused]] ssize_t n = ::write(2, said, sizeof said - 1);
  ::_exit(127);
}

// The child, reaped whatever happens.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() {
    if (pid_ > 0) kill(), wait();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  void kill() { ::kill(pid_, SIGKILL); }
  // Does it end by itself until then?
  bool ends_until(Deadline deadline) {
    siginfo_t info{};
    while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_;
};

struct Streams {
  Fd in, out, err;  // our ends

  struct Theirs {
    Fd in, out, err;
  };
  Theirs open() {
    int pair[2];
    // A socket, so that a child that ends before it has read its input sends no signal.
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
      throw file_error(errno, "make", "a socket");
    Theirs theirs;
    theirs.in = Fd(pair[0]), in = Fd(pair[1]);
    if (::pipe2(pair, O_CLOEXEC) != 0) throw file_error(errno, "make", "a pipe");
    out = Fd(pair[0]), theirs.out = Fd(pair[1]);
    if (::pipe2(pair, O_CLOEXEC) != 0) throw file_error(errno, "make", "a pipe");
    err = Fd(pair[0]), theirs.err = Fd(pair[1]);
    return theirs;
  }
};

// Appends what fits under the limit; true when there was more than that.
template <class Buffer>
bool take(Fd& from, Buffer& into, size_t limit) {
  char buffer[65536];
  ssize_t got = ::read(from.get(), buffer, sizeof buffer);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return false;
  if (got <= 0) {
    from = Fd();
    return false;
  }
  size_t room = limit - std::min(limit, into.size()), n = static_cast<size_t>(got);
  into.insert(into.end(), buffer, buffer + std::min(room, n));
  return n > room;
}

void give(Fd& to, ByteView& left) {
  ssize_t sent = ::send(to.get(), left.data(), left.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && (errno == EINTR || errno == EAGAIN)) return;
  left = sent < 0 ? ByteView() : left.subspan(static_cast<size_t>(sent));  // below 0: it reads no more
  if (left.empty()) to = Fd();
}

// Until both outputs are closed, or a limit is passed.
void converse(Streams& streams, const ProgramRequest& request, Deadline deadline, ProgramResult& result) {
  ByteView left = request.input;
  if (left.empty()) streams.in = Fd();
  while (streams.out.ok() || streams.err.ok()) {
    auto remaining =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    result.timed_out = remaining.count() <= 0;
    if (result.timed_out) return;
    pollfd fds[3] = {
        {streams.in.get(), POLLOUT, 0}, {streams.out.get(), POLLIN, 0}, {streams.err.get(), POLLIN, 0}};
    int ready = ::poll(fds, 3, static_cast<int>(std::min<int64_t>(remaining.count() + 1, 60'000)));
    if (ready < 0 && errno != EINTR) throw file_error(errno, "wait for", request.argv.at(0));
    if (ready <= 0) continue;
    if (fds[0].revents != 0) give(streams.in, left);
    if (fds[1].revents != 0) result.too_long = take(streams.out, result.out, request.max_output);
    if (result.too_long) return;
    if (fds[2].revents != 0) take(streams.err, result.err, request.max_err);
  }
}
}  // namespace

std::vector<std::string> whole_environment() {
  std::vector<std::string> out;
  for (char** e = environ; *e; ++e) out.emplace_back(*e);
  return out;
}

ProgramResult run_program(const ProgramRequest& request) {
  Launch launch(request);
  Streams streams;
  Streams::Theirs theirs = streams.open();
  pid_t parent = ::getpid(), pid = ::fork();
  if (pid < 0) throw file_error(errno, "start", request.argv.at(0));
  if (pid == 0) become(launch, theirs.in.get(), theirs.out.get(), theirs.err.get(), parent);
  Child child(pid);
  theirs = {};

  ProgramResult result;
  Deadline deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(request.timeout);
  converse(streams, request, deadline, result);
  if (!result.timed_out && !result.too_long) result.timed_out = !child.ends_until(deadline);
  if (result.timed_out || result.too_long) child.kill();
  int status = child.wait();
  result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  result.exit = result.signal != 0 ? 128 + result.signal : WEXITSTATUS(status);
  return result;
}

}  // namespace kesu
