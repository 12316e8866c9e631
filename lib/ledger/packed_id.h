// A node's identifier in few bytes, for tables of millions.
#pragma once
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "ledger/entry.h"

namespace kesu {

// Its kind, 128 bits, a version.
struct PackedId {
  std::array<uint8_t, 16> id{};
  uint32_t version = 0;
  char kind[4] = {};

  // nullopt: no identifier.
  static std::optional<PackedId> of(std::string_view text) {
    const std::string_view prefix = node_kind(text);
    if (prefix.empty()) return std::nullopt;
    PackedId out;
    std::copy(prefix.begin(), prefix.end(), out.kind);
    const std::string_view digits = text.substr(prefix.size() + 1);
    auto nibble = [](char c) { return static_cast<uint8_t>(c <= '9' ? c - '0' : c - 'a' + 10); };
    for (size_t i = 0; i < 16; ++i)
      out.id[i] = static_cast<uint8_t>(nibble(digits[2 * i]) << 4 | nibble(digits[2 * i + 1]));
    for (size_t i = 33; i < digits.size(); ++i)
      out.version = out.version * 10 + static_cast<uint32_t>(digits[i] - '0');
    return out;
  }
  std::string_view kind_text() const { return {kind, ::strnlen(kind, sizeof kind)}; }
  std::string text() const {
    std::string out = std::string(kind_text()) + "-" + hex(id);
    return version ? out + "." + std::to_string(version) : out;
  }
  uint64_t hash() const {
    uint64_t a, b;
    std::memcpy(&a, id.data(), 8);
    std::memcpy(&b, id.data() + 8, 8);
    a = (a ^ version) * 0x9e3779b97f4a7c15u ^ (b + static_cast<uint8_t>(kind[0])) * 0xc2b2ae3d27d4eb4fu;
    return a ^ a >> 29;
  }
  auto operator<=>(const PackedId&) const = default;
};

}  // namespace kesu
