// One process at a time at one piece of work that takes minutes: the second is told at once who is at it,
// instead of being refused by whatever the first has changed in the middle.
#pragma once
#include <string>

#include "base/files.h"

namespace kesu {

// A courtesy between processes of one machine, not what safety rests on: every irreversible step is decided
// anew inside its append. Ends with the object, or with the process, however that ends.
class WorkLock {
 public:
  // `path` is a file that is there (nothing is written to it); `what` says what is at work: "erasure
  // era-7c1e90b4"; `look` is the command that shows how far it is. Throws Error conflict, naming the process;
  // io_failed.
  WorkLock(const std::string& path, const std::string& what, const std::string& look);

 private:
  Fd fd_;
};

}  // namespace kesu
