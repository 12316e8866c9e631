// Who the officers are, and what they signed for this erasure.
#include <algorithm>
#include <limits>

#include "certificate/dossier_impl.h"
#include "certificate/people_impl.h"
#include "crypto/hash.h"

namespace kesu::dossier {

namespace {

std::string text_of(const Dossier& d, std::string_view path) {
  auto file = d.file(path);
  return file ? to_text(*file) : std::string();
}

void read_enrolments(Dossier& d) {
  for (const Header& h : d.headers) {
    if (h.type != "operator-enrolled") continue;
    for (const NodeMention& m : h.nodes) {
      if (m.is != "enrolled") continue;
      if (d.people.contains(m.id)) {
        d.findings.bad(brief_number(h.seq), m.id + " is enrolled a second time");
        continue;
      }
      Person& p = d.people[m.id];
      p.id = m.id;
      p.enrolled = h.seq;
      const Json* body = d.body(h.seq);
      if (!body) continue;
      d.findings.guard(brief_number(h.seq), [&] {
        p.name = body->str("name");
        p.title = body->str("title");
        p.public_key = body->str("public_key");
        for (const Json& role : body->at("roles").as_array()) p.roles.push_back(role.as_string());
        p.key = PersonKey::parse_line(p.public_key);
        p.fingerprint = p.key->fingerprint();
        if (body->str("fingerprint") != p.fingerprint)
          throw Error(Code::bad_input, "fingerprint: is not that of public_key");
      });
    }
  }
}

// The signature of one officer over the genesis statement, made while his certificate, if that is his key,
// was valid.
bool genesis_signed(Dossier& d, const Person& person, const std::string& signature_digest,
                    ByteView statement) {
  std::string path = "approvals/genesis." + person.id + ".sig";
  auto file = d.file(path);
  if (!file) {
    d.findings.weak(path, "is missing: " + person.name + "'s signature under the genesis statement");
    return false;
  }
  if (hex(sha256(*file)) != signature_digest) {
    d.findings.bad(path, "is not the signature that the ledger's first entry names");
    return false;
  }
  if (!person.key) return false;  // a finding about it stands already
  std::string why = signature_problem(*person.key, person.name, statement, *file, kGenesisNamespace);
  if (why.empty()) why = person.key->validity_problem(d.headers.front().time);
  if (why.empty()) return true;
  d.findings.bad(path, why);
  return false;
}

bool has_later_acts(const Dossier& d) {
  return std::any_of(d.headers.begin(), d.headers.end(), [&](const Header& h) {
    return (h.type == "erasure-verified" || h.type == "erasure-validated") && h.nodes.front().id == d.erasure;
  });
}

SignerLines signer_lines(const Dossier& d) {
  SignerLines lines;
  std::vector<const Person*> officers;
  for (const auto& [id, p] : d.people)
    if (p.genesis_officer) officers.push_back(&p);
  std::sort(officers.begin(), officers.end(),
            [](const Person* x, const Person* y) { return x->enrolled < y->enrolled; });
  std::vector<std::string> order;
  for (const Person* p : officers) order.push_back(p->id);
  lines.genesis(order);
  for (const Person* p : officers) lines.enrolled(p->id, p->roles, p->public_key);
  for (const ChangeFacts& c : d.changes)
    if (const Header* h = d.header(c.seq); h && (c.counted || c.change.what == RuleChange::What::revoke))
      lines.changed(*h, c.change);
  return lines;
}

void read_genesis(Dossier& d) {
  const Json* body = d.body(0);
  auto file = d.file(bundle::kGenesis);
  if (!file) return;
  std::string part(bundle::kGenesis);
  if (!body || d.headers.front().type != "genesis") {
    d.findings.weak(std::string(bundle::kBodies), "entry 0 (genesis) is not opened");
    return;
  }
  d.genesis_body = *body;
  std::string digest = hex(sha256(*file));
  const NodeMention& vault = d.headers.front().nodes.front();
  if (digest != vault.d || digest != body->str("statement"))
    d.findings.bad(part, "is not the statement that the ledger's first entry names");
  if (vault.id != d.vault)
    d.findings.bad(part, "the ledger is of vault " + vault.id + ", the plan of " + d.vault);
  if (!d.findings.guard(part, [&] { d.genesis = Genesis::parse(as_text(*file)); })) return;
  const Genesis& g = *d.genesis;
  auto same = [&](const std::string& is, const std::string& other, const char* what) {
    if (is != other) d.findings.bad(part, std::string(what) + " is not that of the ledger or the plan");
  };
  same(g.vault.str(), vault.id, "vault");
  same(g.organisation, body->str("organisation"), "organisation");
  same(g.organisation, d.organisation, "organisation");
  same(g.profile, body->str("profile"), "profile");
  same(g.origin + "/kesu/" + g.vault.str(), body->str("origin"), "origin");
  same(body->str("origin"), d.b.origin, "origin");
  if (g.quorum != body->num("quorum")) d.findings.bad(part, "quorum is not that of the ledger");
  if (g.waiting_seconds > body->num("waiting_seconds"))
    d.findings.bad(part, "waiting_seconds is above that of the ledger");
  const Json* bound = body->find("anchors");
  if ((bound ? bound->canonical() : "") != (g.anchors.empty() ? "" : g.anchors.to_json().canonical()))
    d.findings.bad(part, "anchors are not those of the ledger");

  const Json::Array& signatures = body->at("signatures").as_array();
  d.officers_known = signatures.size() == g.officers.size();
  if (!d.officers_known)
    d.findings.bad(part, "the ledger's first entry does not name one signature of each officer");
  for (size_t i = 0; i < signatures.size() && i < g.officers.size(); ++i) {
    const GenesisOfficer& officer = g.officers[i];
    if (i + 1 < d.headers.size() && d.headers[i + 1].type == "operator-enrolled" &&
        d.headers[i + 1].nodes.front().id != signatures[i].str("operator"))
      d.findings.bad(part, "the signatures in the ledger's first entry are not in the officers' order");
    auto it = d.people.find(signatures[i].str("operator"));
    Person* person = it == d.people.end() ? nullptr : &it->second;
    if (!person || person->enrolled != i + 1 || !person->key) {
      d.findings.weak(part, officer.name + " is not enrolled at entry " + std::to_string(i + 1));
      d.officers_known = false;
      continue;
    }
    if (person->name != officer.name || person->title != officer.title ||
        person->public_key != officer.public_key || person->roles != officer.roles) {
      d.findings.bad(part, officer.name + " is enrolled with another name, title, key or roles");
      d.officers_known = false;
      continue;
    }
    person->genesis_officer = true;
    person->genesis_signed = genesis_signed(d, *person, signatures[i].str("signature"), *file);
    d.officers_known = d.officers_known && person->genesis_signed;
  }
}

void check_allowed_signers(Dossier& d) {
  if (!d.genesis) return;
  const bool attested = std::any_of(d.headers.begin(), d.headers.end(), [&](const Header& h) {
    return h.type == "key-attested" && d.body(h.seq) != nullptr;
  });
  const std::string part(bundle::kAllowedSigners);
  d.findings.guard(part, [&] {
    const SignerLines lines = signer_lines(d);
    if (text_of(d, bundle::kAllowedSigners) != lines.text(has_later_acts(d), attested, names_commands(d)))
      throw Error(Code::bad_input, "does not name the officers and those enrolled since, and only them");
    const auto certificates = lines.certificates();
    for (const auto& [path, pem] : certificates)
      if (text_of(d, path) != pem) d.findings.bad(path, "is not the certificate that the ledger enrols");
    for (const auto& [path, content] : *d.files)
      if (path.starts_with("approvals/certificate.") && !certificates.contains(path))
        d.findings.bad(path, "is of nobody who is enrolled with a certificate");
  });
}

// "": no act of a person.
std::string action_of(std::string_view type) {
  if (type == "erasure-requested") return "request";
  if (type == "erasure-approved") return "approve";
  if (type == "erasure-verified") return "verify";
  return type == "erasure-validated" ? "validate" : "";
}

const SignedAct* last_act(const Dossier& d, std::string_view action) {
  auto it = std::find_if(d.acts.rbegin(), d.acts.rend(),
                         [&](const SignedAct& act) { return act.action == action; });
  return it == d.acts.rend() ? nullptr : &*it;
}

// What the officer must have read before he signed.
std::vector<std::string> summary_of(const Dossier& d, const std::string& action, const Json& body) {
  if (action == "verify") {
    std::map<std::string, std::string> names;
    for (const Json& p : d.plan.at("providers").as_array()) names.emplace(p.str("id"), p.str("name"));
    std::vector<std::pair<std::string, std::string>> transcripts;
    for (const Json& i : body.at("inspections").as_array())
      transcripts.emplace_back(names[i.str("provider")], i.str("after"));
    return verify_summary(d.plan, transcripts);
  }
  if (action != "validate") return plan_summary(d.plan);
  const SignedAct* verified = last_act(d, "verify");
  auto who = verified ? d.people.find(verified->operator_id) : d.people.end();
  return who == d.people.end() ? std::vector<std::string>()
                               : validate_summary(d.plan, who->second.name, verified->statement);
}

// What one entry says was signed, held against the files.
SignedAct read_act(Dossier& d, const Header& h, const Json& body) {
  SignedAct act;
  act.action = action_of(h.type);
  act.operator_id = body.str("operator");
  act.seq = h.seq;
  act.time = h.time;
  act.statement = body.str("statement");
  act.part = "approvals/" + act.action + "." + act.operator_id + ".json";
  if (act.action != "request" && std::none_of(h.nodes.begin(), h.nodes.end(), [&](const NodeMention& m) {
        return m.id == act.operator_id;
      })) {
    d.findings.bad(act.part, "the header of " + brief_number(h.seq) + " names another person");
    return act;
  }
  auto statement = d.file(act.part), signature = d.file(act.part + ".sig");
  if (!statement || !signature) {
    d.findings.bad(statement ? act.part + ".sig" : act.part,
                   "is missing; " + brief_number(h.seq) + " names it");
    return act;
  }
  if (hex(sha256(*statement)) != body.str("statement") || hex(sha256(*signature)) != body.str("signature")) {
    d.findings.bad(act.part, "statement or signature is not what " + brief_number(h.seq) + " names");
    return act;
  }
  Statement s;
  if (!d.findings.guard(act.part, [&] { s = Statement::parse(as_text(*statement)); })) return act;
  act.expires = s.expires;
  std::string wrong;
  if (s.action != act.action)
    wrong = "its action is " + s.action;
  else if (s.vault.str() != d.vault || s.organisation != d.organisation)
    wrong = "it is for another vault or organisation";
  else if (s.erasure.str() != d.erasure)
    wrong = "it is for another erasure, " + s.erasure.str();
  else if (s.plan != d.plan_digest)
    wrong = "it is for another plan";
  else if (s.operator_id.str() != act.operator_id)
    wrong = "it is by " + s.operator_id.str() + ", the entry names " + act.operator_id;
  else if (s.summary != summary_of(d, act.action, body))
    wrong = "its summary, which the officer read, is not what it should say";
  else if (s.expires > h.time + kMaxStatementLife)
    wrong = "it expires more than 31 days after " + brief_number(h.seq) + ", which carries it";
  if (!wrong.empty()) {
    d.findings.bad(act.part, wrong);
    return act;
  }
  auto it = d.people.find(act.operator_id);
  if (it == d.people.end() || !it->second.key || it->second.enrolled > h.seq) {
    d.findings.bad(act.part, act.operator_id + " is not enrolled");
    return act;
  }
  const Person& person = it->second;
  if (s.name != person.name) {
    d.findings.bad(act.part, "the name is not that of " + person.id);
    return act;
  }
  if (const std::string why =
          signature_problem(*person.key, person.name, *statement, *signature, s.signature_namespace());
      !why.empty()) {
    d.findings.bad(act.part + ".sig", why);
    return act;
  }
  if (const std::string why =
          signing_problem(d, person.id, role_for(act.action), moment_of_request(d), h.time);
      !why.empty())
    d.findings.weak(act.part, person.name + " " + why);
  else if (person.revoked && *person.revoked < h.seq)
    d.findings.weak(act.part, person.name + " was revoked before");
  else
    act.valid = true;
  return act;
}

// Of verifications the last after the destruction counts, of validations the last after that: each by
// somebody else than those whose work it judges.
void count_later_acts(Dossier& d) {
  std::vector<const Person*> others;
  for (const SignedAct& act : d.acts)
    if (auto it = d.people.find(act.operator_id); act.action == "request" && it != d.people.end())
      others.push_back(&it->second);
  // Where no destruction is shown, nothing is after it.
  uint64_t after = d.last_done ? d.last_done : std::numeric_limits<uint64_t>::max();
  for (const char* action : {"verify", "validate"}) {
    auto* act = const_cast<SignedAct*>(last_act(d, action));
    if (act == nullptr || !act->valid) return;
    const Person& p = d.people.at(act->operator_id);
    const bool other = std::none_of(others.begin(), others.end(), [&](const Person* o) {
      return o->id == p.id || o->name == p.name || o->fingerprint == p.fingerprint;
    });
    if (act->expires <= act->time)
      d.findings.weak(act->part, "had expired when it was recorded");
    else if (!other)
      d.findings.weak(act->part,
                      "does not count: " + p.name + ", or the same key, took part in what it judges");
    else if (act->seq < after)
      d.findings.weak(act->part, "does not count: it came before what it judges");
    else
      act->counted = true;
    if (!act->counted) return;
    others.push_back(&p);
    after = act->seq;
  }
}

// Which approvals count (docs/spec/erasure.md: different persons and different keys, in time).
void count_approvals(Dossier& d) {
  std::set<std::string> persons, names, keys;
  for (const SignedAct& act : d.acts)
    if (act.action == "request") {
      const auto it = d.people.find(act.operator_id);
      persons.insert(act.operator_id);
      if (it == d.people.end()) continue;
      names.insert(it->second.name);
      keys.insert(it->second.fingerprint);
    }
  Millis run_at = d.started && d.header(*d.started) ? d.header(*d.started)->time : d.as_of;
  for (SignedAct& act : d.acts) {
    if (!act.valid || (act.action != "request" && act.action != "approve")) continue;
    const Person& p = d.people.at(act.operator_id);
    if (act.action == "request") {
      const bool revoked = d.started && p.revoked && *p.revoked < *d.started;
      act.counted = act.expires > act.time && !revoked;
      if (revoked) d.findings.weak(act.part, p.name + " was revoked before the erasure ran");
      if (act.expires <= act.time) d.findings.weak(act.part, "had expired when it was recorded");
    } else if (act.expires <= run_at) {
      d.findings.weak(act.part, "had expired when the erasure ran");
    } else if (d.started && p.revoked && *p.revoked < *d.started) {
      d.findings.weak(act.part, p.name + " was revoked before the erasure ran");
    } else if (!persons.insert(p.id).second || !names.insert(p.name).second ||
               !keys.insert(p.fingerprint).second) {
      d.findings.weak(act.part,
                      "does not count: " + p.name + " or the same key requested it, or approved it already");
    } else if (d.started && act.seq > *d.started) {
      d.findings.weak(act.part, "does not count: it came after the erasure ran");
    } else {
      act.counted = true;
    }
  }
}

}  // namespace

void read_people(Dossier& d) {
  read_enrolments(d);
  read_genesis(d);
  read_rules(d);
  check_allowed_signers(d);
}

void read_acts(Dossier& d) {
  std::set<std::string> expected;
  std::map<std::string, uint64_t> newest;  // whoever approves anew has one approval: the last
  for (const Header& h : d.headers)
    if (h.type == "erasure-approved" && h.nodes.front().id == d.erasure)
      if (const Json* body = d.body(h.seq)) newest[body->str_or("operator", "")] = h.seq;
  for (const Header& h : d.headers) {
    if (action_of(h.type).empty()) continue;
    if (h.nodes.front().id != d.erasure) continue;
    const Json* body = d.body(h.seq);
    if (h.type == "erasure-requested") {
      if (d.requested)
        d.findings.bad(
            std::string(bundle::kHeaders),
            brief_number(h.seq) + " requests the erasure a second time, after " + brief_number(d.requested));
      else
        d.requested = h.seq;
      if (h.nodes.front().d != d.plan_digest)
        d.findings.bad(std::string(bundle::kPlan), "is not the plan that was requested");
    }
    if (!body) {
      d.findings.bad(std::string(bundle::kBodies), brief_number(h.seq) + " (" + h.type + ") is not opened");
      continue;
    }
    if (h.type == "erasure-approved" && newest[body->str_or("operator", "")] != h.seq) continue;
    d.findings.guard(brief_number(h.seq), [&] {
      d.acts.push_back(read_act(d, h, *body));
      expected.insert(d.acts.back().part);
      expected.insert(d.acts.back().part + ".sig");
    });
  }
  count_approvals(d);
  count_later_acts(d);
  for (const auto& [path, content] : *d.files) {
    const bool statement = path.starts_with("approvals/request.") || path.starts_with("approvals/approve.") ||
                           path.starts_with("approvals/verify.") || path.starts_with("approvals/validate.");
    if (statement && !expected.contains(path)) d.findings.bad(path, "no entry of the ledger names it");
    if (path.starts_with("approvals/genesis.opr-") &&
        !(d.people.contains(path.substr(18, 36)) && d.people.at(path.substr(18, 36)).genesis_officer))
      d.findings.bad(path, "is of no officer of the genesis statement");
  }
}

}  // namespace kesu::dossier
