#include "app/holds.h"

#include <algorithm>

#include "app/consents.h"
#include "app/hold_evidence.h"
#include "app/key_states.h"
#include "app/rules.h"
#include "app/settle.h"
#include "base/files.h"
#include "base/leftovers.h"
#include "erasure/hold_statement.h"

namespace kesu {

namespace {
std::string subject_name(const State& state, const std::string& node) {
  if (auto it = state.datasets.find(node); it != state.datasets.end()) return it->second.name;
  const VersionRecord* v = state.version(node);
  return v ? version_name(state, *v) : node;
}

bool may_exist_still(const VersionRecord& v) {
  const auto state = parse_key_state(v.state);
  return state && may_exist(*state);
}

bool is_named(const State& state, const std::string& text) {
  return std::any_of(state.datasets.begin(), state.datasets.end(), [&](const auto& d) {
    return d.first == text || d.second.name == text || (text.starts_with("ds-") && d.first.starts_with(text));
  });
}

// A dataset, or a key and perhaps one of its versions.
struct Subject {
  std::string dataset, key;
  uint32_t number = 0;
};

Subject find_subject(Vault& vault, const std::string& text) {
  if (!is_named(vault.state(), text)) {
    try {
      const KeyWord word = find_key_word(vault, text);
      return {.dataset = "", .key = word.key, .number = word.number};
    } catch (const Error& e) {
      if (e.code() != Code::not_found) throw;
      throw Error(Code::not_found, "no dataset, key or key version is called " + text)
          .next("kesu dataset list, kesu key list");
    }
  }
  const DatasetRecord& d = vault.find_dataset(text);
  for (auto& [id, key] : vault.state().keys)
    if (key.name == text)
      throw Error(Code::identifier_ambiguous, text + " is a dataset and a key")
          .cause(d.id + ", " + id)
          .next("type the identifier of the one that is meant");
  return {.dataset = d.id, .key = "", .number = 0};
}

// Whether an erasure could still take something of this dataset; one in which nothing is yet counts.
bool something_left(Vault& vault, const DatasetRecord& d) {
  if (d.state == "erased") return false;
  const std::set<std::string> reachers = vault.graph().reachers(d.id);
  return d.batches.sums().batches == 0 ||
         std::any_of(reachers.begin(), reachers.end(), [&](const std::string& id) {
           const VersionRecord* v = vault.state().version(id);
           return v != nullptr && may_exist_still(*v);
         });
}

// What the hold stands on: refused where it would hold nothing any more.
std::vector<std::string> nodes_of(Vault& vault, const Subject& subject) {
  const State& state = vault.state();
  if (!subject.dataset.empty()) {
    const DatasetRecord& d = state.datasets.at(subject.dataset);
    Millis last = 0;
    for (const std::string& id : vault.graph().reachers(d.id))
      if (const VersionRecord* v = state.version(id)) last = std::max(last, v->destroyed);
    if (something_left(vault, d)) return {d.id};
    throw Error(Code::state_refused,
                "every key of dataset " + d.name + " is destroyed: there is nothing left to hold")
        .cause("since " + local_text(last) + (d.erasure.empty() ? "" : ", by " + d.erasure))
        .next("kesu erase list shows what was destroyed and when");
  }
  const KeyRecord& key = state.keys.at(subject.key);
  std::vector<std::string> out;
  std::string ended;
  for (const VersionRecord& v : key.versions) {
    if (subject.number && v.number() != subject.number) continue;
    if (may_exist_still(v)) out.push_back(v.id);
    if (v.destroyed)
      ended +=
          (ended.empty() ? "" : "; ") + version_name(state, v) + " was destroyed " + local_text(v.destroyed);
  }
  if (out.empty())
    throw Error(Code::state_refused, key.name + " has no such version that could be held")
        .cause(ended)
        .next("kesu key show " + key.name);
  return out;
}

void needs_enrolled(Vault& vault, const OperatorRecord& person, const char* role) {
  const Moment now = moment_now(vault);
  needs_role(vault.state(), person, role, now, now.time,
             *role ? "an approver has to sign the release" : "somebody who is enrolled places the hold");
}

void needs_text(const std::string& value, const char* option, const char* why) {
  if (value.empty()) throw Error(Code::usage, std::string(why) + " " + option + " is needed");
}

ConsentForm release_form(Vault& vault, const HoldRecord& hold, const std::string& reason) {
  HoldStatement s;
  s.vault = vault.id();
  s.organisation = vault.state().vault.organisation;
  s.hold = *HoldId::parse(hold.id);
  s.subject = hold.subject;
  s.detail = subject_name(vault.state(), hold.subject);
  s.case_number = hold.case_number;
  s.reason = reason;
  return {.subject = hold.id,
          .name_space = std::string(kHoldNamespace),
          .reason = reason,
          .not_before = hold.placed,
          .max_age = kMaxHoldStatementAge,
          .text =
              [s](const OperatorRecord& person, Millis issued) {
                HoldStatement mine = s;
                mine.operator_id = *OperatorId::parse(person.id);
                mine.name = person.name;
                mine.issued = issued;
                return mine.text();
              },
          .issued_of = [](std::string_view text) { return HoldStatement::parse(text).issued; }};
}

[[noreturn]] void refuse_released(const HoldRecord& hold) {
  throw Error(Code::state_refused,
              "hold " + hold.id.substr(0, 12) + " was released " + local_text(hold.released))
      .cause(hold.release_reason)
      .next("kesu hold list");
}

// Whether something is left that this hold could hold.
bool holds_something(Vault& vault, const HoldRecord& hold) {
  const State& state = vault.state();
  if (const auto d = state.datasets.find(hold.subject); d != state.datasets.end())
    return something_left(vault, d->second);
  const VersionRecord* v = state.version(hold.subject);
  return v == nullptr || may_exist_still(*v);
}

// A hold that may be released: it stands, or nobody could be shown who released it while something is left
// that an erasure could take. Reads the ledger where it was released already.
const HoldRecord& to_release(Vault& vault, const std::string& id) {
  const HoldRecord& hold = vault.state().holds.at(id);
  if (!hold.released) return hold;
  const auto found = release_problems(vault, {id});
  if (found.empty()) refuse_released(hold);
  if (holds_something(vault, hold)) return hold;
  std::string lost;
  for (const std::string& file : found.begin()->second.lost) lost += (lost.empty() ? "" : "; ") + file;
  throw Error(Code::state_refused, "hold " + id.substr(0, 12) + " was released " + local_text(hold.released) +
                                       ", and what it held is destroyed: another release serves no erasure")
      .cause("to a reader the first one does not count: " + found.begin()->second.why)
      .next("bring what is lost back into the vault, from a backup or from a bundle that was handed out: " +
            lost + "; certificates that were issued are as true as before");
}
}  // namespace

namespace {
// The same words of the same person over the same: placed by this command before, and perhaps killed before
// it could say so. A second one would have to be released, too.
const HoldRecord* standing_hold(const State& state, const std::string& node, const HoldDraft& draft,
                                const std::string& person) {
  for (auto& [id, hold] : state.holds)
    if (!hold.released && hold.subject == node && hold.case_number == draft.case_number &&
        hold.reason == draft.reason && hold.placed_by == person)
      return &hold;
  return nullptr;
}
}  // namespace

std::vector<std::string> place_hold(Vault& vault, const HoldDraft& draft, const OperatorRecord& found) {
  needs_text(draft.case_number, "--case", "which case?");
  needs_text(draft.reason, "--reason", "why?");
  const std::string found_id = found.id;
  vault.rebuild();  // who may do what is the ledger's to say, not a register's
  settle(vault);    // what is gone already is known to be
  const OperatorRecord person = vault.find_operator(found_id);
  needs_enrolled(vault, person, "");
  const Subject subject = find_subject(vault, draft.subject);
  const std::string vault_id = vault.state().vault.id;
  const Json body =
      Json::object({{"case", draft.case_number}, {"reason", draft.reason}, {"operator", person.id}});
  std::vector<std::string> ids;
  uint64_t before = 0;
  // The vault is named: every destruction rests on its stream, so that none begins beside this.
  vault.decide({vault_id}, [&] {
    std::vector<Event> events;
    ids.clear();
    before = vault.state().size;
    for (const std::string& node : nodes_of(vault, subject)) {
      if (const HoldRecord* same = standing_hold(vault.state(), node, draft, person.id)) {
        ids.push_back(same->id);
        continue;
      }
      ids.push_back(vault.env().random.id<HoldId>().str());
      events.push_back({.type = "hold-placed",
                        .nodes = {{.id = ids.back(), .is = "placed", .of = node}, {.id = vault_id}},
                        .body = body});
    }
    return events;
  });
  if (!ids.empty() && vault.state().size == before)
    vault.env().notice("in force since " + local_text(vault.state().holds.at(ids.front()).placed) +
                       ": the same hold was placed before, and not again");
  // Batches that a command began before go on to their end.
  if (auto d = vault.state().datasets.find(subject.dataset); d != vault.state().datasets.end())
    for (const BatchRecord& b : d->second.batches.open())
      if (b.state == "intended")
        vault.env().notice("a sealing that began before the hold is under way in " + d->second.name +
                           ": with --replace it may still take the place of older objects; look again when "
                           "it has ended (kesu status)");
  return ids;
}

std::string export_release(Vault& vault, const std::string& hold, const std::string& reason,
                           const OperatorRecord& person, const std::string& file) {
  needs_text(reason, "--reason", "why?");
  needs_enrolled(vault, person, "approver");
  const ConsentForm form = release_form(vault, to_release(vault, hold), reason);
  write_output(file, as_bytes(consent_text(vault, form, person)), 0644);
  return std::string(kHoldNamespace);
}

ReleaseCount release_hold(Vault& vault, const std::string& id, const std::string& reason,
                          const OperatorRecord& found, const SignatureSource& source) {
  needs_text(reason, "--reason", "why?");
  const std::string found_id = found.id;
  vault.rebuild();
  settle(vault);
  const OperatorRecord person = vault.find_operator(found_id);
  needs_enrolled(vault, person, "approver");
  const ConsentForm form = release_form(vault, to_release(vault, id), reason);
  const std::string text = consent_text(vault, form, person);
  keep_consent(
      vault, form, person, text,
      obtain_signature(text, form.name_space, person, source, "the same command with --export FILE"));
  ReleaseCount count;
  const std::string vault_id = vault.state().vault.id;
  const Millis known = vault.state().holds.at(id).released;
  vault.decide({id, vault_id}, [&] {
    // The ledger was read above, not while others wait: only a release beside this one is new.
    const HoldRecord& hold = vault.state().holds.at(id);
    if (hold.released != known) refuse_released(hold);
    const std::vector<Consent> signed_by = consents(vault, form);
    count = {std::ssize(signed_by), rules_in_force(vault.state(), moment_now(vault)).quorum, false};
    if (count.have < count.need) return std::vector<Event>();
    count.released = true;
    return std::vector<Event>{{.type = "hold-released",
                               .nodes = {{.id = id, .is = "released", .of = hold.subject}, {.id = vault_id}},
                               .body = Json::object({{"reason", reason},
                                                     {"operator", person.id},
                                                     {"approvals", approvals_json(vault, signed_by)}})}};
  });
  return count;
}

Json hold_json(const State& state, const HoldRecord& h) {
  const auto person = state.operators.find(h.placed_by);
  return Json::object({{"id", h.id},
                       {"subject", h.subject},
                       {"name", subject_name(state, h.subject)},
                       {"case", h.case_number},
                       {"reason", h.reason},
                       {"state", h.released ? "released" : "placed"},
                       {"placed", utc_text(h.placed)},
                       {"placed_by", person == state.operators.end() ? h.placed_by : person->second.name},
                       {"released", h.released ? Json(utc_text(h.released)) : Json()},
                       {"release_reason", h.released ? Json(h.release_reason) : Json()}});
}

std::vector<std::string> holds_on(const State& state, const std::set<std::string>& nodes) {
  std::vector<std::string> out;
  for (auto& [id, hold] : state.holds)
    if (!hold.released && nodes.contains(hold.subject)) out.push_back(id);
  std::sort(out.begin(), out.end(), [&](const std::string& a, const std::string& b) {
    return state.holds.at(a).placed < state.holds.at(b).placed;
  });
  return out;
}

std::string hold_text(const State& state, const HoldRecord& h) {
  return "hold " + h.id.substr(0, 12) + " on " + subject_name(state, h.subject) + ", case " + h.case_number +
         ", placed " + local_text(h.placed);
}

void refuse_held_erasure(const State& state, const ErasureRecord& erasure, const Json& plan, bool begun) {
  const Json::Array& order = plan.at("order").as_array();
  if (begun && std::all_of(order.begin(), order.end(), [&](const Json& step) {
        const VersionRecord* v = state.version(step.str("version"));
        return v != nullptr && v->destroyed != 0;
      }))
    return;  // nothing is left to hold; that it is gone is still to be shown
  std::set<std::string> nodes(erasure.datasets.begin(), erasure.datasets.end());
  for (const Json& v : plan.at("key_versions").as_array()) nodes.insert(v.str("version"));
  for (const std::string& id : holds_on(state, nodes))
    throw Error(Code::held, "erasure " + erasure.id.substr(0, 12) + " cannot go on: a legal hold is in force")
        .cause(hold_text(state, state.holds.at(id)))
        .next("kesu hold release " + id.substr(0, 12) + " --reason TEXT --as APPROVER, when the case allows");
  if (begun) return;
  for (auto& [id, hold] : state.holds)
    if (nodes.contains(hold.subject) && hold.placed >= erasure.requested)
      throw Error(Code::plan_changed, "a hold was placed since erasure " + erasure.id.substr(0, 12) +
                                          " was requested; what was approved before it serves no more")
          .cause(hold_text(state, hold) + ", released " + local_text(hold.released))
          .next("kesu erase cancel " + erasure.id.substr(0, 12) +
                " --reason TEXT; then plan and request anew");
}

void refuse_held_dataset(Vault& vault, const std::string& dataset) {
  const State& state = vault.state();
  if (std::none_of(state.holds.begin(), state.holds.end(), [](const auto& h) { return !h.second.released; }))
    return;
  std::set<std::string> nodes = vault.graph().reachers(dataset);
  nodes.insert(dataset);
  for (const std::string& id : holds_on(state, nodes))
    throw Error(Code::held,
                "no more of " + subject_name(state, dataset) + " is sealed over: a legal hold is in force")
        .cause(hold_text(state, state.holds.at(id)))
        .next("without --replace, to another -o DIR; or after the release");
}

void refuse_held(Vault& vault, const std::vector<Event>& events) {
  const State& state = vault.state();
  for (const Event& e : events) {
    if (e.type != "destroy-intended") continue;
    const std::string& version = e.nodes.at(0).id;
    for (auto& [id, hold] : state.holds) {
      if (hold.released) continue;
      if (hold.subject != version &&
          !(hold.subject.starts_with("ds-") && vault.graph().reachers(hold.subject).contains(version)))
        continue;
      throw Error(Code::held, subject_name(state, version) + " is not destroyed: a legal hold is in force")
          .cause(hold_text(state, hold))
          .next("kesu hold release " + id.substr(0, 12) +
                " --reason TEXT --as APPROVER, when the case allows");
    }
  }
}

}  // namespace kesu
