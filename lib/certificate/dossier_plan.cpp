// The plan: its form; and against what the ledger shows: its kill set, datasets, providers, keys and copies
// recomputed.
#include <algorithm>
#include <functional>
#include <utility>

#include "base/clock.h"
#include "certificate/dossier_impl.h"
#include "ledger/tree.h"

namespace kesu::dossier {

namespace {

struct Member {
  std::string_view name;
  bool (*good)(const Json&);
};
using Members = std::initializer_list<Member>;

bool text(const Json& v) { return v.is_string(); }
bool count(const Json& v) { return v.is_int() && v.as_int() >= 0; }
bool digest(const Json& v) { return v.is_string() && unhex32(v.as_string()); }
bool digest_or_none(const Json& v) { return v == Json("") || digest(v); }
bool time(const Json& v) { return v.is_string() && parse_utc(v.as_string()); }
bool list(const Json& v) { return v.is_array(); }
bool none(const Json& v) { return v.is_array() && v.size() == 0; }
bool version(const Json& v) { return v.is_string() && VersionRef::parse(v.as_string()); }
bool step(const Json& v) { return v == Json("destroy"); }
bool type(const Json& v) { return v == Json("kesu-plan-v1"); }
template <class Id>
bool id(const Json& v) {
  return v.is_string() && Id::parse(v.as_string());
}

void check_members(const Json& value, const std::string& what, Members members) {
  if (!value.is_object()) throw Error(Code::bad_input, what + " is no object");
  for (const Member& m : members)
    if (const Json* found = value.find(m.name); !found || !m.good(*found))
      throw Error(Code::bad_input, what + ": " + std::string(m.name) + " is missing or out of form");
  if (value.size() != members.size())
    throw Error(Code::bad_input, what + " has a member that is none of a plan");
}

// `first` of each stands there once.
void check_items(const Json& plan, const std::string& what, Members members) {
  std::set<std::string> seen;
  for (const Json& item : plan.at(what).as_array()) {
    check_members(item, what, members);
    const std::string& name = item.str(members.begin()->name);
    if (!seen.insert(name).second) throw Error(Code::bad_input, what + ": " + name + " stands there twice");
  }
}

void compare(Dossier& d, const std::string& what, const Json& is, const Json& should) {
  if (!(is == should)) d.findings.bad(std::string(bundle::kPlan), what + " is not what the ledger shows");
}

void check_versions(Dossier& d) {
  std::set<std::string> named, ordered;
  for (const Json& item : d.plan.at("key_versions").as_array()) {
    const std::string& version = item.str("version");
    named.insert(version);
    auto key = d.keys.find(version);
    if (key == d.keys.end() || !key->second.ref) continue;
    compare(d, "key_versions: name of " + version, item.at("name"), key->second.name);
    compare(d, "key_versions: provider of " + version, item.at("provider"), key->second.provider);
    compare(d, "key_versions: label of " + version, item.at("label"), key->second.ref->label);
    compare(d, "key_versions: canary of " + version, item.at("canary"),
            key->second.ref->canary ? hex(key->second.ref->canary->digest) : "");
  }
  for (const Json& step : d.plan.at("order").as_array()) ordered.insert(step.str("version"));
  std::set<std::string> kill(d.kill.versions.begin(), d.kill.versions.end());
  for (const std::string& version : kill) {
    if (!named.contains(version))
      d.findings.bad(std::string(bundle::kPlan),
                     "key_versions: " + version + " reaches the data and is not in the plan");
    // A version that is not in the order was destroyed before this erasure.
    auto key = d.keys.find(version);
    bool before = key != d.keys.end() && key->second.done && d.requested && *key->second.done < d.requested;
    if (!ordered.contains(version) && !before)
      d.findings.bad(std::string(bundle::kPlan), "order: " + version + " is not destroyed by the plan");
  }
  for (const std::string& version : named)
    if (!kill.contains(version))
      d.findings.bad(std::string(bundle::kPlan), "key_versions: " + version + " does not reach the data");
  for (const std::string& version : ordered)
    if (!named.contains(version))
      d.findings.bad(std::string(bundle::kPlan), "order: " + version + " is not among key_versions");
}

void check_datasets(Dossier& d) {
  for (const Json& item : d.plan.at("datasets").as_array())
    for (const DatasetFacts& set : d.datasets) {
      if (set.id != item.str("id")) continue;
      compare(d, "datasets: name of " + set.id, item.at("name"), set.settings.str_or("name", ""));
      compare(d, "datasets: objects of " + set.id, item.at("objects"), set.objects);
      compare(d, "datasets: bytes of " + set.id, item.at("bytes"), set.bytes);
      compare(d, "datasets: batches of " + set.id, item.at("batches"),
              static_cast<int64_t>(set.batches.size()));
      compare(d, "datasets: inventory_root of " + set.id, item.at("inventory_root"), hex(set.root));
    }
}

void check_providers(Dossier& d) {
  std::set<std::string> named;
  for (const Json& item : d.plan.at("providers").as_array()) {
    const std::string& id = item.str("id");
    named.insert(id);
    auto it = d.providers.find(id);
    if (it == d.providers.end()) {
      d.findings.bad(std::string(bundle::kPlan), "providers: " + id + " holds none of the keys");
      continue;
    }
    const ProviderIdentity& identity = it->second.identity;
    compare(d, "providers: name of " + id, item.at("name"), it->second.name);
    compare(d, "providers: kind of " + id, item.at("kind"), identity.kind);
    compare(d, "providers: serial of " + id, item.at("serial"), identity.serial);
    compare(d, "providers: label of " + id, item.at("label"), identity.label);
    compare(d, "providers: manufacturer of " + id, item.at("manufacturer"), identity.manufacturer);
    const auto control = d.keys.find(item.str("control"));
    if (control == d.keys.end() || control->second.provider != id ||
        (control->second.ref && control->second.ref->purpose != KeyPurpose::control))
      d.findings.bad(std::string(bundle::kPlan),
                     "providers: control of " + id + " is not what the ledger shows");
  }
  for (const auto& [id, p] : d.providers)
    if (!named.contains(id))
      d.findings.bad(std::string(bundle::kPlan), "providers: " + id + " is not in the plan");
}

void check_copies(Dossier& d) {
  std::set<std::string> named;
  for (const Json& item : d.plan.at("copies").as_array()) named.insert(item.str("id"));
  // One that was registered after the certificate can be in neither.
  std::map<std::string, uint64_t> since;
  for (const Header& h : d.headers)
    if (h.type == "copy-registered" && !h.nodes.empty()) since.emplace(h.nodes.front().id, h.seq);
  std::set<std::string> then;
  for (const std::string& id : d.kill.copies)
    if (!since.contains(id) || since[id] < d.a.size) then.insert(id);
  if (named != then)
    d.findings.bad(std::string(bundle::kPlan),
                   "copies: are not those from which the data was ever reachable");
}

void check_position(Dossier& d) {
  const Json& ledger = d.plan.at("ledger");
  int64_t size = ledger.num("size");
  if (size <= 0 || (d.requested && static_cast<uint64_t>(size) > d.requested)) {
    d.findings.bad(std::string(bundle::kPlan), "ledger: its size is not before the request");
    return;
  }
  if (d.headers_complete)
    compare(d, "ledger: root", ledger.at("root"),
            hex(tree_root({d.leaves.data(), static_cast<size_t>(size)})));
}

}  // namespace

void check_plan_form(const Json& plan) {
  check_members(plan, "the plan",
                {{"type", type},
                 {"vault", id<VaultId>},
                 {"organisation", text},
                 {"erasure", id<ErasureId>},
                 {"created", time},
                 {"ledger", [](const Json& v) { return v.is_object(); }},
                 {"profile", text},
                 {"profile_digest", digest},
                 {"policy_digest", digest},
                 {"quorum", count},
                 {"waiting_seconds", count},
                 {"datasets", list},
                 {"key_versions", list},
                 {"providers", list},
                 {"copies", list},
                 {"order", list},
                 {"exceptions", none},
                 {"windows", none}});
  check_members(plan.at("ledger"), "ledger", {{"size", count}, {"root", digest}});
  check_items(plan, "datasets",
              {{"id", id<DatasetId>},
               {"name", text},
               {"objects", count},
               {"bytes", count},
               {"inventory_root", digest},
               {"batches", count}});
  check_items(plan, "key_versions",
              {{"version", version},
               {"name", text},
               {"provider", id<ProviderId>},
               {"label", text},
               {"canary", digest_or_none}});
  check_items(plan, "providers",
              {{"id", id<ProviderId>},
               {"name", text},
               {"kind", text},
               {"serial", text},
               {"label", text},
               {"manufacturer", text},
               {"control", version}});
  check_items(plan, "copies", {{"id", id<CopyId>}, {"state", text}});
  check_items(plan, "order", {{"version", version}, {"step", step}});
  const Json::Array& datasets = plan.at("datasets").as_array();
  const auto before = [](const Json& a, const Json& b) { return a.str("id") < b.str("id"); };
  if (datasets.empty() || !std::is_sorted(datasets.begin(), datasets.end(), before))
    throw Error(Code::bad_input, "datasets are not in order, or none");
}

void check_plan(Dossier& d) {
  check_versions(d);
  check_datasets(d);
  check_providers(d);
  check_copies(d);
  check_position(d);
  if (const Profile* profile = find_profile(d.plan.str("profile")); !profile)
    d.findings.bad(std::string(bundle::kPlan), "profile: unknown");
  const Rules rules = rules_at(d, moment_of_request(d));
  if (d.genesis) compare(d, "profile", d.plan.at("profile"), rules.profile);
  if (!known_profiles_digest(d.plan.str("profile_digest")))
    d.findings.bad(std::string(bundle::kPlan),
                   "profile_digest: is of no table of profiles that this program knows");
  if (d.genesis && d.plan.num("quorum") < rules.quorum)
    d.findings.bad(std::string(bundle::kPlan), "quorum: is below that of the rules in force at the request");
  if (d.genesis && d.plan.num("waiting_seconds") < rules.waiting_seconds)
    d.findings.bad(std::string(bundle::kPlan),
                   "waiting_seconds: is below that of the rules in force at the request");
}

}  // namespace kesu::dossier
