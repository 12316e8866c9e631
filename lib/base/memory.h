// Memory that was freed and that the allocator still keeps.
#pragma once
#include <cstddef>

namespace kesu {

// What this process holds in memory now (VmRSS), in bytes; 0 where the system does not say.
size_t resident_memory();

// From here on it matters what stays: a peak is to remain under 200 MiB.
constexpr size_t kMuchMemory = size_t{96} << 20;

// Gives it back to the system. For between two steps that each need much and share nothing of it: else the
// second's comes on top of what the first has left. Takes some milliseconds, and nothing while little is
// held.
void give_back_memory();

}  // namespace kesu
