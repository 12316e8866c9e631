#include "base/memory.h"

#include <malloc.h>
#include <unistd.h>

#include <fstream>

namespace kesu {

size_t resident_memory() {
  std::ifstream statm("/proc/self/statm");
  size_t whole = 0, resident = 0;
  statm >> whole >> resident;
  return statm ? resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

void give_back_memory() {
  if (resident_memory() < kMuchMemory) return;
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

}  // namespace kesu
