// Opening files that lie beside one another.
#pragma once
#include <string>

#include "base/files.h"

namespace kesu {

// open_path of one file after the other, most of which lie in one directory: the last one's stays open, and
// is the one that is meant until another is. Errors as open_path.
class OpenNearby {
 public:
  int open(const std::string& path, int flags);

 private:
  std::string directory_;
  Fd fd_;
};

}  // namespace kesu
