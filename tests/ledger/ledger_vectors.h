// Reads tests/vectors/ledger, and makes the identifiers that tests use.
#pragma once
#include "base/files.h"
#include "base/json.h"
#include "ledger/entry.h"

namespace kesu {

inline Json ledger_vectors(const std::string& name) {
  return parse_json(to_text(read_file(std::string(KESU_VECTORS "/ledger/") + name)), name);
}

inline Digest32 digest_of(std::string_view text) { return unhex32(text).value(); }

// "key", 1, 2 -> key-00…01.2
inline std::string id_of(std::string_view kind, unsigned number, unsigned version = 0) {
  std::string digits = std::to_string(number);
  std::string out = std::string(kind) + "-" + std::string(32 - digits.size(), '0') + digits;
  return version ? out + "." + std::to_string(version) : out;
}

}  // namespace kesu
