#include "app/rules.h"

#include <algorithm>

#include "crypto/person_key.h"

namespace kesu {

namespace {
bool counts(const ChangeRecord& c, const Moment& at) {
  return !c.dead && c.seq < at.seq && c.effective <= at.time;
}
}  // namespace

Moment moment_now(Vault& vault) { return {vault.state().size, vault.now()}; }

Moment moment_of(const State& state, const std::string& erasure, const Moment& now) {
  auto e = state.erasures.find(erasure);
  return e == state.erasures.end() ? now : Moment{e->second.requested_seq, e->second.requested};
}

Rules rules_in_force(const State& state, const Moment& at) {
  Rules out{state.vault.profile, state.vault.quorum, state.vault.waiting_seconds, state.vault.signed_commands,
            state.vault.anchors};
  for (const auto& [seq, c] : state.changes)
    if (c.change.what == RuleChange::What::rules && counts(c, at)) out = c.change.rules;
  return out;
}

Terms terms_in_force(const State& state, const OperatorRecord& person, const Moment& at) {
  Terms out;
  if (person.state != "enrolled") return out;
  const bool later = std::any_of(state.changes.begin(), state.changes.end(), [&](const auto& c) {
    return c.second.change.what == RuleChange::What::enrol && c.second.change.operator_id == person.id;
  });
  if (!later)
    for (const std::string& role : person.roles) out.roles.emplace(role, 0);
  bool enrolled = !later;
  for (const auto& [seq, c] : state.changes) {
    if (c.change.operator_id != person.id || !counts(c, at)) continue;
    if (c.change.what == RuleChange::What::enrol) enrolled = true;
    if (c.change.what == RuleChange::What::enrol || c.change.what == RuleChange::What::roles)
      out = c.change.terms;
  }
  return enrolled ? out : Terms();
}

std::string role_problem(const State& state, const OperatorRecord& person, std::string_view role,
                         const Moment& at, Millis when) {
  if (std::string why = terms_problem(state, person, role, at, when); !why.empty()) return why;
  if (!person.public_key.starts_with(std::string(kX509Word) + " ")) return "";
  return PersonKey::parse_line(person.public_key).validity_problem(when);
}

std::string terms_problem(const State& state, const OperatorRecord& person, std::string_view role,
                          const Moment& at, Millis when) {
  if (person.state == "revoked") return "revoked";
  const Terms terms = terms_in_force(state, person, at);
  if (terms.roles.empty()) return "the enrolment was not in force then";
  if (terms.until && when >= terms.until) return "the enrolment ended " + local_text(terms.until);
  if (role.empty()) return "";
  const auto it = terms.roles.find(std::string(role));
  if (it == terms.roles.end()) return "roles in force: " + roles_text(terms);
  if (it->second && when >= it->second)
    return "the role " + std::string(role) + " ended " + local_text(it->second);
  return "";
}

void needs_role(const State& state, const OperatorRecord& person, std::string_view role, const Moment& at,
                Millis when, const std::string& next) {
  const std::string why = role_problem(state, person, role, at, when);
  if (why.empty()) return;
  throw Error(Code::not_enrolled,
              person.name + " is not enrolled" + (role.empty() ? "" : " as " + std::string(role)))
      .cause(why)
      .next(next);
}

int64_t approvers_in_force(const State& state, const Moment& at, const std::string& without) {
  return std::count_if(state.operators.begin(), state.operators.end(), [&](const auto& p) {
    return p.first != without && role_problem(state, p.second, "approver", at, at.time).empty();
  });
}

int64_t living_approvals(const State& state, const ErasureRecord& erasure) {
  return std::count_if(erasure.approvals.begin(), erasure.approvals.end(), [&](const ApprovalRecord& a) {
    return state.operators.at(a.operator_id).state == "enrolled";
  });
}

bool is_pending(const ChangeRecord& change, Millis now) { return !change.dead && change.effective > now; }

std::string anchors_text(const Anchors& anchors) {
  std::string out;
  for (const TimeAnchor& t : anchors.time_authorities)
    out += (out.empty() ? ", time-stamps only under " : "; ") + t.name;
  std::string witnesses;
  for (const std::string& vkey : anchors.witnesses)
    witnesses += (witnesses.empty() ? "" : ", ") + vkey.substr(0, vkey.find('+'));
  if (!witnesses.empty())
    out += ", cosignatures of " + std::to_string(anchors.witness_quorum) + " of the witnesses " + witnesses;
  return out;
}

std::string change_text(const RuleChange& c) {
  const std::string until = c.terms.until ? ", enrolment until " + local_text(c.terms.until) : "";
  switch (c.what) {
    case RuleChange::What::enrol:
      return "enrols " + c.name + " as " + roles_text(c.terms) + until;
    case RuleChange::What::roles:
      return "gives " + c.name + " the roles " + roles_text(c.terms) + until;
    case RuleChange::What::revoke:
      return "revokes " + c.name;
    case RuleChange::What::rules:
      break;
  }
  return "sets quorum " + std::to_string(c.rules.quorum) + ", waiting period " +
         std::to_string(c.rules.waiting_seconds) + " s, profile " + c.rules.profile + ", commands " +
         (c.rules.signed_commands ? "signed by their operators" : "not signed") +
         anchors_text(c.rules.anchors);
}

}  // namespace kesu
