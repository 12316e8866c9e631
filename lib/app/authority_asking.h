// Several time-stamp authorities asked for one time-stamp: in order, the next one beside those that are slow.
#pragma once
#include <atomic>
#include <chrono>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "app/time_authority.h"
#include "base/interrupt.h"

namespace kesu {

class AuthorityAsking {
 public:
  // Keeps references to all of these; `what`: of what, for the notice that a slow one gets. Who was silent in
  // this process a moment ago comes last.
  AuthorityAsking(Environment& env, const std::vector<TimeAuthority>& authorities, ByteView data,
                  std::string what);
  // Gives up those who have not answered: at most a second.
  ~AuthorityAsking();
  AuthorityAsking(const AuthorityAsking&) = delete;
  AuthorityAsking& operator=(const AuthorityAsking&) = delete;

  struct Answer {
    const TimeAuthority* authority;
    std::optional<Stamp> stamp;
    std::string why;  // where there is none
  };
  // Waits for the next answer, whoever's it is; nullopt: all have answered. A notice where it takes longer
  // than a second. Errors: interrupted, and what ask_authority throws that is not the authority's doing.
  std::optional<Answer> next();

 private:
  struct Try {
    const TimeAuthority* authority = nullptr;
    std::chrono::steady_clock::time_point began;
    std::thread thread;
    std::atomic<bool> done{false};
    std::optional<Stamp> stamp;
    std::exception_ptr error;
    bool taken = false;
  };
  void begin();
  std::optional<Answer> take();

  CatchInterrupts catching_;  // Ctrl-C ends the wait with words, not the program
  Environment& env_;
  ByteView data_;
  std::string what_;
  std::vector<const TimeAuthority*> waiting_;  // not asked yet, the next one first
  std::list<Try> tries_;
  bool said_ = false;
  std::atomic<bool> stop_{false};
};

}  // namespace kesu
