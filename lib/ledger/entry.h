// Ledger entries: header, body, salt, leaf (docs/spec/ledger.md). Pure: no files, no clock.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/json.h"

namespace kesu {

constexpr int64_t kLedgerVersion = 1;
constexpr size_t kMaxHeaderBytes = 512;
constexpr size_t kSaltBytes = 16;

// One item of a header's `nodes`.
struct NodeMention {
  std::string id = {};
  std::string is = {};  // empty: no state set
  std::string of = {};
  std::optional<int64_t> n = {}, b = {};
  std::string d = {};  // hex digest
  std::optional<Millis> t = {};
  bool operator==(const NodeMention&) const = default;
};
using Edge = std::pair<std::string, std::string>;  // whoever holds first can get second

struct Header {
  int64_t v = kLedgerVersion;
  uint64_t seq = 0;
  Millis time = 0;
  std::string type;
  std::vector<NodeMention> nodes;
  std::vector<Edge> edges;

  // Canonical bytes. Throws bad_input when the header breaks docs/spec/ledger.md (size, type, states,
  // identifiers).
  std::string canonical() const;
  // Strict inverse: canonical form, known members, known type, states that the type may set.
  // Throws bad_input naming the member. A `v` above kLedgerVersion throws vault_newer.
  static Header parse(std::string_view text);
  bool operator==(const Header&) const = default;
};

// A header that only lacks seq and time: the rules are checked once, at(…) is cheap. For stores, which learn
// both last.
class HeaderFrame {
 public:
  // Throws bad_input as Header::canonical() would, whatever `header.seq` and `header.time` are.
  explicit HeaderFrame(Header header);
  // What canonical() gives with this seq and time. Throws bad_input when it is too large, or genesis at
  // another place.
  std::string at(uint64_t seq, Millis time) const;

 private:
  std::string before_, after_;
  bool genesis_;
};

// An entry before the store gives it seq and time.
struct Event {
  std::string type = {};
  std::vector<NodeMention> nodes = {};
  std::vector<Edge> edges = {};
  Json body = Json(Json::Object{});
};

struct Entry {
  Header header;
  Bytes salt;
  Json body;
};

Digest32 body_hash(ByteView salt, std::string_view canonical_body);
Digest32 leaf_hash(std::string_view canonical_header, const Digest32& body_hash);

// The closed list of types, and which (node kind, state) pairs each may set.
bool is_known_type(std::string_view type);
// "" when `header` keeps the rules for its type, else what is wrong; its size is not looked at here.
std::string header_problem(const Header& header);
// "key" for `key-….n`, "ds", "bat", …; "" when `id` is no identifier. A key without a version is none here.
std::string_view node_kind(std::string_view id);

}  // namespace kesu
