// A process of ours that opens wraps again while this one goes on wrapping: modules that do one operation at
// a time in a process do two in two. It logs in for itself, is told HMACs of data keys and never a key, and
// answers yes, or nothing that counts: what it does not affirm is proven here (wrap_checked.h).
#pragma once
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "provider/login_process.h"
#include "provider/wrap_checked.h"

namespace kesu {

class Prover {
 public:
  // Starts `program` (kesu-probe) in its proving mode for these keys; returns when it is logged in. nullptr
  // where it does not come to that; `waits` as in LoginProcess::start. Errors: pin_wrong, for then it spent
  // an attempt.
  static std::unique_ptr<Prover> start(const std::string& program, const std::string& uri,
                                       const ProviderIdentity& identity, const std::vector<KeyRef>& keys,
                                       const LoginProcess::Waits& waits = {});

  enum class Verdict { open, proven, none };  // none: it did not say so, whatever the reason
  // One wrap under way; it lies still until wait() returned for it.
  struct Claim {
    WrapClaim wrap;
    std::atomic<Verdict> verdict{Verdict::open};
  };

  const Secret& tag_key() const { return tag_key_; }
  pid_t process() const { return process_->pid(); }
  bool dead() const { return process_->dead(); }
  std::string why_dead() const { return process_->why_dead(); }
  // From any thread. `key`: position among the keys at start. Never throws for the process's sake.
  void submit(size_t key, Claim& claim);
  // From any thread: until there is a verdict.
  void wait(Claim& claim);

 private:
  Prover() = default;
  void flush();         // under send_
  void take_answers();  // under reading_; what there is

  std::unique_ptr<LoginProcess> process_;
  Secret tag_key_;
  // Order: send_, reading_, answers_. reading_: whoever takes answers from the socket.
  std::mutex send_, reading_, answers_;
  Bytes out_;                   // under send_
  std::deque<Claim*> waiting_;  // under answers_: submitted, in order
};

// The other side: `kesu-probe prove`, over the socket at `fd`, until it is closed.
void serve_proofs(ProviderFactory& factory, int fd);

}  // namespace kesu
