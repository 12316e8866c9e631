#include "app/exceptions.h"

#include "app/datasets.h"
#include "app/rules.h"
#include "app/settle.h"
#include "base/files.h"
#include "base/leftovers.h"
#include "crypto/hash.h"
#include "erasure/exception_statement.h"

namespace kesu {

namespace {
constexpr std::string_view kOriginator = "originator-period", kRecipient = "recipient-period",
                           kAlgorithm = "algorithm";

std::string algorithm_detail(std::string_view algorithm, policy::Purpose purpose) {
  // Spelled once, however it was typed.
  return policy::query_text(policy::parse_query(algorithm)) + " for " + std::string(policy::text(purpose));
}

void needs_end(Vault& vault, Millis until) {
  if (until <= vault.now())
    throw Error(Code::bad_input, "the exception would be over already")
        .cause("it ends " + local_text(until) + ", now is " + local_text(vault.now()))
        .next("a later end");
}

// Everything but the signature: asked before it is made, and again in the append.
void refuse_extension(Vault& vault, const ExceptionOrder& order) {
  const State& state = vault.state();
  const VersionRecord& v = *state.version(order.subject);
  const KeyRecord& key = *state.key_of(v.id);
  const std::string name = version_name(state, v);
  bool originator = order.what == kOriginator;
  const char* use = originator ? "protect new data" : "open what it protected";
  refuse_reserved(state, key);
  needs_end(vault, order.until);
  bool ever = originator ? v.state == "active" || v.state == "suspended"
                         : v.state == "active" || v.state == "suspended" || v.state == "deactivated" ||
                               v.state == "compromised";
  if (v.state == "pre-activation")
    throw Error(Code::state_refused, name + " is not active yet: its periods begin then")
        .next("kesu key rotate --originator-period makes a version with a longer one");
  if (!ever)
    throw Error(Code::state_refused, name + " is " + v.state + ": it will never " + use + " again")
        .next("kesu key show " + key.name);
  Millis end = originator ? v.protect_until() : v.process_until();
  if (!end)
    throw Error(Code::state_refused, name + " may " + use + " without end: there is nothing to extend")
        .next("kesu key show " + key.name);
  if (order.until <= end)
    throw Error(Code::bad_input, name + " may " + use + " until " + local_text(end) + " as it is")
        .next("an end after that");
  if (originator && v.process_until() && order.until > v.process_until())
    throw Error(Code::bad_input,
                name + " would protect longer than it opens, which ends " + local_text(v.process_until()))
        .next("first kesu key extend " + name + " --recipient-until …");
}

void refuse_algorithm(Vault& vault, const ExceptionOrder& order, std::string_view algorithm,
                      policy::Purpose purpose) {
  needs_end(vault, order.until);
  policy::Query q = policy::parse_query(algorithm);
  q.purpose = purpose;
  q.now_year = year_of(vault.now());
  policy::Verdict v = policy::evaluate(q);
  if (v.allowed)
    throw Error(Code::state_refused, order.detail + " needs no exception: the policy allows it")
        .next("kesu policy check " + std::string(algorithm));
  if (!v.exception_possible)
    throw Error(Code::policy_refused, "no exception lets " + order.detail + " pass")
        .cause(v.reason)
        .next("kesu policy check " + std::string(algorithm) + "; kesu policy algorithms shows others");
  for (auto& [seq, e] : vault.state().exceptions)
    if (e.what == kAlgorithm && e.detail == order.detail && e.until >= order.until)
      throw Error(Code::bad_input, order.detail + " is excepted until " + local_text(e.until) + " as it is")
          .cause("recorded " + local_text(e.time) + ": " + e.reason)
          .next("an end after that");
}

// "AES-KW for wrap" → both halves.
std::pair<std::string, policy::Purpose> halves(const std::string& detail) {
  size_t at = detail.rfind(" for ");
  return {detail.substr(0, at), policy::purpose_from(detail.substr(at + 5))};
}

void refuse_order(Vault& vault, const ExceptionOrder& order) {
  if (order.reason.empty()) throw Error(Code::usage, "why? --reason TEXT is part of what the approver signs");
  if (order.what == kAlgorithm) {
    auto [algorithm, purpose] = halves(order.detail);
    refuse_algorithm(vault, order, algorithm, purpose);
  } else {
    refuse_extension(vault, order);
  }
}

void needs_approver(Vault& vault, const OperatorRecord& person) {
  const Moment now = moment_now(vault);
  needs_role(vault.state(), person, "approver", now, now.time, "an approver has to sign an exception");
}

// When the newest exception of this kind was recorded: a statement issued before has served.
Millis newest_of(const State& state, const ExceptionOrder& order) {
  Millis newest = 0;
  for (auto& [seq, e] : state.exceptions)
    if (e.what == order.what && e.subject == order.subject && e.detail == order.detail)
      newest = std::max(newest, e.time);
  return newest;
}

// What this person is to sign: the statement written before, while it still fits; else a new one.
ExceptionStatement statement_for(Vault& vault, const ExceptionOrder& order, const OperatorRecord& person) {
  ExceptionStatement s;
  s.vault = vault.id();
  s.organisation = vault.state().vault.organisation;
  s.what = order.what;
  s.subject = order.subject;
  s.detail = order.detail;
  s.reason = order.reason;
  s.until = order.until;
  s.issued = vault.now();
  s.operator_id = *OperatorId::parse(person.id);
  s.name = person.name;
  std::string about = order.what + "\n" + order.subject + "\n" + order.detail + "\n" + person.id;
  std::string path = path_join(path_join(vault.directory(), "plans"),
                               "exception-" + hex(sha256(as_bytes(about))).substr(0, 32) + ".json");
  if (auto before = read_file_if_there(path, 65536)) {
    try {
      ExceptionStatement old = ExceptionStatement::parse(as_text(*before));
      Millis now = s.issued;
      s.issued = old.issued;
      if (old.text() == s.text() && old.issued <= now && now - old.issued <= kMaxExceptionAge &&
          old.issued > newest_of(vault.state(), order))
        return s;
      s.issued = now;
    } catch (const Error&) {  // not ours any more: written anew
    }
  }
  make_directories(dir_name(path), 0700);
  write_file_durable(path, as_bytes(s.text()), 0600);
  return s;
}
}  // namespace

ExceptionOrder extend_order(Vault& vault, const KeyWord& which, bool originator, Millis until,
                            const std::string& reason) {
  const KeyRecord& key = vault.state().keys.at(which.key);
  if (key.purpose != KeyPurpose::wrap)
    throw Error(Code::state_refused, key.name + " signs or controls; it has no period that could be extended")
        .next("kesu key show " + key.name);
  const VersionRecord* v =
      which.number ? key.find(key.id + "." + std::to_string(which.number)) : key.active();
  if (!v) v = &key.versions.back();
  ExceptionOrder order{.what = std::string(originator ? kOriginator : kRecipient),
                       .subject = v->id,
                       .detail = version_name(vault.state(), *v),
                       .reason = reason,
                       .until = until};
  refuse_order(vault, order);
  return order;
}

ExceptionOrder algorithm_order(Vault& vault, const std::string& algorithm, const std::string& purpose,
                               Millis until, const std::string& reason) {
  ExceptionOrder order{.what = std::string(kAlgorithm),
                       .subject = vault.state().vault.id,
                       .detail = algorithm_detail(algorithm, policy::purpose_from(purpose)),
                       .reason = reason,
                       .until = until};
  refuse_order(vault, order);
  return order;
}

std::string export_exception(Vault& vault, const ExceptionOrder& order, const OperatorRecord& person,
                             const std::string& file) {
  needs_approver(vault, person);
  write_output(file, as_bytes(statement_for(vault, order, person).text()), 0644);
  return std::string(kExceptionNamespace);
}

ExceptionRecord record_exception(Vault& vault, const ExceptionOrder& order, const OperatorRecord& found,
                                 const SignatureSource& source) {
  const std::string found_id = found.id;
  vault.rebuild();  // who may do what is the ledger's to say, not a register's
  settle(vault);
  const OperatorRecord person = vault.find_operator(found_id);
  needs_approver(vault, person);
  refuse_order(vault, order);
  ExceptionStatement s = statement_for(vault, order, person);
  std::string armored = obtain_signature(s.text(), std::string(kExceptionNamespace), person, source,
                                         "the same command with --export FILE");
  Json body = Json::object({{"what", order.what},
                            {"subject", order.subject},
                            {"detail", order.detail},
                            {"until", utc_text(order.until)},
                            {"reason", order.reason},
                            {"operator", person.id},
                            {"statement", vault.store().put_blob(as_bytes(s.text()))},
                            {"signature", vault.store().put_blob(as_bytes(armored))}});
  std::vector<std::string> streams = {vault.state().vault.id};
  std::vector<NodeMention> nodes = {{.id = order.subject}};
  if (order.what != kAlgorithm) {
    streams = key_streams(vault.state(), *vault.state().key_of(order.subject));
    nodes.push_back({.id = vault.state().vault.id});  // two of the same at once: the second decides anew
  }
  AppendResult at = vault.decide(streams, [&] {
    refuse_order(vault, order);
    needs_approver(vault, vault.state().operators.at(person.id));
    if (newest_of(vault.state(), order) >= s.issued)
      throw Error(Code::conflict, "another exception of this kind was recorded meanwhile")
          .next("run the same command again: there is a new statement to sign");
    return std::vector<Event>{{.type = "exception-recorded", .nodes = nodes, .body = body}};
  });
  return vault.state().exceptions.at(std::to_string(at.first_seq));
}

bool excepted(const State& state, std::string_view algorithm, policy::Purpose purpose, Millis now) {
  const std::string detail = algorithm_detail(algorithm, purpose);
  for (auto& [seq, e] : state.exceptions)
    if (e.what == kAlgorithm && e.detail == detail && (!e.until || now < e.until)) return true;
  return false;
}

Json exception_json(const State& state, const ExceptionRecord& e, Millis now) {
  auto person = state.operators.find(e.approver);
  return Json::object({{"what", e.what},
                       {"subject", e.subject},
                       {"detail", e.detail},
                       {"reason", e.reason},
                       {"approver", person == state.operators.end() ? e.approver : person->second.name},
                       {"recorded", utc_text(e.time)},
                       {"until", e.until ? Json(utc_text(e.until)) : Json()},
                       {"in_force", !e.until || now < e.until}});
}

}  // namespace kesu
