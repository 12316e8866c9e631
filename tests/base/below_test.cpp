// Directories below a root: at any depth, never through a link.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/below.h"

namespace kesu {
namespace {

class BelowTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/kesu-below-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    root_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  static ino_t inode(int fd) {
    struct stat st {};
    EXPECT_EQ(::fstat(fd, &st), 0);
    return st.st_ino;
  }
  ino_t inode(const std::string& path) {
    struct stat st {};
    EXPECT_EQ(::stat(path_join(root_, path).c_str(), &st), 0);
    return st.st_ino;
  }
  Code code_of(Below& below, const std::string& relative, bool create) {
    try {
      below.directory(relative, create);
    } catch (const Error& e) {
      EXPECT_NE(e.message().find(path_join(root_, relative.substr(0, relative.find('/')))),
                std::string::npos);
      return e.code();
    }
    return Code::partial;
  }
  std::string root_;
};

TEST_F(BelowTest, MakesWhatIsMissingAndFindsItAgain) {
  Below below(root_);
  for (const char* path : {"a/b", "a/b/c/d", "a", "ab"}) {  // ab is not a/b, though it begins like it
    const ino_t got = inode(below.directory(path, true));
    EXPECT_EQ(got, inode(path)) << path;
  }
  EXPECT_EQ(inode(below.directory("")), inode(""));
  std::string leaf;
  EXPECT_EQ(inode(below.directory_of("a/b/file", leaf)), inode("a/b"));
  EXPECT_EQ(leaf, "file");
  EXPECT_EQ(inode(below.directory_of("file", leaf)), inode(""));
  EXPECT_EQ(leaf, "file");
}

TEST_F(BelowTest, WithoutCreateNothingIsMade) {
  Below below(root_);
  EXPECT_EQ(code_of(below, "x/y", false), Code::not_found);
  EXPECT_TRUE(std::filesystem::is_empty(root_));
}

TEST_F(BelowTest, NeverThroughALink) {
  std::filesystem::create_directories(root_ + "/real/in");
  std::filesystem::create_symlink("real", root_ + "/link");
  Below below(root_);
  EXPECT_EQ(code_of(below, "link/in", true), Code::policy_refused);
  EXPECT_EQ(code_of(below, "link/new", true), Code::policy_refused);
  EXPECT_FALSE(std::filesystem::exists(root_ + "/real/new"));
}

TEST_F(BelowTest, DeeperThanAnyPath) {
  Below below(root_);
  std::string deep;
  for (int i = 0; i < 3000; ++i) {
    deep += i ? "/dd" : "dd";
    below.directory(deep, true);
  }
  Below again(root_);
  EXPECT_EQ(inode(again.directory(deep)), inode(below.directory(deep)));
  // Taken away from below, since no path reaches it.
  for (; !deep.empty(); deep.resize(deep.size() > 2 ? deep.size() - 3 : 0)) {
    std::string leaf;
    ASSERT_EQ(::unlinkat(again.directory_of(deep, leaf), leaf.c_str(), AT_REMOVEDIR), 0) << deep.size();
  }
}

}  // namespace
}  // namespace kesu
