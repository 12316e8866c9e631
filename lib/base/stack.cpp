#include "base/stack.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

namespace kesu {

namespace {
constexpr rlim_t kWanted = 8u << 20;  // what systems give by default
constexpr rlim_t kNeeded = 1u << 20;  // less than a token's module and the parsers may take together
constexpr size_t kThread = 2u << 20;

struct Call {
  int (*body)(int, char**);
  int argc;
  char** argv;
  int result = 1;
};

void* call(void* with) {
  Call& c = *static_cast<Call*>(with);
  c.result = c.body(c.argc, c.argv);
  return nullptr;
}

// The C library took the limit that it found for the size of each thread's stack.
void give_threads_enough() {
  pthread_attr_t attributes;
  size_t size = 0;
  if (::pthread_getattr_default_np(&attributes) != 0) return;
  if (::pthread_attr_getstacksize(&attributes, &size) == 0 && size < kThread &&
      ::pthread_attr_setstacksize(&attributes, kThread) == 0)
    ::pthread_setattr_default_np(&attributes);
  ::pthread_attr_destroy(&attributes);
}

int on_a_thread(Call call_it) {
  pthread_attr_t attributes;
  pthread_t thread;
  ::pthread_attr_init(&attributes);
  const bool made = ::pthread_attr_setstacksize(&attributes, kWanted) == 0 &&
                    ::pthread_create(&thread, &attributes, call, &call_it) == 0;
  ::pthread_attr_destroy(&attributes);
  if (made) ::pthread_join(thread, nullptr);
  if (!made) {
    constexpr char kWhy[] =
        "kesu: the limit of the stack is too small [out-of-memory]\n"
        "  next   raise it (ulimit -s 8192), then run the same command again\n";
    if (::write(STDERR_FILENO, kWhy, sizeof kWhy - 1) < 0) return 1;
  }
  return call_it.result;
}
}  // namespace

int with_enough_stack(int (*body)(int, char**), int argc, char** argv) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= kWanted)
    return body(argc, argv);
  // The kernel asks for the limit whenever a stack grows, so that a raised one counts at once.
  const rlimit raised{std::min(kWanted, limit.rlim_max), limit.rlim_max};
  if (::setrlimit(RLIMIT_STACK, &raised) == 0) limit = raised;
  give_threads_enough();
  return limit.rlim_cur >= kNeeded ? body(argc, argv) : on_a_thread({body, argc, argv});
}

}  // namespace kesu
