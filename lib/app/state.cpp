#include "app/state.h"

#include <algorithm>

#include "base/error.h"

namespace kesu {

namespace {
std::vector<std::string> strings(const Json& array) {
  std::vector<std::string> out;
  for (const Json& item : array.as_array()) out.push_back(item.as_string());
  return out;
}

const NodeMention* mention(const Header& h, std::string_view kind) {
  for (const NodeMention& node : h.nodes)
    if (node_kind(node.id) == kind) return &node;
  return nullptr;
}

const NodeMention& need(const Header& h, std::string_view kind) {
  const NodeMention* node = mention(h, kind);
  if (!node)
    throw Error(Code::ledger_damaged,
                "entry " + std::to_string(h.seq) + " (" + h.type + ") names no " + std::string(kind));
  return *node;
}

WrappedKey wrapped_from(const Json& v) {
  WrappedKey out;
  out.algorithm = static_cast<WrapAlg>(v.num("algorithm"));
  out.nonce = unhex(v.str("nonce")).value_or(Bytes{});
  out.blob = unhex(v.str("blob")).value_or(Bytes{});
  return out;
}
}  // namespace

bool OperatorRecord::has_role(std::string_view role) const {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

const VersionRecord* KeyRecord::active() const {
  for (const VersionRecord& v : versions)
    if (v.state == "active") return &v;
  return nullptr;
}
const VersionRecord* KeyRecord::find(std::string_view id_) const {
  for (const VersionRecord& v : versions)
    if (v.id == id_) return &v;
  return nullptr;
}
std::string KeyRecord::state() const { return versions.empty() ? "absent" : versions.back().state; }

int64_t DatasetRecord::objects() const {
  int64_t n = 0;
  for (const BatchRecord& b : batches) n += b.state == "sealed" ? b.n : 0;
  return n;
}
int64_t DatasetRecord::bytes() const {
  int64_t n = 0;
  for (const BatchRecord& b : batches) n += b.state == "sealed" ? b.bytes : 0;
  return n;
}

const VersionRecord* State::version(std::string_view id) const {
  return const_cast<State*>(this)->version(id);
}
VersionRecord* State::version(std::string_view id) {
  auto ref = VersionRef::parse(id);
  if (!ref) return nullptr;
  auto it = keys.find(ref->key.str());
  if (it == keys.end()) return nullptr;
  for (VersionRecord& v : it->second.versions)
    if (v.id == id) return &v;
  return nullptr;
}
const KeyRecord* State::key_of(std::string_view version_id) const {
  auto ref = VersionRef::parse(version_id);
  auto it = ref ? keys.find(ref->key.str()) : keys.end();
  return it == keys.end() ? nullptr : &it->second;
}

const ErasureRecord* State::reserving(std::string_view key) const {
  for (auto& [id, e] : erasures) {
    if (e.stage != "requested" && e.stage != "approved" && e.stage != "running") continue;
    for (const std::string& v : e.versions)
      if (v.starts_with(key) && v.size() > key.size() && v[key.size()] == '.') return &e;
  }
  return nullptr;
}

void State::evolve(const StoredEntry& stored) {
  const Header& h = stored.entry.header;
  const Json& body = stored.entry.body;
  if (h.seq != size)
    throw Error(Code::ledger_damaged, "entry " + std::to_string(h.seq) + " stands where entry " +
                                          std::to_string(size) + " belongs");
  try {
    evolve_vault(h, body);
    evolve_key(h, body);
    evolve_dataset(h, body);
    evolve_erasure(h, body);
  } catch (const Error& e) {
    throw Error(Code::ledger_damaged, "entry " + std::to_string(h.seq) + " (" + h.type + ") cannot be read")
        .cause(e.message());
  }
  size = h.seq + 1;
  time = h.time;
}

void State::evolve_vault(const Header& h, const Json& body) {
  if (h.type == "genesis") {
    vault.id = need(h, "vlt").id;
    vault.organisation = body.str("organisation");
    vault.origin = body.str("origin");
    vault.profile = body.str("profile");
    vault.statement = body.str("statement");
    vault.quorum = body.num("quorum");
    vault.waiting_seconds = body.num("waiting_seconds");
    touch("vault", vault.id);
  } else if (h.type == "operator-enrolled") {
    OperatorRecord o;
    o.id = need(h, "opr").id;
    o.name = body.str("name");
    o.title = body.str("title");
    o.public_key = body.str("public_key");
    o.fingerprint = body.str("fingerprint");
    o.roles = strings(body.at("roles"));
    o.state = "enrolled";
    touch("operator", o.id);
    operators[o.id] = std::move(o);
  } else if (h.type == "operator-revoked") {
    operators[need(h, "opr").id].state = "revoked";
    touch("operator", need(h, "opr").id);
  } else if (h.type == "provider-added") {
    ProviderRecord p;
    p.id = need(h, "prv").id;
    p.name = body.str("name");
    p.uri = body.str("uri");
    p.identity = ProviderIdentity::from_json(body.at("identity"));
    p.capabilities = body.at("capabilities");
    p.test_grade = body.at("grade").flag("test");
    p.grade_reason = body.at("grade").str("reason");
    p.state = "open";
    touch("provider", p.id);
    providers[p.id] = std::move(p);
  } else if (h.type == "ledger-key-set") {
    vault.ledger_version = need(h, "key").id;
    vault.vkey = body.str("vkey");
    touch("vault", vault.id);
  } else if (h.type == "document-attached" && body.str("what") == "signer-certificate") {
    vault.signer_version = body.str("detail");
    vault.signer_certificate = body.str("document");
    touch("vault", vault.id);
  } else if (h.type == "process-started") {
    ProcessRecord p;
    const NodeMention& node = need(h, "prc");
    p.id = node.id;
    p.purpose = body.str("purpose");
    p.actor = body;
    p.until = node.t.value_or(0);
    p.alive = true;
    if (!h.edges.empty()) p.dataset = h.edges[0].second;
    touch("process", p.id);
    processes[p.id] = std::move(p);
  } else if (h.type == "process-ended") {
    processes[need(h, "prc").id].alive = false;
    touch("process", need(h, "prc").id);
  }
}

void State::evolve_key(const Header& h, const Json& body) {
  if (!h.type.starts_with("key-") && !h.type.starts_with("destroy-")) return;
  const NodeMention& node = need(h, "key");
  auto ref = VersionRef::parse(node.id);
  if (!ref) throw Error(Code::ledger_damaged, node.id + " is no key version");
  KeyRecord& key = keys[ref->key.str()];
  touch("key", ref->key.str());
  if (h.type == "key-intended") {
    key.id = ref->key.str();
    key.name = body.str("name");
    auto purpose = parse_purpose(body.str("purpose"));
    if (!purpose) throw Error(Code::bad_input, "unknown purpose " + body.str("purpose"));
    key.purpose = *purpose;
    key.provider = node.of;
    VersionRecord v;
    v.id = node.id;
    v.state = "intended";
    v.provider = node.of;
    v.bracket = h.seq;
    v.actor = body.at("actor");
    v.since = h.time;
    key.versions.push_back(std::move(v));
    return;
  }
  VersionRecord* v = version(node.id);
  if (!v) throw Error(Code::ledger_damaged, node.id + " was never intended");
  if (h.type == "destroy-intended") {
    v->state_before = v->state;
    v->erasure = node.of;
    v->bracket = h.seq;
    v->actor = body.at("actor");
    v->since = h.time;
  }
  if (!node.is.empty()) v->state = node.is;
  if (h.type == "key-created") {
    v->ref = KeyRef::from_json(body.at("ref"));
    v->birth = body.str("birth");
    v->created = h.time;
    if (key.purpose == KeyPurpose::control)
      for (auto& [id, p] : providers)
        if (id == v->provider) {
          p.control = v->id;
          touch("provider", id);
        }
  } else if (h.type == "key-state-changed" && v->state == "deactivated") {
    v->deactivated = h.time;
  } else if (h.type == "destroy-done") {
    v->destroyed = h.time;
    v->receipt_lost = body.flag("receipt_lost");
  }
}

void State::evolve_dataset(const Header& h, const Json& body) {
  if (h.type == "dataset-added") {
    DatasetRecord d;
    d.id = need(h, "ds").id;
    d.name = body.str("name");
    d.key = body.str("key");
    d.state = "open";
    d.settings = body;
    touch("dataset", d.id);
    datasets[d.id] = std::move(d);
    return;
  }
  if (h.type == "dataset-frozen" || h.type == "dataset-unfrozen" || h.type == "dataset-erased") {
    const NodeMention& node = need(h, "ds");
    DatasetRecord& d = datasets[node.id];
    d.state = node.is;
    d.erasure = h.type == "dataset-unfrozen" ? "" : node.of;
    touch("dataset", node.id);
    return;
  }
  if (h.type == "dataset-key-created") {
    const NodeMention& node = need(h, "dsk");
    datasets[node.of].keys.push_back({node.id, body.str("version"), wrapped_from(body.at("wrapped"))});
    touch("dataset", node.of);
    return;
  }
  if (!h.type.starts_with("seal-")) return;
  const NodeMention& node = need(h, "bat");
  if (h.type == "seal-intended") {
    BatchRecord b;
    b.id = node.id;
    b.state = "intended";
    b.n = node.n.value_or(0);
    b.version = body.str("version");
    b.dataset_key = body.str("dataset_key");
    b.location = body.str("location");
    b.objects = strings(body.at("objects"));
    b.actor = body.at("actor");
    b.since = h.time;
    b.place_inode = body.str("location_inode");
    datasets[node.of].batches.push_back(std::move(b));
    touch("dataset", node.of);
    return;
  }
  auto dataset = datasets.find(node.of);
  if (dataset == datasets.end()) throw Error(Code::ledger_damaged, node.id + " belongs to no dataset");
  auto& batches = dataset->second.batches;
  auto batch =
      std::find_if(batches.rbegin(), batches.rend(), [&](const BatchRecord& b) { return b.id == node.id; });
  if (batch == batches.rend()) throw Error(Code::ledger_damaged, node.id + " was never intended");
  batch->state = node.is;
  batch->objects.clear();
  batch->actor = Json();
  if (h.type == "seal-done") {
    batch->n = node.n.value_or(0);
    batch->bytes = node.b.value_or(0);
    batch->root = node.d;
    batch->done_seq = h.seq;
  }
  touch("dataset", node.of);
}

void State::evolve_erasure(const Header& h, const Json& body) {
  if (h.type == "certificate-issued") {
    const NodeMention& node = need(h, "cer");
    certificates[node.id] = {
        node.id, node.of, "issued", body.str("certificate"), body.str("signature"), body.str("manifest"),
        h.seq,   h.time};
    erasures[node.of].certificate = node.id;
    touch("certificate", node.id);
    touch("erasure", node.of);
    return;
  }
  if (h.type == "certificate-withdrawn") {
    certificates[need(h, "cer").id].state = "withdrawn";
    touch("certificate", need(h, "cer").id);
    return;
  }
  if (!h.type.starts_with("erasure-")) return;
  const NodeMention& node = need(h, "era");
  ErasureRecord& e = erasures[node.id];
  touch("erasure", node.id);
  if (!node.is.empty()) e.stage = node.is;
  if (h.type == "erasure-requested") {
    e.id = node.id;
    e.plan = body.str("plan");
    e.reason = body.str("reason");
    e.datasets = strings(body.at("datasets"));
    e.versions = strings(body.at("versions"));
    e.request = {body.str("operator"), "operator", body.str("statement"), body.str("signature"), h.time};
    e.requested = h.time;
  } else if (h.type == "erasure-approved") {
    e.approvals.push_back(
        {body.str("operator"), body.str("role"), body.str("statement"), body.str("signature"), h.time});
    if (node.is == "approved") e.approved = h.time;
  } else if (h.type == "erasure-started") {
    e.started = body;
  } else if (h.type == "erasure-inspected") {
    e.inspected = body;
    e.finished = h.time;
  }
}

}  // namespace kesu
