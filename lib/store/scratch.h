// A table of short keys for the length of one command, in little memory whatever its size: SQLite's temporary
// database, which lies in $SQLITE_TMPDIR, $TMPDIR or /var/tmp once it is too large for memory, under no name
// that another process could open, and ends with the command. What goes in must not need to be kept secret.
#pragma once
#include <memory>
#include <optional>

#include "base/bytes.h"

namespace kesu {

class Scratch {
 public:
  // Errors: store_unavailable.
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // In place of an earlier value of the same key. Errors: disk_full, store_unavailable.
  void put(ByteView key, ByteView value);
  // nullopt: nothing was put under this key. Errors: store_unavailable.
  std::optional<Bytes> find(ByteView key);

 private:
  struct Tables;
  std::unique_ptr<Tables> tables_;
};

}  // namespace kesu
