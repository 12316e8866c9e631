// What counts as a file that has a name and holds nothing.
#include "app/hollow_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "base/files.h"

namespace kesu {
namespace {

class Hollow : public testing::Test {
 protected:
  Hollow() {
    std::string name = testing::TempDir() + "hollow-XXXXXX";
    file_ = Fd(::mkostemp(name.data(), O_CLOEXEC));
    ::unlink(name.c_str());
  }
  // Of this file as it is, or of one changed `ago` before `since`.
  bool hollow(Millis ago = 0) const {
    struct stat st {};
    EXPECT_EQ(::fstat(file_.get(), &st), 0);
    return is_hollow(file_.get(), st,
                     Millis{st.st_ctim.tv_sec} * 1000 + st.st_ctim.tv_nsec / 1'000'000 + ago);
  }
  void put(off_t at, const Bytes& bytes) {
    ASSERT_EQ(::pwrite(file_.get(), bytes.data(), bytes.size(), at), static_cast<ssize_t>(bytes.size()));
  }
  Fd file_;
};

TEST_F(Hollow, NoBytesHolesAndZeros) {
  ASSERT_TRUE(file_.ok());
  EXPECT_TRUE(hollow());
  ASSERT_EQ(::ftruncate(file_.get(), 1 << 20), 0);
  EXPECT_TRUE(hollow());
  put(200'000, Bytes(100'000));
  EXPECT_TRUE(hollow());
}

TEST_F(Hollow, OneByteAnywhereIsContent) {
  ASSERT_EQ(::ftruncate(file_.get(), 1 << 20), 0);
  for (const off_t at : {0, 1, 65'535, 65'536, 500'000, (1 << 20) - 1}) {
    put(at, {1});
    EXPECT_FALSE(hollow()) << at;
    put(at, {0});
    EXPECT_TRUE(hollow()) << at;
  }
}

TEST_F(Hollow, WhatIsOlderIsNot) {
  EXPECT_TRUE(hollow(10)) << "a tick of the file system's clock";
  EXPECT_FALSE(hollow(12));
}

TEST_F(Hollow, WhatCannotBeReadOrIsNoFileIsNot) {
  ASSERT_EQ(::ftruncate(file_.get(), 1), 0);
  put(0, {0});
  struct stat st {};
  ASSERT_EQ(::fstat(file_.get(), &st), 0);
  const Fd blind(::open(("/proc/self/fd/" + std::to_string(file_.get())).c_str(), O_WRONLY | O_CLOEXEC));
  EXPECT_FALSE(is_hollow(blind.get(), st, 0));
  const Fd directory(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::fstat(directory.get(), &st), 0);
  EXPECT_FALSE(is_hollow(directory.get(), st, 0));
}

}  // namespace
}  // namespace kesu
