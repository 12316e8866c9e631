// Trees: read as the file system has them, restored from their manifest, never beyond the directory given.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "app/tree_read.h"
#include "app/tree_restore.h"
#include "seal/support.h"

namespace kesu {
namespace {
using namespace test;
using Type = TreeRow::Type;

Bytes bytes_of(const TreeManifest& m) {
  Bytes out(m.bytes());
  Source source = m.source();
  size_t at = 0;
  while (size_t n = source(std::span(out).subspan(at))) at += n;
  return out;
}

class Trees : public testing::Test {
 protected:
  Trees() : source_(dir_ / "src"), out_(dir_ / "out") {
    make_directories(source_);
    make_directories(out_);
  }

  std::string at(const std::string& name) { return path_join(source_, name); }
  void write(const std::string& name, std::string_view content = "x", mode_t mode = 0644) {
    make_directories(dir_name(at(name)));
    std::ofstream(at(name), std::ios::binary) << content;
    ::chmod(at(name).c_str(), mode);
  }
  void symlink(const std::string& target, const std::string& name) {
    ASSERT_EQ(::symlink(target.c_str(), at(name).c_str()), 0);
  }

  // Reads a tree; what was given stays in the members.
  TreeRead read(const std::string& source, const Selection& selection = {}) {
    files_.clear();
    skipped_.clear();
    failed_.clear();
    return read_tree(source, selection,
                     {[&](const TreeFile& f) { files_.push_back(f); },
                      [&](const std::string& path, const std::string& what) { skipped_[path] = what; },
                      [&](const std::string& path, const Error& e) { failed_.emplace(path, e); }});
  }
  TreeRead read(const Selection& selection = {}) { return read(source_, selection); }
  std::vector<std::string> names() {
    std::vector<std::string> out;
    for (const TreeFile& f : files_) out.push_back(f.name);
    return out;
  }
  std::vector<TreeRow> rows(const TreeRead& tree) {
    std::vector<TreeRow> out;
    TreeManifestReader reader([&](const TreeRow& row) { out.push_back(row); });
    reader.feed(bytes_of(*tree.manifest));
    reader.finish();
    return out;
  }

