// How far long work is, for whoever shows it: written by the threads that work, read by another.
#pragma once
#include <atomic>
#include <cstdint>

namespace kesu {

struct Progress {
  std::atomic<int64_t> files{0}, total_files{0};  // total 0: not known
  std::atomic<int64_t> bytes{0}, total_bytes{0};
};

}  // namespace kesu
