// Typed identifiers: 128 random bits. In ledger and files the whole of them stands (`key-` + 32 hex digits);
// people see and type the first 8 digits, more where that is ambiguous.
#pragma once
#include <algorithm>
#include <array>
#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace kesu {

class Random;

template <class Tag>
class Id {
 public:
  static constexpr std::string_view kPrefix = Tag::kPrefix;  // "key-", …

  Id() = default;
  explicit Id(const std::array<uint8_t, 16>& bytes) : bytes_(bytes) {}
  explicit Id(ByteView bytes) { std::copy_n(bytes.begin(), 16, bytes_.begin()); }

  // The whole identifier: prefix and 32 lower-case hex digits. Anything else gives nullopt.
  static std::optional<Id> parse(std::string_view text) {
    if (!text.starts_with(kPrefix) || text.size() != kPrefix.size() + 32) return std::nullopt;
    auto bytes = unhex(text.substr(kPrefix.size()));
    if (!bytes) return std::nullopt;
    return Id(ByteView(*bytes));
  }
  std::string str() const { return std::string(kPrefix) + hex(bytes_); }
  std::string brief() const { return str().substr(0, kPrefix.size() + 8); }
  const std::array<uint8_t, 16>& bytes() const { return bytes_; }
  bool is_zero() const { return bytes_ == std::array<uint8_t, 16>{}; }
  auto operator<=>(const Id&) const = default;

 private:
  std::array<uint8_t, 16> bytes_{};
};

#define KESU_ID(Name, prefix)                           \
  struct Name##Tag {                                    \
    static constexpr std::string_view kPrefix = prefix; \
  };                                                    \
  using Name = Id<Name##Tag>

KESU_ID(VaultId, "vlt-");
KESU_ID(ProviderId, "prv-");
KESU_ID(KeyId, "key-");
KESU_ID(DatasetId, "ds-");
KESU_ID(DatasetKeyId, "dsk-");
KESU_ID(ObjectId, "obj-");
KESU_ID(BatchId, "bat-");
KESU_ID(ProcessId, "prc-");
KESU_ID(ErasureId, "era-");
KESU_ID(CertificateId, "cer-");
KESU_ID(CopyId, "cpy-");
KESU_ID(HoldId, "hld-");
KESU_ID(DocumentId, "doc-");
KESU_ID(OperatorId, "opr-");
#undef KESU_ID

// One generation of a key; its text `key-<32 hex>.<n>`, n from 1, is the node's name in the disclosure graph.
struct VersionRef {
  KeyId key;
  uint32_t version = 0;

  std::string str() const { return key.str() + "." + std::to_string(version); }
  std::string brief() const { return key.brief() + "." + std::to_string(version); }
  static std::optional<VersionRef> parse(std::string_view text);
  auto operator<=>(const VersionRef&) const = default;
};

}  // namespace kesu
