// How fast bytes are looked through for windows (lib/seal/windows.h) and for kept fingerprints of as many
// blocks (lib/seal/print_index.h), beside bare HMAC-SHA-256 and SHA-256 loops over the same bytes in memory,
// alternating, one thread: scan_bench [MiB] [windows].
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "base/random.h"
#include "crypto/random.h"
#include "seal/print_index.h"
#include "seal/windows.h"

using namespace kesu;

namespace {
template <class F>
double seconds(F work) {
  const auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}
double median(std::vector<double> all) {
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}
}  // namespace

int main(int argc, char** argv) {
  const size_t mib = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 256;
  const size_t count = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1u << 20;
  Random& random = system_random();
  const Secret key = random.secret(kFingerprintKeyBytes);
  Windows windows(key, kMinWindow);
  {
    Windows::Taker taker(windows);
    taker.begin(0);
    for (size_t i = 0; i < count; i += 1024)
      taker.feed(random.bytes(kMinWindow * std::min<size_t>(1024, count - i)));
    taker.end();
  }
  windows.finish();
  Bytes data;
  for (size_t i = 0; i < mib; ++i) {
    const Bytes piece = random.bytes(1u << 20);
    data.insert(data.end(), piece.begin(), piece.end());
  }
  constexpr size_t kPart = 4u << 20;
  size_t found = 0;
  PrintIndex index(key);
  for (size_t i = 0; i < count; i += 1024) {
    std::vector<std::array<uint8_t, 16>> blocks(std::min<size_t>(1024, count - i));
    for (auto& b : blocks) random.fill(b);
    index.add(static_cast<uint32_t>(i), blocks.size() * kFingerprintBlock, blocks, {});
  }
  index.finish();
  std::vector<double> scan, kept, mac, hash;
  for (int round = 0; round < 5; ++round) {
    scan.push_back(seconds([&] {
      Windows::Scanner scanner(windows);
      for (size_t at = 0; at < data.size(); at += kPart)
        scanner.scan(ByteView(data).subspan(at, std::min(kPart, data.size() - at)),
                     [&](size_t, uint32_t) { ++found; });
    }));
    kept.push_back(seconds([&] {
      PrintIndex::Scanner scanner(index);
      for (size_t at = 0; at < data.size(); at += kPart)
        scanner.scan(
            ByteView(data).subspan(at, std::min(kPart, data.size() - at)), [&](size_t, uint32_t) { ++found; },
            nullptr);
    }));
    mac.push_back(seconds([&] {
      unsigned char out[32];
      unsigned n = 0;
      for (size_t at = 0; at < data.size(); at += kPart)
        HMAC(EVP_sha256(), key.reveal().data(), 32, data.data() + at, std::min(kPart, data.size() - at), out,
             &n);
    }));
    hash.push_back(seconds([&] {
      unsigned char out[32];
      unsigned n = 0;
      for (size_t at = 0; at < data.size(); at += kPart)
        EVP_Digest(data.data() + at, std::min(kPart, data.size() - at), out, &n, EVP_sha256(), nullptr);
    }));
  }
  const double gb = static_cast<double>(data.size()) / 1e9;
  std::printf(
      "%zu windows of %zu bytes; scan %.2f GB/s, by kept fingerprints %.2f GB/s, bare HMAC-SHA-256 %.2f "
      "GB/s, "
      "bare SHA-256 %.2f GB/s; found %zu\n",
      windows.count(), windows.window(), gb / median(scan), gb / median(kept), gb / median(mac),
      gb / median(hash), found);
}
