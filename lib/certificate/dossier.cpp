// The reader's order of work, and what all its parts use.
#include <algorithm>
#include <utility>

#include "certificate/dossier_impl.h"
#include "crypto/hash.h"

namespace kesu::dossier {

namespace {
constexpr size_t kMaxFindings = 200;  // more would not tell more
}

void Findings::add(Finding f) {
  f.hard = f.hard && !weakly_;
  hard_ = hard_ || f.hard;
  if (all_.size() < kMaxFindings) all_.push_back(std::move(f));
}

void Findings::weakly(const std::function<void()>& check) {
  const bool before = std::exchange(weakly_, true);
  check();
  weakly_ = before;
}

bool Findings::guard(const std::string& part, const std::function<void()>& check) {
  try {
    check();
    return true;
  } catch (const Error& e) {
    bad(part, e.message() + (e.cause().empty() ? "" : " (" + e.cause() + ")"));
  } catch (const std::exception& e) {
    bad(part, std::string("cannot be read: ") + e.what());
  }
  return false;
}

bool Person::has_role(std::string_view role) const {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

std::optional<ByteView> Dossier::file(std::string_view path) const {
  auto it = files->find(std::string(path));
  if (it == files->end()) return std::nullopt;
  return ByteView(it->second);
}

const Json* Dossier::body(uint64_t seq) const {
  auto it = bodies.find(seq);
  return it == bodies.end() ? nullptr : &it->second;
}

const Header* Dossier::header(uint64_t seq) const {
  auto it = std::lower_bound(headers.begin(), headers.end(), seq,
                             [](const Header& h, uint64_t s) { return h.seq < s; });
  return it == headers.end() || it->seq != seq ? nullptr : &*it;
}

std::optional<ByteView> Dossier::evidence(std::string_view digest) const {
  auto content = file("evidence/" + std::string(digest));
  if (!content || hex(sha256(*content)) != digest) return std::nullopt;
  return content;
}

std::string Dossier::state_at_a(const std::string& node) const {
  std::string state;
  if (const auto n = graph.find(node))
    for (const auto& [seq, is] : n->states)
      if (seq < a.size) state = is;
  return state;
}

Json read_json(ByteView text, std::string_view what) {
  return parse_json(as_text(text), what, {.max_bytes = kMaxJson, .max_depth = 32});
}

Json read_record(ByteView text, std::string_view what) {
  return parse_canonical_json(as_text(text), what, {.max_bytes = kMaxJson, .max_depth = 32});
}

std::string brief_number(uint64_t seq) { return "entry " + std::to_string(seq); }

void read_plan(Dossier& d) {
  auto file = d.file(bundle::kPlan);
  if (!file) return;
  d.plan_digest = hex(sha256(*file));
  d.findings.guard(std::string(bundle::kPlan), [&] {
    Json plan = parse_canonical_json(as_text(*file), "plan", {.max_bytes = kMaxJson, .max_depth = 16});
    check_plan_form(plan);
    for (const Json& dataset : plan.at("datasets").as_array()) d.datasets_in_scope.insert(dataset.str("id"));
    d.erasure = plan.str("erasure");
    d.vault = plan.str("vault");
    d.organisation = plan.str("organisation");
    d.plan = std::move(plan);
  });
}

Dossier read_dossier(const BundleFiles& files) {
  Dossier d;
  d.files = &files;
  for (const auto& [path, content] : files)
    if (path.starts_with("evidence/") && hex(sha256(content)) != path.substr(9))
      d.findings.bad(path, "is not what its name says");
  read_plan(d);
  read_ledger(d);
  if (d.plan.is_null() || d.headers.empty()) return d;
  d.kill = kill_set(d.graph, d.datasets_in_scope);
  for (const std::string& id : d.kill.kept_datasets)
    if (const auto node = d.graph.find(id); !node || node->state != "erased") d.others_lost.insert(id);
  // Each part guards what it reads; this is the net under them, so that no bundle ever ends the program.
  auto part = [&](const char* name, void (*read)(Dossier&)) { d.findings.guard(name, [&] { read(d); }); };
  part("approvals/genesis.json", read_people);
  part("ledger/bodies.jsonl", read_keys);
  part("ledger/headers.gz", check_once);
  part("ledger/bodies.jsonl", read_exceptions);
  part("ledger/bodies.jsonl", read_clock_findings);
  part("ledger/bodies.jsonl", read_contacts);
  part("inventory", read_inventory);
  part("approvals", read_acts);
  part("approvals", read_holds);
  part("approvals", read_attested);
  part("approvals", read_commands);
  part("evidence", read_waiting_stamps);
  part("evidence", read_inspections);
  part("plan.json", check_plan);
  return d;
}

}  // namespace kesu::dossier
