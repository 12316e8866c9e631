// Files made durable at once: none is passed over, and none's failure.
#include "base/sync_together.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"

namespace kesu {
namespace {

class SyncTogether : public testing::Test {
 protected:
  void SetUp() override {
    std::string place = testing::TempDir() + "kesu-sync-XXXXXX";
    ASSERT_NE(::mkdtemp(place.data()), nullptr);
    directory_ = place;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  OpenPaths files(size_t count) {
    OpenPaths out;
    for (size_t i = 0; i < count; ++i) {
      std::string path = path_join(directory_, std::to_string(i));
      out.emplace_back(Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)), path);
    }
    return out;
  }
  // What no file system can make durable: EINVAL, as a directory on some of them.
  static Fd pipe_end() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return {};
    ::close(ends[0]);
    return Fd(ends[1]);
  }

  std::string directory_;
};

TEST_F(SyncTogether, FilesAndDirectories) {
  for (size_t count : {0, 1, 2, 7, 8, 9, 40}) {
    OpenPaths paths = files(count);
    paths.push_back(open_directory(directory_));
    sync_together(paths);
  }
  sync_together({});
}

TEST_F(SyncTogether, OneFailureAtAnyPlaceIsTold) {
  for (size_t count : {1, 2, 8, 20})
    for (size_t bad = 0; bad < count; ++bad) {
      OpenPaths paths = files(count);
      paths[bad].first = pipe_end();
      try {
        sync_together(paths);
        ADD_FAILURE() << bad << " of " << count << " was passed over";
      } catch (const Error& e) {
        EXPECT_EQ(e.code(), Code::io_failed);
        EXPECT_EQ(e.message(), "cannot make durable " + paths[bad].second);
      }
    }
}

TEST_F(SyncTogether, OfSeveralFailuresTheFirstIsTold) {
  OpenPaths paths = files(12);
  for (size_t bad : {11, 5, 9}) paths[bad].first = pipe_end();
  try {
    sync_together(paths);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.message(), "cannot make durable " + paths[5].second);
  }
}

TEST_F(SyncTogether, ClosedIsAFailure) {
  OpenPaths paths = files(3);
  paths[1].first = Fd();
  EXPECT_THROW(sync_together(paths), Error);
}

TEST_F(SyncTogether, OpensDirectoriesAlone) {
  OpenPaths paths = files(1);
  EXPECT_THROW(open_directory(paths[0].second), Error);
  EXPECT_THROW(open_directory(path_join(directory_, "nothing")), Error);
}

}  // namespace
}  // namespace kesu
