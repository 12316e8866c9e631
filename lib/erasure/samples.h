// Which objects are tried before and after destruction (docs/spec/erasure.md, "Samples"). Pure.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace kesu {

constexpr uint64_t kMaxSamples = 16;
constexpr std::string_view kSampleRule = "kesu-sample-v1";

// Indices into the dataset's n objects in inventory order, min(n, 16) of them, ascending draw.
std::vector<uint64_t> sample_indices(const Digest32& seed, std::string_view dataset, uint64_t n);

}  // namespace kesu
