// Measures sealing against a bare loop of the same calls (pread, EVP, pwrite) with the same chunk, from one
// file to /dev/null: what the format costs, with and without the payload bound. Also opening, and many small
// objects. Not a test. Usage: seal_bench DIRECTORY [MIB [CHUNK_KIB]]     (DIRECTORY best on tmpfs: it gets
// one source file)
#include <fcntl.h>
#include <openssl/evp.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "crypto/random.h"
#include "seal/files.h"

namespace {

using namespace kesu;

double now(clockid_t clock) {
  timespec t{};
  ::clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// Best of several rounds: other load on the machine only ever adds.
struct Cost {
  double wall = 1e9, cpu = 1e9;
  void measure(const std::function<void()>& work) {
    const double wall0 = now(CLOCK_MONOTONIC), cpu0 = now(CLOCK_PROCESS_CPUTIME_ID);
    work();
    wall = std::min(wall, now(CLOCK_MONOTONIC) - wall0);
    cpu = std::min(cpu, now(CLOCK_PROCESS_CPUTIME_ID) - cpu0);
  }
};

void must(bool good, const char* what) {
  if (good) return;
  std::perror(what);
  std::exit(1);
}

void bare_loop(int in, int out, uint32_t chunk) {
  std::vector<uint8_t> plain(chunk), sealed(chunk + kTagBytes);
  uint8_t key[32] = {1}, nonce[12] = {};
  EVP_CIPHER_CTX* ctx = EVP_CIPHER_CTX_new();
  must(EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), nullptr, key, nullptr) == 1, "EVP");
  off_t from = 0, to = 0;
  for (uint64_t index = 0;; ++index) {
    const ssize_t n = ::pread(in, plain.data(), chunk, from);
    must(n >= 0, "pread");
    if (n == 0) break;
    std::memcpy(nonce, &index, sizeof index);
    int size = 0, none = 0;
    must(EVP_EncryptInit_ex(ctx, nullptr, nullptr, nullptr, nonce) == 1 &&
             EVP_EncryptUpdate(ctx, sealed.data(), &size, plain.data(), static_cast<int>(n)) == 1 &&
             EVP_EncryptFinal_ex(ctx, sealed.data() + size, &none) == 1 &&
             EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, kTagBytes, sealed.data() + size) == 1,
         "EVP");
    must(::pwrite(out, sealed.data(), static_cast<size_t>(size) + kTagBytes, to) > 0, "pwrite");
    from += n;
    to += size + static_cast<off_t>(kTagBytes);
  }
  EVP_CIPHER_CTX_free(ctx);
}

WrappedKey no_wrap(const Secret&, ByteView) { return {WrapAlg::aes256_gcm, Bytes(12), Bytes(80)}; }

SealRequest request_with(uint32_t chunk, bool bind) {
  SealRequest r;
  r.object = system_random().id<ObjectId>();
  r.version = {system_random().id<KeyId>(), 1};
  r.chunk = chunk;
  r.bind_payload = bind;
  r.metadata.name = "bench";
  return r;
}

SealedObject seal(int in, int out, uint32_t chunk, bool bind) {
  FdSource source(in);
  return seal_object(
      request_with(chunk, bind), std::ref(source),
      [&](uint64_t at, ByteView b) {
        must(::pwrite(out, b.data(), b.size(), static_cast<off_t>(at)) > 0, "pwrite");
      },
      no_wrap, system_random());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: seal_bench DIRECTORY [MIB [CHUNK_KIB]]\n");
    return 2;
  }
  const uint64_t mib = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1024;
  const uint32_t chunk =
      argc > 3 ? static_cast<uint32_t>(std::strtoul(argv[3], nullptr, 10)) * 1024 : kDefaultChunk;
  const std::string path = path_join(argv[1], "seal_bench.source");
  const Fd in(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  must(in.ok(), path.c_str());
  ::unlink(path.c_str());
  const Bytes block = system_random().bytes(1 << 20);
  for (uint64_t i = 0; i < mib; ++i) write_all(in.get(), block, path);
  const Fd out(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  must(out.ok(), "/dev/null");

  Cost bare, plain, bound;
  for (int round = 0; round < 5; ++round) {
    bare.measure([&] { bare_loop(in.get(), out.get(), chunk); });
    plain.measure([&] { seal(in.get(), out.get(), chunk, false); });
    bound.measure([&] { seal(in.get(), out.get(), chunk, true); });
  }
  const auto row = [&](const char* name, const Cost& c) {
    std::printf("%-22s %7.2f GiB/s wall  %7.2f GiB/s cpu  x %.3f of the bare loop's cpu time\n", name,
                static_cast<double>(mib) / 1024 / c.wall, static_cast<double>(mib) / 1024 / c.cpu,
                c.cpu / bare.cpu);
  };
  std::printf("%llu MiB, chunks of %u KiB, AES-256-GCM\n", static_cast<unsigned long long>(mib),
              chunk / 1024);
  row("bare loop", bare);
  row("seal", plain);
  row("seal, payload bound", bound);

  constexpr int kSmall = 20'000;
  Cost small;
  Bytes content = system_random().bytes(4096);
  for (int round = 0; round < 3; ++round) {
    small.measure([&] {
      for (int i = 0; i < kSmall; ++i) {
        size_t at = 0;
        seal_object(
            request_with(chunk, true),
            [&](std::span<uint8_t> to) {
              const size_t n = std::min(to.size(), content.size() - at);
              std::copy_n(content.begin() + at, n, to.begin());
              at += n;
              return n;
            },
            [](uint64_t, ByteView) {}, no_wrap, system_random());
      }
    });
  }
  std::printf("objects of 4 KiB, bound  %.1f us cpu each, without wrapping and files\n",
              small.cpu / kSmall * 1e6);
  return 0;
}
