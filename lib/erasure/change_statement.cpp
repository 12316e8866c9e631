#include "erasure/change_statement.h"

#include <algorithm>
#include <set>

#include "crypto/person_key.h"
#include "erasure/statement_impl.h"

namespace kesu {

namespace {
const std::string kWhat = "change statement";
constexpr std::string_view kWords[] = {"enrol", "roles", "revoke", "rules"};

[[noreturn]] void refuse(const std::string& why) { throw Error(Code::bad_input, kWhat + ": " + why); }

// Names are shown to people and written into lines of files: none may steer a terminal or begin a line.
std::string plain(const Json& doc, const char* member) {
  std::string text = doc.str(member);
  if (text.empty()) refuse(std::string("\"") + member + "\" is empty");
  for (size_t i = 0; i < text.size(); ++i) {
    auto c = static_cast<unsigned char>(text[i]);
    bool c1 = c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (c < 0x20 || c == 0x7f || c1) refuse(std::string("\"") + member + "\" has a control character");
  }
  return text;
}

void only(const Json& doc, std::set<std::string, std::less<>> members) {
  for (const auto& [name, value] : doc.as_object())
    if (!members.contains(name)) refuse("\"" + name + "\" does not belong there");
}

Millis end_of(const Json& doc) {
  if (!doc.find("until")) return 0;
  const Millis until = statement::time_of(doc, "until", kWhat);
  if (until <= 0) refuse("\"until\" is not after 1970-01-01T00:00:00.000Z");  // 0 stands for no end
  return until;
}

Json terms_json(const Terms& terms) {
  Json roles(Json::Array{});
  for (const std::string& role : all_roles()) {
    auto it = terms.roles.find(role);
    if (it == terms.roles.end()) continue;
    Json item = Json::object({{"role", role}});
    if (it->second) item.set("until", utc_text(it->second));
    roles.push(std::move(item));
  }
  return roles;
}

Terms terms_of(const Json& doc) {
  Terms out;
  for (const Json& item : doc.at("roles").as_array()) {
    only(item, {"role", "until"});
    const std::string& role = item.str("role");
    if (std::find(all_roles().begin(), all_roles().end(), role) == all_roles().end())
      refuse("unknown role \"" + role + "\"");
    if (!out.roles.emplace(role, end_of(item)).second) refuse("role \"" + role + "\" stands twice");
  }
  if (out.roles.empty()) refuse("\"roles\" is empty: who is to do nothing is revoked");
  out.until = end_of(doc);
  return out;
}

Json rules_json(const Rules& r) {
  Json out =
      Json::object({{"profile", r.profile}, {"quorum", r.quorum}, {"waiting_seconds", r.waiting_seconds}});
  if (r.signed_commands) out.set("signed_commands", true);  // else it is not there: the form of before
  if (!r.anchors.empty()) out.set("anchors", r.anchors.to_json());
  return out;
}

Rules rules_of(const Json& doc) {
  Rules r{plain(doc, "profile"), doc.num("quorum"), doc.num("waiting_seconds")};
  if (r.quorum < 1) refuse("\"quorum\" is below 1");
  if (r.waiting_seconds < 0) refuse("\"waiting_seconds\" is negative");
  if (const Json* on = doc.find("signed_commands")) {
    if (*on != Json(true)) refuse("\"signed_commands\" is not true");
    r.signed_commands = true;
  }
  if (const Json* bound = doc.find("anchors")) r.anchors = Anchors::from_json(*bound, kWhat);
  return r;
}

std::string rules_text(const Rules& r) {
  return "quorum " + std::to_string(r.quorum) + ", waiting period " + std::to_string(r.waiting_seconds) +
         " s, profile " + r.profile + (r.signed_commands ? ", commands signed by their operators" : "");
}
}  // namespace

const std::vector<std::string>& all_roles() {
  static const std::vector<std::string> kRoles = {"operator", "approver", "verifier", "validator", "auditor"};
  return kRoles;
}

std::string_view change_word(RuleChange::What what) { return kWords[static_cast<size_t>(what)]; }

std::string roles_text(const Terms& terms) {
  std::string out;
  for (const std::string& role : all_roles()) {
    auto it = terms.roles.find(role);
    if (it == terms.roles.end()) continue;
    out += (out.empty() ? "" : ", ") + role + (it->second ? " until " + utc_text(it->second) : "");
  }
  return out;
}

Json RuleChange::to_json() const {
  Json doc = Json::object({{"what", std::string(change_word(what))}});
  if (what == What::rules) {
    const Json all = rules_json(rules);
    for (const auto& [member, value] : all.as_object()) doc.set(member, value);
    return doc;
  }
  doc.set("operator", operator_id).set("name", name);
  if (what == What::revoke) return doc;
  if (what == What::enrol)
    doc.set("title", title).set("public_key", public_key).set("fingerprint", fingerprint);
  doc.set("roles", terms_json(terms));
  if (terms.until) doc.set("until", utc_text(terms.until));
  return doc;
}

RuleChange RuleChange::from_json(const Json& doc) {
  RuleChange c;
  const auto* word = std::find(std::begin(kWords), std::end(kWords), doc.str("what"));
  if (word == std::end(kWords)) refuse("unknown change \"" + doc.str("what") + "\"");
  c.what = static_cast<What>(word - std::begin(kWords));
  if (c.what == What::rules) {
    only(doc, {"what", "profile", "quorum", "waiting_seconds", "signed_commands", "anchors"});
    c.rules = rules_of(doc);
    return c;
  }
  c.operator_id = statement::id_of<OperatorId>(doc, "operator", kWhat).str();
  c.name = plain(doc, "name");
  if (c.what == What::revoke) {
    only(doc, {"what", "operator", "name"});
    return c;
  }
  if (c.what == What::enrol) {
    only(doc, {"what", "operator", "name", "title", "public_key", "fingerprint", "roles", "until"});
    c.title = plain(doc, "title");
    c.public_key = plain(doc, "public_key");
    c.fingerprint = plain(doc, "fingerprint");
  } else {
    only(doc, {"what", "operator", "name", "roles", "until"});
  }
  c.terms = terms_of(doc);
  return c;
}

std::vector<std::string> ChangeStatement::summary() const {
  std::vector<std::string> out;
  const std::string end = change.terms.until ? "The enrolment ends " + utc_text(change.terms.until) : "";
  switch (change.what) {
    case RuleChange::What::enrol:
      out = {"Enrols " + change.name + " (" + change.title + ") as " + roles_text(change.terms),
             "With the key " + change.fingerprint};
      if (change.public_key.starts_with(std::string(kX509Word) + " "))
        out.push_back("In the certificate sha256:" +
                      hex(PersonKey::parse_line(change.public_key).certificate->fingerprint()));
      if (!end.empty()) out.push_back(end);
      break;
    case RuleChange::What::roles:
      out = {"Gives " + change.name + " these roles and no others: " + roles_text(change.terms),
             end.empty() ? "The enrolment has no end" : end};
      break;
    case RuleChange::What::revoke:
      return {"Revokes " + change.name + ": from then on no signature of theirs counts",
              "Approvals of theirs are void where the erasure has not begun", "Takes effect at once"};
    case RuleChange::What::rules:
      out = {"Sets " + rules_text(change.rules) +
                 (from.signed_commands && !change.rules.signed_commands ? ", commands no longer signed" : ""),
             "Until now: " + rules_text(from)};
      for (std::string& line : anchor_lines(change.rules.anchors, from.anchors))
        out.push_back(std::move(line));
      break;
  }
  out.push_back("Takes effect " + std::to_string(from.waiting_seconds) +
                " s after it is recorded; erasures requested before then keep what was in force");
  return out;
}

std::string ChangeStatement::text() const {
  Json before = rules_json(from);
  before.set("since", since);
  return Json::object({{"change", change.to_json()},
                       {"from", before},
                       {"issued", utc_text(issued)},
                       {"organisation", organisation},
                       {"reason", reason},
                       {"summary", statement::lines(summary())},
                       {"type", kChangeNamespace},
                       {"vault", vault.str()}})
      .pretty();
}

ChangeStatement ChangeStatement::parse(std::string_view text) {
  const Json doc = statement::parse(text, kChangeNamespace, kWhat, 8);
  ChangeStatement s;
  s.vault = statement::id_of<VaultId>(doc, "vault", kWhat);
  s.organisation = doc.str("organisation");
  s.reason = plain(doc, "reason");
  s.change = RuleChange::from_json(doc.at("change"));
  s.from = rules_of(doc.at("from"));
  if (doc.at("from").num("since") < 0) refuse("\"since\" is negative");
  s.since = static_cast<uint64_t>(doc.at("from").num("since"));
  s.issued = statement::time_of(doc, "issued", kWhat);
  statement::same_bytes(text, s.text(), kWhat);
  return s;
}

}  // namespace kesu
