// A process with a login of its own: starting, talking, ending; and its own side of the beginning.
#include "provider/login_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "base/interrupt.h"
#include "base/trace.h"
#include "provider/probe.h"

namespace kesu {

namespace {
constexpr int kPatience = 10'000;  // milliseconds without an answer, after which it counts as dead
constexpr const char *kSilent = "was silent for 10 seconds", *kEnded = "ended";
constexpr int kSayAfter = 1'500;
constexpr int kEnd = 5'000;  // milliseconds that it gets to end by itself
constexpr int kSlice = 100;  // milliseconds between looks for Ctrl-C

// argv and envp for a program that gets nothing but the variables named.
std::vector<char*> environment(const std::vector<std::string>& names) {
  std::vector<char*> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry)
    for (const std::string& name : names)
      if (!name.empty() && std::strncmp(*entry, name.c_str(), name.size()) == 0 &&
          (*entry)[name.size()] == '=') {
        out.push_back(*entry);
        break;
      }
  out.push_back(nullptr);
  return out;
}

pid_t spawn(const std::string& program, const char* mode, const std::string& uri, int socket) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t how;
  if (::posix_spawn_file_actions_init(&files) != 0) return -1;
  if (::posix_spawnattr_init(&how) != 0) {
    ::posix_spawn_file_actions_destroy(&files);
    return -1;
  }
  sigset_t none, standard;
  ::sigemptyset(&none);
  ::sigemptyset(&standard);
  for (int signal : {SIGPIPE, SIGCHLD}) ::sigaddset(&standard, signal);
  ::posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  ::posix_spawnattr_setsigmask(&how, &none);
  ::posix_spawnattr_setsigdefault(&how, &standard);
  ::posix_spawn_file_actions_adddup2(&files, socket, 0);
  ::posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_addclosefrom_np(&files, 3);
  char* argv[] = {const_cast<char*>(program.c_str()), const_cast<char*>(mode), nullptr};
  std::vector<char*> envp = environment(provider_environment(uri));
  pid_t pid = -1;
  const int failed = ::posix_spawn(&pid, program.c_str(), &files, &how, argv, envp.data());
  ::posix_spawnattr_destroy(&how);
  ::posix_spawn_file_actions_destroy(&files);
  return failed ? -1 : pid;
}

// Is the socket ready within that time, and before Ctrl-C?
bool ready(int fd, short what, int timeout) {
  for (int passed = 0; passed < timeout && !interrupted(); passed += kSlice) {
    pollfd p{fd, what, 0};
    if (::poll(&p, 1, kSlice) > 0) return true;
  }
  return false;
}
bool receive_all(int fd, std::span<uint8_t> out, int timeout) {
  while (!out.empty()) {
    if (!ready(fd, POLLIN, timeout)) return false;
    const ssize_t n = ::recv(fd, out.data(), out.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    out = out.subspan(static_cast<size_t>(n));
  }
  return true;
}
}  // namespace

bool LoginProcess::possible(const std::string& uri) {
  for (std::string_view source : {"-source=file:", "-source=/", "-source=env:"})
    if (uri.find(source) != std::string::npos) return true;
  return false;
}

std::unique_ptr<LoginProcess> LoginProcess::start(const std::string& program, const char* mode,
                                                  const std::string& uri, const ProviderIdentity& identity,
                                                  Json request, ByteView secret, const Waits& waits) {
  if (!possible(uri)) return nullptr;
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return nullptr;
  std::unique_ptr<LoginProcess> made(new LoginProcess);
  made->socket_ = Fd(pair[0]);
  Fd theirs(pair[1]);
  made->pid_ = spawn(program, mode, uri, theirs.get());
  if (made->pid_ < 0) return nullptr;
  theirs = Fd();  // so that its end is seen here
  // One login for this process, ever: a second attempt with a PIN that became wrong would be the parent's.
  request.set("uri", uri + (uri.starts_with("pkcs11:") ? "&x-kesu-one-login=1" : ""));
  request.set("identity", identity.to_json());
  return made->begin(request.canonical(), secret, waits) ? std::move(made) : nullptr;
}

bool LoginProcess::begin(const std::string& text, ByteView secret, const Waits& waits) {
  const auto size_sent = static_cast<uint32_t>(text.size());
  Bytes hello(sizeof size_sent);
  std::memcpy(hello.data(), &size_sent, sizeof size_sent);
  hello.insert(hello.end(), text.begin(), text.end());
  send(hello);
  send(secret);
  uint32_t size = 0;
  if (!dead_ && !ready(socket_.get(), POLLIN, kSayAfter) && !interrupted() && waits) waits(pid_);
  if (dead_ ||
      !receive_all(socket_.get(), {reinterpret_cast<uint8_t*>(&size), sizeof size}, kPatience - kSayAfter))
    return give_up(kSilent), false;
  Bytes said(std::min<size_t>(size, 65536));
  if (!receive_all(socket_.get(), said, kPatience)) return give_up(kSilent), false;
  try {
    const Json answer = parse_json(to_text(said), "the answer of a process beside");
    const std::string code = answer.str_or("code", "");
    if (code.empty()) return logged_in_ = true;
    trace("login-process", "not started", {{"code", code}, {"message", answer.str_or("message", "")}}, {});
    if (code == code_text(Code::pin_wrong))
      throw Error(Code::pin_wrong, answer.str_or("message", "the provider refused the login"))
          .tried("logging in once more, for a process that works beside this one")
          .cause("the source of the secret gives another one than a moment ago")
          .next("correct it, then run the command again");
  } catch (const Error& e) {
    give_up();
    if (e.code() == Code::pin_wrong) throw;
  }
  return give_up(), false;
}

