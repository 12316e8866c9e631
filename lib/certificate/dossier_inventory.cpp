// The datasets in scope: settings, batches, and their leaves held against the ledger's roots.
#include <algorithm>
#include <charconv>

#include "certificate/dossier_impl.h"
#include "ledger/tree.h"

namespace kesu::dossier {

namespace {

constexpr size_t kLeafLine = 65;  // a digest in hex, line feed

// The digests stay where they are: of millions, one at a time is enough to hold.
template <class F>
void each_leaf(std::string_view lines, F visit) {
  for (; !lines.empty(); lines.remove_prefix(kLeafLine))
    visit(unhex32(lines.substr(0, kLeafLine - 1)).value());
}

struct Leaves {
  std::string_view lines;
  Digest32 root{};
};
std::map<std::string, Leaves> read_leaves(std::string_view text) {
  std::map<std::string, Leaves> out;
  auto line = [&] {
    size_t end = text.find('\n');
    if (end == std::string_view::npos) throw Error(Code::bad_input, "the last line has no end");
    std::string_view row = text.substr(0, end);
    text.remove_prefix(end + 1);
    return row;
  };
  while (!text.empty()) {
    std::string_view head = line();
    size_t space = head.find(' ');
    size_t n = 0;
    std::string_view number = space == std::string_view::npos ? std::string_view() : head.substr(space + 1);
    auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), n);
    if (!BatchId::parse(head.substr(0, space)) || number.empty() || error != std::errc() ||
        end != number.data() + number.size())
      throw Error(Code::bad_input, "a batch's line is malformed");
    auto [it, fresh] = out.try_emplace(std::string(head.substr(0, space)));
    if (!fresh) throw Error(Code::bad_input, it->first + " stands there twice");
    if (n > text.size() / kLeafLine) throw Error(Code::bad_input, it->first + " is cut off");
    const std::string_view from = text;
    TreeHead tree;
    for (size_t i = 0; i < n; ++i) {
      auto leaf = unhex32(line());
      if (!leaf) throw Error(Code::bad_input, "a leaf of " + it->first + " is no digest");
      tree.add(*leaf);
    }
    it->second = {from.substr(0, n * kLeafLine), tree.root()};
  }
  return out;
}

void read_settings(Dossier& d, DatasetFacts& set, const Header& h) {
  const Json* body = d.body(h.seq);
  if (!body && h.type == "dataset-updated")  // what it changed, everything here may say otherwise
    d.findings.bad(std::string(bundle::kBodies), brief_number(h.seq) + " (" + h.type + ") is not opened");
  if (!body) {
    d.findings.weak(std::string(bundle::kBodies), brief_number(h.seq) + " (" + h.type + ") is not opened");
    return;
  }
  const Json& now = h.type == "dataset-added" ? *body : body->at("changes");
  for (const auto& [name, value] : now.as_object()) set.settings.set(name, value);
}

void read_batch(const Dossier& d, DatasetFacts& set, std::map<std::string, BatchFacts>& open, const Header& h,
                const NodeMention& m) {
  if (m.is == "intended") {
    open[m.id].intended = h.seq;
    open[m.id].n = m.n.value_or(0);
  }
  if (m.is == "abandoned") {
    set.abandoned.emplace_back(m.id, open[m.id].n);
    open.erase(m.id);
  }
  if (m.is != "sealed") return;
  BatchFacts batch = open[m.id];
  open.erase(m.id);
  batch.id = m.id;
  batch.state = m.is;
  batch.n = m.n.value_or(0);
  batch.b = m.b.value_or(0);
  batch.done = h.seq;
  if (const Json* body = d.body(h.seq)) {
    batch.content_algorithm = body->str_or("content_algorithm", "");
    batch.wrap_algorithm = body->str_or("wrap_algorithm", "");
    batch.replaced = body->num_or("replaced", 0);
    batch.readable_names = body->find("opaque_names") && !body->flag("opaque_names");
  }
  set.batches.push_back(std::move(batch));
}

