// The table of entry types: the closed list, the states each may set, the edges each may add.
#include "ledger/entry_types.h"

#include <algorithm>
#include <unordered_map>

namespace kesu::entry_types {

namespace {

struct KindStates {
  std::string_view kind, states;
};
constexpr KindStates kKinds[] = {
    {"vlt", "open|closed"},
    {"prv", "open|closed"},
    {"key",
     "intended|absent|pre-activation|active|suspended|deactivated|compromised|destroying|destroyed|"
     "destroyed-compromised"},
    {"ds", "open|frozen|held|erased"},
    {"dsk", "active"},
    {"bat", "intended|sealed|abandoned"},
    {"prc", "alive|ended"},
    {"era",
     "requested|approved|waiting|withheld|disabled|scheduled|running|destroyed|verified|validated|certified|"
     "rejected|cancelled|failed"},
    {"cer", "issued|superseded|withdrawn"},
    {"cpy", "open|ended"},
    {"hld", "placed|released"},
    {"opr", "enrolled|revoked"},
    {"doc", "attached"},
    {"obj", ""},
};

// Rows of one type stand together. The first row of a type names what the entry is about: at least one item
// of the header follows it. Types without a row (second table) name any nodes and set nothing.
constexpr NodeRule kNodes[] = {
    {"genesis", "vlt", "open", kDigest},
    {"vault-closed", "vlt", "closed"},
    {"operator-enrolled", "opr", "enrolled"},
    {"operator-revoked", "opr", "revoked"},
    {"rules-changed", "vlt", "", kDigest},
    {"rules-changed", "opr", "enrolled|revoked"},
    {"rules-changed", "opr", ""},
    {"provider-added", "prv", "open", kDigest},
    {"provider-closed", "prv", "closed", 0, kDigest},
    {"provider-rekeyed", "prv", ""},
    {"key-intended", "key", "intended", kOf, 0, "prv"},
    {"key-created", "key", "pre-activation|active", kOf | kDigest, 0, "prv"},
    {"key-abandoned", "key", "absent"},
    {"key-state-changed", "key", "active|suspended|deactivated|compromised|destroyed-compromised"},
    {"key-inspected", "key", ""},
    {"key-attested", "key", ""},
    {"key-attested", "opr", ""},
    {"ledger-key-set", "key", ""},
    {"dataset-added", "ds", "open"},
    {"dataset-updated", "ds", ""},
    {"dataset-frozen", "ds", "frozen", kOf, 0, "era"},
    {"dataset-unfrozen", "ds", "open", kOf, 0, "era"},
    {"dataset-key-created", "dsk", "active", kOf, 0, "ds"},
    {"dataset-key-rewrapped", "dsk", ""},
    {"fingerprint-key-created", "dsk", "active", kOf, 0, "ds"},
    {"process-started", "prc", "alive", kUntil},
    {"process-ended", "prc", "ended"},
    {"seal-intended", "bat", "intended", kOf | kCount, 0, "ds"},
    {"seal-done", "bat", "sealed", kOf | kCount | kBytes | kDigest, 0, "ds"},
    {"seal-abandoned", "bat", "abandoned", kOf, 0, "ds"},
    {"objects-opened", "prc", ""},
    {"objects-opened", "ds", "", kCount},
    {"residue-scanned", "ds", "", kCount | kBytes | kDigest},
    {"rewrap-intended", "bat", "", kCount},
    {"rewrap-done", "bat", "", kCount},
    {"copy-registered", "cpy", "open"},
    {"copy-ended", "cpy", "ended"},
    {"hold-placed", "hld", "placed", kOf, 0, "ds|key"},
    {"hold-released", "hld", "released", 0, kOf, "ds|key"},
    {"erasure-requested", "era", "requested", kDigest},
    {"erasure-approved", "era", "requested|approved"},
    {"erasure-approved", "opr", ""},
    {"erasure-rejected", "era", "rejected"},
    {"erasure-cancelled", "era", "cancelled"},
    {"erasure-failed", "era", "failed"},
    {"erasure-stamped", "era", "", kDigest},
    {"erasure-started", "era", "running"},
    {"destroy-intended", "key", "destroying", 0, kOf, "era"},
    {"destroy-done", "key", "destroyed|destroyed-compromised", 0, kOf, "era"},
    {"destroy-failed", "key", "pre-activation|deactivated|active|suspended|compromised", 0, kOf, "era"},
    {"erasure-inspected", "era", "destroyed"},
    {"dataset-erased", "ds", "erased", kOf | kCount | kBytes | kDigest, 0, "era"},
    {"erasure-verified", "era", "verified"},
    {"erasure-verified", "opr", ""},
    {"erasure-validated", "era", "validated"},
    {"erasure-validated", "opr", ""},
    {"certificate-issued", "cer", "issued", kOf | kDigest, 0, "era"},
    {"certificate-renewed", "cer", "", kDigest},
    {"certificate-withdrawn", "cer", "withdrawn"},
    {"document-attached", "doc", "attached", kDigest},
    {"notice-issued", "doc", "attached", kOf | kDigest, 0, "era"},
    {"notice-superseded", "doc", "attached", kOf | kDigest, 0, "era"},
    {"failure-reported", "doc", "attached", kOf | kDigest, 0, "era"},
};
constexpr std::string_view kRemarks[] = {"contact-recorded", "exception-recorded", "finding-recorded"};

constexpr EdgeRule kEdges[] = {
    {"dataset-key-created", "key", "dsk", Subject::to, true},
    {"dataset-key-rewrapped", "key", "dsk", Subject::to, true},
    {"fingerprint-key-created", "key", "dsk", Subject::to, true},
    {"process-started", "prc", "ds", Subject::from, false},
    {"seal-intended", "key|dsk", "bat", Subject::to, true},
    {"objects-opened", "prc", "ds", Subject::to, true},
    {"rewrap-intended", "key|dsk", "bat", Subject::to, true},
    {"copy-registered", "cpy", "key", Subject::from, true},
};

}  // namespace

namespace {
struct Type {
  std::span<const NodeRule> nodes;
  const EdgeRule* edges = nullptr;
};

// All types, by name: a full check asks some million times.
const std::unordered_map<std::string_view, Type>& types() {
  static const auto* const kTypes = [] {
    auto* out = new std::unordered_map<std::string_view, Type>;
    for (auto first = std::begin(kNodes); first != std::end(kNodes);) {
      auto other = [&](const NodeRule& r) { return r.type != first->type; };
      auto last = std::find_if(first, std::end(kNodes), other);
      (*out)[first->type].nodes = {first, last};
      first = last;
    }
    for (std::string_view remark : kRemarks) (*out)[remark];
    for (const EdgeRule& r : kEdges) out->at(r.type).edges = &r;
    return out;
  }();
  return *kTypes;
}
}  // namespace

std::span<const NodeRule> node_rules(std::string_view type) {
  auto it = types().find(type);
  return it == types().end() ? std::span<const NodeRule>() : it->second.nodes;
}

const EdgeRule* edge_rule(std::string_view type) {
  auto it = types().find(type);
  return it == types().end() ? nullptr : it->second.edges;
}

bool known(std::string_view type) { return types().contains(type); }

std::string_view states_of(std::string_view kind) {
  for (const KindStates& k : kKinds)
    if (k.kind == kind) return k.states;
  return {};
}

bool lists(std::string_view list, std::string_view word) {
  if (word.empty()) return false;
  for (size_t at = 0; at <= list.size();) {
    size_t end = std::min(list.find('|', at), list.size());
    if (list.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace kesu::entry_types
