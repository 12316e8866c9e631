// Which nodes must die for a set of datasets to be erased, and what stands in the way (docs/spec/ledger.md,
// "Graph"). No cleverness, no minimum cut: every node from which a data key in scope was ever reachable.
// Pure.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "ledger/graph.h"

namespace kesu {

struct KillSet {
  std::vector<std::string> versions;   // key versions, sorted
  std::vector<std::string> copies;     // copies of keys, sorted
  std::vector<std::string> processes;  // processes that ever saw data keys in scope, sorted
  std::set<std::string>
      kept_datasets;  // datasets out of scope whose data keys a version or copy above also reaches
};
KillSet kill_set(const Graph& graph, const std::set<std::string>& datasets);

// The nodes among all of those that are still living at `now`: empty means erased.
std::vector<std::string> living_paths(const Graph& graph, const std::set<std::string>& datasets, Millis now);

}  // namespace kesu
