// Folding headers into the disclosure graph, and what can be reached in it.
#include "ledger/graph.h"

#include <algorithm>

namespace kesu {

namespace {
bool is_data_key(std::string_view id) {
  std::string_view kind = node_kind(id);
  return kind == "bat" || kind == "dsk";
}
}  // namespace

void Graph::fold(const Header& header) {
  auto touch = [&](const std::string& id) -> GraphNode& {
    auto [it, fresh] = nodes_.try_emplace(id);
    if (fresh) it->second.first_seq = header.seq;
    it->second.last_seq = header.seq;
    return it->second;
  };
  for (const NodeMention& m : header.nodes) {
    GraphNode& node = touch(m.id);
    if (!m.is.empty()) {
      node.state = m.is;
      node.states.emplace_back(header.seq, m.is);
      // Counts of an item without a state (objects opened, slots re-wrapped) are the act's, not the node's.
      if (m.n) node.n = *m.n;
      if (m.b) node.b = *m.b;
      if (!m.d.empty()) node.d = m.d;
    }
    if (m.t) node.t = *m.t;
    if (m.of.empty()) continue;
    node.of = m.of;
    if (!is_data_key(m.id) || node_kind(m.of) != "ds") continue;
    // Once in a dataset, always in it: a later entry cannot take a data key out of an erasure's scope.
    if (homes_[m.id].insert(m.of).second) members_[m.of].push_back(m.id);
  }
  for (const auto& [from, to] : header.edges) {
    touch(from);
    touch(to);
    out_[from].insert(to);
    into_[to].insert(from);
  }
}

const GraphNode* Graph::find(std::string_view id) const {
  auto it = nodes_.find(id);
  return it == nodes_.end() ? nullptr : &it->second;
}

std::vector<std::string> Graph::data_keys_of(std::string_view dataset) const {
  auto it = members_.find(dataset);
  return it == members_.end() ? std::vector<std::string>() : it->second;
}

std::set<std::string> Graph::reachers(std::string_view target) const {
  return reachers(std::set<std::string>{std::string(target)});
}

std::set<std::string> Graph::reachers(const std::set<std::string>& targets) const {
  std::set<std::string> seen, homes_seen;
  std::vector<std::string> open(targets.begin(), targets.end());
  auto add = [&](const auto& ids) {
    for (const std::string& id : ids)
      if (!targets.contains(id) && seen.insert(id).second) open.push_back(id);
  };
  // A dataset is its data keys: they are where the search starts, not something that reaches it.
  for (const std::string& target : targets)
    for (const std::string& key : data_keys_of(target)) open.push_back(key);
  while (!open.empty()) {
    std::string id = std::move(open.back());
    open.pop_back();
    if (auto it = into_.find(id); it != into_.end()) add(it->second);
    if (auto home = homes_.find(id); home != homes_.end())
      for (const std::string& dataset : home->second)
        if (homes_seen.insert(dataset).second)  // once, however many data keys it has
          if (auto it = into_.find(dataset); it != into_.end()) add(it->second);
  }
  return seen;
}

std::set<std::string> Graph::reached(std::string_view from) const {
  return reached(std::set<std::string>{std::string(from)});
}

std::set<std::string> Graph::reached(const std::set<std::string>& from) const {
  std::set<std::string> seen, out;
  std::vector<std::string> open(from.begin(), from.end());
  auto add = [&](const auto& ids) {
    for (const std::string& id : ids)
      if (!from.contains(id) && seen.insert(id).second) open.push_back(id);
  };
  while (!open.empty()) {
    std::string id = std::move(open.back());
    open.pop_back();
    if (auto it = out_.find(id); it != out_.end()) add(it->second);
    if (auto it = members_.find(id); it != members_.end()) add(it->second);
  }
  for (const std::string& id : seen)
    if (is_data_key(id)) out.insert(id);
  return out;
}

bool Graph::living(std::string_view id, Millis now) const {
  const GraphNode* node = find(id);
  if (!node) return false;
  std::string_view kind = node_kind(id);
  if (kind == "key")
    return node->state != "absent" && node->state != "destroyed" && node->state != "destroyed-compromised";
  if (kind == "prc") return node->state == "alive" && now < node->t;
  if (kind == "cpy") return node->state == "open";
  return false;
}

}  // namespace kesu
