// Who may do what, and by which rules: the changes after genesis, followed over all headers.
#include <algorithm>
#include <set>

#include "certificate/dossier_impl.h"
#include "certificate/people_impl.h"
#include "certificate/rules_impl.h"
#include "crypto/hash.h"
#include "erasure/attest_statement.h"
#include "erasure/command_statement.h"

namespace kesu::dossier {

namespace {
using What = RuleChange::What;

bool in_force(const ChangeFacts& c, const Moment& at) {
  return c.counts && c.seq < at.seq && c.effective <= at.time;
}

bool revoked_before(const Dossier& d, const std::string& person, uint64_t seq) {
  auto it = d.people.find(person);
  return it != d.people.end() && it->second.revoked && *it->second.revoked < seq;
}

// Was this person revoked by a change that was properly approved?
bool revoked_properly(const Dossier& d, const std::string& person) {
  return std::any_of(d.changes.begin(), d.changes.end(), [&](const ChangeFacts& c) {
    return c.counts && c.change.what == What::revoke && c.change.operator_id == person;
  });
}

// Does the header say what the statement changes, and nothing else?
bool header_says(const Header& h, const RuleChange& c, const std::string& vault, const std::string& digest) {
  bool named_vault = false, named_person = c.what == What::rules;
  for (const NodeMention& m : h.nodes) {
    if (m.id == vault) {
      named_vault = m.d == digest;
    } else if (c.what != What::rules && m.id == c.operator_id) {
      named_person = m.is == (c.what == What::enrol ? "enrolled" : c.what == What::revoke ? "revoked" : "");
    } else {
      return false;
    }
  }
  return named_vault && named_person;
}

// The statement of an entry, held against entry and files. Throws Error bad_input for what contradicts.
ChangeStatement statement_of(Dossier& d, const Header& h, const Json& body, const std::string& part) {
  const auto file = d.file(part);
  if (!file) throw Error(Code::bad_input, "is missing; " + brief_number(h.seq) + " names it");
  const std::string digest = hex(sha256(*file));
  if (digest != body.str("statement"))
    throw Error(Code::bad_input, "is not the statement that " + brief_number(h.seq) + " names");
  ChangeStatement s = ChangeStatement::parse(as_text(*file));
  if (s.vault.str() != d.vault || s.organisation != d.organisation)
    throw Error(Code::bad_input, "it is for another vault or organisation");
  if (body.at("change").canonical() != s.change.to_json().canonical() || body.str("reason") != s.reason ||
      !header_says(h, s.change, d.vault, digest))
    throw Error(Code::bad_input, brief_number(h.seq) + " says something else than it does");
  if (s.change.what == What::enrol &&
      PersonKey::parse_line(s.change.public_key).fingerprint() != s.change.fingerprint)
    throw Error(Code::bad_input, "fingerprint: is not that of public_key");
  return s;
}

struct Signer {
  std::string id, name, fingerprint;
  std::optional<PersonKey> key;
};

// Everybody whose signature is good; one that is not contradicts its entry.
std::vector<Signer> signers_of(Dossier& d, const Header& h, const Json& body, const ChangeStatement& s) {
  std::vector<Signer> out;
  const std::string text = s.text();
  std::set<std::string> seen;
  for (const Json& item : body.at("signatures").as_array()) {
    const std::string id = item.str("operator");
    const std::string path = change_signature_path(h.seq, id);
    Signer signer{id, "", "", std::nullopt};
    if (s.change.what == What::enrol && id == s.change.operator_id) {
      signer.name = s.change.name;
      signer.fingerprint = s.change.fingerprint;
      signer.key = PersonKey::parse_line(s.change.public_key);
    } else if (auto p = d.people.find(id); p != d.people.end() && p->second.key) {
      signer.name = p->second.name;
      signer.fingerprint = p->second.fingerprint;
      signer.key = p->second.key;
    }
    const auto file = d.file(path);
    if (!file || hex(sha256(*file)) != item.str("signature")) {
      d.findings.bad(path, file ? "is not the signature that " + brief_number(h.seq) + " names"
                                : "is missing; " + brief_number(h.seq) + " names it");
      continue;
    }
    if (!signer.key || !seen.insert(id).second) {
      d.findings.bad(path, signer.key ? "stands twice" : "is of nobody who was enrolled");
      continue;
    }
    if (const std::string why =
            signature_problem(*signer.key, signer.name, as_bytes(text), *file, kChangeNamespace);
        !why.empty()) {
      d.findings.bad(path, why);
      continue;
    }
    out.push_back(std::move(signer));
  }
  return out;
}

// Why the change does not count; "" when it does. Fills `c.signers`.
std::string doubt(Dossier& d, const Header& h, const ChangeStatement& s, const Rules& rules, uint64_t since,
                  const std::vector<Signer>& signers, ChangeFacts& c) {
  const Moment at{h.seq, h.time};
  if (!(s.from == rules) || s.since != since) return "it is of rules that were not in force then";
  if (s.issued > h.time || h.time - s.issued > kMaxChangeStatementAge)
    return "it was not issued within 31 days before " + brief_number(h.seq);
  std::set<std::string> names, keys;
  if (s.change.what == What::enrol) {
    for (const auto& [id, p] : d.people)
      if (!p.revoked && !terms_at(d, id, {h.seq, INT64_MAX}).roles.empty() &&
          (p.name == s.change.name || p.fingerprint == s.change.fingerprint))
        return "its name or key is that of " + p.name + ", who is enrolled";
    const auto newcomer = std::find_if(signers.begin(), signers.end(),
                                       [&](const Signer& one) { return one.id == s.change.operator_id; });
    if (newcomer == signers.end()) return s.change.name + " did not sign it";
    if (const std::string why = newcomer->key->validity_problem(h.time); !why.empty())
      return s.change.name + ": " + why;
  } else if (s.change.what != What::rules) {
    auto p = d.people.find(s.change.operator_id);
    // Whom nobody's statement revoked can still be revoked properly.
    const bool gone = s.change.what == What::revoke ? revoked_properly(d, s.change.operator_id)
                                                    : revoked_before(d, s.change.operator_id, h.seq);
    if (p == d.people.end() || p->second.name != s.change.name || gone ||
        terms_at(d, p->first, {h.seq, INT64_MAX}).roles.empty())
      return s.change.name + " is not enrolled";
  }
  for (const Signer& one : signers) {
    if (s.change.what == What::enrol && one.id == s.change.operator_id) continue;
    if (revoked_before(d, one.id, h.seq) || !signing_problem(d, one.id, "approver", at, h.time).empty())
      continue;
    if (!names.insert(one.name).second || !keys.insert(one.fingerprint).second) continue;
    c.signers.push_back(one.id);
  }
  if (static_cast<int64_t>(c.signers.size()) >= rules.quorum) return "";
  return "it has " + std::to_string(c.signers.size()) + " approvals that count, the quorum was " +
         std::to_string(rules.quorum);
}

// A person of a change: known from then on, in force only with it.
void enrol(Dossier& d, const Header& h, const RuleChange& c, const std::string& part) {
  if (d.people.contains(c.operator_id)) {
    d.findings.bad(part, c.operator_id + " is enrolled a second time");
    return;
  }
  Person& p = d.people[c.operator_id];
  p.id = c.operator_id;
  p.name = c.name;
  p.title = c.title;
  p.public_key = c.public_key;
  p.fingerprint = c.fingerprint;
  for (const std::string& role : all_roles())
    if (c.terms.roles.contains(role)) p.roles.push_back(role);
  p.key = PersonKey::parse_line(c.public_key);
  p.enrolled = h.seq;
  if (const auto gone = d.revoked.find(p.id); gone != d.revoked.end()) p.revoked = gone->second;
}

void in_order(std::vector<ChangeFacts>& changes) {
  Millis last = 0;
  for (ChangeFacts& c : changes)
    if (c.counts && c.change.what != What::revoke) last = c.effective = std::max(c.effective, last);
}

void read_change(Dossier& d, const Header& h, uint64_t since) {
  const std::string part = change_path(h.seq);
  const Json* body = d.body(h.seq);
  if (!body) {
    d.findings.bad(std::string(bundle::kBodies), brief_number(h.seq) + " (" + h.type + ") is not opened");
    return;
  }
  d.findings.guard(part, [&] {
    const ChangeStatement s = statement_of(d, h, *body, part);
    const std::vector<Signer> signers = signers_of(d, h, *body, s);
    ChangeFacts c;
    c.seq = h.seq;
    c.time = h.time;
    c.part = part;
    c.change = s.change;
    for (const Signer& one : signers) c.all.push_back(one.id);
    const Rules rules = rules_at(d, {h.seq, h.time});
    c.waiting = rules.waiting_seconds;
    c.quorum = rules.quorum;
    c.effective = h.time + (s.change.what == What::revoke ? 0 : c.waiting * 1000);
    const std::string why = doubt(d, h, s, rules, since, signers, c);
    c.counts = c.counted = why.empty();
    c.why = why;
    if (!c.counts) d.findings.weak(part, "does not count: " + why);
    if (s.change.what == What::enrol) enrol(d, h, s.change, part);
    d.changes.push_back(std::move(c));
    in_order(d.changes);
  });
}

// A clock that was set waited for nobody: what had not taken effect before the finding waits anew.
void wait_anew(Dossier& d, const Header& h, Millis before) {
  for (ChangeFacts& c : d.changes)
    if (c.change.what != What::revoke && c.effective > before) c.effective = h.time + c.waiting * 1000;
  in_order(d.changes);
}

// Whoever is revoked takes his signature with him from what is not in force yet. A revocation that does not
// count itself may make an enrolment void, never a change that may be there to bind others.
void revoke(Dossier& d, const std::string& person, const Header& h, bool counts) {
  for (ChangeFacts& c : d.changes) {
    if (c.seq >= h.seq || c.effective <= h.time || (!counts && c.change.what != What::enrol)) continue;
    if (!std::erase(c.signers, person)) continue;
    if (!c.counts || static_cast<int64_t>(c.signers.size()) >= c.quorum) continue;
    c.counts = false;
    c.why = "one who signed it was revoked before it took effect";
    d.findings.weak(c.part, "does not count: " + c.why);
  }
}

bool clock_was_set(const Dossier& d, const Header& h) {
  if (h.type != "finding-recorded" || h.nodes.front().id != d.vault) return false;
  const Json* body = d.body(h.seq);
  if (!body) return true;
  const std::string what = body->str_or("what", "");
  return what == "clock-jumped" || what == "clock-behind";
}
}  // namespace

std::string change_path(uint64_t seq) { return "approvals/change." + std::to_string(seq) + ".json"; }
std::string change_signature_path(uint64_t seq, const std::string& person) {
  return "approvals/change." + std::to_string(seq) + "." + person + ".sig";
}

void read_rules(Dossier& d) {
  uint64_t since = 0;
  Millis before = 0;
  std::set<std::string> expected;
  for (const Header& h : d.headers) {
    if (h.seq >= d.a.size) break;
    if (h.type == "rules-changed") {
      read_change(d, h, since);
      since = h.seq;
      expected.insert(change_path(h.seq));
      if (const Json* body = d.body(h.seq))
        d.findings.guard(brief_number(h.seq), [&] {
          for (const Json& s : body->at("signatures").as_array())
            expected.insert(change_signature_path(h.seq, s.str("operator")));
        });
    } else if (clock_was_set(d, h)) {
      wait_anew(d, h, before);
    }
    if (h.type == "operator-revoked")
      d.findings.bad(
          std::string(bundle::kHeaders),
          brief_number(h.seq) + " (operator-revoked) revokes without a statement: nobody writes that");
    const bool counts = !d.changes.empty() && d.changes.back().seq == h.seq && d.changes.back().counts;
    for (const NodeMention& m : h.nodes)
      if (m.is == "revoked") {
        d.revoked.emplace(m.id, h.seq);
        if (auto p = d.people.find(m.id); p != d.people.end() && !p->second.revoked)
          p->second.revoked = h.seq;
        revoke(d, m.id, h, counts);
      }
    before = h.time;
  }
  for (const auto& [path, content] : *d.files)
    if (path.starts_with("approvals/change.") && !expected.contains(path))
      d.findings.bad(path, "no entry of the ledger names it");
}

Rules rules_at(const Dossier& d, const Moment& at) {
  Rules out;
  if (d.genesis) {
    out = {d.genesis->profile, d.genesis->quorum,
           std::max(d.genesis->waiting_seconds, d.genesis_body.num_or("waiting_seconds", 0)),
           d.genesis->signed_commands || d.genesis_body.flag("signed_commands"), d.genesis->anchors};
  }
  for (const ChangeFacts& c : d.changes)
    if (c.change.what == What::rules && in_force(c, at)) out = c.change.rules;
  return out;
}

Terms terms_at(const Dossier& d, const std::string& person, const Moment& at) {
  Terms out;
  auto p = d.people.find(person);
  if (p == d.people.end()) return out;
  bool enrolled = p->second.genesis_signed;
  if (enrolled)
    for (const std::string& role : p->second.roles) out.roles.emplace(role, 0);
  for (const ChangeFacts& c : d.changes) {
    if (c.change.operator_id != person || !in_force(c, at)) continue;
    if (c.change.what == What::enrol) enrolled = true;
    if (c.change.what == What::enrol || c.change.what == What::roles) out = c.change.terms;
  }
  return enrolled ? out : Terms();
}

std::string role_problem(const Dossier& d, const std::string& person, const std::string& role,
                         const Moment& at, Millis when) {
  const Terms terms = terms_at(d, person, at);
  if (terms.roles.empty()) {
    for (const ChangeFacts& c : d.changes)
      if (c.change.what == What::enrol && c.change.operator_id == person)
        return "was not enrolled by what was in force when it was requested";
    return "is not an officer of the genesis statement, or did not sign it";
  }
  const auto it = terms.roles.find(role);
  if (it == terms.roles.end()) return "does not have the role";
  if ((terms.until && when >= terms.until) || (it->second && when >= it->second))
    return "signed after the end of the enrolment or role";
  return "";
}

std::string signing_problem(const Dossier& d, const std::string& person, const std::string& role,
                            const Moment& at, Millis when) {
  if (std::string why = role_problem(d, person, role, at, when); !why.empty()) return why;
  const auto p = d.people.find(person);
  const std::string why = p->second.key ? p->second.key->validity_problem(when) : "";
  return why.empty() ? "" : "cannot sign: " + why;
}

std::string signature_problem(const PersonKey& key, const std::string& name, ByteView message, ByteView file,
                              std::string_view name_space) {
  const PersonCheck check = verify_person(message, as_text(file), name_space, key);
  return check.ok ? "" : "is not " + name + "'s: " + check.reason;
}

Moment moment_of_request(const Dossier& d) {
  for (const Header& h : d.headers)
    if (h.type == "erasure-requested" && h.nodes.front().id == d.erasure) return {h.seq, h.time};
  return {d.a.size, d.as_of};
}

// allowed_signers

namespace {
// To the second; no later than ssh-keygen can write.
Millis rounded_up(Millis time) { return std::min((time + 999) / 1000 * 1000, Millis{253402300799000}); }
}  // namespace

void SignerLines::genesis(const std::vector<std::string>& operators) {
  for (const std::string& id : operators) order_.push_back(id);
}

void SignerLines::enrolled(const std::string& id, const std::vector<std::string>& roles,
                           const std::string& public_key) {
  Line& line = lines_[id];
  line.public_key = public_key;
  line.roles.insert(roles.begin(), roles.end());
}

void SignerLines::changed(const Header& h, const RuleChange& c) {
  changed_ = true;
  if (c.what == What::rules) return;
  if (c.what == What::enrol) {
    if (lines_.contains(c.operator_id)) return;  // found wrong elsewhere
    order_.push_back(c.operator_id);
    lines_[c.operator_id].public_key = c.public_key;
    lines_[c.operator_id].after = h.time / 1000 * 1000;
  }
  auto known = lines_.find(c.operator_id);
  if (known == lines_.end()) return;
  Line& line = known->second;
  if (c.what == What::revoke) {
    if (!line.revoked) line.revoked = rounded_up(h.time);
    return;
  }
  for (const auto& [role, until] : c.terms.roles) line.roles.insert(role);
  line.until = rounded_up(c.terms.until);
}

std::string certificate_path(const std::string& person) { return "approvals/certificate." + person + ".pem"; }

std::map<std::string, std::string> SignerLines::certificates() const {
  std::map<std::string, std::string> out;
  for (const std::string& id : order_) {
    const auto it = lines_.find(id);
    if (it == lines_.end() || !it->second.public_key.starts_with(std::string(kX509Word) + " ")) continue;
    out[certificate_path(id)] = PersonKey::parse_line(it->second.public_key).certificate->pem();
  }
  return out;
}

std::string SignerLines::text(bool later_acts, bool attested, bool commands) const {
  std::string out;
  for (const std::string& id : order_) {
    auto it = lines_.find(id);
    if (it == lines_.end()) continue;
    const Line& one = it->second;
    AllowedSigner line{id, {}, one.after, {}, PersonKey::parse_line(one.public_key).ssh};
    line.namespaces.emplace_back(one.after ? kChangeNamespace : kGenesisNamespace);
    if (one.roles.contains("operator")) line.namespaces.emplace_back("kesu-request-v1");
    if (one.roles.contains("approver")) line.namespaces.emplace_back("kesu-approve-v1");
    if (later_acts && one.roles.contains("verifier")) line.namespaces.emplace_back("kesu-verify-v1");
    if (later_acts && one.roles.contains("validator")) line.namespaces.emplace_back("kesu-validate-v1");
    if (attested && (one.roles.contains("auditor") || one.roles.contains("verifier")))
      line.namespaces.emplace_back(kAttestNamespace);
    if (changed_ && !one.after && one.roles.contains("approver"))
      line.namespaces.emplace_back(kChangeNamespace);
    if (commands) line.namespaces.emplace_back(kCommandNamespace);
    if (one.until) line.valid_before = one.until;
    if (one.revoked && (!line.valid_before || *one.revoked < *line.valid_before))
      line.valid_before = one.revoked;
    out += line.line();
  }
  return out;
}

}  // namespace kesu::dossier
