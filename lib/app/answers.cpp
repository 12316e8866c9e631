#include "app/answers.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace kesu {

namespace {
const BatchRecord* open_batch(const State& state, const NodeMention& batch) {
  for (auto& [id, dataset] : state.datasets)
    if (batch.of.empty() || batch.of == id)
      if (const BatchRecord* b = dataset.batches.find_open(batch.id)) return b;
  return nullptr;
}

// Whether the question is open; of a type that answers none: true.
bool is_open(const State& state, const Event& e) {
  if (e.nodes.empty()) return true;
  const NodeMention& node = e.nodes.at(0);
  if (e.type == "key-created" || e.type == "key-abandoned") {
    const VersionRecord* v = state.version(node.id);
    return v && v->state == "intended";
  }
  if (e.type == "destroy-done" || e.type == "destroy-failed") {
    const VersionRecord* v = state.version(node.id);
    return v && v->state == "destroying";
  }
  if (e.type == "seal-done" || e.type == "seal-abandoned") {
    const BatchRecord* b = open_batch(state, node);
    return b && b->state == "intended";
  }
  if (e.type == "rewrap-done") {
    const BatchRecord* b = open_batch(state, node);
    if (b && !b->rewrap.version.empty()) return b->rewrap.version == e.body.str_or("version", "");
    // Without a question: files that are found to have moved unseen.
    return e.body.has("interrupted") && e.body.flag("interrupted");
  }
  if (e.type == "key-inspected") {
    const VersionRecord* v = state.version(node.id);
    return v && v->inspection_due();
  }
  return true;
}

bool asks_about(const Event& e, const std::string& node) {
  static constexpr std::array kQuestions{"key-intended", "destroy-intended", "seal-intended",
                                         "rewrap-intended"};
  return std::find(kQuestions.begin(), kQuestions.end(), e.type) != kQuestions.end() && !e.nodes.empty() &&
         e.nodes[0].id == node;
}
}  // namespace

void refuse_answered(const State& state, const std::vector<Event>& events) {
  for (size_t i = 0; i < events.size(); ++i) {
    if (is_open(state, events[i])) continue;
    const std::string& node = events[i].nodes[0].id;
    if (std::none_of(events.begin(), events.begin() + static_cast<ptrdiff_t>(i),
                     [&](const Event& q) { return asks_about(q, node); }))
      throw Error(Code::conflict, "another process recorded meanwhile how this ended: " + events[i].type)
          .cause(node + " is no open question any more")
          .next("kesu status; then the same command again");
  }
}

}  // namespace kesu
