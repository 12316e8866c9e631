// Who attended the making of key versions, and whether what they signed counts (docs/spec/certificate.md,
// "Attested births").
#include <algorithm>

#include "certificate/dossier_impl.h"
#include "certificate/people_impl.h"
#include "certificate/rules_impl.h"
#include "crypto/hash.h"
#include "erasure/attest_statement.h"

namespace kesu::dossier {

namespace {

struct Reading {
  const Header& entry;
  const Json& body;
  const KeyFacts* key = nullptr;   // null: nothing is shown of the version
  const Json* provider = nullptr;  // the body of its provider-added
};

const Json* provider_body(const Dossier& d, const std::string& id) {
  const Json* out = nullptr;
  for (const Header& h : d.headers)
    if (h.type == "provider-added" && h.nodes.front().id == id) out = d.body(h.seq);
  return out;
}

// What in the statement contradicts entry and ledger; "" when nothing does.
std::string contradiction(const Dossier& d, const Reading& r, const AttestStatement& s) {
  const std::string who = r.body.str("operator");
  if (s.vault.str() != d.vault || s.organisation != d.organisation)
    return "it is for another vault or organisation";
  if (s.version.str() != r.entry.nodes.front().id) return "it is of another key version";
  if (s.operator_id.str() != who) return "it is by " + s.operator_id.str() + ", the entry names " + who;
  if (std::none_of(r.entry.nodes.begin(), r.entry.nodes.end(),
                   [&](const NodeMention& m) { return m.id == who; }))
    return brief_number(r.entry.seq) + " does not name " + who;
  if (s.role != r.body.str("role") || s.transcript != r.body.str("transcript"))
    return "role or transcript is not that of " + brief_number(r.entry.seq);
  auto p = d.people.find(who);
  if (p == d.people.end() || !p->second.key || p->second.enrolled > r.entry.seq)
    return who + " is not enrolled";
  if (s.name != p->second.name) return "the name is not that of " + who;
  if (r.key == nullptr || !r.key->ref) return "";  // not shown: it cannot count either
  if (s.birth != r.key->birth_digest || s.born != r.key->born || !r.key->ref->canary ||
      s.canary != hex(r.key->ref->canary->digest) ||
      s.key != r.key->name + "." + std::to_string(s.version.version))
    return "it is not of the birth that the ledger records";
  if (r.provider != nullptr &&
      (!(s.identity == r.provider->at("identity")) || s.provider != r.provider->str("name")))
    return "it is of another provider than the ledger records";
  return "";
}

// Whether the look that was signed shows exactly this key at work, there and then; else why not.
std::string look_problem(Dossier& d, const Reading& r, const AttestStatement& s) {
  auto content = d.evidence(s.transcript);
  if (!content) return "its transcript is missing";
  std::optional<Probe> look;
  if (!d.findings.guard("evidence/" + s.transcript, [&] { look = read_probe(*content); }))
    return "its transcript cannot be read";
  auto asked = look->asked.find(r.key->version);
  auto answer = look->keys.find(r.key->version);
  if (!look->same_place || !look->place.same_place(ProviderIdentity::from_json(s.identity)))
    return "another place was inspected";
  if (asked == look->asked.end() || !(asked->second.to_json() == r.key->ref->to_json()) ||
      answer->second.first != "usable" || answer->second.second != "opened")
    return "its transcript does not show the key usable, with its canary opened";
  if (look->started < r.key->born || look->ended > s.issued)
    return "its transcript is not from between the birth and the statement";
  return "";
}

// Why an attestation that is genuine does not count; "" when it does.
std::string doubt(Dossier& d, const Reading& r, const AttestStatement& s, const Person& person) {
  const Moment at{r.entry.seq, r.entry.time};
  const auto& killed = d.kill.versions;
  if (std::find(killed.begin(), killed.end(), s.version.str()) == killed.end())
    return "the key is not of this erasure";
  if (const std::string why = signing_problem(d, person.id, s.role, at, at.time); !why.empty())
    return person.name + " " + why;
  if (person.revoked && *person.revoked < at.seq) return person.name + " was revoked before";
  if (r.key == nullptr || !r.key->ref || r.provider == nullptr || r.key->created == 0)
    return "the birth of the key is not shown";
  if (r.key->origin != "generated") return "the key is not shown to be generated";
  const Moment birth{r.key->created, r.key->born};
  for (const Moment& when : {birth, at})
    if (role_problem(d, person.id, "operator", when, when.time).empty())
      return person.name + " had the role operator";
  for (const SignedAct& act : d.acts) {
    auto p = d.people.find(act.operator_id);
    if ((act.action == "request" || act.action == "approve") && p != d.people.end() &&
        (p->second.id == person.id || p->second.name == person.name ||
         p->second.fingerprint == person.fingerprint))
      return person.name + ", or the same key, requested or approved the erasure";
  }
  if (r.key->created > at.seq || s.issued < r.key->born || s.issued > at.time ||
      at.time - r.key->born > kMaxAttestDelay)
    return "it was not made within 24 hours after the birth";
  for (const Header& h : d.headers) {
    if (h.seq >= at.seq) break;
    for (const auto& [from, to] : h.edges)
      if (from == r.key->version) return "something was wrapped under the key before";
  }
  if (!of_object(s.attributes, *r.key->ref) || !stayed_inside(s.attributes))
    return "its attributes do not say that the key was generated inside and cannot leave";
  return look_problem(d, r, s);
}

void read_one(Dossier& d, const Reading& r) {
  const std::string who = r.body.str("operator"), part = attest_path(r.entry.seq, who);
  auto file = d.file(part), signature = d.file(part + ".sig");
  if (!file || !signature) {
    d.findings.bad(file ? part + ".sig" : part, "is missing; " + brief_number(r.entry.seq) + " names it");
    return;
  }
  if (hex(sha256(*file)) != r.body.str("statement") || hex(sha256(*signature)) != r.body.str("signature")) {
    d.findings.bad(part, "statement or signature is not what " + brief_number(r.entry.seq) + " names");
    return;
  }
  std::optional<AttestStatement> s;
  if (!d.findings.guard(part, [&] { s = AttestStatement::parse(as_text(*file)); })) return;
  if (const std::string wrong = contradiction(d, r, *s); !wrong.empty()) {
    d.findings.bad(part, wrong);
    return;
  }
  const Person& person = d.people.at(who);
  if (const std::string wrong =
          signature_problem(*person.key, person.name, *file, *signature, kAttestNamespace);
      !wrong.empty()) {
    d.findings.bad(part + ".sig", wrong);
    return;
  }
  const std::string why = doubt(d, r, *s, person);
  if (!why.empty()) d.findings.weak(part, "does not count: " + why);
  d.attested.push_back({s->version.str(), who, part, r.entry.seq, r.entry.time, why.empty()});
}

}  // namespace

std::string attest_path(uint64_t seq, const std::string& person) {
  return "approvals/key-attest." + std::to_string(seq) + "." + person + ".json";
}

void read_attested(Dossier& d) {
  std::set<std::string> expected;
  for (const Header& h : d.headers) {
    if (h.type != "key-attested") continue;
    const Json* body = d.body(h.seq);
    auto key = d.keys.find(h.nodes.front().id);
    if (!body) {
      if (key != d.keys.end())
        d.findings.weak(std::string(bundle::kBodies), brief_number(h.seq) + " (key-attested) is not opened");
      continue;
    }
    d.findings.guard(brief_number(h.seq), [&] {
      const std::string path = attest_path(h.seq, body->str("operator"));
      expected.insert(path);
      expected.insert(path + ".sig");
      const KeyFacts* facts = key == d.keys.end() ? nullptr : &key->second;
      read_one(d, {h, *body, facts, facts == nullptr ? nullptr : provider_body(d, facts->provider)});
    });
  }
  for (const auto& [path, content] : *d.files)
    if (path.starts_with("approvals/key-attest.") && !expected.contains(path))
      d.findings.bad(path, "no opened entry of the ledger names it");
}

}  // namespace kesu::dossier