  // As an opening would: every file put below out_, then the manifest.
  OpenResult restore(const TreeRead& tree, bool force = false) {
    OpenResult result;
    OpenedNames opened;
    Below below(out_);
    TreeOpener opener(source_);
    for (const TreeFile& f : files_) {
      std::string leaf;
      const int directory = below.directory_of(f.name, leaf, true);
      const Fd from = opener.open(f),
               to(::openat(directory, leaf.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
      char buffer[4096];
      for (ssize_t n; (n = ::read(from.get(), buffer, sizeof buffer)) > 0;)
        write_all(to.get(), as_bytes(std::string_view(buffer, static_cast<size_t>(n))), f.name);
      const timespec times[2] = {{0, UTIME_OMIT}, {f.mtime.seconds, f.mtime.nanos}};
      ::fchmod(to.get(), f.mode & 0777);
      ::futimens(to.get(), times);
      opened.add(f.name, f.mode);
    }
    opened.sort();
    restore(bytes_of(*tree.manifest), opened, result, force);
    return result;
  }
  void restore(ByteView manifest, OpenedNames& opened, OpenResult& result, bool force = false) {
    TreeRestore restore(out_, "src", force, opened, result);
    TreeManifestReader reader([&](const TreeRow& row) { restore.row(row); });
    reader.feed(manifest);
    reader.finish();
    restore.finish();
  }
  // Restores, and reads both: the same manifest means the same modes, times, owners, links, attributes.
  OpenResult round_trip() {
    const TreeRead before = read();
    const auto facts = [&] {
      std::vector<std::tuple<std::string, uint64_t, uint32_t, FileTime>> out;
      for (const TreeFile& f : files_) out.emplace_back(f.name, f.size, f.mode, f.mtime);
      return out;
    };
    const auto files = facts();
    const OpenResult result = restore(before);
    const TreeRead after = read(out_ + "/src");
    EXPECT_EQ(std::string(as_text(bytes_of(*after.manifest))),
              std::string(as_text(bytes_of(*before.manifest))));
    EXPECT_EQ(facts(), files);
    for (const auto& f : result.failed) ADD_FAILURE() << f.path << ": " << f.why;
    return result;
  }

  // Deeper than the library's own remover can go.
  void TearDown() override {
    (void)!std::system(("rm -rf '" + source_ + "' '" + out_ + "' '" + shm_ + "'").c_str());
  }

  TempDir dir_;
  std::string source_, out_, shm_ = "/nowhere";
  std::vector<TreeFile> files_;
  std::map<std::string, std::string> skipped_;
  std::map<std::string, Error> failed_;
};

TEST_F(Trees, EverythingComesBack) {
  write("a", "one", 0640);
  write("d/deep/b", "two", 0400);
  write("\xff not utf-8 \n", "three");
  write(std::string(255, 'n'));
  write("日本語/か\u3099");
  make_directories(at("empty/emptier"));
  symlink("a", "link");
  symlink("nowhere/at all", "dangling");
  symlink("loop", "loop");
  symlink("..", "d/up");
  symlink(std::string("\xfe\n"), "odd");
  ASSERT_EQ(::link(at("a").c_str(), at("d/again").c_str()), 0);
  ASSERT_EQ(::link(at("a").c_str(), at("z").c_str()), 0);
  ::chmod(at("d").c_str(), 01700);
  ::chmod(at("empty").c_str(), 02555);
  const timespec times[2] = {{0, UTIME_OMIT}, {-5, 123'456'789}};
  ::utimensat(AT_FDCWD, at("empty").c_str(), times, 0);
  ::utimensat(AT_FDCWD, at("dangling").c_str(), times, AT_SYMLINK_NOFOLLOW);
  ::utimensat(AT_FDCWD, source_.c_str(), times, 0);
  const OpenResult result = round_trip();
  EXPECT_EQ(result.directories, 6);
  EXPECT_EQ(result.symlinks, 5);
  EXPECT_EQ(result.links, 2);
  EXPECT_TRUE(failed_.empty());
  struct stat a {
  }, z{};
  ::stat((out_ + "/src/a").c_str(), &a);
  ::stat((out_ + "/src/z").c_str(), &z);
  EXPECT_EQ(a.st_ino, z.st_ino);
  EXPECT_EQ(a.st_nlink, 3u);
}

TEST_F(Trees, OwnersAndSetIdBitsAsRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  write("home/tanaka/a");
  write("home/tanaka/b");
  write("home/sato/c");
  write("suid", "x", 0755);
  symlink("a", "home/tanaka/l");
  for (const char* n : {"home/tanaka", "home/tanaka/a", "home/tanaka/b", "home/tanaka/l"})
    ASSERT_EQ(::lchown(at(n).c_str(), 54321, 54322), 0);
  ASSERT_EQ(::lchown(at("home/sato/c").c_str(), 7, 8), 0);
  ASSERT_EQ(::lchown(at("suid").c_str(), 9, 9), 0);
  ::chmod(at("suid").c_str(), 06755);
  round_trip();
  struct stat st {};
  ASSERT_EQ(::stat((out_ + "/src/suid").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 06755u);
  EXPECT_EQ(st.st_uid, 9u);
}

TEST_F(Trees, ExtendedAttributes) {
  write("a", "x", 0444);
  make_directories(at("d"));
  if (::setxattr(at("a").c_str(), "user.check", "\0\xff", 2, 0) != 0) GTEST_SKIP() << "none here";
  ASSERT_EQ(::setxattr(at("d").c_str(), "user.d", "", 0, 0), 0);
  round_trip();
  char value[10];
  EXPECT_EQ(::getxattr((out_ + "/src/a").c_str(), "user.check", value, 10), 2);
}

TEST_F(Trees, WhatIsNoFileIsSkippedAndWhatCannotBeReadIsSaid) {
  write("a");
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
  const Fd s(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", at("sock").c_str());
  ASSERT_EQ(::bind(s.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  read();
  EXPECT_EQ(skipped_, (std::map<std::string, std::string>{{at("fifo"), "a FIFO"}, {at("sock"), "a socket"}}));
  EXPECT_EQ(names(), std::vector<std::string>{"src/a"});
  read(dir_ / "missing");
  ASSERT_EQ(failed_.size(), 1u);
  EXPECT_EQ(failed_.begin()->second.code(), Code::not_found);
  symlink("src", "../sym");
  read(dir_ / "sym");
  ASSERT_EQ(failed_.size(), 1u);
  EXPECT_TRUE(files_.empty());
}

TEST_F(Trees, TenThousandLevels) {
  if (::access("/dev/shm", W_OK) == 0) {  // a disk takes a minute
    char name[] = "/dev/shm/kesu-tree-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    source_ = path_join(name, "src");
    out_ = path_join(name, "out");
    make_directories(source_);
    make_directories(out_);
    shm_ = name;
  }
  Fd at(::open(source_.c_str(), O_RDONLY | O_DIRECTORY));
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_EQ(::mkdirat(at.get(), "d", 0755), 0);
    if (i % 100 == 0) Fd(::openat(at.get(), "e", O_CREAT | O_WRONLY, 0644));
    at = Fd(::openat(at.get(), "d", O_RDONLY | O_DIRECTORY));
  }
  ASSERT_EQ(::write(Fd(::openat(at.get(), "bottom", O_CREAT | O_WRONLY, 0644)).get(), "here", 4), 4);
  at = Fd();
  const OpenResult result = round_trip();
  EXPECT_EQ(result.directories, 10'001);
  EXPECT_EQ(files_.size(), 101u);
  EXPECT_EQ(files_.front().size, 4u);
}

TEST_F(Trees, ALinkInTheWayIsNotFollowed) {
  make_directories(dir_ / "elsewhere");
  write("d/e/f");
  symlink("x", "d/e/l");
  const TreeRead tree = read();
  files_.clear();  // only what the manifest makes
  make_directories(out_ + "/src");
  ASSERT_EQ(::symlink((dir_ / "elsewhere").c_str(), (out_ + "/src/d").c_str()), 0);
  const OpenResult result = restore(tree);
  EXPECT_FALSE(result.failed.empty());
  EXPECT_TRUE(list_directory(dir_ / "elsewhere").empty());
}

// Through a manifest that lies: a symbolic link, then a directory of that name; a hard link to what a link
// leads to.
TEST_F(Trees, NothingIsWrittenThroughARestoredLink) {
  make_directories(dir_ / "elsewhere");
  write_file_durable(dir_ / "elsewhere/secret", as_bytes("s"));
  const std::string header = R"({"format":"kesu-tree-v1","owner":{"gid":0,"uid":0},"root":"src"})"
                             "\n"
                             R"({"depth":0,"mode":493,"mtime":[0,0],"name":"","type":"directory"})"
                             "\n";
  const std::string target = dir_ / "elsewhere";
  OpenedNames opened;
  opened.sort();
  // The reader has no row below a symbolic link.
  OpenResult result;
  EXPECT_THROW(restore(as_bytes(header + R"({"depth":1,"mtime":[0,0],"name":"a","target":")" + target +
                                R"(","type":"symlink"})"
                                "\n"
                                R"({"depth":2,"mode":511,"mtime":[0,0],"name":"secret","type":"directory"})"
                                "\n"),
                       opened, result),
               Error);
  // Names through a link are refused below it, too; another name for a link is not made.
  OpenResult second;
  restore(as_bytes(header + R"({"depth":1,"mtime":[0,0],"name":"a","target":")" + target +
                   R"(","type":"symlink"})"
                   "\n"
                   R"({"depth":1,"name":"b","target":"a/secret","type":"link"})"
                   "\n"
                   R"({"depth":1,"name":"c","target":"a","type":"link"})"
                   "\n"),
          opened, second);
  EXPECT_EQ(second.links, 0);
  EXPECT_EQ(second.failed.size(), 2u);
  EXPECT_FALSE(exists(out_ + "/src/b"));
  EXPECT_EQ(list_directory(target), std::vector<std::string>{"secret"});
}

TEST_F(Trees, WhatIsThereIsKeptUnlessForced) {
  symlink("new", "l");
  make_directories(at("d"));
  const TreeRead tree = read();
  make_directories(out_ + "/src");
  ASSERT_EQ(::symlink("old", (out_ + "/src/l").c_str()), 0);
  write_file_durable(out_ + "/src/d", as_bytes("a file"));
  OpenResult result = restore(tree);
  ASSERT_EQ(result.failed.size(), 2u);
  EXPECT_EQ(result.failed[0].code, Code::already_exists);
  EXPECT_EQ(read_file(out_ + "/src/d").size(), 6u);
  result = restore(tree, true);
  EXPECT_EQ(result.failed.size(), 1u) << "a file is never replaced by a directory";
  ASSERT_EQ(::unlink((out_ + "/src/d").c_str()), 0);
  result = restore(tree);
  EXPECT_TRUE(result.failed.empty());
  result = restore(tree);  // all is as it should be: nothing is in the way
  EXPECT_TRUE(result.failed.empty());
}

TEST_F(Trees, APartSaysNothingFalse) {
  write("a");
  ASSERT_EQ(::link(at("a").c_str(), at("b").c_str()), 0);
  const TreeRead tree = read();
  files_.clear();
  const OpenResult result = restore(tree);
  EXPECT_TRUE(result.failed.empty());
  EXPECT_EQ(result.links, 0);
  ASSERT_EQ(result.notes.size(), 1u);
  EXPECT_NE(result.notes[0].find("1 hard link of src not made"), std::string::npos) << result.notes[0];
}

TEST_F(Trees, Patterns) {
  const auto matches = [](const char* pattern, const char* name, bool directory = false) {
    return Glob(pattern).matches(name, directory);
  };
  EXPECT_TRUE(matches("*.csv", "a/b/c.csv"));
  EXPECT_FALSE(matches("*.csv", "a.csv/b"));
  EXPECT_TRUE(matches("a/*.csv", "a/c.csv"));
  EXPECT_FALSE(matches("a/*.csv", "a/b/c.csv"));
  EXPECT_FALSE(matches("a/*.csv", "x/a/c.csv"));
  EXPECT_TRUE(matches("/c.csv", "c.csv"));
  EXPECT_FALSE(matches("/c.csv", "a/c.csv"));
  EXPECT_TRUE(matches("a/**", "a/b/c"));
  EXPECT_FALSE(matches("a/**", "a"));
  EXPECT_TRUE(matches("**/c", "c"));
  EXPECT_TRUE(matches("**/c", "a/b/c"));
  EXPECT_FALSE(matches("**/c", "a/bc"));
  EXPECT_TRUE(matches("a/**/c", "a/c"));
  EXPECT_TRUE(matches("a/**/c", "a/b/b/c"));
  EXPECT_FALSE(matches("a/**/c", "ac"));
  EXPECT_TRUE(matches("cache/", "x/cache", true));
  EXPECT_FALSE(matches("cache/", "x/cache", false));
  EXPECT_TRUE(matches("?", "語"));
  EXPECT_TRUE(matches("?", "\xff"));
  EXPECT_TRUE(matches("[あ-ん]", "か"));
  EXPECT_FALSE(matches("[!a-c]", "b"));
  EXPECT_TRUE(matches("[]]", "]"));
  EXPECT_TRUE(matches("\\*", "*"));
  EXPECT_FALSE(matches("\\*", "a"));
  EXPECT_TRUE(matches("[a\\-z]", "-"));
  EXPECT_FALSE(matches("[a\\-z]", "m"));
  for (const char* bad : {"", "/", "[", "[a", "a\\", "[z-a]"}) EXPECT_THROW(Glob{bad}, Error) << bad;
  std::string slow;
  for (int i = 0; i < 200; ++i) slow += "*a";
  EXPECT_FALSE(Glob(slow).matches(std::string(20'000, 'a') + "b", false));
}

TEST_F(Trees, PatternsAndListsSelect) {
  write("a.csv");
  write("a.txt");
  write("cache/x.csv");
  write("sub/b.csv");
  write("sub/deep/c.csv");
  make_directories(at("empty"));
  Selection s;
  s.include("*.csv");
  s.exclude("cache/");
  const auto of = [&](const Selection& selection, std::vector<std::string>* directories = nullptr) {
    const TreeRead tree = read(selection);
    if (directories && tree.manifest)
      for (const TreeRow& row : rows(tree)) directories->push_back(row.name);
    return names();
  };
  std::vector<std::string> directories;
  EXPECT_EQ(of(s, &directories),
            (std::vector<std::string>{"src/a.csv", "src/sub/b.csv", "src/sub/deep/c.csv"}));
  EXPECT_EQ(directories, (std::vector<std::string>{"", "sub", "sub/deep"}));

  Selection list;
  list.only("sub/deep\n./a.txt\nnot/there\n\nsub/b.csv/x\nempty/\n", false);
  directories.clear();
  EXPECT_EQ(of(list, &directories), (std::vector<std::string>{"src/a.txt", "src/sub/deep/c.csv"}));
  EXPECT_EQ(directories, (std::vector<std::string>{"", "empty", "sub", "sub/deep"}));
  ASSERT_EQ(failed_.size(), 2u);
  EXPECT_EQ(failed_.at(at("not/there")).code(), Code::not_found);
  EXPECT_EQ(failed_.count(at("sub/b.csv/x")), 1u);

  Selection null, none;
  null.only(std::string_view("sub\0a.csv\0", 10), true);
  EXPECT_EQ(of(null).size(), 3u);
  Selection carriage_return;
  carriage_return.only("a\r\nb\n", false);
  EXPECT_EQ(*carriage_return.names(), (std::vector<std::string>{"a\r", "b"}));
  none.only("", false);
  EXPECT_TRUE(of(none).empty());
  EXPECT_FALSE(read(none).manifest);
  for (const char* bad : {"/etc", "../x", "a/../b", "a\r\n\r\nb\r\n", "a\r"})
    EXPECT_THROW(Selection().only(bad, false), Error) << bad;
}

TEST_F(Trees, AnotherFileInItsPlaceIsNotOpened) {
  write("a");
  read();
  const TreeFile found = files_.at(0);
  write("b", "other");
  ASSERT_EQ(::rename(at("b").c_str(), at("a").c_str()), 0);
  try {
    TreeOpener(source_).open(found);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::conflict);
  }
}

TEST_F(Trees, OneOwnerOneSmallManifest) {
  for (int i = 0; i < 3000; ++i) write("f" + std::to_string(i), "");
  const TreeRead tree = read();
  EXPECT_EQ(files_.size(), 3000u);
  EXPECT_LT(tree.manifest->bytes(), 400u);
}

}  // namespace
}  // namespace kesu
