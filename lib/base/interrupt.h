// Ctrl-C in long work: it ends between two steps, whole and resumable, instead of dying in one.
#pragma once

namespace kesu {

// While one lives, SIGINT, SIGTERM and SIGHUP are noted instead of ending the process; the second one ends it
// at once, as the system does. Nests.
class CatchInterrupts {
 public:
  CatchInterrupts();
  ~CatchInterrupts();
  CatchInterrupts(const CatchInterrupts&) = delete;
  CatchInterrupts& operator=(const CatchInterrupts&) = delete;
};

// Whether a signal was noted. Stays true.
bool interrupted();
// Throws Error interrupted (exit 130) when one was.
void check_interrupted();

}  // namespace kesu
