// Choosing and copying what a bundle carries.
#include "certificate/collect_impl.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "certificate/people_impl.h"
#include "crypto/hash.h"
#include "erasure/kill_set.h"
#include "inventory/segment.h"

namespace kesu {

namespace {

Json parse_body(const LedgerSource::OpenedBody& body) { return parse_json(body.canonical, "ledger body"); }

void put_text(BundleFiles& files, std::string_view path, std::string_view text) {
  files[std::string(path)] = to_bytes(as_bytes(text));
}

// Once under its name: two different contents under one name would hide one of them.
void put_blob(BundleFiles& files, LedgerSource& source, const std::string& path, const std::string& digest) {
  Bytes content = source.blob(digest);
  auto [it, fresh] = files.emplace(path, content);
  if (!fresh && it->second != content) return;  // the reader says which entry's file is not there
}

void put_named(BundleFiles& files, LedgerSource& source, const Json* digest) {
  if (digest && digest->is_string())
    put_blob(files, source, "evidence/" + digest->as_string(), digest->as_string());
}

struct Choice {
  const LedgerReading& ledger;
  std::string erasure;
  std::set<std::string> datasets, versions, copies, batches, dataset_keys, providers, nodes;

  bool wants(const Header& h) const {
    if (h.type == "genesis" || h.type == "operator-enrolled" || h.type == "ledger-key-set") return true;
    std::string_view type = h.type;
    bool about_nodes = type.starts_with("key-") || type.starts_with("destroy-") ||
                       type.starts_with("dataset-") || type.starts_with("erasure-") ||
                       type.starts_with("copy-") || type == "provider-added" || type == "provider-rekeyed" ||
                       type == "seal-done" || type == "rewrap-done" || type == "certificate-issued" ||
                       type == "finding-recorded" || type == "exception-recorded";
    if (!about_nodes) return false;
    return std::any_of(h.nodes.begin(), h.nodes.end(), [&](const NodeMention& m) {
      if (type == "certificate-issued") return m.of == erasure;
      if ((type == "exception-recorded" || type == "finding-recorded") && node_kind(m.id) == "vlt")
        return true;
      return nodes.contains(m.id);
    });
  }
};

}  // namespace

LedgerReading read_ledger_source(LedgerSource& source) {
  LedgerReading out;
  uint64_t size = source.size();
  for (uint64_t seq = 0; seq < size; ++seq) {
    out.texts.push_back(source.header(seq));
    out.headers.push_back(Header::parse(out.texts.back()));
    out.graph.fold(out.headers.back());
    out.body_hashes.push_back(source.body_hash(seq));
    out.leaves.push_back(leaf_hash(out.texts.back(), out.body_hashes.back()));
  }
  return out;
}

std::vector<uint64_t> entries_to_open(const LedgerReading& ledger, const std::string& erasure,
                                      const std::set<std::string>& datasets,
                                      const std::set<std::string>& controls,
                                      const std::set<std::string>& signers) {
  KillSet kill = kill_set(ledger.graph, datasets);
  Choice choice{ledger, erasure, datasets, {}, {}, {}, {}, {}, {erasure}};
  choice.nodes.insert(datasets.begin(), datasets.end());
  choice.nodes.insert(kill.versions.begin(), kill.versions.end());
  choice.nodes.insert(kill.copies.begin(), kill.copies.end());
  choice.nodes.insert(controls.begin(), controls.end());
  choice.nodes.insert(signers.begin(), signers.end());
  for (const std::string& dataset : datasets)
    for (const std::string& key : ledger.graph.data_keys_of(dataset)) choice.nodes.insert(key);
  for (const Header& h : ledger.headers)
    if (h.type == "ledger-key-set") choice.nodes.insert(h.nodes.front().id);
  for (const std::string& node : std::set<std::string>(choice.nodes))
    if (const auto g = ledger.graph.find(node); g && node_kind(g->of) == "prv") choice.nodes.insert(g->of);
  // `of` of a version becomes its erasure once it is destroyed, so providers are found where it was made.
  for (const Header& h : ledger.headers)
    if (h.type == "key-created" && choice.nodes.contains(h.nodes.front().id))
      choice.nodes.insert(h.nodes.front().of);
  std::vector<uint64_t> out;
  for (const Header& h : ledger.headers)
    if (choice.wants(h)) out.push_back(h.seq);
  return out;
}

void put_ledger(BundleFiles& files, LedgerSource& source, const LedgerReading& ledger,
                const std::vector<uint64_t>& open, bool kept) {
  std::string headers, bodies;
  for (size_t i = 0; i < ledger.texts.size(); ++i)
    headers += ledger.texts[i] + "\t" + hex(ledger.body_hashes[i]) + "\n";
  for (uint64_t seq : open) {
    LedgerSource::OpenedBody body = source.body(seq);
    bodies +=
        Json::object({{"body", parse_body(body)}, {"salt", hex(body.salt)}, {"seq", seq}}).canonical() + "\n";
  }
  files[std::string(bundle::kHeaders)] = gzip(headers, kept);
  put_text(files, bundle::kBodies, bodies);
}

void put_approvals(BundleFiles& files, LedgerSource& source, const std::vector<uint64_t>& open,
                   const LedgerReading& ledger) {
  std::map<std::string, std::pair<std::vector<std::string>, std::string>> people;
  std::string allowed;
  Json genesis;
  bool later_acts = false;
  const std::map<std::string_view, std::string> acts = {{"erasure-requested", "request"},
                                                        {"erasure-approved", "approve"},
                                                        {"erasure-verified", "verify"},
                                                        {"erasure-validated", "validate"}};
  for (uint64_t seq : open) {
    const Header& h = ledger.headers[seq];
    Json body = parse_body(source.body(seq));
    later_acts = later_acts || h.type == "erasure-verified" || h.type == "erasure-validated";
    if (h.type == "genesis") {
      genesis = body;
      put_blob(files, source, std::string(bundle::kGenesis), body.str("statement"));
      for (const Json& s : body.at("signatures").as_array())
        put_blob(files, source, "approvals/genesis." + s.str("operator") + ".sig", s.str("signature"));
    } else if (h.type == "operator-enrolled") {
      auto& [roles, key] = people[h.nodes.front().id];
      for (const Json& r : body.at("roles").as_array()) roles.push_back(r.as_string());
      key = body.str("public_key");
    } else if (auto act = acts.find(h.type); act != acts.end()) {
      const std::string name = "approvals/" + act->second + "." + body.str("operator") + ".json";
      put_blob(files, source, name, body.str("statement"));
      put_blob(files, source, name + ".sig", body.str("signature"));
    }
  }
  for (const Json& s : genesis.at("signatures").as_array()) {
    const auto& [roles, key] = people[s.str("operator")];
    allowed += dossier::allowed_signer_line(s.str("operator"), roles, key, later_acts);
  }
  put_text(files, bundle::kAllowedSigners, allowed);
}

void put_evidence(BundleFiles& files, LedgerSource& source, const std::vector<uint64_t>& open) {
  for (uint64_t seq : open) {
    Json body = parse_body(source.body(seq));
    for (const char* member : {"birth", "receipt", "transcript", "document", "before", "after"})
      put_named(files, source, body.find(member));
    const Json* inspections = body.find("inspections");
    if (!inspections) continue;
    for (const Json& i : inspections->as_array())
      for (const char* member : {"transcript", "before", "after"}) put_named(files, source, i.find(member));
  }
}

void put_inventory(BundleFiles& files, LedgerSource& source, const LedgerReading& ledger,
                   const std::set<std::string>& datasets) {
  for (const std::string& dataset : datasets) {
    std::string text;
    for (const Header& h : ledger.headers) {
      if (h.type != "seal-done") continue;
      for (const NodeMention& m : h.nodes) {
        if (m.of != dataset || m.is != "sealed") continue;
        SegmentLeaves leaves = parse_segment_leaves(source.segment(dataset, m.id));
        text += m.id + " " + std::to_string(leaves.objects.size()) + "\n";
        for (const auto& [object, leaf] : leaves.objects) text += hex(leaf) + "\n";
      }
    }
    put_text(files, "inventory/" + dataset + ".leaves", text);
  }
}

}  // namespace kesu
