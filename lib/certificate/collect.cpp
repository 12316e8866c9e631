// Choosing and copying what a bundle carries.
#include "certificate/collect_impl.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "certificate/gzip_impl.h"
#include "certificate/people_impl.h"
#include "crypto/hash.h"
#include "erasure/kill_set.h"
#include "inventory/segment.h"

namespace kesu {

namespace {

constexpr size_t kLeafLine = 65;  // of inventory/*.leaves: a digest, line feed

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

// What is lost is left out: the reader says so, and what does not hold without it. A later entry may stand in
// its place.
void put_if_kept(BundleFiles& files, LedgerSource& source, const std::string& path,
                 const std::string& digest) {
  try {
    put_blob(files, source, path, digest);
  } catch (const Error& e) {
    if (e.code() != Code::not_found && e.code() != Code::ledger_damaged) throw;
  }
}

void put_named(BundleFiles& files, LedgerSource& source, const Json* digest) {
  if (digest && digest->is_string())
    put_blob(files, source, "evidence/" + digest->as_string(), digest->as_string());
}

struct Choice {
  const LedgerReading& ledger;
  std::string erasure;
  std::set<std::string> datasets, versions, holds, nodes;

  bool wants(const Header& h) const {
    if (h.type == "genesis" || h.type == "operator-enrolled" || h.type == "ledger-key-set" ||
        h.type == "contact-recorded" || h.type == "rules-changed")
      return true;
    std::string_view type = h.type;
    if (type == "hold-placed" || type == "hold-released")
      return std::any_of(h.nodes.begin(), h.nodes.end(),
                         [&](const NodeMention& m) { return holds.contains(m.id); });
    bool about_nodes =
        type.starts_with("key-") || type.starts_with("destroy-") || type.starts_with("dataset-") ||
        type == "fingerprint-key-created" || type.starts_with("erasure-") || type.starts_with("copy-") ||
        type == "provider-added" || type == "provider-rekeyed" || type == "seal-done" ||
        type == "residue-scanned" || type == "rewrap-done" || type == "certificate-issued" ||
        type == "certificate-renewed" || type == "finding-recorded" || type == "exception-recorded";
    if (!about_nodes) return false;
    return std::any_of(h.nodes.begin(), h.nodes.end(), [&](const NodeMention& m) {
      if (type == "certificate-issued") return m.of == erasure;
      if (type == "certificate-renewed") {
        const auto node = ledger.graph.find(m.id);
        return node && node->of == erasure;
      }
      if ((type == "exception-recorded" || type == "finding-recorded") && node_kind(m.id) == "vlt")
        return true;
      return nodes.contains(m.id);
    });
  }
};

}  // namespace

namespace {
// Most entries of a vault in use; a bundle shows their headers alone.
bool never_opened(std::string_view type) {
  return type == "seal-intended" || type == "process-started" || type == "process-ended" ||
         type == "objects-opened" || type == "rewrap-intended";
}

void take(LedgerReading& out, std::string_view text, const Digest32& body_hash) {
  Header h = Header::parse(text);
  out.graph.fold(h);
  out.leaves.push_back(leaf_hash(text, body_hash));
  if (!never_opened(h.type)) out.headers.push_back(std::move(h));
}
}  // namespace

const Header& LedgerReading::header(uint64_t seq) const {
  return *std::lower_bound(headers.begin(), headers.end(), seq,
                           [](const Header& h, uint64_t wanted) { return h.seq < wanted; });
}

LedgerReading read_ledger_source(LedgerSource& source, bool kept, Bytes drafted) {
  LedgerReading out;
  const uint64_t size = source.size();
  GzipWriter packed(kept);
  std::string line;
  const auto take_line = [&] {
    const size_t tab = line.find('\t');
    take(out, std::string_view(line).substr(0, tab), unhex32(std::string_view(line).substr(tab + 1)).value());
    packed.add(line);
    packed.add("\n");
    line.clear();
  };
  if (!drafted.empty()) {
    gunzip_each(drafted, [&](std::string_view part) {
      for (size_t end; (end = part.find('\n')) != part.npos; part.remove_prefix(end + 1)) {
        line += part.substr(0, end);
        take_line();
      }
      line += part;
    });
    drafted = Bytes();
  }
  for (uint64_t seq = out.leaves.size(); seq < size; ++seq) {
    line = source.header(seq) + "\t" + hex(source.body_hash(seq));
    take_line();
  }
  out.packed = packed.finish();
  // What would be too large for a bundle's file is made small, however long it takes.
  if (!kept && out.packed.size() > kMaxBundleFile) return read_ledger_source(source, true);
  return out;
}

std::vector<uint64_t> entries_to_open(const LedgerReading& ledger, const std::string& erasure,
                                      const std::set<std::string>& datasets,
                                      const std::set<std::string>& controls,
                                      const std::set<std::string>& signers) {
  KillSet kill = kill_set(ledger.graph, datasets);
  Choice choice{ledger, erasure, datasets, {kill.versions.begin(), kill.versions.end()}, {}, {erasure}};
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
  for (const Header& h : ledger.headers)
    if (h.type == "hold-placed")
      for (const NodeMention& m : h.nodes)
        if (m.is == "placed" && (choice.datasets.contains(m.of) || choice.versions.contains(m.of)))
          choice.holds.insert(m.id);
  std::vector<uint64_t> out;
  for (const Header& h : ledger.headers)
    if (choice.wants(h)) out.push_back(h.seq);
  return out;
}

void put_ledger(BundleFiles& files, LedgerSource& source, LedgerReading& ledger,
                const std::vector<uint64_t>& open) {
  std::string bodies;
  for (uint64_t seq : open) {
    LedgerSource::OpenedBody body = source.body(seq);
    bodies +=
        Json::object({{"body", parse_body(body)}, {"salt", hex(body.salt)}, {"seq", seq}}).canonical() + "\n";
  }
  files[std::string(bundle::kHeaders)] = std::move(ledger.packed);
  put_text(files, bundle::kBodies, bodies);
}

void put_approvals(BundleFiles& files, LedgerSource& source, const std::vector<uint64_t>& open,
                   const LedgerReading& ledger, uint64_t size_a) {
  dossier::SignerLines lines;
  bool later_acts = false, attested = false, commands = false;
  const std::map<std::string_view, std::string> acts = {{"erasure-requested", "request"},
                                                        {"erasure-approved", "approve"},
                                                        {"erasure-verified", "verify"},
                                                        {"erasure-validated", "validate"}};
  for (uint64_t seq : open) {
    const Header& h = ledger.header(seq);
    Json body = parse_body(source.body(seq));
    later_acts = later_acts || h.type == "erasure-verified" || h.type == "erasure-validated";
    if (const Json* command = body.find("command"); command != nullptr && seq < size_a) {
      commands = true;
      const std::string name = dossier::command_path(command->str("statement"));
      put_blob(files, source, name, command->str("statement"));
      put_blob(files, source, name + ".sig", command->str("signature"));
    }
    if (h.type == "genesis") {
      std::vector<std::string> order;
      put_blob(files, source, std::string(bundle::kGenesis), body.str("statement"));
      for (const Json& s : body.at("signatures").as_array())
        put_blob(files, source, "approvals/genesis." + s.str("operator") + ".sig", s.str("signature"));
      for (const Json& s : body.at("signatures").as_array()) order.push_back(s.str("operator"));
      lines.genesis(order);
    } else if (h.type == "operator-enrolled") {
      std::vector<std::string> roles;
      for (const Json& r : body.at("roles").as_array()) roles.push_back(r.as_string());
      lines.enrolled(h.nodes.front().id, roles, body.str("public_key"));
    } else if (h.type == "rules-changed") {
      put_blob(files, source, dossier::change_path(seq), body.str("statement"));
      for (const Json& s : body.at("signatures").as_array())
        put_blob(files, source, dossier::change_signature_path(seq, s.str("operator")), s.str("signature"));
      lines.changed(h, RuleChange::from_json(body.at("change")));
    } else if (h.type == "hold-released") {
      for (const Json& one : body.at("approvals").as_array()) {
        const std::string name = dossier::release_path(seq, one.str("operator"));
        put_if_kept(files, source, name, one.str("statement"));
        put_if_kept(files, source, name + ".sig", one.str("signature"));
      }
    } else if (h.type == "key-attested") {
      attested = true;
      const std::string name = dossier::attest_path(seq, body.str("operator"));
      put_blob(files, source, name, body.str("statement"));
      put_blob(files, source, name + ".sig", body.str("signature"));
    } else if (auto act = acts.find(h.type); act != acts.end()) {
      const std::string name = "approvals/" + act->second + "." + body.str("operator") + ".json";
      if (h.type == "erasure-approved") files.erase(name), files.erase(name + ".sig");  // anew: the last
      put_blob(files, source, name, body.str("statement"));
      put_blob(files, source, name + ".sig", body.str("signature"));
    }
  }
  put_text(files, bundle::kAllowedSigners, lines.text(later_acts, attested, commands));
  for (const auto& [path, pem] : lines.certificates()) put_text(files, path, pem);
}

void put_evidence(BundleFiles& files, LedgerSource& source, const std::vector<uint64_t>& open,
                  const LedgerReading& ledger) {
  for (uint64_t seq : open) {
    Json body = parse_body(source.body(seq));
    if (ledger.header(seq).type == "erasure-stamped") {  // without one of them it shows nothing
      for (const char* member : {"checkpoint", "document", "authority"})
        put_if_kept(files, source, "evidence/" + body.str(member), body.str(member));
      continue;
    }
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
  InventoryOrder order;
  for (const std::string& dataset : datasets) order[dataset];
  for (const Header& h : ledger.headers)
    if (h.type == "seal-done")
      for (const NodeMention& m : h.nodes)
        if (auto it = order.find(m.of); it != order.end() && m.is == "sealed")
          it->second.emplace_back(m.id, static_cast<size_t>(std::max<int64_t>(0, m.n.value_or(0))));
  bring_inventory(files, source, order);
}

void bring_inventory(BundleFiles& files, LedgerSource& source, const InventoryOrder& order) {
  for (const auto& [dataset, batches] : order) {
    // By far the largest file of all where there are many objects: it is held once, and never grows.
    size_t size = 0;
    for (const auto& [batch, n] : batches) size += batch.size() + 22 + kLeafLine * n;
    Bytes& text = files["inventory/" + dataset + ".leaves"];
    text.clear();
    text.reserve(size);
    const auto add = [&](std::string_view line) {
      text.insert(text.end(), line.begin(), line.end());
      text.push_back('\n');
    };
    for (const auto& [batch, n] : batches) {
      const SegmentLeaves leaves = parse_segment_leaves(source.segment(dataset, batch));
      add(batch + " " + std::to_string(leaves.objects.size()));
      for (const auto& [object, leaf] : leaves.objects) add(hex(leaf));
    }
  }
}

InventoryOrder put_away_inventory(BundleFiles& files) {
  InventoryOrder out;
  for (auto& [path, content] : files) {
    if (!path.starts_with("inventory/") || !path.ends_with(".leaves")) continue;
    auto& batches = out[path.substr(10, path.size() - 17)];
    for (std::string_view text = as_text(content); !text.empty();) {
      const std::string_view head = text.substr(0, text.find('\n'));
      const size_t n = std::stoull(std::string(head.substr(head.find(' ') + 1)));
      batches.emplace_back(head.substr(0, head.find(' ')), n);
      text.remove_prefix(head.size() + 1 + kLeafLine * n);
    }
    content = Bytes();
  }
  return out;
}

}  // namespace kesu
