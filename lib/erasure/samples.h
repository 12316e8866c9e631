// Which objects are tried before and after destruction (docs/spec/erasure.md, "Samples"). Pure.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace kesu {

constexpr uint64_t kMaxSamples = 16;
constexpr std::string_view kSampleRule = "kesu-sample-v1";

// All indices into the dataset's n objects, in inventory order, in the order in which they are drawn: the
// first min(n, 16) whose files stand where they were sealed to are the samples. At most 4,096 draws are made.
std::vector<uint64_t> sample_order(const Digest32& seed, std::string_view dataset, uint64_t n);

}  // namespace kesu
