// Folding headers into the disclosure graph, and what can be reached in it.
#include "ledger/graph.h"

#include <algorithm>

#include "base/error.h"

namespace kesu {

namespace {
bool is_data_key(const PackedId& id) { return id.kind_text() == "bat" || id.kind_text() == "dsk"; }

PackedId packed(std::string_view id) {
  auto out = PackedId::of(id);
  if (!out) throw Error(Code::bad_input, "\"" + std::string(id) + "\" is no identifier");
  return *out;
}
}  // namespace

Graph::Place& Graph::slot_of(const PackedId& id) {
  size_t slot = id.hash() & (table_.size() - 1);
  while (table_[slot] && node(table_[slot]).id != id) slot = (slot + 1) & (table_.size() - 1);
  return table_[slot];
}

Graph::Place Graph::place_of(std::string_view id) const {
  const auto key = table_.empty() ? std::nullopt : PackedId::of(id);
  return key ? const_cast<Graph*>(this)->slot_of(*key) : 0;
}

Graph::Place Graph::place(std::string_view id) {
  const PackedId key = packed(id);
  if (2 * (nodes_.size() + 1) > table_.size()) {
    table_.assign(std::max<size_t>(64, 2 * table_.size()), 0);
    for (size_t i = 0; i < nodes_.size(); ++i) slot_of(nodes_[i].id) = static_cast<Place>(i + 1);
  }
  Place& slot = slot_of(key);
  if (!slot) {
    nodes_.emplace_back().id = key;
    slot = static_cast<Place>(nodes_.size());
  }
  return slot;
}

Graph::Place Graph::touch(std::string_view id, uint64_t seq) {
  const Place at = place(id);
  Node& n = nodes_[at - 1];
  if (!n.named) n.first_seq = seq;
  n.named = true;
  n.last_seq = seq;
  return at;
}

// Said again right away, it is not kept again; a link that is kept twice is only looked at twice.
void Graph::link(Place& list, Place to) {
  if (list && links_[list - 1].to == to) return;
  links_.push_back({to, list});
  list = static_cast<Place>(links_.size());
}

void Graph::set_state(Node& n, uint64_t seq, const std::string& state) {
  auto name = std::find(state_names_.begin(), state_names_.end(), state);
  if (name == state_names_.end()) name = state_names_.insert(name, state);
  states_.push_back({seq, n.states, static_cast<uint8_t>(name - state_names_.begin())});
  n.states = static_cast<Place>(states_.size());
}

// Counts of an item without a state (objects opened, slots re-wrapped) are the act's, not the node's.
void Graph::say(Node& n, const NodeMention& m) {
  if (!m.n && !m.b && m.d.empty()) return;
  if (!n.said) {
    said_.emplace_back();
    n.said = static_cast<Place>(said_.size());
  }
  Said& said = said_[n.said - 1];
  if (m.n) said.n = *m.n;
  if (m.b) said.b = *m.b;
  if (m.d.empty()) return;
  const auto digest = unhex32(m.d);
  said.has_d = true;
  said.long_d = 0;
  if (digest) {
    said.d = *digest;
  } else {
    long_digests_.push_back(m.d);
    said.long_d = static_cast<Place>(long_digests_.size());
  }
}

void Graph::fold(const Header& header) {
  for (const NodeMention& m : header.nodes) {
    const Place at = touch(m.id, header.seq);
    Node& n = nodes_[at - 1];
    if (!m.is.empty()) {
      set_state(n, header.seq, m.is);
      say(n, m);
    }
    if (m.t) times_[at] = *m.t;
    if (m.of.empty()) continue;
    // What only `of` names is a place here, and no node until a header names it itself.
    const Place of = place(m.of);
    n.of = of;
    if (!is_data_key(n.id) || node(of).id.kind_text() != "ds") continue;
    // Once in a dataset, always in it: a later entry cannot take a data key out of an erasure's scope.
    bool there = false;
    each(n.homes, [&](Place home) { there |= home == of; });
    if (there) continue;
    link(n.homes, of);
    members_[of].push_back(at);
  }
  for (const auto& [from, to] : header.edges) {
    const Place a = touch(from, header.seq), b = touch(to, header.seq);
    link(nodes_[a - 1].out, b);
    link(nodes_[b - 1].into, a);
  }
}

std::optional<GraphNode> Graph::find(std::string_view id) const {
  const Place at = place_of(id);
  if (!at || !node(at).named) return std::nullopt;
  const Node& n = node(at);
  GraphNode out;
  for (Place s = n.states; s; s = states_[s - 1].before)
    out.states.emplace_back(states_[s - 1].seq, state_names_[states_[s - 1].state]);
  std::reverse(out.states.begin(), out.states.end());
  if (!out.states.empty()) out.state = out.states.back().second;
  if (n.of) out.of = text(n.of);
  if (n.said) {
    const Said& said = said_[n.said - 1];
    out.n = said.n;
    out.b = said.b;
    if (said.has_d) out.d = said.long_d ? long_digests_[said.long_d - 1] : hex(said.d);
  }
  if (auto t = times_.find(at); t != times_.end()) out.t = t->second;
  out.first_seq = n.first_seq;
  out.last_seq = n.last_seq;
  return out;
}

std::vector<std::string> Graph::ids() const {
  std::vector<std::string> out;
  for (const Node& n : nodes_)
    if (n.named) out.push_back(n.id.text());
  return out;
}

std::vector<std::string> Graph::data_keys_of(std::string_view dataset) const {
  std::vector<std::string> out;
  if (auto it = members_.find(place_of(dataset)); it != members_.end())
    for (Place key : it->second) out.push_back(text(key));
  return out;
}

std::set<std::string> Graph::reachers(std::string_view target) const {
  return reachers(std::set<std::string>{std::string(target)});
}

std::set<std::string> Graph::reachers(const std::set<std::string>& targets) const {
  std::vector<bool> is_target(nodes_.size() + 1), seen(is_target), homes_seen(is_target);
  std::vector<Place> open;
  auto add = [&](Place at) {
    if (is_target[at] || seen[at]) return;
    seen[at] = true;
    open.push_back(at);
  };
  for (const std::string& target : targets)
    if (const Place at = place_of(target)) {
      is_target[at] = true;
      open.push_back(at);
    }
  // A dataset is its data keys: they are where the search starts, not something that reaches it.
  for (const std::string& target : targets)
    if (auto it = members_.find(place_of(target)); it != members_.end())
      open.insert(open.end(), it->second.begin(), it->second.end());
  while (!open.empty()) {
    const Place at = open.back();
    open.pop_back();
    each(node(at).into, add);
    each(node(at).homes, [&](Place home) {
      if (homes_seen[home]) return;  // once, however many data keys it has
      homes_seen[home] = true;
      each(node(home).into, add);
    });
  }
  std::set<std::string> out;
  for (Place at = 1; at <= nodes_.size(); ++at)
    if (seen[at]) out.insert(text(at));
  return out;
}

std::set<std::string> Graph::reached(std::string_view from) const {
  return reached(std::set<std::string>{std::string(from)});
}

std::set<std::string> Graph::reached(const std::set<std::string>& from) const {
  std::vector<bool> is_from(nodes_.size() + 1), seen(is_from);
  std::vector<Place> open;
  for (const std::string& id : from)
    if (const Place at = place_of(id)) {
      is_from[at] = true;
      open.push_back(at);
    }
  auto add = [&](Place at) {
    if (is_from[at] || seen[at]) return;
    seen[at] = true;
    open.push_back(at);
  };
  while (!open.empty()) {
    const Place at = open.back();
    open.pop_back();
    each(node(at).out, add);
    if (auto it = members_.find(at); it != members_.end())
      for (Place key : it->second) add(key);
  }
  std::set<std::string> out;
  for (Place at = 1; at <= nodes_.size(); ++at)
    if (seen[at] && is_data_key(node(at).id)) out.insert(text(at));
  return out;
}

bool Graph::living(std::string_view id, Millis now) const {
  const Place at = place_of(id);
  if (!at || !node(at).named) return false;
  const Node& n = node(at);
  const std::string_view kind = n.id.kind_text();
  const std::string_view state = n.states ? state_names_[states_[n.states - 1].state] : std::string_view();
  if (kind == "key") return state != "absent" && state != "destroyed" && state != "destroyed-compromised";
  if (kind == "prc") {
    auto t = times_.find(at);
    return state == "alive" && now < (t == times_.end() ? 0 : t->second);
  }
  if (kind == "cpy") return state == "open";
  return false;
}

}  // namespace kesu
