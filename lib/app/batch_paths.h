// How much room the paths of one batch's files may take.
#pragma once
#include <cstddef>

namespace kesu {

// Bytes. A batch has 1,000 objects, and a path 65,535 bytes: in a deep tree a batch ends earlier, since what
// works at it, and its segment of the inventory, hold each path several times, and several batches are under
// work at once. Ordinary trees have a tenth of it.
constexpr size_t kBatchPaths = 2u << 20;

}  // namespace kesu
