// `erase verify` and `erase validate`: what two more officers sign after the destruction, each somebody else
// than those whose work he judges (docs/spec/erasure.md).
#include <algorithm>

#include "app/clock_watch.h"
#include "app/erase.h"
#include "app/inspection.h"
#include "app/rules.h"
#include "app/settle.h"
#include "base/files.h"
#include "base/leftovers.h"
#include "crypto/hash.h"

namespace kesu {

namespace {
constexpr Millis kStatementLife = 14LL * 24 * 3600 * 1000;

struct Later {
  Vault& vault;
  std::string id, action;
  OperatorRecord person;

  const ErasureRecord& record() const { return vault.state().erasures.at(id); }
  std::string brief() const { return id.substr(0, 12); }
  std::string path(const char* ending) const {
    return path_join(path_join(vault.directory(), "plans"), id + "." + action + "." + person.id + ending);
  }
};

void refuse_same(const OperatorRecord& person, const OperatorRecord& other, const std::string& did) {
  if (person.id != other.id && person.fingerprint != other.fingerprint && person.name != other.name) return;
  throw Error(Code::requester_is_approver, person.name + " " + did + " and cannot judge it")
      .next("somebody else has to");
}

// Asked before anything is done, and again in the append.
void check(const Later& l) {
  const ErasureRecord& e = l.record();
  const std::string role = role_for(l.action);
  const Moment now = moment_now(l.vault);
  needs_role(l.vault.state(), l.vault.state().operators.at(l.person.id), role,
             moment_of(l.vault.state(), l.id, now), now.time,
             "somebody who had that role when the erasure was requested has to do this");
  const bool verifies = l.action == "verify";
  if (e.stage != (verifies ? "destroyed" : "verified"))
    throw Error(Code::state_refused, "erasure " + l.brief() + " is " + e.stage + ": it cannot be " +
                                         (verifies ? "verified" : "validated"))
        .next(e.stage == "destroyed" ? "kesu erase verify " + l.brief() + " --as VERIFIER comes first"
                                     : "kesu erase status " + l.brief());
  if (!e.certificate.empty())
    throw Error(Code::state_refused, "the certificate of erasure " + l.brief() + " was issued without it")
        .next("kesu certificate show " + e.certificate.substr(0, 12));
  refuse_same(l.person, l.vault.state().operators.at(e.request.operator_id), "requested this erasure");
  if (!verifies)
    refuse_same(l.person, l.vault.state().operators.at(e.verified.operator_id), "verified this erasure");
}

// Of the inspection that was exported, only which transcripts it made is believed; all else follows from
// these.
Json judged_again(const Later& l, const Json& kept) {
  InspectedAgain out{Json(Json::Array{}), {}, ""};
  std::map<std::string, std::string> after;
  for (const Json& i : kept.at("inspections").as_array()) after[i.str("provider")] = i.str("after");
  for (const Json& before : l.record().started.at("inspections").as_array()) {
    const std::string provider = before.str("provider"), transcript = after[provider];
    const ProbeReport report = read_probe(
        ProbeTranscript::from_json(parse_json(to_text(l.vault.store().blob(transcript)), "transcript")));
    for (const std::string& id : l.record().versions) {
      const VersionRecord& v = *l.vault.state().version(id);
      if (v.provider != provider) continue;
      auto key = std::find_if(report.keys.begin(), report.keys.end(),
                              [&](const ProbeKey& k) { return k.version == v.version(); });
      const ProbeAnswer answer = key == report.keys.end() ? ProbeAnswer::unknown : key->answer;
      ++out.answers[answer];
      if (answer != ProbeAnswer::absent && out.doubt.empty()) out.doubt = v.version().brief();
    }
    out.inspections.push(
        Json::object({{"provider", provider}, {"before", before.str("transcript")}, {"after", transcript}}));
  }
  if (!out.doubt.empty())
    throw Error(Code::outcome_unknown, "the exported inspection does not show every key absent")
        .cause(out.doubt)
        .next("kesu erase verify " + l.brief() + " --as PERSON --export FILE inspects anew");
  return Json::object({{"inspections", out.inspections}, {"result", out.result()}});
}

// The verifier's inspection: made now, or the one that the exported statement is about.
Json inspections_of(const Later& l, bool fresh) {
  const std::string kept = l.path(".inspections.json");
  if (!fresh) {
    const auto before = read_file_if_there(kept, 1 << 20);
    if (!before)
      throw Error(Code::not_found,
                  "there is no exported verification of erasure " + l.brief() + " by " + l.person.name)
          .next("kesu erase verify " + l.brief() + " --as PERSON --export FILE inspects, and writes it");
    return judged_again(l, parse_json(as_text(*before), "inspections"));
  }
  Millis last = 0;
  for (const std::string& v : l.record().versions)
    last = std::max(last, l.vault.state().version(v)->destroyed);
  const InspectedAgain again = inspect_again(
      l.vault, l.record(), load_plan(l.vault, l.id),
      [&](const Vault::Probed&) { refuse_clock_before(l.vault, last, "inspecting for the verification"); });
  if (!again.doubt.empty())
    throw Error(Code::outcome_unknown, "this inspection does not show every key of erasure " + l.brief() +
                                           " absent: it is not verified")
        .cause(again.doubt)
        .next("kesu provider test shows what is there; then the same command again");
  Json out = Json::object({{"inspections", again.inspections}, {"result", again.result()}});
  make_directories(dir_name(kept), 0700);
  write_file_durable(kept, as_bytes(out.canonical()), 0600);
  return out;
}

std::vector<std::string> summary_of(const Later& l, const Json& plan, const Json& seen) {
  const State& state = l.vault.state();
  if (l.action == "validate")
    return validate_summary(plan, state.operators.at(l.record().verified.operator_id).name,
                            l.record().verified.statement);
  std::vector<std::pair<std::string, std::string>> transcripts;
  for (const Json& i : seen.at("inspections").as_array())
    transcripts.emplace_back(state.providers.at(i.str("provider")).name, i.str("after"));
  return verify_summary(plan, transcripts);
}

Statement statement_for(const Later& l, const Json& seen) {
  const Json plan = load_plan(l.vault, l.id);
  Statement s{l.action,
              l.vault.id(),
              l.vault.state().vault.organisation,
              *ErasureId::parse(l.id),
              l.record().plan,
              role_for(l.action),
              *OperatorId::parse(l.person.id),
              l.person.name,
              summary_of(l, plan, seen),
              l.vault.now() + kStatementLife};
  if (auto before = read_file_if_there(l.path(".json"), 65536)) {
    try {
      const Statement old = Statement::parse(as_text(*before));
      const Millis fresh = s.expires;
      s.expires = old.expires;
      if (old.text() == s.text() && old.expires > l.vault.now()) return s;
      s.expires = fresh;
    } catch (const Error&) {  // not ours any more: written anew
    }
  }
  make_directories(dir_name(l.path(".json")), 0700);
  write_file_durable(l.path(".json"), as_bytes(s.text()), 0600);
  return s;
}

Later begin(Vault& vault, const std::string& erasure, const char* action, const OperatorRecord& found) {
  const std::string person = found.id;
  vault.rebuild();  // who may do what is the ledger's to say, not a register's
  watch_clock(vault);
  settle(vault);
  Later l{vault, erasure, action, vault.find_operator(person)};
  check(l);
  return l;
}

void record(const Later& l, const Json& seen, const SignatureSource& source) {
  const Statement s = statement_for(l, seen);
  const std::string armored = obtain_signature(
      s, l.person, source,
      "kesu erase " + l.action + " " + l.brief() + " --as " + l.person.id.substr(0, 12) + " --export FILE");
  Json body = Json::object({{"operator", l.person.id},
                            {"statement", l.vault.store().put_blob(as_bytes(s.text()))},
                            {"signature", l.vault.store().put_blob(as_bytes(armored))}});
  const bool verifies = l.action == "verify";
  if (verifies) body.set("inspections", seen.at("inspections")).set("result", seen.at("result"));
  l.vault.decide({l.id}, [&] {
    check(l);
    return std::vector<Event>{
        {.type = verifies ? "erasure-verified" : "erasure-validated",
         .nodes = {{.id = l.id, .is = verifies ? "verified" : "validated"}, {.id = l.person.id}},
         .body = body}};
  });
  l.vault.checkpoint();
}

std::string write_statement(const Later& l, const Json& seen, const std::string& file) {
  const Statement s = statement_for(l, seen);
  write_output(file, as_bytes(s.text()), 0644);
  return s.signature_namespace();
}
}  // namespace

void verify_erasure(Vault& vault, const std::string& erasure, const OperatorRecord& person,
                    const SignatureSource& source) {
  if (source.key_file.empty() && source.signature_file.empty())
    throw Error(Code::usage, "who signs? " + person.name + "'s signature is needed")
        .next("--key FILE, or --export FILE, sign that elsewhere, then --signature FILE.sig");
  const Later l = begin(vault, erasure, "verify", person);
  record(l, inspections_of(l, source.signature_file.empty()), source);
}

std::string export_verification(Vault& vault, const std::string& erasure, const OperatorRecord& person,
                                const std::string& file) {
  const Later l = begin(vault, erasure, "verify", person);
  return write_statement(l, inspections_of(l, true), file);
}

void validate_erasure(Vault& vault, const std::string& erasure, const OperatorRecord& person,
                      const SignatureSource& source) {
  record(begin(vault, erasure, "validate", person), Json(), source);
}

std::string export_validation(Vault& vault, const std::string& erasure, const OperatorRecord& person,
                              const std::string& file) {
  return write_statement(begin(vault, erasure, "validate", person), Json(), file);
}

}  // namespace kesu
