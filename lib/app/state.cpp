#include "app/state.h"

#include <algorithm>

#include "app/state_impl.h"
#include "base/error.h"

namespace kesu {

using namespace fold;

namespace {
WrappedKey wrapped_from(const Json& v) {
  WrappedKey out;
  out.algorithm = static_cast<WrapAlg>(v.num("algorithm"));
  out.nonce = unhex(v.str("nonce")).value_or(Bytes{});
  out.blob = unhex(v.str("blob")).value_or(Bytes{});
  return out;
}

// Whoever holds the start of an edge can get the batch's data keys, for ever.
void add_reachers(BatchRecord& b, const Header& h) {
  for (auto& [from, to] : h.edges)
    if (to == b.id) b.reached_by.push_back(from);
  if (b.reached_by.size() < 2) return;
  std::sort(b.reached_by.begin(), b.reached_by.end());
  b.reached_by.erase(std::unique(b.reached_by.begin(), b.reached_by.end()), b.reached_by.end());
}

// Moves objects of a batch to another version: out of the rows they were in, into the new one's.
void move_positions(BatchRecord& b, const std::string& to, const Positions& moved) {
  if (moved.empty()) return;
  std::vector<std::string> at(static_cast<size_t>(b.n), b.version);
  for (auto& [version, ranges] : b.on)
    for (auto [first, last] : ranges)
      for (int64_t i = first; i <= last && i < b.n; ++i) at[static_cast<size_t>(i)] = version;
  for (auto [first, last] : moved) {
    if (first < 0 || last < first || last >= b.n)
      throw Error(Code::bad_input, "positions " + std::to_string(first) + " to " + std::to_string(last) +
                                       " of a batch of " + std::to_string(b.n));
    for (int64_t i = first; i <= last; ++i) at[static_cast<size_t>(i)] = to;
  }
  b.on.clear();
  for (int64_t i = 0; i < b.n; ++i) {
    Positions& row = b.on[at[static_cast<size_t>(i)]];
    if (!row.empty() && row.back().second == i - 1)
      row.back().second = i;
    else
      row.emplace_back(i, i);
  }
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

Millis VersionRecord::protect_until() const {
  if (!activated || !originator) return 0;
  return std::max(activated + originator * 1000, originator_exception);
}
Millis VersionRecord::process_until() const {
  if (!activated || !recipient) return 0;
  return std::max(activated + recipient * 1000, recipient_exception);
}

const VersionRecord* State::version(std::string_view id) const {
  return const_cast<State*>(this)->version(id);
}
VersionRecord* State::version(std::string_view id) {
  auto it = keys.find(std::string(id.substr(0, id.find('.'))));
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

void State::evolve(const Header& h, const Json& body, Json* own) {
  if (h.seq != size)
    throw Error(Code::ledger_damaged, "entry " + std::to_string(h.seq) + " stands where entry " +
                                          std::to_string(size) + " belongs");
  if (vault.closed)
    throw Error(Code::ledger_damaged, "entry " + std::to_string(h.seq) + " stands behind vault-closed");
  try {
    evolve_clock(h, body);
    if (h.type.starts_with("seal-")) {  // most entries are of these three
      evolve_seal(h, body, own);
    } else if (h.type.starts_with("process-")) {
      evolve_process(h, body, own);
    } else if (h.type != "objects-opened") {
      evolve_vault(h, body);
      evolve_key(h, body);
      evolve_dataset(h, body);
      evolve_erasure(h, body);
      evolve_remark(h, body);
      evolve_rules(h, body);
    }
  } catch (const Error& e) {
    throw Error(Code::ledger_damaged, "entry " + std::to_string(h.seq) + " (" + h.type + ") cannot be read")
        .cause(e.message());
  }
  size = h.seq + 1;
  time = h.time;
}

void State::evolve_clock(const Header& h, const Json& body) {
  const Json* actor = h.type == "process-started" ? &body : body.find("actor");
  if (!actor || !actor->is_object() || !actor->find("clock")) return;
  const std::string& boot = actor->str("boot_id");
  int64_t clock = actor->num("clock");
  if (boot == vault.boot_id && clock == vault.clock) return;
  vault.boot_id = boot;
  vault.clock = clock;
  touch("vault", vault.id);
}

void State::evolve_process(const Header& h, const Json& body, Json* own) {
  if (h.type == "process-started") {
    ProcessRecord p;
    const NodeMention& node = need(h, "prc");
    p.id = node.id;
    p.purpose = body.str("purpose");
    p.actor = own ? std::move(*own) : body;
    p.until = node.t.value_or(0);
    if (!h.edges.empty()) p.dataset = h.edges[0].second;
    touch("process", p.id);
    processes[p.id] = std::move(p);
  } else if (h.type == "process-ended") {
    // One that has ended is nobody's question any more; who saw what stays in the ledger, and in its graph.
    processes.erase(need(h, "prc").id);
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
    key.fingerprints_of = body.str_or("fingerprints_of", "");
    VersionRecord v;
    v.id = node.id;
    v.state = "intended";
    v.provider = node.of;
    v.bracket = h.seq;
    v.actor = body.at("actor");
    v.since = h.time;
    v.origin = body.str_or("origin", "generated");
    v.wrap_quota = body.num_or("wrap_quota", kWrapQuota);
    if (const Json* periods = body.find("periods")) {
      v.originator = periods->num("originator");
      v.recipient = periods->num("recipient");
    }
    key.versions.push_back(std::move(v));
    return;
  }
  VersionRecord* v = version(node.id);
  if (!v) throw Error(Code::ledger_damaged, node.id + " was never intended");
  if (h.type == "destroy-intended") {
    v->state_before = v->state;
    v->before = body.str_or("before", "");
    v->erasure = node.of;
    v->bracket = h.seq;
    v->actor = body.at("actor");
    v->since = h.time;
  }
  if (!node.is.empty()) v->state = node.is;
  if (node.is == "active" && !v->activated) v->activated = h.time;
  if (h.type == "key-inspected") v->inspected = body.str("answer");
  if (h.type == "key-attested")
    v->attested.push_back({body.str("operator"), body.str("role"), body.str("statement"), h.time});
  if (h.type == "key-created") {
    count_wraps(v->id, 1);  // its canary
    v->ref = KeyRef::from_json(body.at("ref"));
    v->birth = body.str("birth");
    v->created = h.time;
    if (key.purpose == KeyPurpose::control)
      for (auto& [id, p] : providers)
        if (id == v->provider) {
          p.control = v->id;
          touch("provider", id);
        }
  } else if (h.type == "key-state-changed") {
    // One entry may move two versions: of a rotation the new one is made active by key-created.
    for (const NodeMention& n : h.nodes) {
      VersionRecord* moved = n.is.empty() ? nullptr : version(n.id);
      if (!moved) continue;
      moved->state = n.is;
      moved->reason = body.str("reason");
      if (n.is == "active" && !moved->activated) moved->activated = h.time;
      if (n.is == "deactivated") moved->deactivated = h.time;
      if (n.is == "compromised" || n.is == "destroyed-compromised") {
        moved->compromised = h.time;
        moved->occurred = parse_utc(body.str_or("occurred", "")).value_or(0);
      }
      touch("key", VersionRef::parse(n.id)->key.str());
    }
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
    d.settings.as_object().erase("command");  // who ran it
    touch("dataset", d.id);
    datasets[d.id] = std::move(d);
    return;
  }
  if (h.type == "dataset-updated") {
    DatasetRecord& d = datasets[need(h, "ds").id];
    for (auto& [member, value] : body.at("changes").as_object()) d.settings.set(member, value);
    d.key = d.settings.str("key");
    touch("dataset", d.id);
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
    count_wraps(body.str("version"), 1);
    touch("dataset", node.of);
    return;
  }
  if (h.type == "fingerprint-key-created") {
    const NodeMention& node = need(h, "dsk");
    datasets[node.of].fingerprint_keys.push_back(
        {node.id, body.str("version"), wrapped_from(body.at("wrapped"))});
    count_wraps(body.str("version"), 1);
    touch("dataset", node.of);
    return;
  }
  if (h.type == "dataset-key-rewrapped") {
    const NodeMention& node = need(h, "dsk");
    for (auto& [id, d] : datasets)
      if (std::any_of(d.keys.begin(), d.keys.end(), [&](auto& k) { return k.id == node.id; })) {
        d.keys.push_back({node.id, body.str("version"), wrapped_from(body.at("wrapped")), true});
        touch("dataset", id);
        break;
      }
    count_wraps(body.str("version"), 1);
    return;
  }
  if (h.type.starts_with("rewrap-")) return evolve_rewrap(h, body);
}

// Whose batch it is: of those that are open, else of the dataset that the entry names, else of any.
DatasetRecord* State::dataset_of(const Header& h, const std::string& batch) {
  for (auto& [id, d] : datasets)
    if (d.batches.find_open(batch)) return &d;
  if (const NodeMention* named = mention(h, "ds"))
    if (auto it = datasets.find(named->id); it != datasets.end() && it->second.batches.find(batch))
      return &it->second;
  for (auto& [id, d] : datasets)
    if (d.batches.find(batch)) return &d;
  return nullptr;
}

void State::evolve_rewrap(const Header& h, const Json& body) {
  const NodeMention& node = need(h, "bat");
  DatasetRecord* d = dataset_of(h, node.id);
  if (!d) throw Error(Code::ledger_damaged, node.id + " was never sealed");
  BatchRecord b = *d->batches.find(node.id);
  if (h.type == "rewrap-intended") {
    b.rewrap = {body.str("version"), positions_from(body.at("objects")), body.at("actor"), h.time};
    count_wraps(b.rewrap.version, node.n.value_or(0));
    add_reachers(b, h);
  } else {
    move_positions(b, body.str("version"), positions_from(body.at("objects")));
    b.rewrap = {};
  }
  d->batches.replace(std::move(b));
  touch_batch(d->id, node.id);
}

void State::evolve_seal(const Header& h, const Json& body, Json* own) {
  const NodeMention& node = need(h, "bat");
  auto dataset = datasets.find(node.of);
  if (dataset == datasets.end()) throw Error(Code::ledger_damaged, node.id + " belongs to no dataset");
  if (h.type == "seal-intended") {
    BatchRecord b;
    b.id = node.id;
    b.state = "intended";
    b.n = node.n.value_or(0);
    b.version = body.str("version");
    b.dataset_key = body.str("dataset_key");
    b.location = body.str("location");
    b.objects = strings(body.at("objects"));
    const Json& actor = body.at("actor");
    b.actor = own ? std::move(own->as_object().find("actor")->second) : actor;
    b.since = h.time;
    b.seq = h.seq;
    b.place = {body.str("location_inode"), body.str_or("location_born", ""),
               body.str_or("location_filesystem", "")};
    add_reachers(b, h);
    count_wraps(b.version, b.n);
    dataset->second.batches.add(std::move(b));
    touch_batch(node.of, node.id);
    return;
  }
  const bool done = h.type == "seal-done";
  const int64_t replaced = done ? body.num_or("replaced", 0) : 0;
  const std::string content = done ? body.str("content_algorithm") : "";
  const std::string wrap = done ? body.str("wrap_algorithm") : "";
  const Json* aside = body.find("set_aside");
  const size_t set_aside = aside ? aside->as_array().size() : 0;
  auto batch = dataset->second.batches.take(node.id);  // from here on nothing is refused
  if (!batch) throw Error(Code::ledger_damaged, node.id + " was never intended");
  batch->state = node.is;
  batch->objects.clear();
  batch->actor = Json();
  if (done) {
    batch->n = node.n.value_or(0);
    batch->bytes = node.b.value_or(0);
    batch->root = node.d;
    batch->done_seq = h.seq;
    batch->replaced = replaced;
    batch->content_algorithm = content;
    batch->wrap_algorithm = wrap;
  }
  if (set_aside) {
    const std::string seq = std::to_string(h.seq);
    findings[seq] = {node.of, "set-aside",
                     std::to_string(set_aside) + (set_aside == 1 ? " object" : " objects") +
                         " of an interrupted sealing did not open; kept as *.kesu-damaged below " +
                         batch->location,
                     h.time};
    touch("finding", seq);
  }
  dataset->second.batches.add(std::move(*batch));
  touch_batch(node.of, node.id);
}

bool State::wants_body(const Header& h) { return h.type != "objects-opened" && h.type != "process-ended"; }

void State::count_wraps(std::string_view id, int64_t n) {
  VersionRecord* v = version(id);
  if (!v) throw Error(Code::bad_input, std::string(id) + " was never made");
  v->wraps += n;
  if (tracks_) touch("key", VersionRef::parse(id)->key.str());
}

}  // namespace kesu
