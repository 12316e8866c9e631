// The plan of an erasure: what would die, what stands in the way (docs/spec/erasure.md). Planning changes
// nothing.
#pragma once
#include <string>
#include <vector>

#include "app/vault.h"

namespace kesu {

struct Blocker {
  std::string what;  // for a person, naming the nodes
  std::string next;  // what to do
};
struct Plan {
  Json document;  // what is digested, approved and run
  std::vector<Blocker> blockers;
  std::vector<std::string> shared;     // datasets that are kept and reached all the same
  std::vector<std::string> processes;  // processes that still hold data keys in scope; `run` waits for them
  int64_t objects = 0, bytes = 0;
  std::string text() const { return document.canonical(); }
  std::string digest() const;
  std::string erasure() const { return document.str("erasure"); }
};

// Computed at the ledger's head. `erasure` and `created` are new for a first plan, the first plan's when
// recomputing.
Plan make_plan(Vault& vault, const std::vector<std::string>& datasets, const std::string& erasure,
               Millis created);

// Plans are kept as plans/<erasure>.json: a convenience, not primary.
void save_plan(Vault& vault, const Plan& plan);
Json load_plan(Vault& vault, const std::string& erasure);

// The datasets that would be kept and are reached all the same, or are to be sealed under a key of the plan.
// Empty: none.
std::set<std::string> kept_datasets(Vault& vault, const std::vector<std::string>& datasets);

// Recomputes `old` at the head. Throws plan_changed naming the member, or the entry that touched one of its
// nodes.
Plan recompute_plan(Vault& vault, const Json& old);

// Dataset identifiers from names, a contract, and exceptions. Errors: not_found, usage when nothing is left.
std::vector<std::string> choose_datasets(Vault& vault, const std::vector<std::string>& names,
                                         const std::string& contract, const std::vector<std::string>& except);

Json plan_json(const Plan& plan, const State& state);  // docs/spec/interface.md

}  // namespace kesu
