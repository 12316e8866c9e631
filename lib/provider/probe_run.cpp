// Starting the probe: pipes, an environment of its own, no inherited descriptors, a deadline.
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
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "provider/probe.h"

namespace kesu {

namespace {
using Deadline = std::chrono::steady_clock::time_point;

// What providers read from the environment. Nothing else reaches the probe: not the preloads and paths of the
// caller.
constexpr const char* kPassed[] = {"SOFTHSM2_CONF", "TPM2_PKCS11_STORE", "TPM2_PKCS11_TCTI",
                                   "P11_KIT_SERVER_ADDRESS"};
constexpr size_t kMaxAnswer = 64u << 20, kMaxStderr = 8192;
constexpr std::string_view kFromEnvironment[] = {"pin-source=env:", "passphrase-source=env:"};

std::vector<std::string> environment_for(const Json& request) {
  std::vector<std::string> names(std::begin(kPassed), std::end(kPassed));
  const Json* uri = request.is_object() ? request.find("uri") : nullptr;
  if (uri != nullptr && uri->is_string()) {
    const std::string& text = uri->as_string();
    for (std::string_view source : kFromEnvironment) {
      size_t at = text.find(source);
      if (at == std::string::npos) continue;
      at += source.size();
      names.push_back(text.substr(at, text.find('&', at) - at));
    }
  }
  return names;
}

// argv and envp in one block that is built before the fork: after it, only system calls are safe. The
// environment may carry a PIN, so it is pointers into our own environment, not copies.
struct Launch {
  Launch(const std::string& program, const std::vector<std::string>& names) : path(program) {
    argv[0] = path.data();
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry)
      for (const std::string& name : names)
        if (!name.empty() && std::strncmp(*entry, name.c_str(), name.size()) == 0 &&
            (*entry)[name.size()] == '=') {
          envp.push_back(*entry);
          break;
        }
    envp.push_back(nullptr);
  }
  std::string path;
  char* argv[2] = {nullptr, nullptr};
  std::vector<char*> envp;
};

[[noreturn]] void become_probe(Launch& launch, int in, int out, int err) {
  // A probe without its caller has nobody to answer to.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
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
  ::execve(launch.path.c_str(), launch.argv, launch.envp.data());
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
    return WIFEXITED(status) ? WEXITSTATUS(status) : WIFSIGNALED(status) ? -WTERMSIG(status) : -1;
  }

 private:
  pid_t pid_;
};

void take(Fd& from, std::string& into, size_t limit, bool& too_much) {
  char buffer[65536];
  ssize_t got = ::read(from.get(), buffer, sizeof buffer);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got <= 0) {
    from = Fd();
    return;
  }
  size_t room = limit - std::min(limit, into.size());
  too_much = static_cast<size_t>(got) > room;
  into.append(buffer, std::min(room, static_cast<size_t>(got)));
}

void give(Fd& to, std::string_view& left) {
  ssize_t sent = ::send(to.get(), left.data(), left.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (sent < 0)
    left = {};  // it reads no more; its answer will say why
  else
    left.remove_prefix(static_cast<size_t>(sent));
  if (left.empty()) to = Fd();
}

std::string printable(std::string text) {
  for (char& c : text)
    if (c != '\n' && (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e)) c = '?';
  return text;
}

struct Streams {
  Fd in, out, err;
};

enum class End { finished, too_late, too_long };

End converse(Streams& streams, std::string_view request, Deadline deadline, std::string& out,
             std::string& err) {
  bool too_long = false, ignored = false;
  while (streams.out.ok() || streams.err.ok()) {
    auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return End::too_late;
    pollfd fds[3] = {
        {streams.in.get(), POLLOUT, 0}, {streams.out.get(), POLLIN, 0}, {streams.err.get(), POLLIN, 0}};
    int ready = ::poll(fds, 3, static_cast<int>(std::min<int64_t>(left.count() + 1, 60'000)));
    if (ready < 0 && errno != EINTR) throw file_error(errno, "waiting for", "the probe");
    if (ready <= 0) continue;
    if (fds[0].revents != 0) give(streams.in, request);
    if (fds[1].revents != 0) take(streams.out, out, kMaxAnswer, too_long);
    if (fds[2].revents != 0) take(streams.err, err, kMaxStderr, ignored);
    if (too_long) return End::too_long;
  }
  return End::finished;
}
}  // namespace

ProbeTranscript run_probe(const std::string& probe_program, const Json& request, Millis timeout) {
  ProbeTranscript transcript;
  transcript.request = request;
  const std::string text = request.canonical();
  Launch launch(probe_program, environment_for(request));
  int in[2], out[2], err[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) != 0)
    throw file_error(errno, "opening", "a socket");
  Fd child_in(in[0]), our_in(in[1]);
  if (::pipe2(out, O_CLOEXEC) != 0) throw file_error(errno, "opening", "a pipe");
  Fd our_out(out[0]), child_out(out[1]);
  if (::pipe2(err, O_CLOEXEC) != 0) throw file_error(errno, "opening", "a pipe");
  Fd our_err(err[0]), child_err(err[1]);
  pid_t pid = ::fork();
  if (pid < 0) throw file_error(errno, "starting", probe_program);
  if (pid == 0) become_probe(launch, child_in.get(), child_out.get(), child_err.get());
  Child child(pid);
  child_in = Fd(), child_out = Fd(), child_err = Fd();

  Streams streams{std::move(our_in), std::move(our_out), std::move(our_err)};
  std::string said, complained;
  Deadline deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout);
  End end = converse(streams, text, deadline, said, complained);
  if (end == End::finished && !child.ends_until(deadline)) end = End::too_late;
  if (end != End::finished) child.kill();
  transcript.timed_out = end == End::too_late;
  transcript.exit = child.wait();
  transcript.stderr_text = printable(std::move(complained));
  if (end == End::too_long) transcript.stderr_text += "(the answer is longer than 64 MiB)\n";
  if (end != End::finished || transcript.exit != 0) return transcript;
  if (said.ends_with('\n')) said.pop_back();
  try {
    transcript.answer = parse_canonical_json(said, "the probe's answer");
  } catch (const Error& error) {
    transcript.stderr_text += "(" + printable(error.message()) + ")\n";
  }
  return transcript;
}

std::string probe_program_beside() {
  std::error_code ec;
  auto self = std::filesystem::read_symlink("/proc/self/exe", ec);
  std::string path = path_join(dir_name(self.string()), "kesu-probe");
  if (ec || ::access(path.c_str(), X_OK) != 0)
    throw Error(Code::not_found, "kesu-probe is not beside this program: " + path)
        .next("install both programs of kesu in one directory");
  return path;
}

}  // namespace kesu
