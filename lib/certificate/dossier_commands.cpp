// Commands that were signed by who ran them, and whether the opened entries name them as the rules in force
// asked (docs/spec/certificate.md, "Signed commands").
#include <algorithm>

#include "certificate/dossier_impl.h"
#include "certificate/people_impl.h"
#include "certificate/rules_impl.h"
#include "crypto/hash.h"
#include "erasure/command_statement.h"
#include "ledger/tree.h"

namespace kesu::dossier {

namespace {

struct Named {
  const Header& entry;
  std::string person, statement, signature;
  std::string part() const { return command_path(statement); }
};

// Genuine statements by digest, and the ledger's roots at the sizes that they name.
struct Commands {
  std::map<std::string, CommandStatement> read;
  std::set<std::string> wrong;  // found to be none, once
  std::map<uint64_t, std::string> roots;
};

Named named_by(const Header& h, const Json& body) {
  const Json& c = body.at("command");
  if (c.size() != 3 || !OperatorId::parse(c.str("operator")) || !unhex32(c.str("statement")) ||
      !unhex32(c.str("signature")))
    throw Error(Code::bad_input, "command: is not a person, a statement and a signature");
  return {h, c.str("operator"), c.str("statement"), c.str("signature")};
}

// The roots of the ledger at all sizes that a statement of the bundle names, in one pass.
void find_roots(const Dossier& d, Commands& all) {
  if (!d.headers_complete) return;
  for (const auto& [path, content] : *d.files)
    if (path.starts_with("approvals/command.") && path.ends_with(".json")) try {
        const CommandStatement s = CommandStatement::parse(as_text(content));
        if (s.size <= d.leaves.size()) all.roots[s.size];
      } catch (const Error&) {  // told where an entry names it
      }
  TreeHead tree;
  for (auto& [size, root] : all.roots) {
    while (tree.size() < size) tree.add(d.leaves[tree.size()]);
    root = hex(tree.root());
  }
}

// What in it contradicts the bundle: throws, naming the part.
const CommandStatement* genuine(Dossier& d, const Named& n, Commands& all) {
  const std::string part = n.part();
  if (all.wrong.contains(part + n.signature + n.person)) return nullptr;
  const auto wrong = [&](const std::string& where, const std::string& why) {
    d.findings.bad(where, why);
    all.wrong.insert(part + n.signature + n.person);
    return nullptr;
  };
  auto file = d.file(part), signature = d.file(part + ".sig");
  if (!file || !signature)
    return wrong(file ? part + ".sig" : part, "is missing; " + brief_number(n.entry.seq) + " names it");
  if (hex(sha256(*file)) != n.statement || hex(sha256(*signature)) != n.signature)
    return wrong(part, "statement or signature is not what " + brief_number(n.entry.seq) + " names");
  auto known = all.read.find(n.statement);
  if (known == all.read.end()) {
    std::optional<CommandStatement> s;
    if (!d.findings.guard(part, [&] { s = CommandStatement::parse(as_text(*file)); })) {
      all.wrong.insert(part + n.signature + n.person);
      return nullptr;
    }
    if (s->vault.str() != d.vault || s->organisation != d.organisation)
      return wrong(part, "it is for another vault or organisation");
    auto p = d.people.find(s->operator_id.str());
    if (p == d.people.end() || !p->second.key) return wrong(part, s->operator_id.str() + " is not enrolled");
    if (s->name != p->second.name) return wrong(part, "the name is not that of " + p->first);
    const auto root = all.roots.find(s->size);
    if (d.headers_complete && (root == all.roots.end() || root->second != s->root))
      return wrong(part, "it was signed for another ledger of " + std::to_string(s->size) + " entries");
    if (p->second.key->certificate)
      return wrong(part + ".sig", s->name + " is enrolled with a certificate, and signs no commands");
    if (const std::string why =
            signature_problem(*p->second.key, s->name, *file, *signature, kCommandNamespace);
        !why.empty())
      return wrong(part + ".sig", why);
    known = all.read.emplace(n.statement, std::move(*s)).first;
  }
  const CommandStatement& s = known->second;
  if (s.operator_id.str() != n.person)
    return wrong(part,
                 "it is by " + s.operator_id.str() + ", " + brief_number(n.entry.seq) + " names " + n.person);
  if (s.size > n.entry.seq)
    return wrong(part, "it was signed after " + brief_number(n.entry.seq) + ", which names it");
  return &s;
}

// Why a genuine one does not count for this entry; "" when it does.
std::string doubt(const Dossier& d, const Named& n, const CommandStatement& s) {
  const Moment at{n.entry.seq, n.entry.time};
  const Person& person = d.people.at(n.person);
  if (s.role != "operator" && !any_role_signs(s.command))
    return "kesu " + s.command + " takes the role operator";
  if (const std::string why = role_problem(d, n.person, s.role, at, at.time); !why.empty())
    return person.name + " " + why;
  if (person.revoked && *person.revoked < at.seq) return person.name + " was revoked before";
  if (s.issued > at.time || at.time - s.issued > kMaxCommandLife)
    return "it was not signed within 24 hours before the entry";
  return "";
}

}  // namespace

std::string command_path(const std::string& statement) { return "approvals/command." + statement + ".json"; }

void read_commands(Dossier& d) {
  Commands all;
  find_roots(d, all);
  std::set<std::string> expected, counted;
  for (const auto& [seq, body] : d.bodies) {
    const Header* h = d.header(seq);
    if (h == nullptr || seq >= d.a.size || h->type == "genesis" || h->type == "operator-enrolled") continue;
    const bool asked = rules_at(d, {h->seq, h->time}).signed_commands;
    if (body.find("command") == nullptr) {
      if (!asked) continue;
      d.unsigned_entries.insert(seq);
      d.findings.weak(std::string(bundle::kBodies),
                      brief_number(seq) + " (" + h->type +
                          ") names no signed command, which the rules in force asked for");
      continue;
    }
    d.findings.guard(brief_number(seq), [&] {
      const Named n = named_by(*h, body);
      expected.insert(n.part());
      expected.insert(n.part() + ".sig");
      const CommandStatement* s = genuine(d, n, all);
      if (s == nullptr) return;
      if (const std::string why = doubt(d, n, *s); !why.empty()) {
        if (asked) d.unsigned_entries.insert(seq);
        d.findings.weak(n.part(), "does not count for " + brief_number(seq) + ": " + why);
      } else if (counted.insert(n.statement).second) {
        d.commands.push_back({n.person, n.part(), seq, h->time});
      }
    });
  }
  for (const auto& [path, content] : *d.files)
    if (path.starts_with("approvals/command.") && !expected.contains(path))
      d.findings.bad(path, "no opened entry of the ledger names it");
}

bool names_commands(const Dossier& d) {
  return std::any_of(d.bodies.begin(), d.bodies.end(), [&](const auto& b) {
    return b.first < d.a.size && b.second.is_object() && b.second.find("command") != nullptr;
  });
}

}  // namespace kesu::dossier
