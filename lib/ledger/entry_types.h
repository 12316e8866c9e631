// Internal to the ledger layer: what each entry type may say, as data (docs/spec/ledger.md, "Types").
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace kesu::entry_types {

// Members of a node item beside `id` and `is`.
enum Member : uint8_t { kOf = 1, kCount = 2, kBytes = 4, kDigest = 8, kUntil = 16 };

// One row: nodes of `kind` in an entry of `type`. An item that gives an identifier and nothing else needs no
// row.
struct NodeRule {
  std::string_view type;
  std::string_view kind;
  std::string_view states;   // one of these, separated by '|'; empty: the item sets no state
  uint8_t needs = 0;         // members that must be there
  uint8_t may = 0;           // members that may be there
  std::string_view of = {};  // kinds that `of` may name, separated by '|'
};

// One row: edges in an entry of `type`. `subject` says which end the entry's nodes name; when `needed`, each
// of the entry's nodes of that kind is the end of at least one edge.
enum class Subject { from, to };
struct EdgeRule {
  std::string_view type;
  std::string_view from, to;  // kinds, separated by '|'
  Subject subject;
  bool needed;
};

std::span<const NodeRule> node_rules(std::string_view type);
const EdgeRule* edge_rule(std::string_view type);
bool known(std::string_view type);
// States that a kind has at all; empty for an unknown kind.
std::string_view states_of(std::string_view kind);
// True when `word` is one of the words of `list`, which '|' separates.
bool lists(std::string_view list, std::string_view word);

}  // namespace kesu::entry_types
