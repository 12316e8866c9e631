#include "erasure/kill_set.h"

namespace kesu {

namespace {
std::set<std::string> reachers_of(const Graph& graph, const std::set<std::string>& datasets) {
  std::set<std::string> all;
  for (const std::string& dataset : datasets) all.merge(graph.reachers(dataset));
  return all;
}
}  // namespace

KillSet kill_set(const Graph& graph, const std::set<std::string>& datasets) {
  KillSet out;
  for (const std::string& id : reachers_of(graph, datasets)) {
    std::string_view kind = node_kind(id);
    if (kind == "key") out.versions.push_back(id);
    if (kind == "cpy") out.copies.push_back(id);
    if (kind == "prc") out.processes.push_back(id);
    if (kind != "key" && kind != "cpy") continue;
    for (const std::string& reached : graph.reached(id)) {
      const GraphNode* node = graph.find(reached);
      if (node && node_kind(node->of) == "ds" && !datasets.contains(node->of))
        out.kept_datasets.insert(node->of);
    }
  }
  return out;
}

std::vector<std::string> living_paths(const Graph& graph, const std::set<std::string>& datasets, Millis now) {
  std::vector<std::string> out;
  for (const std::string& id : reachers_of(graph, datasets))
    if (graph.living(id, now)) out.push_back(id);
  return out;
}

}  // namespace kesu
