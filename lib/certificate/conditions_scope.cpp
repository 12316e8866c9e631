// Conditions about the data: inventory, history, sealing order, algorithms.
#include <algorithm>

#include "certificate/conditions_impl.h"
#include "certificate/evidence_chain.h"
#include "policy/policy.h"

namespace kesu::dossier {

namespace {

bool all_of(const Dossier& d, const std::function<bool(const DatasetFacts&)>& holds) {
  return !d.datasets.empty() && std::all_of(d.datasets.begin(), d.datasets.end(), holds);
}

std::string history(const DatasetFacts& set) {
  const Json* h = set.settings.find("plaintext_history");
  return h && h->is_object() ? h->str_or("statement", "unknown") : "unknown";
}

std::string until_of(const DatasetFacts& set) {
  const Json* until = set.settings.find("unreadable_until");
  if (until && until->is_int()) return std::to_string(until->as_int());
  return until && until->is_string() ? until->as_string() : "open-ended";
}

policy::Verdict judge(const AlgorithmUse& use) {
  policy::Query query = policy::parse_query(use.name);
  query.purpose = policy::purpose_from(use.purpose);
  if (!use.until.empty() && use.until != "open-ended") {
    auto year = parse_utc(use.until + "-12-31T00:00:00.000Z");
    if (!year) throw Error(Code::bad_input, "unreadable_until: " + use.until + " is no year");
    query.end_year = year_of(*year);
  }
  return policy::evaluate(query);
}

// Signatures and hashes of the evidence chain, as this bundle uses them.
void add_chain(const Dossier& d, std::set<AlgorithmUse>& out) {
  out.insert({"SHA-256", "hash", ""});
  out.insert({"SHA-512", "hash", ""});
  out.insert({"Ed25519", "signature", ""});
  if (d.signer && d.signer->key) out.insert({certificate_algorithm(*d.signer->key), "signature", ""});
}

}  // namespace

std::optional<std::set<AlgorithmUse>> algorithms_of(const Dossier& d) {
  std::set<AlgorithmUse> out;
  for (const DatasetFacts& set : d.datasets) {
    if (set.settings.size() == 0) return std::nullopt;
    if (set.batches.empty() && set.open_batch) return std::nullopt;
    // Without a batch nothing was sealed in it: no algorithm is missing.
    for (const BatchFacts& batch : set.batches) {
      if (batch.content_algorithm.empty() || batch.wrap_algorithm.empty()) return std::nullopt;
      out.insert({batch.content_algorithm, "payload", until_of(set)});
      out.insert({batch.wrap_algorithm, "wrap", until_of(set)});
      for (const std::string& again : batch.rewrap_algorithms) {
        if (again.empty()) return std::nullopt;
        out.insert({again, "wrap", until_of(set)});
      }
    }
    std::vector<std::string> list = d.graph.data_keys_of(set.id);
    std::set<std::string> data_keys(list.begin(), list.end());
    for (const Header& h : d.headers) {
      if (h.type != "dataset-key-created" && h.type != "dataset-key-rewrapped" &&
          h.type != "fingerprint-key-created")
        continue;
      if (std::none_of(h.nodes.begin(), h.nodes.end(),
                       [&](const NodeMention& m) { return data_keys.contains(m.id); }))
        continue;
      const Json* body = d.body(h.seq);
      // As the slot of a sealed object numbers them (docs/spec/sealed-object.md).
      const Json* algorithm = body ? body->at("wrapped").find("algorithm") : nullptr;
      if (!algorithm) return std::nullopt;
      if (*algorithm == Json(1))
        out.insert({"AES-256-GCM", "wrap", until_of(set)});
      else if (algorithm->is_string() && !algorithm->as_string().empty())
        out.insert({algorithm->as_string(), "wrap", until_of(set)});
      else
        return std::nullopt;
    }
  }
  if (out.empty()) return std::nullopt;
  add_chain(d, out);
  return out;
}

void scope_conditions(const Dossier& d, std::set<std::string>& out) {
  if (d.headers_complete) out.insert("headers-complete");
  if (d.checkpoints_signed) out.insert("checkpoints-signed");
  if (all_of(d, [](const DatasetFacts& s) { return s.inventory_good; })) out.insert("inventory-complete");
  if (d.others_lost.empty()) out.insert("no-other-data");
  if (all_of(d, [](const DatasetFacts& s) { return history(s) == "none"; })) out.insert("history-none");
  if (all_of(d, [](const DatasetFacts& s) { return history(s) == "none" || history(s) == "disposed"; }))
    out.insert("history-disposed");
  auto in_brackets = [](const DatasetFacts& s) {
    return !s.open_batch && s.added > 0 &&
           std::all_of(s.batches.begin(), s.batches.end(),
                       [&](const BatchFacts& b) { return b.intended > s.added && b.done > b.intended; });
  };
  if (all_of(d, in_brackets)) out.insert("sealed-in-brackets");

  auto used = algorithms_of(d);
  if (!used) return;
  out.insert("algorithms-known");
  bool listed = true, strong = true;
  for (const AlgorithmUse& use : *used) {
    policy::Verdict verdict = judge(use);
    listed = listed && (verdict.category == policy::Category::listed ||
                        verdict.category == policy::Category::outside_categories);
    if (!use.until.empty()) strong = strong && verdict.allowed;
  }
  if (listed) out.insert("algorithms-listed");
  if (strong) out.insert("algorithms-strong");
}

}  // namespace kesu::dossier
