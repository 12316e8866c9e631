// By what a directory is known again, and what may hide below it.
#include "app/place_id.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/files.h"

namespace kesu {
namespace {

const PlaceMark kDirectory{"8193", "1700000000.123456789", "4f8423b62c8dfc40"};
const PlaceMark kRoot{"2", "1700000000.000000000", "4f8423b62c8dfc40"};

PlaceMark with(PlaceMark mark, std::string PlaceMark::*member, const std::string& value) {
  mark.*member = value;
  return mark;
}

TEST(Place, IsItselfByAllThatIsKnown) {
  for (const PlaceMark& m : {kDirectory, kRoot}) {
    EXPECT_TRUE(m.is(m));
    EXPECT_FALSE(m.is({}));
    EXPECT_FALSE(PlaceMark().is(m));
    EXPECT_FALSE(m.is(with(m, &PlaceMark::inode, "3")));
    EXPECT_FALSE(m.is(with(m, &PlaceMark::born, "1700000000.000000001")));
    EXPECT_FALSE(m.is(with(m, &PlaceMark::filesystem, "c55976e0aa81d447")));
  }
  EXPECT_FALSE(PlaceMark().is({}));
}

TEST(Place, WhatOneSideDoesNotKnowDoesNotCount) {
  const auto unnamed = [](const PlaceMark& m) { return with(m, &PlaceMark::filesystem, ""); };
  const auto unborn = [](const PlaceMark& m) { return with(m, &PlaceMark::born, ""); };
  for (auto [then, now] : {std::pair(true, true), std::pair(true, false), std::pair(false, true)}) {
    const auto of = [&](auto less, const PlaceMark& m, bool whole) { return whole ? m : less(m); };
    if (then && now) continue;
    // A directory that is no root: also by the inode alone.
    EXPECT_TRUE(of(unnamed, kDirectory, then).is(of(unnamed, kDirectory, now)));
    EXPECT_TRUE(of(unborn, kDirectory, then).is(of(unborn, kDirectory, now)));
    EXPECT_TRUE(unborn(of(unnamed, kDirectory, then)).is(of(unnamed, kDirectory, now)));
    // A root: by its file system's name, or an instant that no mkfs has chosen; the full second is none.
    EXPECT_TRUE(of(unborn, kRoot, then).is(of(unborn, kRoot, now)));
    EXPECT_FALSE(of(unnamed, kRoot, then).is(of(unnamed, kRoot, now)));
    const PlaceMark tmpfs = with(kDirectory, &PlaceMark::inode, "1");
    EXPECT_TRUE(of(unnamed, tmpfs, then).is(of(unnamed, tmpfs, now)));
    EXPECT_FALSE(unborn(of(unnamed, tmpfs, then)).is(of(unnamed, tmpfs, now)));
  }
}

// As entries had it before.
TEST(Place, ByTheInodeAlone) {
  for (const char* root : {"1", "2", "5", "64", "128", "256"})
    EXPECT_FALSE(PlaceMark({root, "", ""}).is({root, "", ""}));
  for (const char* inode : {"257", "8193", "18446744073709551615"}) {
    EXPECT_TRUE(PlaceMark({inode, "", ""}).is({inode, "", ""}));
    EXPECT_TRUE(PlaceMark({inode, "", ""}).is({inode, "1700000000.000000001", "4f8423b62c8dfc40"}));
  }
}

class PlaceOnDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/kesu-place-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
    ASSERT_EQ(::mkdir((directory_ + "/out").c_str(), 0755), 0);
    ASSERT_EQ(::mkdir((directory_ + "/out/d").c_str(), 0755), 0);
  }
  void TearDown() override {
    for (const char* link : {"/out/l", "/out/d/f"}) ::unlink((directory_ + link).c_str());
    for (const char* below : {"/out/d", "/out", "/other", ""}) ::rmdir((directory_ + below).c_str());
  }
  std::string directory_;
};

TEST_F(PlaceOnDisk, SeesWhatIsGone) {
  const std::string out = directory_ + "/out";
  const PlaceMark mark = place_mark_of(out);
  EXPECT_EQ(mark, place_mark(Fd(::open(out.c_str(), O_RDONLY | O_DIRECTORY)).get()));
  const SealedPlace place(out, mark);
  for (const char* gone : {"/f", "/d/f", "/d/e/f"}) EXPECT_FALSE(place.may_hide(out + gone, false)) << gone;
  // Beside it.
  EXPECT_TRUE(place.may_hide(directory_ + "/f", false));
  EXPECT_TRUE(place.may_hide("", false));
  // A link was put there afterwards.
  ASSERT_EQ(::symlink("/nowhere", (out + "/l").c_str()), 0);
  EXPECT_TRUE(place.may_hide(out + "/l/f", false));
  EXPECT_NE(place.why_hidden(out + "/l/f").find(out + "/l"), std::string::npos);
}

TEST_F(PlaceOnDisk, AnotherDirectory) {
  const std::string out = directory_ + "/out";
  const PlaceMark mark = place_mark_of(out);
  ASSERT_EQ(::mkdir((directory_ + "/other").c_str(), 0755), 0);
  for (const SealedPlace& place : {SealedPlace(directory_ + "/other", mark),
                                   SealedPlace(directory_ + "/nothing", mark), SealedPlace(out, {})}) {
    EXPECT_TRUE(place.may_hide(out + "/d/f", false));
    EXPECT_FALSE(place.may_hide(out + "/d/f", true));  // something stands there
  }
}

}  // namespace
}  // namespace kesu
