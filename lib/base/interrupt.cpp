#include "base/interrupt.h"

#include <csignal>

#include "base/error.h"

namespace kesu {

namespace {
constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
volatile std::sig_atomic_t g_noted = 0;
int g_depth = 0;
struct sigaction g_before[3];

void note(int signal) {
  g_noted = 1;
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  ::sigaction(signal, &standard, nullptr);
}
}  // namespace

CatchInterrupts::CatchInterrupts() {
  if (g_depth++) return;
  struct sigaction action {};
  action.sa_handler = note;
  sigemptyset(&action.sa_mask);
  action.sa_flags = 0;  // a blocking read, of a pipe or a prompt, ends with EINTR
  for (int i = 0; i < 3; ++i) {
    ::sigaction(kSignals[i], nullptr, &g_before[i]);
    // What was started with a signal ignored (nohup) goes on ignoring it.
    if (g_before[i].sa_handler != SIG_IGN) ::sigaction(kSignals[i], &action, nullptr);
  }
}

CatchInterrupts::~CatchInterrupts() {
  if (--g_depth) return;
  for (int i = 0; i < 3; ++i) ::sigaction(kSignals[i], &g_before[i], nullptr);
}

bool interrupted() { return g_noted != 0; }

void check_interrupted() {
  if (interrupted())
    throw Error(Code::interrupted, "interrupted").next("the same command again goes on where this one ended");
}

}  // namespace kesu
