#include "base/stream_out.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/error.h"
#include "base/interrupt.h"

namespace kesu {
namespace {

constexpr int kInterrupted = 7;

// In a process of its own, since an interruption stays noted. The thread that writes does not get the signal,
// as if it had come between the look for it and the write: no EINTR ends a write that waits.
[[noreturn]] void write_without_the_signal(int out) {
  const CatchInterrupts noted;
  std::thread writer([&] {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    try {
      write_to_reader(out, Bytes(64u << 20, 'x'), "test");
    } catch (const Error& e) {
      _exit(e.code() == Code::interrupted ? kInterrupted : 2);
    }
    _exit(1);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  ::kill(::getpid(), SIGTERM);
  writer.join();
  _exit(3);
}

// How the process ended that writes to one end, of which nobody reads the other; -1: it waited on.
int end_of_writer(int ends[2]) {
  const pid_t child = ::fork();
  if (child == 0) write_without_the_signal(ends[1]);
  int status = 0;
  for (int i = 0; i < 500 && ::waitpid(child, &status, WNOHANG) == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (i == 499) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
    }
  }
  ::close(ends[0]);
  ::close(ends[1]);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(StreamOut, WaitsForAReaderOnlyInPoll) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  EXPECT_EQ(end_of_writer(ends), kInterrupted);
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  EXPECT_EQ(end_of_writer(ends), kInterrupted);
}

}  // namespace
}  // namespace kesu