// The entry does not say which dataset the batch is of: the batch itself does.
void read_rewrap(const Dossier& d, std::map<std::string, DatasetFacts>& sets, const Header& h,
                 const std::string& id) {
  for (auto& [dataset, set] : sets)
    for (BatchFacts& batch : set.batches) {
      if (batch.id != id) continue;
      const Json* body = d.body(h.seq);
      batch.rewrap_algorithms.insert(body ? body->str_or("wrap_algorithm", "") : "");
    }
}

// One pass over all headers, whatever the number of datasets.
void read_headers(Dossier& d, std::map<std::string, DatasetFacts>& sets) {
  std::map<std::string, std::map<std::string, BatchFacts>> open;
  for (const Header& h : d.headers)
    for (const NodeMention& m : h.nodes) {
      if (auto it = sets.find(m.id); it != sets.end()) {
        DatasetFacts& set = it->second;
        if (h.type == "dataset-added") set.added = h.seq;
        if (h.type == "dataset-added" || h.type == "dataset-updated")
          d.findings.guard(brief_number(h.seq), [&] { read_settings(d, set, h); });
        if (h.type == "dataset-erased" && m.of == d.erasure) set.erased = true;
      }
      if (h.type == "rewrap-done" && node_kind(m.id) == "bat") read_rewrap(d, sets, h, m.id);
      auto it = node_kind(m.id) == "bat" ? sets.find(m.of) : sets.end();
      if (it != sets.end())
        d.findings.guard(brief_number(h.seq), [&] { read_batch(d, it->second, open[m.of], h, m); });
    }
  for (auto& [id, set] : sets) set.open_batch = !open[id].empty();
}

void check_leaves(Dossier& d, DatasetFacts& set) {
  std::string path = "inventory/" + set.id + ".leaves";
  auto file = d.file(path);
  std::map<std::string, Leaves> leaves;
  bool good = d.findings.guard(path, [&] {
    if (!file) throw Error(Code::bad_input, "is missing");
    leaves = read_leaves(as_text(*file));
  });
  TreeHead all;
  for (BatchFacts& batch : set.batches) {
    set.objects += batch.n;
    set.bytes += batch.b;
    auto it = leaves.find(batch.id);
    if (it == leaves.end()) {
      if (good) d.findings.bad(path, batch.id + " is missing");
      good = false;
      continue;
    }
    const Digest32 root = it->second.root;
    batch.leaves = it->second.lines;
    leaves.erase(it);
    const auto node = d.graph.find(batch.id);
    if (hex(root) != node->d || static_cast<int64_t>(batch.leaves.size() / kLeafLine) != batch.n) {
      d.findings.bad(path, "the leaves of " + batch.id + " do not give the root and count in the ledger");
      good = false;
    }
    each_leaf(batch.leaves, [&](const Digest32& leaf) { all.add(leaf); });
  }
  for (const auto& [batch, unknown] : leaves) {
    d.findings.bad(path, batch + " is no sealed batch of this dataset");
    good = false;
  }
  set.root = all.root();
  const auto node = d.graph.find(set.id);
  if (!set.erased || !node) {
    d.findings.weak(path, "the ledger does not say that " + set.id + " is erased by this erasure");
    good = false;
  } else if (node->n != set.objects || node->b != set.bytes || node->d != hex(set.root)) {
    d.findings.bad(path, "count, bytes or root are not those of dataset-erased");
    good = false;
  }
  set.inventory_good = good && !set.open_batch;
}

}  // namespace

bool BatchFacts::has(const Digest32& leaf) const {
  const std::string text = hex(leaf);
  for (size_t at = 0; at < leaves.size(); at += kLeafLine)
    if (leaves.compare(at, text.size(), text) == 0) return true;
  return false;
}

void read_inventory(Dossier& d) {
  std::map<std::string, DatasetFacts> sets;
  for (const std::string& id : d.datasets_in_scope) sets[id].id = id;
  read_headers(d, sets);
  for (auto& [id, set] : sets) {
    d.findings.guard(id, [&] { check_leaves(d, set); });
    d.datasets.push_back(std::move(set));
  }
  for (const auto& [path, content] : *d.files)
    if (path.starts_with("inventory/") && !d.datasets_in_scope.contains(path.substr(10, path.size() - 17)))
      d.findings.bad(path, "is of a dataset that is not in the plan");
}

}  // namespace kesu::dossier
