#include "app/erase_plan.h"
#include "app/rules.h"

#include <algorithm>

#include "app/datasets.h"
#include "app/hold_evidence.h"
#include "app/holds.h"
#include "app/reseal.h"
#include "app/settle.h"
#include "app/waiting_stamps.h"
#include "base/files.h"
#include "certificate/claims.h"
#include "crypto/hash.h"
#include "erasure/kill_set.h"
#include "policy/policy.h"

namespace kesu {

namespace {
bool is_destroyed(const std::string& state) {
  return state == "destroyed" || state == "destroyed-compromised";
}

// Of the ledger's first entries: mostly all that there are.
Digest32 root_at(Store& store, uint64_t size) {
  const TreeHead head = store.head();
  return head.size() == size ? head.root() : tree_root(store.leaves(size));
}

std::string plan_path(Vault& vault, const std::string& erasure) {
  return path_join(path_join(vault.directory(), "plans"), erasure + ".json");
}

Json dataset_rows(Vault& vault, const std::vector<std::string>& datasets, Plan& plan) {
  Json out(Json::Array{});
  for (const std::string& id : datasets) {
    const DatasetRecord& d = vault.state().datasets.at(id);
    std::vector<Digest32> leaves = dataset_leaves(vault, d);
    const Digest32 root = tree_root(leaves);
    // A leaf names its object: a plan, and a certificate, would count it twice.
    std::sort(leaves.begin(), leaves.end());
    if (std::adjacent_find(leaves.begin(), leaves.end()) != leaves.end())
      throw Error(Code::ledger_damaged, "dataset " + d.name + " counts an object twice")
          .cause("its inventory has the same leaf in two places")
          .next("nothing was planned or destroyed; kesu inventory list " + d.name + " --json shows which");
    out.push(Json::object({{"id", id},
                           {"name", d.name},
                           {"objects", d.objects()},
                           {"bytes", d.bytes()},
                           {"inventory_root", hex(root)},
                           {"batches", d.batches.sums().batches}}));
    plan.objects += d.objects();
    plan.bytes += d.bytes();
  }
  return out;
}

void find_blockers(Vault& vault, const std::vector<std::string>& datasets, const KillSet& kill,
                   const std::string& erasure, Plan& plan) {
  const State& state = vault.state();
  for (const std::string& id : datasets) {
    const DatasetRecord& d = state.datasets.at(id);
    if (d.state == "erased")
      plan.blockers.push_back({"dataset " + d.name + " is erased already, by " + d.erasure, "leave it out"});
    else if (d.state != "open" && d.erasure != erasure)
      plan.blockers.push_back(
          {"dataset " + d.name + " is frozen by " + d.erasure, "kesu erase status " + d.erasure});
    if (const auto problem = keep_problem(vault, id, datasets, erasure))
      plan.blockers.push_back({problem->what, problem->next});
  }
  for (const std::string& id : kept_datasets(vault, datasets)) {
    const std::string& name = state.datasets.at(id).name;
    plan.shared.push_back(name);
    plan.blockers.push_back(
        {"the same keys also reach dataset " + name + ", which would be kept",
         "include it (kesu erase plan … " + name + "), or seal it anew under a key of its own first"});
  }
  std::set<std::string> under(kill.versions.begin(), kill.versions.end());
  under.insert(datasets.begin(), datasets.end());
  for (const std::string& id : holds_on(state, under)) {
    const HoldRecord& hold = state.holds.at(id);
    std::string next = "kesu hold release " + id.substr(0, 12) + " --reason TEXT --as APPROVER";
    if (state.datasets.contains(hold.subject))
      next += "; or leave it out: --except " + state.datasets.at(hold.subject).name;
    plan.blockers.push_back({hold_text(state, hold), next});
  }
  // What a reader would say before anything is destroyed is better said before people sign.
  if (!state.erasures.contains(erasure))
    for (const auto& [id, problem] : release_problems(vault, released_on(state, under)))
      plan.blockers.push_back(
          {"to a reader " + hold_text(state, state.holds.at(id)) + " still stands: " + problem.why,
           "bring back what is lost from a backup of the vault, or release it again: "
           "kesu hold release " +
               id.substr(0, 12) + " --reason TEXT --as APPROVER"});
  if (const auto problem = waiting_authority_problem(vault, erasure))
    plan.blockers.push_back({problem->what, problem->next});
  for (const Question& q : open_questions(vault)) {
    bool touches = std::find(kill.versions.begin(), kill.versions.end(), q.node) != kill.versions.end();
    for (const std::string& id : datasets)
      touches |= state.datasets.at(id).batches.find_open(q.node) != nullptr;
    if (touches)
      plan.blockers.push_back(
          {"an open question: " + q.what, "run any command that writes again: it asks the provider"});
  }
  for (const std::string& id : kill.copies)
    if (vault.graph().living(id, vault.now()))
      plan.blockers.push_back(
          {"copy " + id + " of a key is still open",
           "when it is gone: kesu copy destroy " + id.substr(0, 12) + " --how TEXT --as PERSON"});
  for (const std::string& id : kill.processes)
    if (vault.graph().living(id, vault.now())) plan.processes.push_back(id);
}
}  // namespace

std::set<std::string> kept_datasets(Vault& vault, const std::vector<std::string>& datasets) {
  const State& state = vault.state();
  std::set<std::string> scope(datasets.begin(), datasets.end()), out;
  KillSet kill = kill_set(vault.graph(), scope);
  // What is destroyed already takes nothing with it any more: what hung on it was moved away before.
  std::set<std::string> dying, reaches;
  for (const std::string& version : kill.versions)
    if (const VersionRecord* v = state.version(version); !v || !is_destroyed(v->state)) dying.insert(version);
  for (const std::string& copy : kill.copies)
    if (vault.graph().living(copy, vault.now())) dying.insert(copy);
  for (const std::string& key : vault.graph().reached(dying))
    if (const auto node = vault.graph().find(key)) reaches.insert(node->of);
  for (auto& [id, d] : state.datasets) {
    if (scope.contains(id) || d.state == "erased") continue;
    bool reached = reaches.contains(id);
    for (const std::string& version : dying)
      reached |= version.starts_with("key-") && d.key == VersionRef::parse(version)->key.str();
    if (reached) out.insert(id);
  }
  return out;
}

std::string Plan::digest() const { return hex(sha256(as_bytes(text()))); }

Plan make_plan(Vault& vault, const std::vector<std::string>& datasets, const std::string& erasure,
               Millis created) {
  vault.refresh();
  const State& state = vault.state();
  Plan plan;
  KillSet kill = kill_set(vault.graph(), {datasets.begin(), datasets.end()});
  find_blockers(vault, datasets, kill, erasure, plan);

  Json versions(Json::Array{}), order(Json::Array{}), providers(Json::Array{}), copies(Json::Array{});
  std::set<std::string> used;
  for (const std::string& id : kill.versions) {
    const VersionRecord* v = state.version(id);
    const KeyRecord* key = state.key_of(id);
    if (!v || !key || !v->ref)
      throw Error(Code::ledger_damaged, id + " reaches data keys but was never made");
    used.insert(v->provider);
    versions.push(Json::object({{"version", id},
                                {"name", key->name},
                                {"provider", v->provider},
                                {"label", v->ref->label},
                                {"canary", v->ref->canary ? hex(v->ref->canary->digest) : ""}}));
    if (!is_destroyed(v->state) || v->erasure == erasure)
      order.push(Json::object({{"step", "destroy"}, {"version", id}}));
  }
  if (order.size() == 0)
    plan.blockers.push_back({"nothing is sealed there: no key would be destroyed", "kesu dataset list"});
  for (const std::string& id : used) {
    const ProviderRecord& p = state.providers.at(id);
    providers.push(Json::object({{"id", id},
                                 {"name", p.name},
                                 {"kind", p.identity.kind},
                                 {"serial", p.identity.serial},
                                 {"label", p.identity.label},
                                 {"manufacturer", p.identity.manufacturer},
                                 {"control", p.control}}));
  }
  for (const std::string& id : kill.copies)
    copies.push(Json::object({{"id", id}, {"state", vault.graph().find(id)->state}}));

  const Rules rules = rules_in_force(state, moment_of(state, erasure, moment_now(vault)));
  plan.document = Json::object(
      {{"type", "kesu-plan-v1"},
       {"vault", state.vault.id},
       {"organisation", state.vault.organisation},
       {"erasure", erasure},
       {"created", utc_text(created)},
       {"ledger", Json::object({{"size", state.size}, {"root", hex(root_at(vault.store(), state.size))}})},
       {"profile", rules.profile},
       {"profile_digest", profiles_digest()},
       {"policy_digest", hex(sha256(as_bytes(policy::policy_data())))},
       {"quorum", rules.quorum},
       {"waiting_seconds", rules.waiting_seconds},
       {"datasets", dataset_rows(vault, datasets, plan)},
       {"key_versions", versions},
       {"providers", providers},
       {"copies", copies},
       {"order", order},
       {"exceptions", Json(Json::Array{})},
       {"windows", Json(Json::Array{})}});
  return plan;
}

void save_plan(Vault& vault, const Plan& plan) {
  make_directories(path_join(vault.directory(), "plans"), 0700);
  write_file_durable(plan_path(vault, plan.erasure()), as_bytes(plan.text()), 0600);
}

Json load_plan(Vault& vault, const std::string& erasure) {
  auto known = vault.state().erasures.find(erasure);
  if (known != vault.state().erasures.end())
    return parse_canonical_json(to_text(vault.store().blob(known->second.plan)), "plan " + erasure);
  std::string dir = path_join(vault.directory(), "plans");
  std::vector<std::string> hits;
  if (exists(dir))
    for (const std::string& name : list_directory(dir))
      if (name.starts_with(erasure) && name.starts_with("era-") && name.size() == 36 + 5)
        hits.push_back(name);
  if (hits.empty())
    throw Error(Code::not_found, "no plan is called " + erasure)
        .next("kesu erase plan DATASET… makes one and prints its identifier");
  if (hits.size() > 1)
    throw Error(Code::identifier_ambiguous, erasure + " could be several plans")
        .next("type more of its digits");
  return parse_canonical_json(to_text(read_file(path_join(dir, hits[0]))), "plan " + hits[0]);
}

namespace {
// Whether the entry changes something the plan rests on (docs/spec/erasure.md).
bool touches_plan(const Header& h, const std::set<std::string>& nodes, const std::string& erasure) {
  for (const NodeMention& n : h.nodes)
    if (nodes.contains(n.id) && !n.is.empty() && n.of != erasure) return true;
  for (const Edge& e : h.edges)
    if (nodes.contains(e.first)) return true;
  return false;
}
}  // namespace

Plan recompute_plan(Vault& vault, const Json& old) {
  std::vector<std::string> datasets;
  std::set<std::string> nodes;
  for (const Json& d : old.at("datasets").as_array()) datasets.push_back(d.str("id"));
  nodes.insert(datasets.begin(), datasets.end());
  for (const Json& v : old.at("key_versions").as_array()) nodes.insert(v.str("version"));
  for (const Json& c : old.at("copies").as_array()) nodes.insert(c.str("id"));
  std::string erasure = old.str("erasure");
  Plan now = make_plan(vault, datasets, erasure, parse_utc(old.str("created")).value_or(0));
  for (auto& [member, value] : old.as_object())
    if (member != "ledger" && (!now.document.has(member) || now.document.at(member) != value))
      throw Error(Code::plan_changed, "what the plan says of \"" + member + "\" is no longer so")
          .next("plan anew: kesu erase plan …; approvals of the old plan do not serve the new one");
  auto planned_at = static_cast<uint64_t>(old.at("ledger").num("size"));
  vault.store().read(planned_at, vault.state().size, [&](const StoredEntry& e) {
    if (touches_plan(e.entry.header, nodes, erasure))
      throw Error(Code::plan_changed, "entry " + std::to_string(e.entry.header.seq) + " (" +
                                          e.entry.header.type + ") touched what the plan rests on")
          .next("plan anew: kesu erase plan …; approvals of the old plan do not serve the new one");
    return true;
  });
  now.document = old;  // what was approved, byte for byte
  return now;
}

std::vector<std::string> choose_datasets(Vault& vault, const std::vector<std::string>& names,
                                         const std::string& contract,
                                         const std::vector<std::string>& except) {
  std::set<std::string> chosen;
  for (const std::string& n : names) chosen.insert(vault.find_dataset(n).id);
  if (!contract.empty())
    for (auto& [id, d] : vault.state().datasets)
      if (d.settings.str_or("contract", "") == contract && d.state != "erased") chosen.insert(id);
  for (const std::string& n : except) chosen.erase(vault.find_dataset(n).id);
  if (chosen.empty())
    throw Error(contract.empty() ? Code::usage : Code::not_found,
                contract.empty() ? "which datasets?" : "no dataset is left under contract " + contract)
        .next("kesu erase plan DATASET… or --contract ID; kesu dataset list shows them");
  return {chosen.begin(), chosen.end()};
}

Json plan_json(const Plan& plan, const State& state) {
  Json datasets(Json::Array{}), versions(Json::Array{}), shared(Json::Array{}), blockers(Json::Array{}),
      processes(Json::Array{});
  for (const Json& d : plan.document.at("datasets").as_array()) datasets.push(d);
  for (const Json& v : plan.document.at("key_versions").as_array()) {
    Json row = v;
    row.set("state", state.version(v.str("version"))->state);
    versions.push(row);
  }
  for (const std::string& s : plan.shared) shared.push(s);
  for (const Blocker& b : plan.blockers) blockers.push(Json::object({{"what", b.what}, {"next", b.next}}));
  for (const std::string& p : plan.processes) processes.push(p);
  return Json::object({{"erasure", plan.blockers.empty() ? Json(plan.erasure()) : Json()},
                       {"plan_digest", plan.digest()},
                       {"datasets", datasets},
                       {"key_versions", versions},
                       {"copies", plan.document.at("copies")},
                       {"objects", plan.objects},
                       {"bytes", plan.bytes},
                       {"shared", shared},
                       {"blockers", blockers},
                       {"processes", processes},
                       {"first_irreversible", "the first destroy of `kesu erase run`"},
                       {"reversible_until", Json()},
                       {"earliest_certificate", "right after the run"},
                       {"quorum", plan.document.at("quorum")},
                       {"waiting_seconds", plan.document.at("waiting_seconds")}});
}

}  // namespace kesu
