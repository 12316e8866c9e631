#include "app/rules_change.h"

#include <algorithm>
#include <set>

#include "app/settle.h"
#include "base/files.h"
#include "base/leftovers.h"
#include "certificate/claims.h"
#include "crypto/hash.h"
#include "crypto/person_key.h"

namespace kesu {

namespace {
using What = RuleChange::What;

std::string plans(Vault& vault) { return path_join(vault.directory(), "plans"); }
std::string statement_path(Vault& vault, const std::string& id) {
  return path_join(plans(vault), "change-" + id + ".json");
}
std::string consent_path(Vault& vault, const std::string& id, const std::string& person) {
  return path_join(plans(vault), "change-" + id + "." + person + ".sig");
}
std::string id_of(const ChangeStatement& s) { return hex(sha256(as_bytes(s.text()))).substr(0, 16); }

uint64_t last_change(const State& state) { return state.changes.empty() ? 0 : state.changes.rbegin()->first; }

// The highest quorum that is in force or recorded to come.
int64_t highest_quorum(const State& state, const Moment& now) {
  int64_t out = rules_in_force(state, now).quorum;
  for (const auto& [seq, c] : state.changes)
    if (c.change.what == What::rules && is_pending(c, now.time)) out = std::max(out, c.change.rules.quorum);
  return out;
}

void refuse_too_few(const State& state, const Moment& now, const OperatorRecord& person) {
  if (!role_problem(state, person, "approver", now, now.time).empty()) return;
  const int64_t left = approvers_in_force(state, now, person.id), need = highest_quorum(state, now);
  if (left >= need) return;
  throw Error(Code::state_refused, "without " + person.name + " too few approvers would be left")
      .cause(std::to_string(left) + " in force, the quorum is " + std::to_string(need))
      .next("first enrol another approver (kesu operator add), or lower the quorum (kesu vault rules)");
}

// People and rules as they would be with this change recorded, too: for judging what comes at the end of
// time.
State with(const State& state, const RuleChange& c, const Moment& now) {
  State out;
  out.vault = state.vault;
  out.operators = state.operators;
  out.changes = state.changes;
  if (c.what == What::revoke) {
    out.operators.at(c.operator_id).state = "revoked";
    for (auto& [seq, other] : out.changes)
      if (is_pending(other, now.time) && std::erase(other.signers, c.operator_id))
        other.dead = static_cast<int64_t>(other.signers.size()) < other.quorum;
  } else if (c.what != What::enrol) {
    ChangeRecord record;
    record.seq = now.seq;
    record.effective = INT64_MAX;
    record.change = c;
    out.changes[now.seq] = std::move(record);
  }
  return out;
}

// Approvers without any end, once everything recorded has taken effect.
int64_t lasting_approvers(const State& state) {
  return std::count_if(state.operators.begin(), state.operators.end(), [&](const auto& p) {
    const Terms terms = terms_in_force(state, p.second, {UINT64_MAX, INT64_MAX});
    const auto role = terms.roles.find("approver");
    return role != terms.roles.end() && !role->second && !terms.until;
  });
}

// Nobody could ever change the rules again: refused where this change makes it so, or worse.
void refuse_lock_out(const State& state, const RuleChange& c, const Moment& now) {
  const State after = with(state, c, now);
  const Moment end{UINT64_MAX, INT64_MAX};
  const int64_t before = lasting_approvers(state), left = lasting_approvers(after);
  auto check = [&](int64_t needed, int64_t need) {
    if (left >= need || (left >= before && need <= needed)) return;
    throw Error(Code::state_refused, "too few approvers would be left in the end")
        .cause(std::to_string(left) +
               " without an end to role or enrolment, once what is recorded has taken "
               "effect; the quorum is " +
               std::to_string(need))
        .next(
            "first enrol another approver (kesu operator add) or give the role (grant) without an end, or "
            "lower the quorum (kesu vault rules)");
  };
  check(highest_quorum(state, now), highest_quorum(after, now));
  check(rules_in_force(state, end).quorum, rules_in_force(after, end).quorum);
}

// The newest terms that were recorded for this person, in force or not.
Terms newest_terms(const State& state, const OperatorRecord& person) {
  Terms out = terms_in_force(state, person, {UINT64_MAX, INT64_MAX});
  if (!out.roles.empty()) return out;
  throw Error(Code::not_enrolled, person.name + " is " + person.state)
      .cause("a revocation is for ever")
      .next("kesu operator add enrols a person anew, with another key");
}

void refuse_past(Millis until, Millis now) {
  if (until && until <= now)
    throw Error(Code::bad_input, "that end is over already")
        .cause("it ends " + local_text(until) + ", now is " + local_text(now))
        .next("a later end");
}

void refuse_enrolment(const State& state, const RuleChange& c) {
  for (const auto& [id, p] : state.operators) {
    if (id == c.operator_id) throw Error(Code::already_exists, id + " is enrolled already");
    // Whose enrolment became void was never there.
    if (p.state != "revoked" && terms_in_force(state, p, {UINT64_MAX, INT64_MAX}).roles.empty()) continue;
    if (p.name == c.name && p.state != "revoked")
      throw Error(Code::already_exists, c.name + " is enrolled already, as " + id.substr(0, 12))
          .next("kesu operator grant, renew or revoke changes that");
    if (p.fingerprint == c.fingerprint)
      throw Error(Code::already_exists, "the key " + c.fingerprint + " is, or was, " + p.name + "'s")
          .next("another key: what a person signed must stay theirs");
  }
}

// Everything that has to hold of a change, asked when it is proposed and again in its append.
void refuse_change(Vault& vault, const RuleChange& c) {
  const State& state = vault.state();
  const Moment now = moment_now(vault);
  if (c.what == What::rules) {
    const Profile* profile = find_profile(c.rules.profile);
    if (!profile) throw Error(Code::usage, "no profile " + c.rules.profile).next("low, standard or high");
    if (c.rules.quorum < profile->quorum || c.rules.waiting_seconds < profile->waiting_seconds)
      throw Error(Code::policy_refused, "profile " + profile->name + " asks for more")
          .cause("a quorum of " + std::to_string(profile->quorum) + " and a waiting period of " +
                 std::to_string(profile->waiting_seconds) + " s at least")
          .next("higher ones, or a lower --profile, which is a change like any other");
    if (profile->signed_commands && !c.rules.signed_commands)
      throw Error(Code::policy_refused, "profile " + profile->name + " asks for signed commands")
          .next("--signed-commands on, or a lower --profile, which is a change like any other");
    if (c.rules.waiting_seconds > kMaxWaitingSeconds &&
        c.rules.waiting_seconds != rules_in_force(state, now).waiting_seconds)
      throw Error(Code::policy_refused, "a waiting period of more than 13 days")
          .cause("an approval serves for 14 days: nothing approved could ever run")
          .next("--waiting " + std::to_string(kMaxWaitingSeconds) + " or less");
    if (const int64_t there = approvers_in_force(state, now);
        there < c.rules.quorum && c.rules.quorum > rules_in_force(state, now).quorum)
      throw Error(Code::state_refused, "a quorum of " + std::to_string(c.rules.quorum) +
                                           " needs as many approvers; in force are " + std::to_string(there))
          .next("first kesu operator add, or grant");
    if (c.rules == rules_in_force(state, now))
      throw Error(Code::state_refused, "these are the rules in force").next("kesu vault rules shows them");
    return refuse_lock_out(state, c, now);
  }
  for (const auto& [role, until] : c.terms.roles) refuse_past(until, now.time);
  refuse_past(c.terms.until, now.time);
  if (c.what == What::enrol) return refuse_enrolment(state, c);
  const OperatorRecord& person = state.operators.at(c.operator_id);
  const Terms before = newest_terms(state, person);
  if (c.what == What::revoke || !c.terms.roles.contains("approver")) refuse_too_few(state, now, person);
  if (c.what == What::roles && c.terms == before)
    throw Error(Code::state_refused, "nothing would change for " + person.name)
        .cause(roles_text(before))
        .next("kesu operator list");
  refuse_lock_out(state, c, now);
}

RuleChange terms_change(Vault& vault, const OperatorRecord& person, const Terms& terms) {
  RuleChange c;
  c.what = What::roles;
  c.operator_id = person.id;
  c.name = person.name;
  c.terms = terms;
  refuse_change(vault, c);
  return c;
}

void known_role(const std::string& role) {
  if (std::find(all_roles().begin(), all_roles().end(), role) == all_roles().end())
    throw Error(Code::usage, "no role " + role).next("operator, approver, verifier, validator or auditor");
}

// Is it of these rules, and in time?
bool fits(Vault& vault, const ChangeStatement& s) {
  const Moment now = moment_now(vault);
  return s.vault == vault.id() && s.organisation == vault.state().vault.organisation &&
         s.from == rules_in_force(vault.state(), now) && s.since == last_change(vault.state()) &&
         s.issued <= now.time && now.time - s.issued <= kMaxChangeStatementAge;
}

std::optional<ChangeStatement> kept(Vault& vault, const std::string& id) {
  const auto file = read_file_if_there(statement_path(vault, id), 65536);
  if (!file) return std::nullopt;
  try {
    ChangeStatement s = ChangeStatement::parse(as_text(*file));
    if (id_of(s) == id) return s;
  } catch (const Error&) {  // not ours any more
  }
  return std::nullopt;
}

std::vector<std::string> kept_ids(Vault& vault) {
  std::vector<std::string> out;
  if (!exists(plans(vault))) return out;
  for (const std::string& name : list_directory(plans(vault)))
    if (name.starts_with("change-") && name.size() == 7 + 16 + 5 && name.ends_with(".json"))
      out.push_back(name.substr(7, 16));
  return out;
}

struct Consent {
  std::string person, armored;
};
struct Consents {
  std::vector<Consent> approvers;
  std::optional<Consent> newcomer;
};

std::optional<std::string> good_consent(Vault& vault, const std::string& id, const std::string& text,
                                        const std::string& person, const std::string& key) {
  const auto file = read_file_if_there(consent_path(vault, id, person), 1 << 16);
  if (!file) return std::nullopt;
  std::string armored = to_text(*file);
  if (!signature_problem(text, armored, std::string(kChangeNamespace), key).empty()) return std::nullopt;
  return armored;
}

// What was signed so far, each judged anew: approvers in force, with different names and keys.
Consents consents(Vault& vault, const std::string& id, const ChangeStatement& s) {
  Consents out;
  const Moment now = moment_now(vault);
  const std::string text = s.text();
  std::set<std::string> names, keys;
  if (s.change.what == What::enrol) {
    names.insert(s.change.name);
    keys.insert(s.change.fingerprint);
    auto armored = good_consent(vault, id, text, s.change.operator_id, s.change.public_key);
    if (armored && PersonKey::parse_line(s.change.public_key).validity_problem(now.time).empty())
      out.newcomer = {s.change.operator_id, *armored};
  }
  for (const auto& [person, p] : vault.state().operators) {
    if (!role_problem(vault.state(), p, "approver", now, now.time).empty()) continue;
    auto armored = good_consent(vault, id, text, person, p.public_key);
    if (armored && names.insert(p.name).second && keys.insert(p.fingerprint).second)
      out.approvers.push_back({person, *armored});
  }
  return out;
}

Proposal proposal_of(Vault& vault, const std::string& id, const ChangeStatement& s) {
  Proposal p{id, s, {}, s.from.quorum, false, std::nullopt, 0};
  const Consents c = consents(vault, id, s);
  for (const Consent& one : c.approvers) p.signed_by.push_back(one.person);
  p.newcomer_missing = s.change.what == What::enrol && !c.newcomer;
  return p;
}

// Of a change that is recorded; nothing where it is none. `id` may be its first digits.
void refuse_recorded(const State& state, const std::string& id) {
  if (id.size() < 4) return;
  for (auto& [seq, c] : state.changes)
    if (c.statement.starts_with(id))
      throw Error(Code::already_exists, "change " + c.statement.substr(0, 16) + " is recorded: entry " +
                                            std::to_string(seq) + ", " + local_text(c.time))
          .cause(change_text(c.change))
          .next("kesu operator changes says from when on it counts");
}

ChangeStatement find_kept(Vault& vault, std::string& id) {
  std::vector<std::string> hits;
  for (const std::string& known : kept_ids(vault))
    if (id.size() >= 4 && known.starts_with(id)) hits.push_back(known);
  if (hits.size() > 1)
    throw Error(Code::identifier_ambiguous, id + " could be several changes").next("type more of its digits");
  auto s = hits.empty() ? std::nullopt : kept(vault, hits[0]);
  if (!s) {
    refuse_recorded(vault.state(), id);
    throw Error(Code::not_found, "no proposed change is called " + id)
        .next("kesu operator changes lists them");
  }
  id = hits[0];
  return *s;
}

void refuse_stale(Vault& vault, const std::string& id, const ChangeStatement& s) {
  if (fits(vault, s)) return;
  refuse_recorded(vault.state(), id);
  throw Error(Code::state_refused, "change " + id + " serves no more: it is of rules that are not in force")
      .cause("people or rules were changed since " + local_text(s.issued) + ", or it is older than 31 days")
      .next("propose it anew: there is another statement to sign");
}

// Who signs: the newcomer himself, or somebody enrolled.
OperatorRecord signer_of(Vault& vault, const ChangeStatement& s, const std::string& text) {
  const RuleChange& c = s.change;
  if (c.what == What::enrol && (text == c.name || (text.size() >= 8 && c.operator_id.starts_with(text)))) {
    OperatorRecord o;
    o.id = c.operator_id;
    o.name = c.name;
    o.public_key = c.public_key;
    o.fingerprint = c.fingerprint;
    return o;
  }
  const OperatorRecord person = vault.find_operator(text);
  const Moment now = moment_now(vault);
  needs_role(vault.state(), person, "approver", now, now.time, "an approver has to sign it");
  return person;
}

// Statements that can serve no more, and their signatures: when a change is recorded, all that were issued
// under the rules before it. Who recorded it may have been killed before it came to this. What cannot be
// removed stays, and harms nothing: it fits no rules any more.
void remove_stale(Vault& vault) try {
  if (!exists(plans(vault))) return;
  std::set<std::string> serve;
  for (const std::string& id : kept_ids(vault))
    if (const auto s = kept(vault, id); s && s->since == last_change(vault.state())) serve.insert(id);
  for (const std::string& name : list_directory(plans(vault)))
    if (name.starts_with("change-") && name.size() > 7 + 16 && !serve.contains(name.substr(7, 16)))
      remove_file(path_join(plans(vault), name));
} catch (const Error&) {
}
}  // namespace

RuleChange enrol_change(Vault& vault, const Newcomer& n) {
  const Bytes file = read_file(n.key_file, 65536);
  const PersonKey key = PersonKey::from_file(as_text(file));
  if (const std::string why = key.validity_problem(vault.now()); !why.empty())
    throw Error(Code::bad_input, n.name + " cannot be enrolled with that certificate now").cause(why);
  RuleChange c;
  c.what = What::enrol;
  c.operator_id = vault.env().random.id<OperatorId>().str();
  c.name = n.name;
  c.title = n.title;
  c.public_key = key.line();
  c.fingerprint = key.fingerprint();
  for (const std::string& role : n.roles) {
    known_role(role);
    c.terms.roles.emplace(role, 0);
  }
  c.terms.until = n.until;
  RuleChange::from_json(c.to_json());  // names without control characters, a role at least
  refuse_change(vault, c);
  return c;
}

RuleChange grant_change(Vault& vault, const OperatorRecord& person, const std::string& role, Millis until) {
  known_role(role);
  Terms terms = newest_terms(vault.state(), person);
  terms.roles[role] = until;
  return terms_change(vault, person, terms);
}

RuleChange withdraw_change(Vault& vault, const OperatorRecord& person, const std::string& role) {
  known_role(role);
  Terms terms = newest_terms(vault.state(), person);
  if (!terms.roles.erase(role))
    throw Error(Code::state_refused, person.name + " has not the role " + role).next("kesu operator list");
  if (terms.roles.empty())
    throw Error(Code::state_refused, person.name + " would have no role left")
        .next("kesu operator revoke, which counts at once");
  return terms_change(vault, person, terms);
}

RuleChange renew_change(Vault& vault, const OperatorRecord& person, Millis until) {
  Terms terms = newest_terms(vault.state(), person);
  terms.until = until;
  return terms_change(vault, person, terms);
}

RuleChange revoke_change(Vault& vault, const OperatorRecord& person) {
  RuleChange c;
  c.what = What::revoke;
  c.operator_id = person.id;
  c.name = person.name;
  refuse_change(vault, c);
  return c;
}

RuleChange rules_change(Vault& vault, const RulesOrder& order) {
  RuleChange c;
  c.rules = rules_in_force(vault.state(), moment_now(vault));
  if (!order.profile.empty()) c.rules.profile = order.profile;
  if (order.quorum) c.rules.quorum = *order.quorum;
  if (order.waiting_seconds) c.rules.waiting_seconds = *order.waiting_seconds;
  if (order.signed_commands) c.rules.signed_commands = *order.signed_commands;
  c.rules.anchors = ordered_anchors(c.rules.anchors, order.anchors);
  refuse_change(vault, c);
  return c;
}

std::string propose_change(Vault& vault, const RuleChange& change, const std::string& reason) {
  if (reason.empty()) throw Error(Code::usage, "why? --reason TEXT is part of what is signed");
  ChangeStatement s;
  s.vault = vault.id();
  s.organisation = vault.state().vault.organisation;
  s.reason = reason;
  s.change = change;
  s.from = rules_in_force(vault.state(), moment_now(vault));
  s.since = last_change(vault.state());
  s.issued = vault.now();
  for (const std::string& id : kept_ids(vault)) {
    const auto old = kept(vault, id);
    if (!old || !fits(vault, *old)) continue;
    ChangeStatement same = s;  // a newcomer's identifier is the proposal's own
    same.issued = old->issued;
    if (change.what == What::enrol && old->change.what == What::enrol)
      same.change.operator_id = old->change.operator_id;
    if (same.text() == old->text()) return id;
  }
  ChangeStatement::parse(s.text());
  remove_stale(vault);
  const std::string id = id_of(s);
  make_directories(plans(vault), 0700);
  write_file_durable(statement_path(vault, id), as_bytes(s.text()), 0600);
  return id;
}

std::vector<Proposal> proposals(Vault& vault) {
  std::vector<Proposal> out;
  for (const std::string& id : kept_ids(vault))
    if (auto s = kept(vault, id); s && fits(vault, *s)) out.push_back(proposal_of(vault, id, *s));
  std::sort(out.begin(), out.end(),
            [](const Proposal& a, const Proposal& b) { return a.statement.issued < b.statement.issued; });
  return out;
}

std::string export_change(Vault& vault, const std::string& text, const std::string& file) {
  std::string id = text;
  const ChangeStatement s = find_kept(vault, id);
  refuse_stale(vault, id, s);
  write_output(file, as_bytes(s.text()), 0644);
  return std::string(kChangeNamespace);
}

Proposal sign_change(Vault& vault, const std::string& text, const std::string& person,
                     const SignatureSource& source) {
  vault.rebuild();  // who may do what is the ledger's to say, not a register's
  settle(vault);
  std::string id = text;
  const ChangeStatement s = find_kept(vault, id);
  refuse_stale(vault, id, s);
  const OperatorRecord who = signer_of(vault, s, person);
  // Given before (the same command was interrupted, or another consent was missing): kept.
  const bool given = good_consent(vault, id, s.text(), who.id, who.public_key).has_value() &&
                     source.key_file.empty() && source.signature_file.empty();
  if (!given) {
    const std::string armored = obtain_signature(s.text(), std::string(kChangeNamespace), who, source,
                                                 "kesu operator sign " + id + " --export FILE");
    write_file_durable(consent_path(vault, id, who.id), as_bytes(armored), 0600);
  }
  Proposal p;
  const std::string vault_id = vault.state().vault.id;
  std::vector<std::string> streams = {vault_id};
  if (!s.change.operator_id.empty()) streams.push_back(s.change.operator_id);
  const AppendResult at = vault.decide(streams, [&] {
    refuse_stale(vault, id, s);
    refuse_change(vault, s.change);
    p = proposal_of(vault, id, s);
    if (static_cast<int64_t>(p.signed_by.size()) < p.need || p.newcomer_missing) return std::vector<Event>();
    const Consents all = consents(vault, id, s);
    Json signatures(Json::Array{});
    const auto add = [&](const Consent& c) {
      signatures.push(
          Json::object({{"operator", c.person}, {"signature", vault.store().put_blob(as_bytes(c.armored))}}));
    };
    for (const Consent& c : all.approvers) add(c);
    if (all.newcomer) add(*all.newcomer);
    const std::string statement = vault.store().put_blob(as_bytes(s.text()));
    std::vector<NodeMention> nodes = {{.id = vault_id, .d = statement}};
    if (s.change.what == What::enrol) nodes.push_back({.id = s.change.operator_id, .is = "enrolled"});
    if (s.change.what == What::revoke) nodes.push_back({.id = s.change.operator_id, .is = "revoked"});
    if (s.change.what == What::roles) nodes.push_back({.id = s.change.operator_id});
    return std::vector<Event>{{.type = "rules-changed",
                               .nodes = std::move(nodes),
                               .body = Json::object({{"statement", statement},
                                                     {"change", s.change.to_json()},
                                                     {"reason", s.reason},
                                                     {"signatures", std::move(signatures)}})}};
  });
  if (static_cast<int64_t>(p.signed_by.size()) < p.need || p.newcomer_missing) return p;
  p.entry = at.first_seq;
  p.effective = vault.state().changes.at(at.first_seq).effective;
  remove_stale(vault);
  return p;
}

namespace {
Json names_of(const State& state, const std::vector<std::string>& people) {
  Json out(Json::Array{});
  for (const std::string& id : people) out.push(state.operators.at(id).name);
  return out;
}
Json roles_json(const Terms& terms) {
  Json out(Json::Array{});
  for (const std::string& role : all_roles())
    if (auto it = terms.roles.find(role); it != terms.roles.end())
      out.push(Json::object({{"role", role}, {"until", it->second ? Json(utc_text(it->second)) : Json()}}));
  return out;
}
}  // namespace

Json proposal_json(const State& state, const Proposal& p) {
  Json lines(Json::Array{});
  for (const std::string& line : p.statement.summary()) lines.push(line);
  return Json::object(
      {{"change", p.id},
       {"what", std::string(change_word(p.statement.change.what))},
       {"summary", lines},
       {"reason", p.statement.reason},
       {"issued", utc_text(p.statement.issued)},
       {"approvals",
        Json::object({{"have", p.signed_by.size()}, {"need", p.need}, {"by", names_of(state, p.signed_by)}})},
       {"newcomer_signed", p.statement.change.what == What::enrol ? Json(!p.newcomer_missing) : Json()},
       {"entry", p.entry ? Json(*p.entry) : Json()},
       {"effective", p.entry ? Json(utc_text(p.effective)) : Json()}});
}

Json change_record_json(const State& state, const ChangeRecord& c, Millis now) {
  return Json::object({{"entry", c.seq},
                       {"what", std::string(change_word(c.change.what))},
                       {"text", change_text(c.change)},
                       {"reason", c.reason},
                       {"recorded", utc_text(c.time)},
                       {"effective", utc_text(c.effective)},
                       {"state", c.dead               ? "void"
                                 : is_pending(c, now) ? "pending"
                                                      : "in-force"},
                       {"by", names_of(state, c.signers)}});
}

std::string person_key_type(const PersonKey& key) {
  return key.certificate ? std::string(kX509Word) : std::string(ssh_type_name(key.ssh.type));
}

Json operator_json(const State& state, const OperatorRecord& p, const Moment& now) {
  const Terms terms = terms_in_force(state, p, now);
  const Terms newest = terms_in_force(state, p, {UINT64_MAX, INT64_MAX});
  const Terms& shown = terms.roles.empty() ? newest : terms;
  const PersonKey key = PersonKey::parse_line(p.public_key);
  Json certificate;
  if (key.certificate)
    certificate = Json::object({{"sha256", hex(key.certificate->fingerprint())},
                                {"subject", key.certificate->subject},
                                {"issuer", key.certificate->issuer},
                                {"not_before", utc_text(key.certificate->not_before)},
                                {"not_after", utc_text(key.certificate->not_after)}});
  const char* word = p.state == "revoked"                     ? "revoked"
                     : terms.roles.empty()                    ? (newest.roles.empty() ? "void" : "pending")
                     : terms.until && terms.until <= now.time ? "ended"
                                                              : "enrolled";
  return Json::object({{"id", p.id},
                       {"name", p.name},
                       {"title", p.title},
                       {"state", word},
                       {"roles", roles_json(shown)},
                       {"until", shown.until ? Json(utc_text(shown.until)) : Json()},
                       {"key_type", person_key_type(key)},
                       {"security_key", key.ssh.is_security_key()},
                       {"fingerprint", p.fingerprint},
                       {"certificate", certificate}});
}

}  // namespace kesu
