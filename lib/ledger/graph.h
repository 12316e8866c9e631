// The disclosure graph: what folding all ledger headers in order gives (docs/spec/ledger.md, "Graph"). Pure.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "ledger/entry.h"

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

  const GraphNode* find(std::string_view id) const;
  const std::map<std::string, GraphNode, std::less<>>& nodes() const { return nodes_; }

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
  std::map<std::string, GraphNode, std::less<>> nodes_;
  std::map<std::string, std::set<std::string>, std::less<>> into_, out_;
  std::map<std::string, std::vector<std::string>, std::less<>> members_;  // dataset → data keys
  std::map<std::string, std::set<std::string>, std::less<>> homes_;       // data key → datasets
};

}  // namespace kesu
