#include "base/open_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>
#include <string>

namespace kesu {
namespace {

// Room for open files that the system has made for this process; 0 where it does not say.
size_t room() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("FDSize:")) return std::stoul(line.substr(7));
  return 0;
}

TEST(OpenFiles, RoomIsMadeAtOnceAndNoFileStaysOpen) {
  const size_t before = room();
  if (!before) GTEST_SKIP() << "/proc/self/status does not say how many open files there is room for";
  make_room_for_open_files(4 * before);
  EXPECT_GE(room(), 4 * before);
  EXPECT_EQ(::fcntl(static_cast<int>(4 * before - 1), F_GETFD), -1);
}

TEST(OpenFiles, NoRoomBeyondTheLimit) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const size_t here = room();
  rlimit low = before;
  low.rlim_cur = here / 2;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  make_room_for_open_files(8 * here);
  EXPECT_EQ(room(), here);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace kesu
