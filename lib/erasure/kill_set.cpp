#include "erasure/kill_set.h"

namespace kesu {

KillSet kill_set(const Graph& graph, const std::set<std::string>& datasets) {
  KillSet out;
  std::set<std::string> dying;
  for (const std::string& id : graph.reachers(datasets)) {
    std::string_view kind = node_kind(id);
    if (kind == "key") out.versions.push_back(id);
    if (kind == "cpy") out.copies.push_back(id);
    if (kind == "prc") out.processes.push_back(id);
    if (kind == "key" || kind == "cpy") dying.insert(id);
  }
  // One search from all of them: what a version reaches may be a large part of the ledger.
  for (const std::string& reached : graph.reached(dying)) {
    const auto node = graph.find(reached);
    if (node && node_kind(node->of) == "ds" && !datasets.contains(node->of))
      out.kept_datasets.insert(node->of);
  }
  return out;
}

std::vector<std::string> living_paths(const Graph& graph, const std::set<std::string>& datasets, Millis now) {
  std::vector<std::string> out;
  for (const std::string& id : graph.reachers(datasets))
    if (graph.living(id, now)) out.push_back(id);
  return out;
}

}  // namespace kesu
