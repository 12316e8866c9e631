// The disclosure graph: what folding all ledger headers in order gives (docs/spec/ledger.md, "Graph"). Pure.
#pragma once
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "ledger/entry.h"
#include "ledger/packed_id.h"

namespace kesu {

struct GraphNode {
  std::string state;     // last `is`
  std::string of;        // last `of`
  int64_t n = 0, b = 0;  // of the last item that set a state
  std::string d;         // likewise
  Millis t = 0;          // last `t`
  uint64_t first_seq = 0,
           last_seq = 0;  // first and last entry that name the node, as item or as an edge's end
  std::vector<std::pair<uint64_t, std::string>> states;  // (seq, state) in order
};

class Graph {
 public:
  // Headers in the order of the ledger, each once. Takes any header that Header::parse gives.
  void fold(const Header& header);

  std::optional<GraphNode> find(std::string_view id) const;  // nullopt: no header names it
  std::vector<std::string> ids() const;                      // of all nodes, in the order they came

  // Data-key nodes (batches, dataset keys) that belong or ever belonged to `dataset`, in the order they came.
  std::vector<std::string> data_keys_of(std::string_view dataset) const;
  // Every node from which `target` is or ever was reachable, `target` left out; edges from a process to a
  // dataset count as edges to each of its data keys, those that came later too. Of a dataset: what reaches
  // any of its data keys.
  std::set<std::string> reachers(std::string_view target) const;
  // The same of several targets at once, all of them left out; the work is that of one search.
  std::set<std::string> reachers(const std::set<std::string>& targets) const;
  // Every data-key node that `from` reaches or ever reached, `from` left out. A dataset key reaches a batch
  // only by an edge.
  std::set<std::string> reached(std::string_view from) const;
  // What any of `from` reaches, all of them left out, in one search.
  std::set<std::string> reached(const std::set<std::string>& from) const;
  // Whether the node can give away what it reaches, at time `now`: key versions, processes, copies; false for
  // all other kinds and for a node that no header names. A lease has passed at its `t`. A version without any
  // state is living.
  bool living(std::string_view id, Millis now) const;

 private:
  // A vault of years has hundreds of thousands of nodes: they are kept as numbers, and put into words for
  // whoever asks. Places begin with 1; 0: none.
  using Place = uint32_t;
  struct Node {
    PackedId id;
    uint64_t first_seq = 0, last_seq = 0;
    Place of = 0;
    Place states = 0;         // in states_: the newest
    Place said = 0;           // in said_: n, b and d
    Place out = 0, into = 0;  // in links_
    Place homes = 0;          // in links_: datasets of a data key
    bool named = false;       // by a header, not only as another node's `of`
  };
  struct Stated {
    uint64_t seq;
    Place before;
    uint8_t state;  // in state_names_
  };
  struct Said {
    int64_t n = 0, b = 0;
    Digest32 d{};
    Place long_d = 0;  // in long_digests_
    bool has_d = false;
  };
  struct Link {
    Place to, next;
  };

  Place place_of(std::string_view id) const;
  Place place(std::string_view id);
  Place& slot_of(const PackedId& id);
  const Node& node(Place at) const { return nodes_[at - 1]; }
  std::string text(Place at) const { return node(at).id.text(); }
  Place touch(std::string_view id, uint64_t seq);
  void link(Place& list, Place to);
  void set_state(Node& node, uint64_t seq, const std::string& state);
  void say(Node& node, const NodeMention& mention);
  template <class F>
  void each(Place list, F visit) const {
    for (Place at = list; at; at = links_[at - 1].next) visit(links_[at - 1].to);
  }

  // Deques: what grows moves nothing.
  std::deque<Node> nodes_;
  std::deque<Stated> states_;
  std::deque<Said> said_;
  std::deque<Link> links_;
  std::vector<Place> table_;  // by hash of the identifier
  std::vector<std::string> state_names_, long_digests_;
  std::unordered_map<Place, Millis> times_;                // last `t`
  std::unordered_map<Place, std::vector<Place>> members_;  // dataset → data keys
};

}  // namespace kesu
