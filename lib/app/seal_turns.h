// One process at a time seals a root under hidden names to a place. There nothing at a file's place tells
// that it is that name's: two that seal one tree at the same moment would leave two objects of each of its
// names, neither of which succeeds the other, and the older content would be restored for ever
// (docs/decisions/0039).
#pragma once
#include <string>

#include "base/files.h"

namespace kesu {

// Locks of the vault's kesu.toml by a number drawn from dataset, place and root, so that other sealings go on
// beside it. They end with the object, or with the process, however that ends. Between processes of one
// machine.
class SealTurns {
 public:
  // `directory` is the vault's. Where kesu.toml may not be written, or its file system knows no such locks,
  // there are no turns.
  explicit SealTurns(const std::string& directory);
  // `root` is the first component of the names. Throws Error conflict when another process is at it.
  void take(const std::string& dataset, const std::string& out, const std::string& root);

 private:
  Fd fd_;
};

}  // namespace kesu
