// Legal holds on what is in scope, and whether those who released them were those who may.
#include <algorithm>

#include "certificate/dossier_impl.h"
#include "certificate/people_impl.h"
#include "certificate/rules_impl.h"
#include "crypto/hash.h"
#include "erasure/hold_statement.h"

namespace kesu::dossier {

namespace {

// One `hold-released` of a hold that stands.
struct Release {
  const Header& entry;
  const Json& body;
  const HoldFacts& hold;
  const Header& placed;
  const Json& placed_body;
};

// What in the statement contradicts entry and ledger; "" when nothing does.
std::string contradiction(const Dossier& d, const Release& r, const HoldStatement& s,
                          const std::string& who) {
  if (s.vault.str() != d.vault || s.organisation != d.organisation)
    return "it is for another vault or organisation";
  if (s.hold.str() != r.hold.id || s.subject != r.hold.subject) return "it is of another hold";
  if (s.case_number != r.placed_body.str("case")) return "it is of another case";
  if (s.reason != r.body.str("reason")) return "its reason is not that of " + brief_number(r.entry.seq);
  if (s.operator_id.str() != who) return "it is by " + s.operator_id.str() + ", the entry names " + who;
  auto p = d.people.find(who);
  if (p == d.people.end() || !p->second.key) return who + " is not enrolled";
  return s.name == p->second.name ? "" : "the name is not that of " + who;
}

// Why a consent that is genuine does not count; "" when it does.
std::string doubt(const Dossier& d, const Release& r, const HoldStatement& s, const Person& person) {
  const Millis at = r.entry.time;
  if (s.issued < r.placed.time || s.issued > at || at - s.issued > kMaxHoldStatementAge)
    return "it was not issued after the hold and within 31 days before " + brief_number(r.entry.seq);
  if (person.revoked && *person.revoked < r.entry.seq) return person.name + " was revoked before";
  const std::string why = signing_problem(d, person.id, "approver", {r.entry.seq, at}, at);
  return why.empty() ? "" : person.name + " " + why;
}

// The person who consented; null where that is not shown, or does not count.
const Person* consent_of(Dossier& d, const Release& r, const Json& item) {
  const std::string who = item.str("operator");
  const std::string part = release_path(r.entry.seq, who);
  auto file = d.file(part), signature = d.file(part + ".sig");
  if (!file || !signature) {
    d.findings.weak(file ? part + ".sig" : part, "is missing; " + brief_number(r.entry.seq) + " names it");
    return nullptr;
  }
  if (hex(sha256(*file)) != item.str("statement") || hex(sha256(*signature)) != item.str("signature")) {
    d.findings.bad(part, "statement or signature is not what " + brief_number(r.entry.seq) + " names");
    return nullptr;
  }
  std::optional<HoldStatement> s;
  if (!d.findings.guard(part, [&] { s = HoldStatement::parse(as_text(*file)); })) return nullptr;
  if (const std::string wrong = contradiction(d, r, *s, who); !wrong.empty()) {
    d.findings.bad(part, wrong);
    return nullptr;
  }
  const Person& person = d.people.at(who);
  if (const std::string why = signature_problem(*person.key, person.name, *file, *signature, kHoldNamespace);
      !why.empty()) {
    d.findings.bad(part + ".sig", why);
    return nullptr;
  }
  const std::string why = doubt(d, r, *s, person);
  if (!why.empty()) d.findings.weak(part, "does not count: " + why);
  return why.empty() ? &person : nullptr;
}

// Different persons and keys among those who consented, against the quorum in force at the entry.
bool counts(Dossier& d, const Release& r) {
  std::set<std::string> persons, names, keys;
  int64_t have = 0;
  bool read = d.findings.guard(brief_number(r.entry.seq), [&] {
    for (const Json& item : r.body.at("approvals").as_array()) {
      const Person* p = consent_of(d, r, item);
      if (p && persons.insert(p->id).second && names.insert(p->name).second &&
          keys.insert(p->fingerprint).second)
        ++have;
    }
  });
  const int64_t quorum = std::max<int64_t>(1, rules_at(d, {r.entry.seq, r.entry.time}).quorum);
  if (read && d.genesis && have >= quorum) return true;
  d.findings.weak(brief_number(r.entry.seq), "releases nothing: " + std::to_string(have) +
                                                 " approvals of the release count, the quorum was " +
                                                 std::to_string(quorum));
  return false;
}

bool releases(Dossier& d, const Header& h, const HoldFacts& hold) {
  // Nothing was destroyed after checkpoint A: what is released there changes nothing.
  if (h.seq >= d.a.size) return true;
  const Json *body = d.body(h.seq), *placed = d.body(hold.placed);
  if (body && placed) return counts(d, {h, *body, hold, *d.header(hold.placed), *placed});
  const Header& closed = body ? *d.header(hold.placed) : h;
  d.findings.weak(std::string(bundle::kBodies), brief_number(closed.seq) + " (" + closed.type +
                                                    ") is not opened: the hold counts as not released");
  return false;
}

}  // namespace

std::string release_path(uint64_t seq, const std::string& person) {
  return "approvals/release." + std::to_string(seq) + "." + person + ".json";
}

void read_holds(Dossier& d) {
  std::map<std::string, size_t> standing;  // → place in d.holds
  std::set<std::string> ours, expected;
  for (const Header& h : d.headers) {
    if (h.type != "hold-placed" && h.type != "hold-released") continue;
    for (const NodeMention& m : h.nodes) {
      const auto it = standing.find(m.id);
      if (h.type == "hold-placed" && m.is == "placed") {
        if (!d.datasets_in_scope.contains(m.of) &&
            std::find(d.kill.versions.begin(), d.kill.versions.end(), m.of) == d.kill.versions.end())
          continue;
        ours.insert(m.id);
        if (it != standing.end()) continue;
        standing.emplace(m.id, d.holds.size());
        d.holds.push_back({m.id, m.of, h.seq, std::nullopt});
      } else if (h.type == "hold-released" && m.is == "released" && ours.contains(m.id)) {
        if (const Json* body = h.seq < d.a.size ? d.body(h.seq) : nullptr)
          d.findings.guard(brief_number(h.seq), [&] {
            for (const Json& item : body->at("approvals").as_array()) {
              const std::string path = release_path(h.seq, item.str("operator"));
              expected.insert(path);
              expected.insert(path + ".sig");
            }
          });
        if (it == standing.end() || !releases(d, h, d.holds[it->second])) continue;
        d.holds[it->second].released = h.seq;
        standing.erase(it);
      }
    }
  }
  for (const auto& [path, content] : *d.files)
    if (path.starts_with("approvals/release.") && !expected.contains(path))
      d.findings.bad(path, "no entry about what is in scope names it");
}

}  // namespace kesu::dossier
