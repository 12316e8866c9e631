// Sealing and opening real files.
#include "seal/files.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"

namespace kesu {
namespace {
using namespace test;

class Files : public testing::Test {
 protected:
  Files() {
    version_ = keys_.make({system_random().id<KeyId>(), 1});
    request_ = request_for(system_random(), version_);
    make_directories(dir_ / "out");
    out_ = dir_ / "out";
  }

  std::string write(std::string_view name, ByteView content) {
    write_file_durable(dir_ / name, content);
    return dir_ / name;
  }
  SealedFile seal(const std::string& source) {
    const Fd fd(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
    return seal_file_to(request_, fd.get(), dir_.path(), keys_.wrap(version_), system_random(), crew_);
  }
  std::string seal_and_publish(const std::string& source) {
    const SealedFile sealed = seal(source);
    publish(sealed.part, dir_ / "object.kesu");
    return dir_ / "object.kesu";
  }
  std::function<std::string(const Metadata&)> to(const std::string& path) {
    return [path](const Metadata&) { return path; };
  }
  std::vector<std::string> in_out() { return list_directory(out_); }

  TempDir dir_;
  std::string out_;
  Keys keys_;
  VersionRef version_;
  SealRequest request_;
  Crew crew_{1};
};

TEST_F(Files, RoundTripKeepsContentModeAndTime) {
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{kMinChunk}, size_t{3 * kMinChunk + 5}, size_t{3 << 20}}) {
    const Bytes content = pattern(size);
    const std::string source = write("source", content);
    ::chmod(source.c_str(), 0640);
    const timespec times[2] = {{0, UTIME_OMIT}, {1'234'567'890, 987'654'321}};
    ::utimensat(AT_FDCWD, source.c_str(), times, 0);
    request_.object = system_random().id<ObjectId>();

    const SealedFile sealed = seal(source);
    EXPECT_EQ(sealed.part, dir_ / ("." + hex(request_.object.bytes()) + ".kesu-part"));
    struct stat st {};
    ASSERT_EQ(::stat(sealed.part.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0600u);
    EXPECT_EQ(static_cast<uint64_t>(st.st_size), sealed.object.sealed_bytes);
    EXPECT_EQ(sealed.source.size, size);
    EXPECT_EQ(sealed.source.mode, 0640u);
    publish(sealed.part, dir_ / "object.kesu");
    EXPECT_FALSE(exists(sealed.part));

    const std::string destination = path_join(out_, "back" + std::to_string(size));
    const OpenedFile opened = open_to_file(dir_ / "object.kesu", keys_.unwrap(), to(destination), crew_);
    EXPECT_EQ(opened.path, destination);
    EXPECT_EQ(opened.object.metadata.size, size);
    EXPECT_EQ(read_file(destination), content);
    ASSERT_EQ(::stat(destination.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0640u);
    EXPECT_EQ(st.st_mtim.tv_sec, 1'234'567'890);
    EXPECT_EQ(st.st_mtim.tv_nsec, 987'654'321);
  }
  EXPECT_EQ(in_out().size(), 5u);
}

TEST_F(Files, SetIdBitsAreNotRestored) {
  const std::string source = write("source", pattern(3));
  ::chmod(source.c_str(), 06755);
  const OpenedFile opened =
      open_to_file(seal_and_publish(source), keys_.unwrap(), to(path_join(out_, "a")), crew_);
  struct stat st {};
  ASSERT_EQ(::stat(opened.path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0755u);
  EXPECT_EQ(opened.object.metadata.mode, 06755u);
}

TEST_F(Files, APipeHasNoSize) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const Bytes content = pattern(5000);
  write_all(ends[1], content, "pipe");
  ::close(ends[1]);
  const Fd reader(ends[0]);
  const SealedFile sealed =
      seal_file_to(request_, reader.get(), dir_.path(), keys_.wrap(version_), system_random(), crew_);
  EXPECT_EQ(sealed.source.size, 5000u);
  const OpenedFile opened = open_to_file(sealed.part, keys_.unwrap(), to(path_join(out_, "a")), crew_);
  EXPECT_FALSE(opened.object.metadata.size);
  EXPECT_EQ(read_file(opened.path), content);
}

// Each change is made after the first bytes were read, as another program would.
TEST_F(Files, ASourceThatChangesMeanwhileLeavesNothing) {
  const Bytes content = pattern(3 * kMinChunk);
  using Change = std::function<void(const std::string&)>;
  const std::vector<std::pair<const char*, Change>> changes = {
      {"grown",
       [](const std::string& p) {
         Fd f(::open(p.c_str(), O_WRONLY | O_APPEND));
         write_all(f.get(), pattern(1), p);
       }},
      {"cut", [](const std::string& p) { ASSERT_EQ(::truncate(p.c_str(), 100), 0); }},
      {"emptied", [](const std::string& p) { ASSERT_EQ(::truncate(p.c_str(), 0), 0); }},
      {"overwritten",
       [](const std::string& p) {
         Fd f(::open(p.c_str(), O_WRONLY));
         write_all(f.get(), pattern(1, 9), p);
       }},
      {"overwritten, time put back",
       [](const std::string& p) {
         struct stat st {};
         ASSERT_EQ(::stat(p.c_str(), &st), 0);
         Fd f(::open(p.c_str(), O_WRONLY));
         write_all(f.get(), pattern(1, 9), p);
         const timespec times[2] = {st.st_atim, st.st_mtim};
         ASSERT_EQ(::futimens(f.get(), times), 0);
       }},
      {"mode", [](const std::string& p) { ASSERT_EQ(::chmod(p.c_str(), 0400), 0); }},
  };
  for (const auto& [what, change] : changes) {
    const std::string source = write("source", content);
    ::usleep(20'000);  // another tick of the file system's clock
    const Fd fd(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
    // The change comes with the wrapping, which lies between the first look at the source and its first byte.
    const WrapKey wrap = [&](const Secret& key, ByteView aad) {
      change(source);
      return keys_.wrap(version_)(key, aad);
    };
    EXPECT_EQ(code_of([&] { seal_file_to(request_, fd.get(), dir_.path(), wrap, system_random(), crew_); }),
              Code::conflict)
        << what;
    EXPECT_EQ(list_directory(dir_.path()), (std::vector<std::string>{"out", "source"})) << what;
    ASSERT_EQ(::unlink(source.c_str()), 0);
  }
}

TEST_F(Files, AFailingWrapLeavesNothing) {
  const Fd fd(::open(write("source", pattern(9)).c_str(), O_RDONLY | O_CLOEXEC));
  const WrapKey wrap = [](const Secret&, ByteView) -> WrappedKey { throw Error(Code::session_lost, "gone"); };
  EXPECT_EQ(code_of([&] { seal_file_to(request_, fd.get(), dir_.path(), wrap, system_random(), crew_); }),
            Code::session_lost);
  EXPECT_EQ(list_directory(dir_.path()), (std::vector<std::string>{"out", "source"}));
}

TEST_F(Files, PartFilesAreNeitherReplacedNorFollowed) {
  const std::string source = write("source", pattern(9)), victim = write("victim", pattern(4));
  const std::string part = part_path(dir_.path(), request_.object);
  ASSERT_EQ(::symlink(victim.c_str(), part.c_str()), 0);
  EXPECT_EQ(code_of([&] { seal(source); }), Code::already_exists);
  EXPECT_EQ(read_file(victim), pattern(4));
  EXPECT_TRUE(exists(part));  // not ours, not removed
}

TEST_F(Files, AnUnfinishedPartFileHasNoHeader) {
  const SealedFile sealed = seal(write("source", pattern(2 * kMinChunk)));
  Bytes bytes = read_file(sealed.part);
  std::fill_n(bytes.begin(), kRegionBytes, uint8_t{0});
  write_file_durable(sealed.part, bytes);
  const Fd fd(::open(sealed.part.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(code_of([&] { inspect_object(file_input(fd.get())); }), Code::sealed_damaged);
}

TEST_F(Files, PublishRefusesOrReplaces) {
  const SealedFile sealed = seal(write("source", pattern(9)));
  const std::string there = write("there", pattern(1));
  EXPECT_EQ(code_of([&] { publish(sealed.part, there, false); }), Code::already_exists);
  EXPECT_EQ(read_file(there), pattern(1));
  publish(sealed.part, there);
  EXPECT_EQ(read_file(there).size(), sealed.object.sealed_bytes);
  publish(there, dir_ / "new", false);
  EXPECT_FALSE(exists(there));
}

TEST_F(Files, ADamagedObjectLeavesNoPlaintext) {
  const std::string path = seal_and_publish(write("source", pattern(3 * kMinChunk + 5)));
  const Bytes whole = read_file(path);
  const std::string destination = path_join(out_, "a");
  // First, middle and last record; header; every one of these under a name that exists afterwards only if it
  // opened.
  for (const size_t at : {size_t{0}, size_t{100}, size_t{1500}, size_t{4100}, size_t{4400},
                          size_t{4400} + kMinChunk, whole.size() - 1}) {
    Bytes bad = whole;
    bad[at] ^= 4;
    write_file_durable(path, bad);
    EXPECT_EQ(code_of([&] { open_to_file(path, keys_.unwrap(), to(destination), crew_); }),
              Code::sealed_damaged)
        << at;
    EXPECT_TRUE(in_out().empty()) << at;
  }
  for (const size_t size : {size_t{0}, size_t{4095}, size_t{4096}, whole.size() - 1, whole.size() - 21}) {
    write_file_durable(path, ByteView(whole).first(size));
    EXPECT_EQ(code_of([&] { open_to_file(path, keys_.unwrap(), to(destination), crew_); }),
              Code::sealed_damaged)
        << size;
    EXPECT_TRUE(in_out().empty()) << size;
  }
  write_file_durable(path, whole);
  open_to_file(path, keys_.unwrap(), to(destination), crew_);
  EXPECT_EQ(in_out(), std::vector<std::string>{"a"});
}

// A write over a damaged object with `replace` keeps what was there.
TEST_F(Files, AnExistingDestination) {
  const std::string path = seal_and_publish(write("source", pattern(100)));
  const std::string destination = path_join(out_, "a");
  write_file_durable(destination, pattern(7));
  EXPECT_EQ(code_of([&] { open_to_file(path, keys_.unwrap(), to(destination), crew_); }),
            Code::already_exists);
  EXPECT_EQ(read_file(destination), pattern(7));
  const Bytes whole = read_file(path);
  Bytes bad = whole;
  bad.back() ^= 1;
  write_file_durable(path, bad);
  EXPECT_EQ(code_of([&] { open_to_file(path, keys_.unwrap(), to(destination), crew_, {.replace = true}); }),
            Code::sealed_damaged);
  EXPECT_EQ(read_file(destination), pattern(7));
  write_file_durable(path, whole);
  open_to_file(path, keys_.unwrap(), to(destination), crew_, {.replace = true, .durable = false});
  EXPECT_EQ(read_file(destination), pattern(100));
  EXPECT_EQ(in_out(), std::vector<std::string>{"a"});
}

TEST_F(Files, ADanglingLinkAtTheDestinationIsNotFollowed) {
  const std::string path = seal_and_publish(write("source", pattern(100)));
  const std::string destination = path_join(out_, "a"), target = dir_ / "elsewhere";
  ASSERT_EQ(::symlink(target.c_str(), destination.c_str()), 0);
  EXPECT_EQ(code_of([&] { open_to_file(path, keys_.unwrap(), to(destination), crew_); }),
            Code::already_exists);
  open_to_file(path, keys_.unwrap(), to(destination), crew_, {.replace = true});
  EXPECT_FALSE(exists(target));
  EXPECT_EQ(read_file(destination), pattern(100));
}

TEST_F(Files, WhatAKilledOpenLeftIsTakenOverWhatALivingOneHoldsIsNot) {
  const std::string path = seal_and_publish(write("source", pattern(100)));
  const std::string temp = opening_path(out_, request_.object), destination = path_join(out_, "a");
  write_file_durable(temp, pattern(50'000));
  {
    const Fd holder(::open(temp.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(::flock(holder.get(), LOCK_EX | LOCK_NB), 0);
    EXPECT_EQ(code_of([&] { open_to_file(path, keys_.unwrap(), to(destination), crew_); }), Code::conflict);
    EXPECT_TRUE(exists(temp));
  }
  open_to_file(path, keys_.unwrap(), to(destination), crew_);
  EXPECT_EQ(read_file(destination), pattern(100));
  EXPECT_EQ(in_out(), std::vector<std::string>{"a"});

  const std::string victim = write("victim", pattern(4));
  ASSERT_EQ(::symlink(victim.c_str(), temp.c_str()), 0);
  EXPECT_EQ(code_of([&] { open_to_file(path, keys_.unwrap(), to(path_join(out_, "b")), crew_); }),
            Code::io_failed);
  EXPECT_EQ(read_file(victim), pattern(4));
}

TEST_F(Files, AnErrorInTheChoiceSurfaces) {
  const std::string path = seal_and_publish(write("source", pattern(100)));
  const auto choose = [](const Metadata& m) { return safe_relative_path("../" + m.name); };
  EXPECT_EQ(code_of([&] { open_to_file(path, keys_.unwrap(), choose, crew_); }), Code::bad_input);
  EXPECT_EQ(code_of([&] { open_to_file(path, keys_.unwrap(), to(dir_ / "absent/a"), crew_); }),
            Code::not_found);
  EXPECT_EQ(code_of([&] { open_to_file(out_, keys_.unwrap(), to(dir_ / "a"), crew_); }), Code::bad_input);
}

TEST_F(Files, ASlotIsWrittenInPlace) {
  const std::string path = seal_and_publish(write("source", pattern(100)));
  const VersionRef second = keys_.make({version_.key, 2});
  const Bytes before = read_file(path);
  {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    write_slot(path, rewrap_object(file_input(fd.get()), keys_.unwrap(), second, keys_.wrap(second)));
  }
  const Bytes after = read_file(path);
  ASSERT_EQ(after.size(), before.size());
  for (size_t i = 0; i < before.size(); ++i)
    ASSERT_TRUE(before[i] == after[i] || (i >= 2048 && i < 3072)) << i;
  keys_.drop(version_);
  EXPECT_EQ(open_to_file(path, keys_.unwrap(), to(path_join(out_, "a")), crew_).object.version, second);
}

TEST(SafeNames, StayBelow) {
  for (const std::string& good : {std::string("a"), std::string("a/b"), std::string("..a/b.."),
                                  std::string(".hidden"), std::string("\xff/x")})
    EXPECT_EQ(safe_relative_path(good), good);
  for (const std::string& bad :
       {std::string(""), std::string("/a"), std::string("a//b"), std::string("a/"), std::string("."),
        std::string(".."), std::string("a/../b"), std::string("./a"), std::string("a/.."),
        std::string("a\0b", 3), std::string("/")})
    EXPECT_EQ(code_of([&] { safe_relative_path(bad); }), Code::bad_input) << bad;
}

TEST(SafeNames, DestinationsAreNotReachedThroughLinks) {
  TempDir dir;
  make_directories(dir / "out");
  make_directories(dir / "elsewhere");
  const std::string root = dir / "out";
  EXPECT_EQ(safe_destination(root, "a/b/c"), path_join(root, "a/b/c"));
  EXPECT_TRUE(std::filesystem::is_directory(path_join(root, "a/b")));
  EXPECT_FALSE(exists(path_join(root, "a/b/c")));
  ASSERT_EQ(::symlink((dir / "elsewhere").c_str(), path_join(root, "a/link").c_str()), 0);
  EXPECT_EQ(code_of([&] { safe_destination(root, "a/link/c"); }), Code::policy_refused);
  EXPECT_EQ(code_of([&] { safe_destination(root, "a/link/d/c"); }), Code::policy_refused);
  EXPECT_TRUE(list_directory(dir / "elsewhere").empty());
  write_file_durable(path_join(root, "file"), {});
  EXPECT_EQ(code_of([&] { safe_destination(root, "file/c"); }), Code::policy_refused);
  EXPECT_EQ(code_of([&] { safe_destination(root, "../c"); }), Code::bad_input);
}

}  // namespace
}  // namespace kesu
