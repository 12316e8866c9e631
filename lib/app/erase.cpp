#include "app/erase.h"

#include <algorithm>

#include "app/clock_watch.h"
#include "app/holds.h"
#include "app/refusals.h"
#include "app/reseal.h"
#include "app/rules.h"
#include "app/settle.h"
#include "app/waiting_stamps.h"
#include "base/files.h"
#include "base/leftovers.h"
#include "crypto/hash.h"

namespace kesu {

namespace {
constexpr Millis kStatementLife = 14LL * 24 * 3600 * 1000;

std::string statement_path(Vault& vault, const std::string& erasure, const std::string& action,
                           const OperatorRecord& person) {
  return path_join(path_join(vault.directory(), "plans"), erasure + "." + action + "." + person.id + ".json");
}

// The statement this person is to sign: the one written before, while it still fits; else a new one.
Statement statement_for(Vault& vault, const Json& plan, const std::string& digest, const std::string& action,
                        const OperatorRecord& person) {
  Statement s{action,
              vault.id(),
              vault.state().vault.organisation,
              *ErasureId::parse(plan.str("erasure")),
              digest,
              action == "request" ? "operator" : "approver",
              *OperatorId::parse(person.id),
              person.name,
              plan_summary(plan),
              vault.now() + kStatementLife};
  std::string path = statement_path(vault, plan.str("erasure"), action, person);
  if (auto before = read_file_if_there(path, 65536)) {
    try {
      Statement old = Statement::parse(as_text(*before));
      Millis fresh = s.expires;
      s.expires = old.expires;
      if (old.text() == s.text() && old.expires > vault.now()) return s;
      s.expires = fresh;
    } catch (const Error&) {  // not ours any more: written anew
    }
  }
  make_directories(dir_name(path), 0700);
  write_file_durable(path, as_bytes(s.text()), 0600);
  return s;
}

bool has_expired(Vault& vault, const ApprovalRecord& a) {
  return Statement::parse(to_text(vault.store().blob(a.statement))).expires <= vault.now();
}

// By the people in force when the erasure was requested, or now.
void needs_role(Vault& vault, const std::string& erasure, const OperatorRecord& person, const char* role) {
  const Moment now = moment_now(vault);
  needs_role(vault.state(), person, role, moment_of(vault.state(), erasure, now), now.time,
             "somebody who had that role when the erasure was requested has to do this");
}

ErasureRecord& must_be(Vault& vault, const std::string& id, std::initializer_list<const char*> stages,
                       const char* verb) {
  ErasureRecord& e = vault.state().erasures.at(id);
  for (const char* s : stages)
    if (e.stage == s) return e;
  throw Error(Code::state_refused,
              "erasure " + id.substr(0, 12) + " is " + e.stage + ": it cannot be " + verb)
      .next("kesu erase status " + id.substr(0, 12));
}

std::vector<std::string> streams_of(const Json& plan) {
  std::vector<std::string> out = {plan.str("erasure")};
  for (const Json& d : plan.at("datasets").as_array()) out.push_back(d.str("id"));
  for (const Json& v : plan.at("key_versions").as_array()) out.push_back(v.str("version"));
  return out;
}

Rules rules_of(Vault& vault, const std::string& erasure) {
  return rules_in_force(vault.state(), moment_of(vault.state(), erasure, moment_now(vault)));
}

Json signed_body(const OperatorRecord& person, const std::string& statement, const std::string& signature) {
  return Json::object({{"operator", person.id}, {"statement", statement}, {"signature", signature}});
}
}  // namespace

std::string export_statement(Vault& vault, const std::string& erasure, const std::string& action,
                             const OperatorRecord& person, const std::string& file) {
  Json plan = load_plan(vault, erasure);
  Statement s = statement_for(vault, plan, hex(sha256(as_bytes(plan.canonical()))), action, person);
  write_output(file, as_bytes(s.text()), 0644);
  return s.signature_namespace();
}

void request_erasure(Vault& vault, const std::string& text, const OperatorRecord& found,
                     const SignatureSource& source, const std::string& reason) {
  const std::string found_id = found.id;
  vault.rebuild();  // who may do what is the ledger's to say, not a register's
  settle(vault);
  const OperatorRecord person = vault.find_operator(found_id);
  Json old = load_plan(vault, text);
  std::string id = old.str("erasure");
  needs_role(vault, id, person, "operator");
  if (vault.state().erasures.contains(id))
    throw Error(Code::already_exists, "erasure " + id.substr(0, 12) + " was requested already")
        .next("kesu erase status " + id.substr(0, 12));
  Plan plan = recompute_plan(vault, old);
  if (!plan.blockers.empty())
    throw Error(Code::plan_blocked, "the plan is blocked: " + plan.blockers[0].what)
        .next(plan.blockers[0].next);
  std::vector<std::string> scope;
  for (const Json& d : plan.document.at("datasets").as_array()) scope.push_back(d.str("id"));
  demand_kept_opens(vault, scope, id);
  Statement s = statement_for(vault, plan.document, plan.digest(), "request", person);
  std::string armored = obtain_signature(
      s, person, source,
      "kesu erase request " + id.substr(0, 12) + " --as " + person.id.substr(0, 12) + " --export FILE");
  std::string kept_plan = vault.store().put_blob(as_bytes(plan.text()));
  Json body = signed_body(person, vault.store().put_blob(as_bytes(s.text())),
                          vault.store().put_blob(as_bytes(armored)));
  Json names(Json::Array{});
  Json versions(Json::Array{});
  for (const Json& step : plan.document.at("order").as_array()) versions.push(step.str("version"));
  std::vector<Event> events(1);
  for (const Json& d : plan.document.at("datasets").as_array()) {
    names.push(d.str("id"));
    events.push_back({.type = "dataset-frozen",
                      .nodes = {{.id = d.str("id"), .is = "frozen", .of = id}},
                      .body = Json::object({{"reason", "requested to be erased"}})});
  }
  body.set("plan", kept_plan).set("datasets", names).set("versions", versions).set("reason", reason);
  // The vault is named so that whoever adds or seals something under these keys at the same time decides
  // anew.
  const std::string vault_id = vault.state().vault.id;
  events[0] = {.type = "erasure-requested",
               .nodes = {{.id = id, .is = "requested", .d = plan.digest()}, {.id = vault_id}},
               .body = body};
  std::vector<std::string> streams = streams_of(plan.document);
  streams.push_back(vault_id);
  vault.decide(streams, [&] {
    needs_role(vault, id, person, "operator");  // anew: somebody may have revoked him meanwhile
    Plan now = recompute_plan(vault, old);
    if (!now.blockers.empty())
      throw Error(Code::plan_blocked, "the plan is blocked: " + now.blockers[0].what)
          .next(now.blockers[0].next);
    return events;
  });
}

namespace {
ApprovalCount approve_now(Vault& vault, ErasureRecord& found, const OperatorRecord& who,
                          const SignatureSource& source) {
  const std::string id = found.id, who_id = who.id;
  vault.rebuild();
  settle(vault);
  const OperatorRecord person = vault.find_operator(who_id);
  needs_role(vault, id, person, "approver");
  const ErasureRecord e = must_be(vault, id, {"requested", "approved"}, "approved");
  const OperatorRecord requester = vault.state().operators.at(e.request.operator_id);
  if (requester.id == person.id || requester.fingerprint == person.fingerprint)
    throw Error(Code::requester_is_approver, person.name + " requested this erasure and cannot approve it")
        .next("another approver has to");
  for (const ApprovalRecord& a : e.approvals) {
    const OperatorRecord& other = vault.state().operators.at(a.operator_id);
    if (other.id == person.id && has_expired(vault, a)) continue;  // approves anew
    if (other.id == person.id || other.fingerprint == person.fingerprint)
      throw Error(Code::already_exists, person.name + " has approved it already")
          .next("another approver has to, where more are needed");
  }
  Json old = load_plan(vault, id);
  refuse_held_erasure(vault.state(), e, old, false);
  Plan plan = recompute_plan(vault, old);
  Statement s = statement_for(vault, plan.document, plan.digest(), "approve", person);
  std::string armored = obtain_signature(
      s, person, source,
      "kesu erase approve " + id.substr(0, 12) + " --as " + person.id.substr(0, 12) + " --export FILE");
  ErasureRecord others = e;  // what had expired is replaced
  std::erase_if(others.approvals, [&](const ApprovalRecord& a) { return a.operator_id == person.id; });
  ApprovalCount count{living_approvals(vault.state(), others) + 1, rules_of(vault, id).quorum};
  Json body = signed_body(person, vault.store().put_blob(as_bytes(s.text())),
                          vault.store().put_blob(as_bytes(armored)));
  body.set("role", "approver").set("have", count.have).set("need", count.need);
  // Who approves is decided on, too: a revocation beside this counts.
  std::vector<std::string> streams = streams_of(plan.document);
  streams.push_back(person.id);
  vault.append(
      {{.type = "erasure-approved",
        .nodes = {{.id = id, .is = count.have >= count.need ? "approved" : "requested"}, {.id = person.id}},
        .body = body}},
      streams);
  begin_waiting(vault, id, false);
  return count;
}
}  // namespace

ApprovalCount approve_erasure(Vault& vault, ErasureRecord& found, const OperatorRecord& who,
                              const SignatureSource& source) {
  const std::string id = found.id, name = who.name;
  try {
    return approve_now(vault, found, who, source);
  } catch (const Error& e) {
    record_refusal(vault, id, Attempt::erase_approve, name, e);
    throw;
  }
}

namespace {
std::vector<Event> unfreeze(const ErasureRecord& e, const std::string& reason) {
  std::vector<Event> out;
  for (const std::string& d : e.datasets)
    out.push_back({.type = "dataset-unfrozen",
                   .nodes = {{.id = d, .is = "open", .of = e.id}},
                   .body = Json::object({{"reason", reason}})});
  return out;
}
}  // namespace

void reject_erasure(Vault& vault, ErasureRecord& found, const OperatorRecord& who,
                    const SignatureSource& source) {
  const std::string id = found.id, who_id = who.id;
  vault.rebuild();
  settle(vault);
  const OperatorRecord person = vault.find_operator(who_id);
  needs_role(vault, id, person, "approver");
  const ErasureRecord e = must_be(vault, id, {"requested", "approved"}, "rejected");
  Json plan = load_plan(vault, id);
  Statement s = statement_for(vault, plan, e.plan, "reject", person);
  std::string armored = obtain_signature(
      s, person, source,
      "kesu erase reject " + id.substr(0, 12) + " --as " + person.id.substr(0, 12) + " --export FILE");
  Json body = signed_body(person, vault.store().put_blob(as_bytes(s.text())),
                          vault.store().put_blob(as_bytes(armored)));
  body.set("role", "approver").set("have", 0).set("need", rules_of(vault, id).quorum);
  // A run that begins at the same time, or has begun, is not rejected any more.
  vault.decide(streams_of(plan), [&] {
    must_be(vault, id, {"requested", "approved"}, "rejected");
    std::vector<Event> events = {{.type = "erasure-rejected",
                                  .nodes = {{.id = id, .is = "rejected"}, {.id = person.id}},
                                  .body = body}};
    for (Event& ev : unfreeze(e, "rejected by " + person.id)) events.push_back(std::move(ev));
    return events;
  });
}

void cancel_erasure(Vault& vault, ErasureRecord& found, const std::string& reason) {
  std::string id = found.id;
  settle(vault);
  must_be(vault, id, {"requested", "approved", "running"}, "cancelled");
  Json plan = load_plan(vault, id);
  // Every key of the plan is named: a destruction that begins at the same time is not cancelled any more.
  vault.decide(streams_of(plan), [&] {
    const ErasureRecord e = must_be(vault, id, {"requested", "approved", "running"}, "cancelled");
    for (const Json& v : plan.at("order").as_array()) {
      const VersionRecord* r = vault.state().version(v.str("version"));
      if (r->erasure == id && (r->state == "destroying" || r->destroyed))
        throw Error(Code::state_refused, "destruction has begun: " + r->version().brief() + " is " + r->state)
            .next("kesu erase run " + id.substr(0, 12) + " finishes it");
    }
    std::vector<Event> events = {{.type = "erasure-cancelled",
                                  .nodes = {{.id = id, .is = "cancelled"}},
                                  .body = Json::object({{"reason", reason}})}};
    for (Event& ev : unfreeze(e, "cancelled")) events.push_back(std::move(ev));
    return events;
  });
}

Json erasure_status(Vault& vault, const ErasureRecord& e) {
  Json steps(Json::Array{}), datasets(Json::Array{}), approvals(Json::Array{});
  Json plan = load_plan(vault, e.id);
  for (const Json& step : plan.at("order").as_array()) {
    const VersionRecord* v = vault.state().version(step.str("version"));
    steps.push(Json::object({{"step", "destroy"},
                             {"version", v->id},
                             {"key", vault.state().key_of(v->id)->name},
                             {"state", v->state},
                             {"done", v->destroyed ? Json(utc_text(v->destroyed)) : Json()}}));
  }
  for (const std::string& d : e.datasets) datasets.push(vault.state().datasets.at(d).name);
  for (const ApprovalRecord& a : e.approvals)
    approvals.push(Json::object({{"operator", a.operator_id},
                                 {"name", vault.state().operators.at(a.operator_id).name},
                                 {"at", utc_text(a.time)}}));
  const auto act = [&](const ApprovalRecord& a) {
    return a.time ? Json::object({{"operator", a.operator_id},
                                  {"name", vault.state().operators.at(a.operator_id).name},
                                  {"at", utc_text(a.time)}})
                  : Json();
  };
  const WaitingByStamps stamps = e.approved ? waiting_by_stamps(vault, e) : WaitingByStamps{};
  const std::optional<Millis> until = waiting_until(vault.state(), e, stamps);
  const Rules rules = rules_of(vault, e.id);
  return Json::object({{"id", e.id},
                       {"stage", e.stage},
                       {"datasets", datasets},
                       {"plan_digest", e.plan},
                       {"reason", e.reason},
                       {"requested_by", vault.state().operators.at(e.request.operator_id).name},
                       {"requested", utc_text(e.requested)},
                       {"approvals", Json::object({{"have", living_approvals(vault.state(), e)},
                                                   {"need", rules.quorum},
                                                   {"by", approvals}})},
                       {"waiting_until", stamps.length && until ? Json(utc_text(*until)) : Json()},
                       {"waiting_for", stamps.approved && !until ? Json("time-stamp") : Json()},
                       {"reversible_until", Json()},
                       {"verified", act(e.verified)},
                       {"validated", act(e.validated)},
                       {"steps", steps},
                       {"certificate", e.certificate.empty() ? Json() : Json(e.certificate)}});
}

}  // namespace kesu