LoginProcess::~LoginProcess() {
  socket_ = Fd();  // it ends by itself: killed inside a login it might leave a token cut short
  if (pid_ < 0) return;
  const auto ended = [this](int milliseconds) {
    for (int passed = 0;; passed += 10) {
      const pid_t got = ::waitpid(pid_, nullptr, WNOHANG);
      if (got == pid_ || (got < 0 && errno != EINTR)) return true;
      if (passed >= milliseconds) return false;
      ::poll(nullptr, 0, 10);
    }
  };
  if (ended(interrupted() || why_.load() == kSilent ? kEnd / 5 : kEnd) || !logged_in_) return;
  ::kill(pid_, SIGKILL);  // it hangs, outside of a login
  ended(kEnd);
}

void LoginProcess::give_up(const char* why) {
  const char* none = nullptr;
  if (!dead_ && !interrupted()) why_.compare_exchange_strong(none, why);
  dead_ = true;
  ::shutdown(socket_.get(), SHUT_RDWR);
}

std::string LoginProcess::why_dead() const {
  const char* why = why_;
  return dead_ && why ? why : "";
}

void LoginProcess::send(ByteView bytes) {
  while (!bytes.empty() && !dead_) {
    const ssize_t n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (!ready(socket_.get(), POLLOUT, kPatience)) return give_up(kSilent);
      continue;
    }
    if (n <= 0) return give_up(kEnded);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

bool LoginProcess::readable() {
  if (ready(socket_.get(), POLLIN, kPatience)) return true;
  give_up(kSilent);
  return false;
}

size_t LoginProcess::receive(std::span<uint8_t> out) {
  while (!dead_) {
    const ssize_t n = ::recv(socket_.get(), out.data(), out.size(), MSG_DONTWAIT);
    if (n > 0) return static_cast<size_t>(n);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
    give_up(kEnded);
  }
  return 0;
}

namespace {
constexpr size_t kMost = 16u << 20;     // of a request
constexpr size_t kAnswers = 16u << 10;  // bytes that wait no longer for others

bool read_all(int fd, std::span<uint8_t> out) {
  while (!out.empty()) {
    const ssize_t n = ::read(fd, out.data(), out.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    out = out.subspan(static_cast<size_t>(n));
  }
  return true;
}

bool say(int fd, const Json& answer) {
  const std::string text = answer.canonical();
  const auto size = static_cast<uint32_t>(text.size());
  Bytes out(sizeof size);
  std::memcpy(out.data(), &size, sizeof size);
  out.insert(out.end(), text.begin(), text.end());
  return write_to_parent(fd, out);
}
}  // namespace

bool write_to_parent(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return true;
}

std::optional<LoggedIn> log_in_beside(ProviderFactory& factory, int fd, size_t secret) {
  uint32_t size = 0;
  if (!read_all(fd, {reinterpret_cast<uint8_t*>(&size), sizeof size})) return std::nullopt;
  Bytes hello(std::min<size_t>(size, kMost));
  LoggedIn out;
  out.secret = Secret(secret);
  if (!read_all(fd, hello) || !read_all(fd, out.secret.reveal())) return std::nullopt;
  try {
    out.request = parse_json(to_text(hello), "the request");
    out.provider = factory.open(out.request.str("uri"));
    if (!out.provider->identity().same_place(ProviderIdentity::from_json(out.request.at("identity"))))
      throw Error(Code::token_changed, "another provider answers");
  } catch (const Error& e) {
    say(fd, Json::object({{"code", code_text(e.code())}, {"message", e.message()}}));
    return std::nullopt;
  }
  if (!say(fd, Json::object({{"code", ""}, {"message", ""}}))) return std::nullopt;
  return out;
}

void serve_frames(int fd, size_t least, size_t most,
                  const std::function<bool(std::span<const uint8_t> frame, Bytes& answers)>& frame) {
  Bytes buffer(std::max<size_t>(most, 256u << 10)), answers;
  size_t held = 0;
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data() + held, buffer.size() - held);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    held += static_cast<size_t>(n);
    size_t at = 0;
    answers.clear();
    while (held - at >= sizeof(uint32_t)) {
      uint32_t size = 0;
      std::memcpy(&size, buffer.data() + at, sizeof size);
      if (size < least || size > most) return;  // it is not our parent
      if (held - at < size) break;
      if (!frame({buffer.data() + at, size}, answers)) return;
      at += size;
      if (answers.size() < kAnswers) continue;
      if (!write_to_parent(fd, answers)) return;
      answers.clear();
    }
    std::memmove(buffer.data(), buffer.data() + at, held - at);
    held -= at;
    if (!write_to_parent(fd, answers)) return;
  }
}

}  // namespace kesu
