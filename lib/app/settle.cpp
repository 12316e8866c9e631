#include "app/settle.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <set>

#include "app/actor.h"
#include "app/containers.h"
#include "app/key_destroy.h"
#include "app/key_share.h"
#include "app/key_states.h"
#include "app/keys.h"
#include "app/rewrap.h"
#include "app/sealing.h"
#include "app/write_places.h"
#include "base/files.h"
#include "base/leftovers.h"
#include "erasure/destroy_version.h"
#include "seal/files.h"

namespace kesu {

namespace {
// A process that cannot be seen from here (another host, another container) is waited for as long as a lease.
constexpr Millis kUnseen = 12 * 3600 * 1000LL;
}  // namespace

bool may_settle(Vault& vault, const Json& actor, Millis since) {
  if (actor.is_null() || is_this_process(actor)) return true;
  auto ended = has_ended(actor);
  return ended ? *ended : vault.now() > since + kUnseen;
}

void attempt_to_settle(Vault& vault, const std::function<void()>& settle_one) {
  // These are about the vault itself: no command can go on.
  static const std::set<Code> kEndsAll = {Code::ledger_damaged, Code::store_unavailable, Code::store_busy,
                                          Code::disk_full,      Code::read_only,         Code::vault_newer,
                                          Code::interrupted};
  try {
    settle_one();
  } catch (const Error& e) {
    if (kEndsAll.contains(e.code())) throw;
    vault.refresh();
    vault.env().notice("an open question stays open: " + e.message() +
                       (e.cause().empty() ? "" : ": " + e.cause()));
  }
}

bool same_place(const BatchRecord& batch) { return batch.place.is(place_mark_of(batch.location)); }

namespace {
// Whether nothing of that name was made. An empty list alone shows nothing, for who lost the login, or asks
// another token, is shown one too: the same look must find what is known to be there.
void demand_unborn(Vault& vault, const VersionRecord& v, const ProbeReport& seen) {
  const ProviderRecord& provider = vault.state().providers.at(v.provider);
  auto unknown = [&](const std::string& cause) {
    return Error(Code::outcome_unknown, "whether " + v.version().brief() + " was made is unknown")
        .cause(cause)
        .next("kesu provider test " + provider.name + ", then any command that writes");
  };
  if (!seen.error_code.empty()) throw unknown("the inspection failed: " + seen.error_message);
  if (!seen.identity || !seen.same_place || !seen.identity->same_place(provider.identity))
    throw unknown("another place answered");
  if (!seen.enumeration || !seen.enumeration->complete)
    throw unknown("not all objects could be listed" +
                  (seen.enumeration ? ": " + seen.enumeration->why : std::string()));
  // A public half alone is no key: who was interrupted between the two has made none.
  for (const ObjectSeen& o : seen.enumeration->objects)
    if (o.object_class != "CKO_PUBLIC_KEY" &&
        (o.label == object_label(v.version()) || o.id == object_id(v.version())))
      throw unknown("an object of its name is there: " + o.object_class + " " + o.label);
  const VersionRecord* control = vault.state().version(provider.control);
  if (control && control->ref) {
    if (seen.control != ProbeAnswer::usable)
      throw unknown("the control key did not show that this login sees and uses keys");
    return;
  }
  // Its very first key is the control key itself. Where others came to be without one, they must be seen.
  for (const ObjectDrift& drift : object_drift(vault.state(), v.provider, *seen.enumeration))
    if (!drift.returned)
      throw unknown("there is no control key, and " + version_name(vault.state(), drift.version) +
                    " is not seen either");
}

// What an import was to bring in is the copy of no key when the import did not take place. It is registered
// anew when the same material is brought in after all.
std::vector<Event> origins_of(const State& state, const std::string& version) {
  std::vector<Event> out;
  for (auto& [id, c] : state.copies)
    if (c.state == "open" && c.kind == "import-origin" && c.versions == std::vector{version})
      out.push_back({.type = "copy-ended",
                     .nodes = {{.id = id, .is = "ended"}},
                     .body = Json::object({{"how", "the import did not take place: it is the copy of no key"},
                                           {"actor", this_process()}})});
  return out;
}

void settle_birth(Vault& vault, const std::string& id) {
  const VersionRecord v = *vault.state().version(id);
  // Settled, or begun anew, since it was listed.
  if (v.state != "intended" || !may_settle(vault, v.actor, v.since)) return;
  KeyPurpose purpose = vault.state().key_of(id)->purpose;
  if (auto birth = vault.provider(v.provider).recover(v.version(), purpose)) {
    bool settled = false;
    vault.decide(key_streams(vault.state(), *vault.state().key_of(id)), [&] {
      settled = vault.state().version(id)->state == "intended";  // else another process was faster
      return settled ? birth_events(vault, v, *birth, true) : std::vector<Event>();
    });
    if (settled) vault.env().notice("settled: " + v.version().brief() + " was made before the interruption");
  } else {
    auto probed = vault.probe(vault.state().providers.at(v.provider), {}, {});
    demand_unborn(vault, v, probed.report);
    bool settled = false;
    vault.decide({id}, [&] {
      settled = vault.state().version(id)->state == "intended";
      if (!settled) return std::vector<Event>();
      std::vector<Event> events = {
          {.type = "key-abandoned",
           .nodes = {{.id = id, .is = "absent"}},
           .body = Json::object(
               {{"transcript", probed.evidence}, {"why", "interrupted before the provider made it"}})}};
      for (Event& e : origins_of(vault.state(), id)) events.push_back(std::move(e));
      return events;
    });
    if (settled) vault.env().notice("settled: " + v.version().brief() + " was never made");
  }
}

void settle_births(Vault& vault) {
  std::vector<std::string> open;
  for (auto& [id, key] : vault.state().keys)
    for (const VersionRecord& v : key.versions)
      if (v.state == "intended" && may_settle(vault, v.actor, v.since)) open.push_back(v.id);
  for (const std::string& id : open) attempt_to_settle(vault, [&] { settle_birth(vault, id); });
}

void settle_destruction_of(Vault& vault, const std::string& id) {
  const VersionRecord v = *vault.state().version(id);
  // Another process settled it since it was listed; it may be in the middle of destroying it now.
  if (v.state != "destroying" || !may_settle(vault, v.actor, v.since)) return;
  auto probed = vault.probe(vault.state().providers.at(v.provider), {*v.ref}, {});
  ProbeAnswer answer = probed.key(v.version()).answer;
  std::optional<std::string> erasure;
  if (!v.erasure.empty()) erasure = v.erasure;
  auto events = settle_destruction(v.version(), v.state_before, erasure, answer, probed.evidence);
  if (events.empty()) {
    vault.env().notice("open question: was " + v.version().brief() +
                       " destroyed? The provider's answer is unknown: " + probed.key(v.version()).why);
    return;
  }
  bool settled = false;
  vault.decide({id}, [&] {
    const VersionRecord& now = *vault.state().version(id);
    settled = now.state == "destroying" && same_question(v.actor, v.since, now.actor, now.since);
    return settled ? events : std::vector<Event>();
  });
  if (!settled) return;
  vault.env().notice("settled: " + v.version().brief() +
                     (answer == ProbeAnswer::absent ? " is gone; its receipt was lost"
                                                    : " is still there; its destruction did not happen"));
}

}  // namespace

void record_destruction_end(Vault& vault, std::vector<Event> events) {
  const std::string id = events.at(0).nodes.at(0).id;
  try {
    vault.decide({id}, [&] { return events; });
  } catch (const Error& e) {
    if (e.code() != Code::conflict) throw;
    const VersionRecord v = *vault.state().version(id);
    const std::string detail = "another process recorded it as " + v.state + "; this one ended with " +
                               events[0].type + " " + events[0].body.canonical();
    vault.append(
        {{.type = "finding-recorded",
          .nodes = {{.id = id}},
          .body = Json::object(
              {{"what", "destruction-answered-by-another"}, {"detail", detail}, {"actor", this_process()}})}},
        {});
    throw Error(Code::outcome_unknown,
                "how the destruction of " + v.version().brief() + " ended was recorded twice")
        .cause(detail)
        .next("kesu key show, kesu provider test: what the provider shows counts");
  }
}

namespace {
void settle_destructions(Vault& vault) {
  std::vector<std::string> open;
  for (auto& [id, key] : vault.state().keys)
    for (const VersionRecord& v : key.versions)
      if (v.state == "destroying" && may_settle(vault, v.actor, v.since)) open.push_back(v.id);
  for (const std::string& id : open) attempt_to_settle(vault, [&] { settle_destruction_of(vault, id); });
}

void settle_processes(Vault& vault) {
  std::vector<std::string> open;
  for (auto& [id, p] : vault.state().processes)
    if (!is_this_process(p.actor) && may_settle(vault, p.actor, p.until - kUnseen)) open.push_back(id);
  for (const std::string& id : open)
    vault.decide({id}, [&] {
      const auto it = vault.state().processes.find(id);
      if (it == vault.state().processes.end()) return std::vector<Event>();  // another process was faster
      const bool seen = has_ended(it->second.actor).value_or(false);
      return std::vector<Event>{
          {.type = "process-ended",
           .nodes = {{.id = id, .is = "ended"}},
           .body = Json::object({{"how", seen ? "found-dead" : "lease-over"},
                                 {"detail", seen ? "no such process on its host any more"
                                                 : "it cannot be seen from here; its lease is over"}})}};
    });
}
// Temporary files of durable writes that a kill left behind.
void sweep(Vault& vault) {
  for (const std::string& place : write_places(vault.directory())) remove_left_behind(place);
  // Other vaults' tombstones may lie there, too.
  if (!vault.tombstones().empty()) remove_left_behind(vault.tombstones(), vault.state().vault.id + ".");
}
}  // namespace

std::vector<Question> open_questions(Vault& vault) {
  std::vector<Question> out;
  const State& state = vault.state();
  auto add = [&](const std::string& node, const std::string& what, const Json& actor, Millis since) {
    out.push_back({node, what,
                   actor.str_or("host", "?") + ", process " + std::to_string(actor.num_or("pid", 0)),
                   may_settle(vault, actor, since) && !is_this_process(actor)});
  };
  for (auto& [id, key] : state.keys)
    for (const VersionRecord& v : key.versions) {
      if (v.state == "intended") add(v.id, "was key " + key.name + " made?", v.actor, v.since);
      if (v.state == "destroying")
        add(v.id, "was " + v.version().brief() + " of " + key.name + " destroyed?", v.actor, v.since);
      if (v.inspection_due())
        add(v.id, "is " + v.version().brief() + " of " + key.name + " gone from its provider, inspected?",
            v.actor, v.since);
    }
  for (Question& q : container_questions(vault)) out.push_back(std::move(q));
  for (Question& q : share_questions(vault)) out.push_back(std::move(q));
  for (auto& [id, d] : state.datasets)
    for (const BatchRecord& b : d.batches.open()) {
      if (!b.rewrap.version.empty())
        add(b.id,
            "which of " + std::to_string(count_positions(b.rewrap.objects)) + " objects of dataset " +
                d.name + " were re-wrapped?",
            b.rewrap.actor, b.rewrap.since);
      if (b.state == "intended")
        add(b.id,
            "which of " + std::to_string(b.objects.size()) + " objects of dataset " + d.name +
                " were sealed?",
            b.actor, b.since);
    }
  for (auto& [id, p] : state.processes)
    add(id, "does the process that holds keys of " + p.dataset + " (" + p.purpose + ") still run?", p.actor,
        p.until - kUnseen);
  return out;
}

std::vector<std::string> living_holders(Vault& vault, const std::string& dataset) {
  std::vector<std::string> out;
  for (auto& [id, p] : vault.state().processes) {
    if (p.dataset != dataset || is_this_process(p.actor)) continue;
    auto ended = has_ended(p.actor);
    if (ended.value_or(vault.now() >= p.until)) continue;
    out.push_back(p.purpose + " on " + p.actor.str_or("host", "?") + ", process " +
                  std::to_string(p.actor.num_or("pid", 0)) +
                  (ended ? ", running" : ", at most until " + local_text(p.until)));
  }
  return out;
}

int64_t give_up_batches(Vault& vault, const std::string& dataset, const std::string& reason) {
  settle(vault);
  std::vector<BatchRecord> lost;
  for (const BatchRecord& b : vault.state().datasets.at(dataset).batches.open())
    if (b.state == "intended" && may_settle(vault, b.actor, b.since) && !same_place(b)) lost.push_back(b);
  for (const BatchRecord& b : lost)
    vault.append({{.type = "seal-abandoned",
                   .nodes = {{.id = b.id, .is = "abandoned", .of = dataset}},
                   .body = Json::object({{"why", "declared lost: " + reason},
                                         {"removed", Json(Json::Array{})},
                                         {"actor", this_process()}})}},
                 {b.id});
  // Of a re-wrap: what nobody can look at counts as not moved, so that its old version stays.
  std::vector<BatchRecord> unmoved, hidden;
  for (const BatchRecord& b : vault.state().datasets.at(dataset).batches.open())
    if (!b.rewrap.version.empty() && may_settle(vault, b.rewrap.actor, b.rewrap.since))
      (same_place(b) ? hidden : unmoved).push_back(b);
  for (const BatchRecord& b : unmoved)
    answer_rewrap(vault, dataset, b,
                  {.type = "rewrap-done",
                   .nodes = {{.id = b.id, .n = 0}},
                   .body = Json::object({{"version", b.rewrap.version},
                                         {"wrap_algorithm", "AES-256-GCM"},
                                         {"objects", Json(Json::Array{})},
                                         {"interrupted", true},
                                         {"why", "declared lost: " + reason},
                                         {"actor", this_process()}})});
  int64_t settled = static_cast<int64_t>(lost.size() + unmoved.size());
  for (const BatchRecord& b : hidden)
    attempt_to_settle(vault, [&] {
      settle_rewrap(vault, dataset, b.id, {}, reason);
      ++settled;
    });
  return settled + settle_hidden_seals(vault, dataset, reason);
}

void settle(Vault& vault) {
  vault.refresh();
  if (vault.state().vault.closed) return;  // it was closed without questions; the next append is refused
  sweep(vault);
  for (auto step : {settle_containers, settle_processes, settle_births, settle_destructions,
                    settle_inspections, settle_shares, settle_seals, settle_rewraps})
    attempt_to_settle(vault, [&] { step(vault); });
}

}  // namespace kesu
