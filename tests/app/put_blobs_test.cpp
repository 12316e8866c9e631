// Evidence put at the same time: each is there, each digest is its own, a failure is told.
#include "app/put_blobs.h"

#include "../store/store_fixture.h"

namespace kesu {
namespace {

class PutBlobs : public StoreTest {};

TEST_F(PutBlobs, EachIsThereUnderItsDigest) {
  auto store = create();
  std::vector<Bytes> contents;
  for (size_t i = 0; i < 20; ++i) contents.emplace_back(1 + 5000 * (i % 7), static_cast<uint8_t>(i));
  contents.push_back(contents.front());  // the same twice, at the same time
  const std::vector<std::string> digests = put_blobs(*store, {contents.begin(), contents.end()});
  ASSERT_EQ(digests.size(), contents.size());
  for (size_t i = 0; i < contents.size(); ++i) {
    EXPECT_EQ(digests[i], hex(sha256(contents[i])));
    EXPECT_EQ(store->blob(digests[i]), contents[i]);
  }
  // Nothing but them is in the directory.
  EXPECT_EQ(list_directory(path_join(vault, "evidence")).size(), 20u);
  EXPECT_TRUE(put_blobs(*store, {}).empty());
}

TEST_F(PutBlobs, AFailureIsTold) {
  auto store = create();
  const Bytes good(100, 1), bad(100, 2);
  // In the way of its name: a directory.
  std::filesystem::create_directory(path_join(path_join(vault, "evidence"), hex(sha256(bad))));
  for (bool first : {true, false}) {
    const std::vector<ByteView> contents =
        first ? std::vector<ByteView>{bad, good} : std::vector<ByteView>{good, bad};
    EXPECT_THROW(put_blobs(*store, contents), Error);
    EXPECT_EQ(store->blob(hex(sha256(good))), good);
  }
}

}  // namespace
}  // namespace kesu
