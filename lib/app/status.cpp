#include "app/status.h"

#include <unistd.h>

#include "app/actor.h"
#include "app/anchors.h"
#include "app/clock_watch.h"
#include "app/holds.h"
#include "app/key_states.h"
#include "app/keys.h"
#include "app/people_review.h"
#include "app/renewal.h"
#include "app/rules.h"
#include "app/settle.h"
#include "app/signer.h"
#include "app/tombstones.h"
#include "app/waiting_stamps.h"
#include "app/witnessing.h"

namespace kesu {

namespace {
constexpr size_t kMostDrift = 20;  // rows; kesu provider test has them all

void bump(Json& counts, const std::string& state) { counts.set(state, counts.num_or(state, 0) + 1); }

// How the clock stands now, whether recorded or not: looking writes nothing.
void clock_now(Vault& vault, std::vector<Due>& due) {
  const Json me = this_process();
  ClockFinding f = clock_finding(vault.state(), me.str("boot_id"), me.num("clock"), vault.env().clock.now(),
                                 me.str("host"));
  const Millis ledger = vault.state().time, behind = ledger - vault.env().clock.now();
  if (f.what.empty() && behind > kClockPatience)
    due.insert(due.begin(),
               {"finding", vault.state().vault.id, "clock-behind", ledger, true,
                "the clock is " + length_text(behind) +
                    " behind the ledger's last entry: nothing can be destroyed until it is past it",
                "kesu doctor"});
  if (f.what.empty()) return;
  due.insert(due.begin(), {"finding", vault.state().vault.id, f.what, 0, true,
                           f.detail + "; the next command that writes records it", "kesu doctor"});
}

Json erasures_json(const State& s) {
  Json out(Json::Array{});
  for (auto& [id, e] : s.erasures) {
    if (e.stage == "rejected" || e.stage == "cancelled" || (e.finished && !e.certificate.empty())) continue;
    std::string brief = id.substr(0, 12), next;
    if (e.stage == "requested")
      next = "waits for approval " + std::to_string(living_approvals(s, e) + 1) + " of " +
             std::to_string(rules_in_force(s, {e.requested_seq, e.requested}).quorum) +
             ": kesu erase approve " + brief;
    if (e.stage == "approved" || e.stage == "running") next = "kesu erase run " + brief;
    if (e.finished) next = "kesu certificate bundle " + brief + " -o DIR";
    out.push(Json::object({{"id", id}, {"stage", e.stage}, {"next", next}}));
  }
  return out;
}

// Another token, or an older keystore file, answers under a known name: that is no silence.
bool drifts(Code code) {
  return code == Code::key_mismatch || code == Code::token_changed || code == Code::container_old ||
         code == Code::container_damaged;
}

// Those that do not answer, and what they hold other than the ledger says.
Json silent_providers(Vault& vault, StatusReport& report) {
  Json out(Json::Array{});
  for (auto& [id, p] : vault.state().providers) {
    if (p.state != "open") continue;
    try {
      const Enumeration seen = vault.provider(id).enumerate();
      for (const auto& [v, returned] : object_drift(vault.state(), id, seen)) {
        report.overdue = true;
        if (out.size() == kMostDrift) break;
        out.push(Json::object(
            {{"provider", p.name},
             {"code", code_text(returned ? Code::key_known : Code::object_absent)},
             {"message", version_name(vault.state(), v) +
                             (returned ? " was destroyed, and an object of its name is there"
                                       : " is not there any more: nobody destroyed it through this vault")},
             {"cause", "label " + v.ref->label},
             {"next", "kesu provider test " + p.name}}));
      }
    } catch (const Error& e) {
      (drifts(e.code()) ? report.overdue : report.silent) = true;
      out.push(Json::object({{"provider", p.name},
                             {"code", code_text(e.code())},
                             {"message", e.message()},
                             {"cause", e.cause()},
                             {"next", e.next()}}));
    }
  }
  return out;
}
}  // namespace

StatusReport vault_status(Vault& vault, bool check) {
  StatusReport out;
  if (check) vault.rebuild();  // its exit code is an answer: no register may leave a question out
  const State& s = vault.state();
  Json keys(Json::Object{}), datasets(Json::Object{}), questions(Json::Array{}), providers(Json::Array{}),
      due(Json::Array{});
  for (auto& [id, k] : s.keys)
    for (const VersionRecord& v : k.versions)
      if (k.purpose == KeyPurpose::wrap) bump(keys, v.state);
  int64_t objects = 0, bytes = 0;
  for (auto& [id, d] : s.datasets) {
    bump(datasets, d.state);
    if (d.state == "erased") continue;
    objects += d.objects();
    bytes += d.bytes();
  }
  for (const Question& q : open_questions(vault)) {
    questions.push(Json::object({{"node", q.node},
                                 {"question", q.what},
                                 {"opened_by", q.since},
                                 {"settled_by_next_command", q.ours_to_settle}}));
    out.overdue |= q.ours_to_settle;
  }
  for (auto& [id, p] : s.providers)
    providers.push(Json::object({{"name", p.name},
                                 {"kind", p.identity.kind},
                                 {"label", p.identity.label},
                                 {"serial", p.identity.serial},
                                 {"test_grade", p.test_grade}}));
  Json holds(Json::Array{});
  for (auto& [id, hold] : s.holds)
    if (!hold.released) holds.push(hold_json(s, hold));
  out.due = due_list(s, vault.now());
  add_witness_due(vault, out.due);
  add_anchor_due(vault, out.due);
  say_unbegun_waiting(vault, out.due);
  add_signer_due(vault, out.due);
  add_renewal_due(vault, out.due);
  add_review_due(vault, out.due);  // people-review
  if (!s.vault.closed) clock_now(vault, out.due);
  if (check) finish_tombstones(vault);  // it asks the providers anyway
  for (Due& d : tombstones_due(vault))
    out.due.insert(d.overdue ? out.due.begin() : out.due.end(), std::move(d));
  for (const Due& d : out.due) {
    due.push(d.to_json());
    (d.overdue ? out.overdue : out.waits) = true;
  }
  uint64_t covered = 0;
  for (const SavedCheckpoint& c : vault.store().checkpoints()) covered = std::max(covered, c.size);
  out.document = Json::object({{"vault", s.vault.id},
                               {"organisation", s.vault.organisation},
                               {"profile", rules_in_force(s, moment_now(vault)).profile},
                               {"directory", vault.directory()},
                               {"closed", s.vault.closed ? Json(utc_text(s.vault.closed)) : Json()},
                               {"ledger", Json::object({{"entries", s.size}, {"checkpoint", covered}})},
                               {"providers", providers},
                               {"silent", check ? silent_providers(vault, out) : Json(Json::Array{})},
                               {"key_versions", keys},
                               {"datasets", datasets},
                               {"objects", objects},
                               {"bytes", bytes},
                               {"erasures", erasures_json(s)},
                               {"holds", holds},
                               {"due", due},
                               {"questions", questions},
                               {"read_only", ::access(vault.directory().c_str(), W_OK) != 0}});
  return out;
}

}  // namespace kesu
