// Sealing and opening by several threads: the same bytes whatever their number, the same error, nothing left.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

#include "parallel_fixture.h"

namespace kesu {
namespace {
using namespace test;

TEST_F(Parallel, TheSameObjectWhateverTheCrew) {
  const size_t size = 3 * kMiB + 12345;
  const Bytes plain = pattern(size);
  const std::string source = write("source", plain);
  for (const AeadAlg algorithm :
       {AeadAlg::aes256_gcm, AeadAlg::chacha20_poly1305, AeadAlg::camellia256_gcm, AeadAlg::aes128_gcm}) {
    for (const uint32_t chunk : {kMinChunk, 64u * 1024, kDefaultChunk, 1u << 20}) {
      request_.algorithm = algorithm;
      request_.chunk = chunk;
      Bytes first;
      for (const unsigned threads : {1u, 2u, 5u}) {
        SCOPED_TRACE(testing::Message() << aead_name(algorithm) << " " << chunk << " " << threads);
        Crew crew(threads);
        FixedRandom same("one pass");  // the same data key, only here
        Keys keys(same);
        keys.set(version_, pattern(32, 9));
        const Fd fd(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
        const SealedFile sealed =
            seal_file_to(request_, fd.get(), dir_.path(), keys.wrap(version_), same, crew);
        const Bytes bytes = read_file(sealed.part);
        if (first.empty()) first = bytes;
        ASSERT_TRUE(bytes == first);
        ASSERT_EQ(sealed.object.sealed_bytes, bytes.size());
        ASSERT_EQ(sealed.object.plain_bytes, size);
        ASSERT_EQ(payload_root_of(memory_input(bytes), sealed.object.header, &crew),
                  sealed.object.payload_root);
        ASSERT_EQ(payload_root_of(memory_input(bytes), sealed.object.header), sealed.object.payload_root);
        ASSERT_GT(sealed.object.hash_seconds, 0);
        ASSERT_LT(sealed.object.hash_seconds, sealed.object.total_seconds);

        // The same as a stream, and back in every way.
        {
          FixedRandom third("one pass");
          Keys keys3(third);
          keys3.set(version_, pattern(32, 9));
          Bytes piped;
          const SealedObject object = seal_file_stream(
              request_, fd.get(), [&](ByteView b) { piped.insert(piped.end(), b.begin(), b.end()); },
              keys3.wrap(version_), third, crew);
          ASSERT_TRUE(piped == first);
          ASSERT_EQ(object.plain_bytes, size);
          ASSERT_EQ(object.leaf, sealed.object.leaf);
        }
        FixedRandom again("one pass");
        Keys keys2(again);
        keys2.set(version_, pattern(32, 9));
        SealRequest request = request_;
        request.metadata.mode = sealed.source.mode;
        request.metadata.mtime = sealed.source.mtime;
        request.metadata.size = size;
        Bytes streamed;
        const SealedObject object = seal_stream(
            request, memory_source(plain, 77'777),
            [&](ByteView b) { streamed.insert(streamed.end(), b.begin(), b.end()); }, keys2.wrap(version_),
            again, &crew);
        ASSERT_TRUE(streamed == first);
        ASSERT_EQ(object.leaf, sealed.object.leaf);
        ASSERT_EQ(object.sealed_bytes, first.size());

        const auto to = [&](const Metadata&) { return path_join(out_, "back"); };
        open_to_file(sealed.part, keys.unwrap(), to, crew, {.replace = true, .durable = false});
        ASSERT_TRUE(read_file(path_join(out_, "back")) == plain);
        for (const bool stream : {false, true}) {
          Bytes got;
          const auto sink = [&](ByteView b) { got.insert(got.end(), b.begin(), b.end()); };
          const auto begin = [](const Metadata&) {};
          const OpenedObject opened =
              stream ? open_stream(memory_source(bytes, 99'999), keys.unwrap(), begin, sink, &crew)
                     : open_object(memory_input(bytes), keys.unwrap(), begin, sink, &crew);
          ASSERT_TRUE(got == plain) << stream;
          ASSERT_EQ(opened.plain_bytes, size);
        }
        ASSERT_EQ(::unlink(sealed.part.c_str()), 0);
      }
    }
  }
}

TEST_F(Parallel, EverySizeAtTheEdgesOfRuns) {
  Crew crew(3);
  for (const uint32_t chunk : {kMinChunk, kDefaultChunk}) {
    request_.chunk = chunk;
    for (const size_t base : {size_t{0}, size_t{kDefaultChunk}, kMiB, 2 * kMiB}) {
      for (const int more : {-1, 0, 1}) {
        if (base == 0 && more < 0) continue;
        const Bytes plain = pattern(base + static_cast<size_t>(more));
        for (const bool known : {true, false}) {
          request_.metadata.size = known ? std::optional<uint64_t>(plain.size()) : std::nullopt;
          Bytes sealed;
          const SealedObject object = seal_stream(
              request_, memory_source(plain),
              [&](ByteView b) { sealed.insert(sealed.end(), b.begin(), b.end()); }, keys_.wrap(version_),
              random_, &crew);
          ASSERT_EQ(sealed.size(), sealed_size(object.header, plain.size()));
          Bytes got;
          open_stream(
              memory_source(sealed), keys_.unwrap(), [](const Metadata&) {},
              [&](ByteView b) { got.insert(got.end(), b.begin(), b.end()); }, &crew);
          ASSERT_TRUE(got == plain) << plain.size();
        }
      }
    }
  }
}

// Whatever was cut off or put on, the stream ends in an error, and what left before it was genuine.
TEST_F(Parallel, AStreamThatIsCutOrLengthened) {
  Crew crew(3);
  for (const bool known : {true, false}) {
    for (const size_t size : {size_t{0}, size_t{1}, size_t{kMinChunk}, 2 * kMiB, 2 * kMiB + 5}) {
      const Bytes plain = pattern(size);
      request_.metadata.size = known ? std::optional<uint64_t>(size) : std::nullopt;
      const Bytes sealed = seal_bytes(request_, plain, keys_, random_);
      const size_t whole = kMinChunk + kTagBytes, payload = kRegionBytes + 272;
      std::set<size_t> lengths{0,
                               1,
                               4095,
                               4096,
                               4097,
                               payload - 1,
                               payload,
                               payload + 1,
                               payload + 15,
                               payload + 16,
                               payload + 17,
                               payload + 16 * whole,
                               payload + 16 * whole + 1,
                               payload + 16 * whole + 16,
                               payload + 17 * whole};
      for (size_t less = 1; less < 36; ++less) lengths.insert(sealed.size() - less);
      for (const size_t more : {size_t{1}, size_t{15}, size_t{16}, size_t{17}, whole, 16 * whole})
        lengths.insert(sealed.size() + more);
      for (const size_t length : lengths) {
        if (length == sealed.size()) continue;
        Bytes bad = sealed;
        bad.resize(length);
        Bytes got;
        const auto act = [&] {
          open_stream(
              memory_source(bad), keys_.unwrap(), [](const Metadata&) {},
              [&](ByteView b) { got.insert(got.end(), b.begin(), b.end()); }, &crew);
        };
        ASSERT_EQ(code_of(act), Code::sealed_damaged) << size << " at " << length;
        ASSERT_LE(got.size(), plain.size());
        ASSERT_TRUE(std::equal(got.begin(), got.end(), plain.begin()));
      }
    }
  }
}

TEST_F(Parallel, TheFirstDamagedChunkIsTheOneNamed) {
  const SealedFile sealed = [&] {
    Crew crew(2);
    return seal(write("source", pattern(4 * kMiB)), crew, random_);
  }();
  const Bytes whole = read_file(sealed.part);
  const size_t start = kRegionBytes + sealed.object.header.metadata_size, record = kMinChunk + kTagBytes;
  for (const std::vector<size_t>& chunks :
       {std::vector<size_t>{0, 100}, {17, 33, 255}, {31, 32}, {255}, {80, 81, 82, 96, 112, 128}}) {
    Bytes bad = whole;
    for (const size_t i : chunks) bad[start + i * record + 3] ^= 1;
    const std::string path = write("bad", bad);
    for (const unsigned threads : {1u, 2u, 8u}) {
      Crew crew(threads);
      for (int i = 0; i < 10; ++i) {
        ASSERT_EQ(failure(path, crew), "sealed-damaged chunk " + std::to_string(chunks[0])) << threads;
        Bytes got;
        EXPECT_EQ(code_of([&] {
                    open_object(
                        memory_input(bad), keys_.unwrap(), [](const Metadata&) {},
                        [&](ByteView b) { got.insert(got.end(), b.begin(), b.end()); }, &crew);
                  }),
                  Code::sealed_damaged);
        ASSERT_EQ(got.size(), chunks[0] * kMinChunk);
      }
    }
  }
}

TEST_F(Parallel, ASourceThatShrinksUnderTheThreads) {
  const std::string source = write("source", pattern(8 * kMiB));
  const Fd fd(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
  Crew crew(4);
  const WrapKey wrap = [&](const Secret& key, ByteView aad) {
    EXPECT_EQ(::truncate(source.c_str(), 5 * kMiB + 7), 0);
    return keys_.wrap(version_)(key, aad);
  };
  EXPECT_EQ(code_of([&] { seal_file_to(request_, fd.get(), dir_.path(), wrap, random_, crew); }),
            Code::conflict);
  EXPECT_EQ(list_directory(dir_.path()), (std::vector<std::string>{"out", "source"}));
}

TEST_F(Parallel, AnExceptionInAThreadLeavesTheOthersAndNothing) {
  Crew crew(4);
  std::atomic<int> reads{0};
  const Bytes sealed = seal_bytes(request_, pattern(3 * kMiB), keys_, random_);
  SealedInput in = memory_input(sealed);
  in.read = [&, whole = in.read](uint64_t at, std::span<uint8_t> out) {
    if (++reads == 7) throw Error(Code::io_failed, "a bad sector");
    whole(at, out);
  };
  request_.metadata.size = std::nullopt;
  EXPECT_EQ(code_of([&] {
              open_object(
                  in, keys_.unwrap(), [](const Metadata&) {}, [](ByteView) {}, &crew);
            }),
            Code::io_failed);
  int sinks = 0;
  EXPECT_EQ(code_of([&] {
              seal_stream(
                  request_, memory_source(pattern(3 * kMiB)),
                  [&](ByteView) {
                    if (++sinks == 6) throw Error(Code::io_failed, "nobody reads any more");
                  },
                  keys_.wrap(version_), random_, &crew);
            }),
            Code::io_failed);
  EXPECT_EQ(sinks, 6);
}

TEST_F(Parallel, HolesStayHoles) {
  Crew crew(2);
  for (const uint32_t chunk : {kMinChunk, kDefaultChunk, kMaxChunk}) {
    request_.chunk = chunk;
    request_.object = random_.id<ObjectId>();
    const std::string source = dir_ / "sparse";
    {
      Fd fd(::open(source.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600));
      ASSERT_EQ(::ftruncate(fd.get(), 64 * kMiB + 5), 0);
      // Data over the edge of a block, a block of written zeros, data at the very end of one.
      ASSERT_EQ(::pwrite(fd.get(), "data", 4, 10 * kMiB - 2), 4);
      ASSERT_EQ(::pwrite(fd.get(), Bytes(kMiB).data(), kMiB, 20 * kMiB), static_cast<ssize_t>(kMiB));
      ASSERT_EQ(::pwrite(fd.get(), "x", 1, 30 * kMiB + 65535), 1);
    }
    const SealedFile sealed = seal(source, crew, random_);
    EXPECT_EQ(sealed.object.sealed_bytes, sealed_size(sealed.object.header, 64 * kMiB + 5));
    const OpenedFile opened = open(sealed.part, crew, {.replace = true, .durable = false});
    ASSERT_TRUE(read_file(opened.path) == read_file(source));
    const Fd back(::open(opened.path.c_str(), O_RDONLY));
    struct stat st {};
    ASSERT_EQ(::fstat(back.get(), &st), 0);
    EXPECT_EQ(st.st_size, static_cast<off_t>(64 * kMiB + 5));
    if (::lseek(back.get(), 0, SEEK_HOLE) == st.st_size)
      GTEST_SKIP() << "this file system has no holes: " << opened.path;
    EXPECT_EQ(::lseek(back.get(), 0, SEEK_DATA), static_cast<off_t>(10 * kMiB - 65536));
    EXPECT_EQ(::lseek(back.get(), 10 * kMiB, SEEK_HOLE), static_cast<off_t>(10 * kMiB + 65536));
    EXPECT_EQ(::lseek(back.get(), 11 * kMiB, SEEK_DATA), static_cast<off_t>(30 * kMiB));
    EXPECT_LE(st.st_blocks * 512, static_cast<blkcnt_t>(kMiB));
    ASSERT_EQ(::unlink(sealed.part.c_str()), 0);
  }
}

// Many threads seal at once, each alone and each with a crew: every pass has a data key of its own.
TEST_F(Parallel, NoTwoObjectsShareAKey) {
  std::mutex mutex;
  std::set<Digest32> keys;
  std::set<Bytes> firsts;
  const Bytes plain = pattern(kMiB + 5);
  const WrapKey wrap = [&](const Secret& key, ByteView) {
    std::lock_guard lock(mutex);
    EXPECT_TRUE(keys.insert(sha256(key.reveal())).second);
    return WrappedKey{WrapAlg::aes256_gcm, Bytes(12), Bytes(80)};
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        Crew crew(i % 3 + 1);
        Bytes start;
        seal_stream(
            request_, memory_source(plain),
            [&](ByteView b) {
              if (start.size() < 9000) start.insert(start.end(), b.begin(), b.end());
            },
            wrap, system_random(), &crew);
        std::lock_guard lock(mutex);
        start.resize(9000);
        EXPECT_TRUE(firsts.emplace(start.begin() + kRegionBytes + 272, start.end()).second);
      }
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(keys.size(), 100u);
  EXPECT_EQ(firsts.size(), 100u);
}

}  // namespace
}  // namespace kesu
