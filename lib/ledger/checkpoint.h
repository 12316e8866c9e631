// Signed tree heads: C2SP tlog-checkpoint (docs/spec/ledger.md).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace kesu {

struct Checkpoint {
  std::string origin;
  uint64_t size = 0;
  Digest32 root{};
  // The three lines that are signed, each ended by a line feed.
  std::string text() const;
  // Strict: three lines, no extension lines, canonical base64. Throws bad_input.
  static Checkpoint parse_text(std::string_view text);
  bool operator==(const Checkpoint&) const = default;
};

}  // namespace kesu
