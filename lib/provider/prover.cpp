// The proving process, as its parent sees it: starting, submitting, waiting, ending.
#include "provider/prover.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "base/interrupt.h"
#include "base/json.h"
#include "base/trace.h"
#include "crypto/mac.h"
#include "crypto/random.h"
#include "provider/probe.h"
#include "provider/prover_impl.h"

namespace kesu {

namespace {
constexpr size_t kFlush = 2u << 10;  // bytes that are collected before they are sent
constexpr int kPatience = 60'000;    // milliseconds without an answer, after which it counts as dead
constexpr int kLoginPatience = 30'000;
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

pid_t spawn(const std::string& program, const std::string& uri, int socket) {
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
  char* argv[] = {const_cast<char*>(program.c_str()), const_cast<char*>("prove"), nullptr};
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
bool readable(int fd, int timeout) { return ready(fd, POLLIN, timeout); }

bool receive_all(int fd, std::span<uint8_t> out, int timeout) {
  while (!out.empty()) {
    if (!readable(fd, timeout)) return false;
    const ssize_t n = ::recv(fd, out.data(), out.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    out = out.subspan(static_cast<size_t>(n));
  }
  return true;
}
}  // namespace

bool Prover::possible(const std::string& uri) {
  for (std::string_view source : {"-source=file:", "-source=/", "-source=env:"})
    if (uri.find(source) != std::string::npos) return true;
  return false;
}

std::unique_ptr<Prover> Prover::start(const std::string& program, const std::string& uri,
                                      const ProviderIdentity& identity, const std::vector<KeyRef>& keys) {
  if (!possible(uri)) return nullptr;
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return nullptr;
  std::unique_ptr<Prover> made(new Prover);
  made->socket_ = Fd(pair[0]);
  Fd theirs(pair[1]);
  made->tag_key_ = system_random().secret(32);
  made->pid_ = spawn(program, uri, theirs.get());
  if (made->pid_ < 0) return nullptr;
  theirs = Fd();  // so that its end is seen here
  return made->begin(uri, identity, keys) ? std::move(made) : nullptr;
}

bool Prover::begin(const std::string& uri, const ProviderIdentity& identity,
                   const std::vector<KeyRef>& keys) {
  Json refs = Json::array({});
  for (const KeyRef& ref : keys) refs.push(ref.to_json());
  // One login for this process, ever: a second attempt with a PIN that became wrong would be the parent's.
  const std::string text =
      Json::object({{"uri", uri + (uri.starts_with("pkcs11:") ? "&x-kesu-one-login=1" : "")},
                    {"identity", identity.to_json()},
                    {"keys", refs}})
          .canonical();
  Bytes hello;
  proof_wire::put32(hello, static_cast<uint32_t>(text.size()));
  hello.insert(hello.end(), text.begin(), text.end());
  send(hello);
  // Not a key of any data: it only makes the tags of one run worthless in another.
  send(tag_key_.reveal());
  uint8_t size[4];
  if (dead_ || !receive_all(socket_.get(), size, kLoginPatience)) return give_up(), false;
  Bytes said(std::min<size_t>(proof_wire::get32(size), 65536));
  if (!receive_all(socket_.get(), said, kLoginPatience)) return give_up(), false;
  try {
    const Json answer = parse_json(to_text(said), "the proving process's answer");
    const std::string code = answer.str_or("code", "");
    if (code.empty()) return logged_in_ = true;
    trace("prover", "not started", {{"code", code}, {"message", answer.str_or("message", "")}}, {});
    if (code == code_text(Code::pin_wrong))
      throw Error(Code::pin_wrong, answer.str_or("message", "the provider refused the login"))
          .tried("logging in once more, for a process that proves wraps")
          .cause("the source of the secret gives another one than a moment ago")
          .next("correct it, then run the command again");
  } catch (const Error& e) {
    give_up();
    if (e.code() == Code::pin_wrong) throw;
  }
  return give_up(), false;
}

Prover::~Prover() {
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
  if (ended(interrupted() ? kEnd / 5 : kEnd) || !logged_in_) return;
  ::kill(pid_, SIGKILL);  // it hangs, outside of a login
  ended(kEnd);
}

void Prover::give_up() {
  dead_ = true;
  ::shutdown(socket_.get(), SHUT_RDWR);
}

void Prover::send(ByteView bytes) {
  while (!bytes.empty() && !dead_) {
    const ssize_t n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (!ready(socket_.get(), POLLOUT, kPatience)) return give_up();
      continue;
    }
    if (n <= 0) return give_up();
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void Prover::flush() {
  if (out_.empty()) return;
  send(out_);
  out_.clear();
}

void Prover::submit(size_t key, Claim& claim) {
  std::lock_guard lock(send_);
  if (dead_) {
    claim.verdict = Verdict::none;
    return;
  }
  proof_wire::put_claim(out_, static_cast<uint16_t>(key), claim.wrap);
  {
    std::lock_guard answers(answers_);
    waiting_.push_back(&claim);
  }
  if (out_.size() < kFlush) return;
  flush();
  // Answers are taken now and then: a process that cannot get rid of them would take nothing more.
  // Whoever waits takes them, too.
  if (std::unique_lock reading(reading_, std::try_to_lock); reading.owns_lock()) take_answers();
}

void Prover::take_answers() {
  std::lock_guard lock(answers_);
  uint8_t answers[4096];
  while (!dead_) {
    const ssize_t n = ::recv(socket_.get(), answers, sizeof answers, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n <= 0 || static_cast<size_t>(n) > waiting_.size()) {
      give_up();
      break;
    }
    for (ssize_t i = 0; i < n; ++i) {
      waiting_.front()->verdict = answers[i] == proof_wire::kProven ? Verdict::proven : Verdict::none;
      waiting_.pop_front();
    }
  }
  for (Claim* claim : waiting_) claim->verdict = Verdict::none;
  waiting_.clear();
}

void Prover::hand_over() {
  std::lock_guard lock(send_);
  flush();
}

void Prover::wait(Claim& claim) {
  if (claim.verdict != Verdict::open) return;
  hand_over();
  while (claim.verdict == Verdict::open) {
    // One thread at a time waits and takes: an answer that another one took would be waited for in vain.
    // Others submit meanwhile.
    std::lock_guard reading(reading_);
    if (claim.verdict != Verdict::open) break;
    if (!dead_ && !readable(socket_.get(), kPatience)) give_up();
    take_answers();
  }
}

}  // namespace kesu
