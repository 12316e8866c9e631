// Sealing and opening by several threads, ended from outside: no room, a signal, a pipe that says nothing
// more.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <thread>

#include "base/interrupt.h"
#include "parallel_fixture.h"

namespace kesu {
namespace {
using namespace test;
class ParallelEnd : public Parallel {};

// In a process of its own: limits and signals stay with a process.
int in_child(const std::function<int()>& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    int result = 99;
    try {
      result = act();
    } catch (const std::exception& e) {
      std::fprintf(stderr, "%s\n", e.what());
    }
    ::_exit(result);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 200 + WTERMSIG(status);
}

TEST_F(ParallelEnd, NoRoomInTheMiddle) {
  const std::string source = write("source", pattern(8 * kMiB));
  Crew one(1);
  const SealedFile whole = seal(source, one, random_);
  publish(whole.part, dir_ / "whole.kesu");
  request_.object = random_.id<ObjectId>();
  const int got = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{5 * kMiB, 5 * kMiB};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    Crew crew(4);
    if (code_of([&] { seal(source, crew, random_); }) != Code::io_failed) return 1;
    if (code_of([&] { open(dir_ / "whole.kesu", crew); }) != Code::io_failed) return 2;
    return 0;
  });
  EXPECT_EQ(got, 0);
  EXPECT_EQ(list_directory(dir_.path()), (std::vector<std::string>{"out", "source", "whole.kesu"}));
  EXPECT_TRUE(list_directory(out_).empty());
}

TEST_F(ParallelEnd, AFullFileSystem) {
  const std::string small = dir_ / "small";
  make_directories(small);
  if (::mount("none", small.c_str(), "tmpfs", 0, "size=4m") != 0)
    GTEST_SKIP() << "no file system may be mounted here: " << std::strerror(errno);
  struct Unmount {
    std::string path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } unmount{small};
  const std::string source = write("source", pattern(8 * kMiB));
  Crew crew(4);
  const SealedFile whole = seal(source, crew, random_);
  const Fd fd(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(code_of([&] { seal_file_to(request_, fd.get(), small, keys_.wrap(version_), random_, crew); }),
            Code::disk_full);
  out_ = small;
  EXPECT_EQ(code_of([&] { open(whole.part, crew); }), Code::disk_full);
  EXPECT_TRUE(list_directory(small).empty());
}

// Ctrl-C while a large file is worked on, and while a pipe is silent.
TEST_F(ParallelEnd, AnInterruptEndsItAndLeavesNothing) {
  const std::string source = write("source", pattern(8 * kMiB));
  Crew one(1);
  const SealedFile whole = seal(source, one, random_);
  publish(whole.part, dir_ / "whole.kesu");
  request_.object = random_.id<ObjectId>();
  for (const unsigned threads : {1u, 3u}) {
    EXPECT_EQ(in_child([&] {
                CatchInterrupts caught;
                Crew crew(threads);
                const Fd fd(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
                std::atomic<int64_t> done{0};
                request_.bytes_done = &done;
                const WrapKey wrap = [&](const Secret& key, ByteView aad) {
                  ::raise(SIGINT);
                  return keys_.wrap(version_)(key, aad);
                };
                return code_of([&] { seal_file_to(request_, fd.get(), dir_.path(), wrap, random_, crew); }) ==
                                   Code::interrupted &&
                               done == 0
                           ? 0
                           : 1;
              }),
              0);
    EXPECT_EQ(in_child([&] {
                CatchInterrupts caught;
                Crew crew(threads);
                const UnwrapKey unwrap = [&](const Slot& slot, ByteView aad) {
                  ::raise(SIGTERM);
                  return keys_.unwrap()(slot, aad);
                };
                return code_of([&] {
                         open_to_file(
                             dir_ / "whole.kesu", unwrap,
                             [&](const Metadata&) { return path_join(out_, "back"); }, crew);
                       }) == Code::interrupted
                           ? 0
                           : 1;
              }),
              0);
    EXPECT_EQ(in_child([&] {
                CatchInterrupts caught;
                int ends[2];
                if (::pipe(ends) != 0) return 2;
                write_all(ends[1], pattern(100), "pipe");
                std::thread presses([] {
                  ::usleep(50'000);
                  ::kill(::getpid(), SIGINT);
                });
                Crew crew(threads);
                const auto got = code_of([&] {
                  seal_file_to(request_, ends[0], dir_.path(), keys_.wrap(version_), random_, crew);
                });
                presses.join();
                return got == Code::interrupted ? 0 : 1;
              }),
              0);
    EXPECT_EQ(list_directory(dir_.path()), (std::vector<std::string>{"out", "source", "whole.kesu"}));
    EXPECT_TRUE(list_directory(out_).empty());
  }
}

// Others fail while one waits for a pipe that says nothing more: it does not wait for ever.
TEST_F(ParallelEnd, AFailureEndsTheWaitForASilentPipe) {
  EXPECT_EQ(in_child([&] {
              int ends[2];
              if (::pipe(ends) != 0) return 2;
              ::fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
              write_all(ends[1], pattern(600'000), "pipe");
              ::signal(SIGXFSZ, SIG_IGN);
              const rlimit limit{100'000, 100'000};
              ::setrlimit(RLIMIT_FSIZE, &limit);
              Crew crew(3);
              return code_of([&] {
                       seal_file_to(request_, ends[0], dir_.path(), keys_.wrap(version_), random_, crew);
                     }) == Code::io_failed
                         ? 0
                         : 1;
            }),
            0);
  EXPECT_EQ(list_directory(dir_.path()), (std::vector<std::string>{"out"}));
}

}  // namespace
}  // namespace kesu
