// Sealing and opening by several threads, for its tests: a source, a directory for what is opened, a crew.
#pragma once
#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include "seal/files.h"
#include "support.h"

namespace kesu {
namespace test {

constexpr size_t kMiB = 1 << 20;

class Parallel : public testing::Test {
 protected:
  Parallel() : keys_(random_) {
    version_ = keys_.make({random_.id<KeyId>(), 1});
    request_ = request_for(random_, version_);
    make_directories(out_);
  }
  std::string write(std::string_view name, ByteView content) {
    const std::string path = dir_ / name;
    Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    write_all(fd.get(), content, path);
    return path;
  }
  SealedFile seal(const std::string& source, Crew& crew, Random& random) {
    const Fd fd(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
    return seal_file_to(request_, fd.get(), dir_.path(), keys_.wrap(version_), random, crew);
  }
  OpenedFile open(const std::string& sealed, Crew& crew, const OpenFileOptions& options = {}) {
    return open_to_file(
        sealed, keys_.unwrap(), [&](const Metadata&) { return path_join(out_, "back"); }, crew, options);
  }
  // Gives the message's end and the code of the Error that opening ends with; nothing may be left then.
  std::string failure(const std::string& sealed, Crew& crew) {
    try {
      open(sealed, crew);
    } catch (const Error& e) {
      EXPECT_TRUE(list_directory(out_).empty());
      return std::string(code_text(e.code())) + e.message().substr(e.message().rfind(':') + 1);
    }
    return "opened";
  }

  FixedRandom random_{"parallel"};
  TempDir dir_;
  std::string out_ = dir_ / "out";
  Keys keys_;
  VersionRef version_;
  SealRequest request_;
};

}  // namespace test
}  // namespace kesu
