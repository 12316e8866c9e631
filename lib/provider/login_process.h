// A process of ours with a login of its own at a provider, beside this one: modules that do one operation at
// a time in a process do two in two. What it is asked for goes over a socket (docs/spec/provider-port.md,
// "Processes beside").
#pragma once
#include <sys/types.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/files.h"
#include "base/json.h"
#include "provider/provider.h"

namespace kesu {

class LoginProcess {
 public:
  // Can a second process log in there: is the secret of the login to be read once more, without asking?
  static bool possible(const std::string& uri);
  using Waits = std::function<void(pid_t)>;
  // Starts `program` (kesu-probe) with the argument `mode`; returns when it is logged in at the place that
  // `identity` names. It is told `request` (an object; `uri` and `identity` are added) and, after that,
  // `secret`, which never goes anywhere else. nullptr where it does not come to that, after 10 seconds
  // without a word at most. `waits` is called once when it takes longer than a person would wait for without
  // being told. Errors: pin_wrong, for then it spent an attempt.
  static std::unique_ptr<LoginProcess> start(const std::string& program, const char* mode,
                                             const std::string& uri, const ProviderIdentity& identity,
                                             Json request, ByteView secret = {}, const Waits& waits = {});
  ~LoginProcess();  // ends the process, and with it its login, before it returns
  LoginProcess(const LoginProcess&) = delete;
  LoginProcess& operator=(const LoginProcess&) = delete;

  pid_t pid() const { return pid_; }
  // It ended, is silent, or said what makes no sense: nothing is asked of it any more.
  bool dead() const { return dead_; }
  // The same from now on. `why`: for a person; the first one stays, none is kept after Ctrl-C.
  void give_up(const char* why = "gave an answer that makes no sense");
  // Why it is dead, as "was silent for 10 seconds"; empty while it lives, and after Ctrl-C. From any thread.
  std::string why_dead() const;
  // All of them. It gives up where the process takes nothing for 10 seconds, and at Ctrl-C.
  void send(ByteView bytes);
  // What there is, at most as much as fits; 0: nothing now. Gives up at the end of the stream.
  size_t receive(std::span<uint8_t> out);
  // Waits for something to receive, for 10 seconds at most; gives up then, and at Ctrl-C: false.
  bool readable();

 private:
  LoginProcess() = default;
  bool begin(const std::string& text, ByteView secret, const Waits& waits);

  pid_t pid_ = -1;
  Fd socket_;
  std::atomic<bool> dead_{false};
  std::atomic<const char*> why_{nullptr};
  bool logged_in_ = false;  // killed before, inside the login, it might leave a token cut short
};

// The other side, in a process of its own, over the socket at `fd`: what start() sent, and the provider,
// logged in. nullopt where that failed, which the parent was told. `secret` bytes follow the request.
struct LoggedIn {
  Json request;
  Secret secret;
  std::unique_ptr<Provider> provider;
};
std::optional<LoggedIn> log_in_beside(ProviderFactory& factory, int fd, size_t secret);
// All of them; false when the parent is gone.
bool write_to_parent(int fd, ByteView bytes);
// Takes whole frames, each with its size in the first four bytes (this machine's order, itself counted), from
// the socket until it is closed. `frame` adds to the answers, which go out when nothing whole is left, or
// before; false from it, or a frame shorter than `least` or longer than `most`, ends all.
void serve_frames(int fd, size_t least, size_t most,
                  const std::function<bool(std::span<const uint8_t> frame, Bytes& answers)>& frame);

}  // namespace kesu
