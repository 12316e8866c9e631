// A process of ours that carries sealed objects over to another key version: it gets header regions and gives
// back the slot to write, with a login of its own at the provider (provider/login_process.h). No key crosses:
// it opens, compares, wraps and proves over there, and what it does not affirm counts for nothing.
#pragma once
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "provider/login_process.h"
#include "seal/object.h"

namespace kesu {

class Rewrapper {
 public:
  using Versions = std::vector<std::pair<VersionRef, KeyRef>>;
  // Starts `program` (kesu-probe) in its mode for this; returns when it is logged in. `versions`: those whose
  // slots it may open, and `to`, under which it wraps, among them; `waits` as in LoginProcess::start. nullptr
  // where it does not come to that. Errors: pin_wrong, for then it spent an attempt.
  static std::unique_ptr<Rewrapper> start(const std::string& program, const std::string& uri,
                                          const ProviderIdentity& identity, const Versions& versions,
                                          const VersionRef& to, const LoginProcess::Waits& waits = {});
  pid_t process() const { return process_->pid(); }
  // It failed once after it had begun to wrap, or is gone: it is asked for nothing more, for what it wraps in
  // vain no entry counts. What is under work is answered: with no.
  bool dead() const { return process_->dead(); }
  std::string why_dead() const { return process_->why_dead(); }

  // From one thread, as all that follows. One header region (kRegionBytes bytes), for which take() will
  // answer, in order. At most kOpen at a time: it may be sent together with those that come.
  static constexpr size_t kOpen = 64;
  void submit(ByteView region);
  void hand_over();  // sends what is collected
  // What to write where, in one write: a slot whose wrap opens to the object's key (object.h, NextSlot).
  struct Written {
    uint64_t offset = 0;
    Bytes slot;  // kSlotBytes
  };
  // Waits for the oldest answer. nullopt: it did not say so, whatever the reason.
  std::optional<Written> take();
  size_t open() const { return open_; }

 private:
  Rewrapper() = default;

  std::unique_ptr<LoginProcess> process_;
  Bytes out_, in_;
  size_t read_ = 0;  // of in_
  size_t open_ = 0;
};

// The other side: `kesu-probe rewrap`, over the socket at `fd`, until it is closed.
void serve_rewraps(ProviderFactory& factory, int fd);

}  // namespace kesu
