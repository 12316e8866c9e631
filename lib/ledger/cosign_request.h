// What a vault asks a witness to cosign: C2SP tlog-witness's add-checkpoint (docs/spec/ledger.md,
// "Witnesses").
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace kesu {

struct CosignRequest {
  uint64_t old_size = 0;        // what the witness is thought to have seen last; 0: nothing
  std::vector<Digest32> proof;  // RFC 6962 §2.1.2, from old_size to the checkpoint
  std::string note;             // the checkpoint with its log's signature

  std::string text() const;
  // Strict form; the note's own is not looked at. Throws Error bad_input naming the line.
  static CosignRequest parse(std::string_view text);
};

}  // namespace kesu
