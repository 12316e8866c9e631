// `key destroy`: versions on which nothing that is kept depends.
#include "app/key_destroy.h"

#include "app/actor.h"
#include "app/census.h"
#include "app/clock_watch.h"
#include "app/inspection.h"
#include "app/key_states.h"
#include "app/keys.h"
#include "app/refusals.h"
#include "app/settle.h"
#include "erasure/destroy_version.h"

namespace kesu {

namespace {
// What the vault itself does with a version, or will do.
std::string kept_by_vault(Vault& vault, const KeyRecord& key, const VersionRecord& v) {
  const State& state = vault.state();
  if (state.vault.ledger_version == v.id) return "it signs the ledger's checkpoints";
  for (auto& [id, p] : state.providers)
    if (p.control == v.id) return "it is the control key of provider " + p.name;
  if (key.purpose == KeyPurpose::sign_certificate) return "it signs certificates";
  for (auto& [id, d] : state.datasets)
    for (const DatasetKeyRecord& k : d.fingerprint_keys)
      if (k.version == v.id && d.state != "erased")
        return "it wraps the fingerprint key of dataset " + d.name +
               ", which ends with the dataset's erasure";
  if (const ErasureRecord* e = state.reserving(key.id))
    return "erasure " + e->id.substr(0, 12) + " will destroy it";
  return "";
}

void judge(Vault& vault, const KeyRecord& key, const VersionRecord& v, const std::set<std::string>& going,
           DestroyPreview& out) {
  const State& state = vault.state();
  out.kept_by = kept_by_vault(vault, key, v);
  if (!out.kept_by.empty()) return;
  Census c = census(state, v, going);
  out.relies_on = c.relies_on;
  out.given_up = c.given_up;
  if (!c.rows.empty()) {
    out.kept_by = "it reaches data that is kept: " + census_text(state, c);
    std::string names, rewraps;
    for (const CensusRow& r : c.rows) {
      const std::string& name = state.datasets.at(r.dataset).name;
      names += " " + name;
      rewraps += (rewraps.empty() ? "" : "; ") + ("kesu rewrap " + name);
    }
    out.next =
        rewraps + " moves data keys to the active version" +
        (v.state == "active" ? " (after kesu key rotate " + key.name + ")"
         : key.active()      ? ""
                             : " (after " + how_to_activate(state, key) + ")") +
        "; data that shall go, and what was sealed over, goes by an approved erasure: kesu erase plan" +
        names;
    return;
  }
  if (v.number() == key.versions.back().number() && v.state == "active")
    for (auto& [id, d] : state.datasets)
      if (d.key == key.id && d.state == "open") {
        out.kept_by = "dataset " + d.name + " is sealed under it";
        out.next = "kesu key rotate " + key.name + ", or kesu dataset update " + d.name + " --key KEY";
      }
}

Vault::Probed inspect(Vault& vault, const VersionRecord& v) {
  vault.close_providers();
  return vault.probe(vault.state().providers.at(v.provider), {*v.ref}, {});
}

// It works, and so does the control key: only then is an absence afterwards a difference.
std::string inspect_before(Vault& vault, const VersionRecord& v) {
  Vault::Probed probed = inspect(vault, v);
  demand_clear_before(vault, vault.state().providers.at(v.provider), probed, {v.version()});
  return probed.evidence;
}

// What the ledger says was moved to other versions is lost where these do not work: each opens its canary
// now.
void demand_working(Vault& vault, const std::string& dying, const std::set<std::string>& relies_on) {
  for (const std::string& id : relies_on) {
    const VersionRecord v = *vault.state().version(id);
    Error lost(Code::in_use, version_name(vault.state(), *vault.state().version(dying)) +
                                 " is not destroyed: what it opened was moved to " +
                                 version_name(vault.state(), v) + ", which does not work");
    lost.next("kesu provider test " + vault.state().providers.at(v.provider).name +
              "; until it works, the older version is the only way to that data");
    try {
      if (opens_canary(vault.provider(v.provider), *v.ref)) continue;
    } catch (const Error& e) {
      throw lost.cause(e.message() + (e.cause().empty() ? "" : ": " + e.cause()));
    }
    throw lost.cause("its canary does not open in provider " + vault.state().providers.at(v.provider).name);
  }
}

// The inspection after. Only "absent" is an end; anything else stays a question.
std::string inspect_after(Vault& vault, const std::string& id) {
  const VersionRecord v = *vault.state().version(id);
  const std::string before = v.before;
  // An inspection whose clock is before the destruction would show nothing, for good.
  constexpr const char* kTried = "inspecting after the destruction";
  refuse_clock_before(vault, v.destroyed, kTried);
  Vault::Probed probed = inspect(vault, v);
  refuse_clock_before(vault, v.destroyed, kTried);
  const ProbeKey& k = probed.key(v.version());
  if (k.answer != ProbeAnswer::absent)
    throw Error(Code::outcome_unknown, "the provider was told to destroy " + version_name(vault.state(), v) +
                                           ", but the inspection does not show it absent")
        .cause(std::string(probe_text(k.answer)) + ": " + k.why)
        .next("make the provider answer (kesu provider test), then the same command again");
  const std::string answer(probe_text(k.answer));
  vault.append(
      {{.type = "key-inspected",
        .nodes = {{.id = id}},
        .body = Json::object(
            {{"provider", v.provider}, {"before", before}, {"after", probed.evidence}, {"answer", answer}})}},
      {id});
  return answer;
}
}  // namespace

void settle_inspections(Vault& vault) {
  std::vector<std::string> due;
  for (auto& [id, key] : vault.state().keys)
    for (const VersionRecord& v : key.versions)
      if (v.inspection_due() && may_settle(vault, v.actor, v.since)) due.push_back(v.id);
  for (const std::string& id : due)
    attempt_to_settle(vault, [&] {
      inspect_after(vault, id);
      vault.env().notice("settled: " + version_name(vault.state(), *vault.state().version(id)) +
                         " is shown absent after its destruction");
    });
}

std::vector<DestroyPreview> preview_destroy_key(Vault& vault, const KeyRecord& key, uint32_t number) {
  std::vector<DestroyPreview> out;
  std::set<std::string> going;
  for (const VersionRecord& v : key.versions) {
    if (number && v.number() != number) continue;
    auto state = parse_key_state(v.state);
    bool due = v.inspection_due();
    if (!due && (!state || !may_move(*state, KeyState::destroying))) continue;
    out.push_back({v.id, v.state, "", "", !due && !vault.graph().reached(v.id).empty()});
    going.insert(v.id);
    if (!due) judge(vault, key, v, {}, out.back());
  }
  // Each may go alone; what hangs on them together is asked when all could.
  bool all = true;
  for (const DestroyPreview& p : out) all &= p.kept_by.empty();
  for (DestroyPreview& p : out)
    if (const VersionRecord& v = *key.find(p.version); all && going.size() > 1 && !v.destroyed)
      judge(vault, key, v, going, p);
  return out;
}

namespace {
std::vector<DestroyedVersion> destroy_now(Vault& vault, KeyRecord& found, uint32_t number) {
  const std::string id = found.id, name = found.name;
  vault.rebuild();
  std::set<std::string> due;  // settle() may answer it now
  for (const VersionRecord& v : vault.state().keys.at(id).versions)
    if ((!number || v.number() == number) && v.inspection_due()) due.insert(v.id);
  settle(vault);
  std::vector<DestroyedVersion> out;
  for (const std::string& v : due) {
    const VersionRecord& now = *vault.state().version(v);
    out.push_back({v, "destroyed", now.inspection_due() ? inspect_after(vault, v) : now.inspected});
  }
  std::vector<DestroyPreview> plan = preview_destroy_key(vault, vault.state().keys.at(id), number);
  if (plan.empty() && out.empty())
    throw Error(Code::state_refused, name + " has no version that could be destroyed")
        .cause("it is " + vault.state().keys.at(id).state())
        .next("kesu key show " + name);
  auto refuse = [&](const DestroyPreview& p) {
    if (p.kept_by.empty()) return;
    const VersionRecord& v = *vault.state().version(p.version);
    throw Error(Code::in_use, version_name(vault.state(), v) + " is not destroyed: " + p.kept_by)
        .next(p.next.empty() ? "kesu key show " + name : p.next);
  };
  for (const DestroyPreview& p : plan) refuse(p);
  if (!plan.empty()) {
    refuse_behind_ledger(vault);
    vault.checkpoint();  // before anything irreversible
  }
  for (const DestroyPreview& p : plan) {
    const VersionRecord v = *vault.state().version(p.version);
    if (v.destroyed) continue;
    demand_working(vault, v.id, p.relies_on);
    const std::string before = p.reached ? inspect_before(vault, v) : "";
    // Decided again at the very append that begins it: a dataset added, sealed or re-wrapped meanwhile keeps
    // the key alive.
    auto append = [&](std::vector<Event> events) {
      if (events.at(0).type != "destroy-intended") return record_destruction_end(vault, std::move(events));
      vault.decide({v.id, vault.state().vault.id}, [&] {
        if (vault.state().version(v.id)->state != v.state)
          throw Error(Code::conflict, version_name(vault.state(), v) + " became " +
                                          vault.state().version(v.id)->state + " meanwhile")
              .next("the same command again");
        for (const DestroyPreview& now : preview_destroy_key(vault, vault.state().keys.at(id), v.number()))
          refuse(now);
        if (before.empty() && !vault.graph().reached(v.id).empty())
          throw Error(Code::in_use,
                      version_name(vault.state(), v) + " is not destroyed: it reached data meanwhile")
              .next("the same command again");
        return events;
      });
    };
    Recorder recorder{append, [&](ByteView b) { return vault.store().put_blob(b); }};
    DestroyOrder order{*v.ref, v.state, std::nullopt, this_process(), before};
    bool gone = destroy_version(vault.provider(v.provider), order, recorder) == DestroyOutcome::destroyed;
    out.push_back({v.id, gone ? "destroyed" : "refused by the provider",
                   gone && p.reached ? inspect_after(vault, v.id) : ""});
  }
  return out;
}

}  // namespace

std::vector<DestroyedVersion> destroy_key(Vault& vault, KeyRecord& found, uint32_t number) {
  const std::string key = found.id + (number ? "." + std::to_string(number) : "");
  try {
    return destroy_now(vault, found, number);
  } catch (const Error& e) {
    // Of the vault: one on the version would be a finding of foreign use.
    record_refusal(vault, vault.state().vault.id, Attempt::key_destroy, key, e);
    throw;
  }
}

}  // namespace kesu
