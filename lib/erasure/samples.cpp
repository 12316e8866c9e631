#include "erasure/samples.h"

#include <algorithm>

#include "crypto/hash.h"

namespace kesu {

std::vector<uint64_t> sample_order(const Digest32& seed, std::string_view dataset, uint64_t n) {
  constexpr uint32_t kMostDraws = 4096;
  std::vector<uint64_t> out;
  // Few objects are drawn until each has come up; of many, enough to pass over those that are not in their
  // place.
  uint64_t want = std::min<uint64_t>(n, 16 * kMaxSamples);
  for (uint32_t draw = 0; out.size() < want && draw < kMostDraws; ++draw) {
    Digest32 h =
        sha256(ByteWriter().raw(as_bytes(kSampleRule)).raw(seed).raw(as_bytes(dataset)).u32(draw).bytes());
    uint64_t index = ByteReader(h).u64() % n;
    if (std::find(out.begin(), out.end(), index) == out.end()) out.push_back(index);
  }
  return out;
}

}  // namespace kesu
