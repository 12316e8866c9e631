#include "erasure/statement.h"

#include <map>
#include <set>

#include "crypto/person_key.h"
#include "erasure/statement_impl.h"

namespace kesu {

namespace {

// Names are shown to people and written into lines of files: none may steer a terminal or begin a line.
void no_controls(const std::string& text, const std::string& what) {
  for (size_t i = 0; i < text.size(); ++i) {
    auto c = static_cast<unsigned char>(text[i]);
    bool c1 = c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (c < 0x20 || c == 0x7f || c1)
      throw Error(Code::bad_input, "genesis statement: " + what + " has a control character");
  }
}
}  // namespace

std::string role_for(const std::string& action) {
  if (action == "request") return "operator";
  if (action == "approve" || action == "reject") return "approver";
  if (action == "verify") return "verifier";
  if (action == "validate") return "validator";
  throw Error(Code::bad_input, "statement: unknown action \"" + action + "\"");
}

std::string Statement::text() const {
  return Json::object({{"action", action},
                       {"erasure", erasure.str()},
                       {"expires", utc_text(expires)},
                       {"name", name},
                       {"operator", operator_id.str()},
                       {"organisation", organisation},
                       {"plan", plan},
                       {"role", role},
                       {"summary", statement::lines(summary)},
                       {"type", "kesu-statement-v1"},
                       {"vault", vault.str()}})
      .pretty();
}

Statement Statement::parse(std::string_view text) {
  const Json doc = statement::parse(text, "kesu-statement-v1", "statement");
  Statement s;
  s.action = doc.str("action");
  s.vault = statement::id_of<VaultId>(doc, "vault", "statement");
  s.organisation = doc.str("organisation");
  s.erasure = statement::id_of<ErasureId>(doc, "erasure", "statement");
  s.plan = doc.str("plan");
  if (!unhex32(s.plan)) throw Error(Code::bad_input, "statement: \"plan\" is no SHA-256");
  s.role = doc.str("role");
  if (s.role != role_for(s.action))
    throw Error(Code::bad_input, "statement: role \"" + s.role + "\" cannot " + s.action);
  s.operator_id = statement::id_of<OperatorId>(doc, "operator", "statement");
  s.name = doc.str("name");
  for (const Json& line : doc.at("summary").as_array()) s.summary.push_back(line.as_string());
  auto expires = parse_utc(doc.str("expires"));
  if (!expires) throw Error(Code::bad_input, "statement: \"expires\" is no time");
  s.expires = *expires;
  statement::same_bytes(text, s.text(), "statement");
  return s;
}

namespace {
std::string plural(int64_t n, const std::string& word) {
  return std::to_string(n) + " " + word + (n == 1 ? "" : "s");
}
}  // namespace

namespace {
// "2 key versions: loans.1, loans.2", with `after_count` between the two.
std::string versions_of(const Json& plan, const std::string& after_count) {
  std::map<std::string, std::string> names;
  for (const Json& v : plan.at("key_versions").as_array()) names.emplace(v.str("version"), v.str("name"));
  std::string versions;
  for (const Json& step : plan.at("order").as_array()) {
    const std::string& version = step.str("version");
    if (auto it = names.find(version); it != names.end())
      versions += (versions.empty() ? "" : ", ") + it->second + "." + version.substr(version.find('.') + 1);
  }
  return plural(static_cast<int64_t>(plan.at("order").size()), "key version") + after_count + ": " + versions;
}

std::string dataset_text(const Json& d) {
  return "dataset " + d.str("name") + ", " + plural(d.num("objects"), "object") + ", " +
         plural(d.num("bytes"), "byte");
}
}  // namespace

std::vector<std::string> plan_summary(const Json& plan) {
  std::vector<std::string> out;
  std::string places;
  for (const Json& p : plan.at("providers").as_array())
    places += (places.empty() ? "" : ", ") + p.str("name") + " (token " + p.str("label") + ", serial " +
              p.str("serial") + ")";
  out.push_back("Destroys " + versions_of(plan, "") + " in " + places);
  for (const Json& d : plan.at("datasets").as_array())
    out.push_back("Makes unreadable for ever: " + dataset_text(d));
  out.push_back("Cannot be undone once it has run");
  return out;
}

std::vector<std::string> verify_summary(const Json& plan,
                                        const std::vector<std::pair<std::string, std::string>>& transcripts) {
  std::vector<std::string> out = {"Inspected after destruction: " + versions_of(plan, " absent")};
  for (const auto& [provider, transcript] : transcripts)
    out.push_back("In " + provider + ": transcript " + transcript);
  return out;
}

std::vector<std::string> validate_summary(const Json& plan, const std::string& verifier,
                                          const std::string& statement) {
  std::vector<std::string> out;
  for (const Json& d : plan.at("datasets").as_array())
    out.push_back("Accepts the erasure of " + dataset_text(d));
  out.push_back("Rests on the verification of " + verifier + ": statement " + statement);
  return out;
}

std::string Genesis::text() const {
  Json people(Json::Array{});
  for (const GenesisOfficer& o : officers) {
    Json roles(Json::Array{});
    for (const std::string& role : o.roles) roles.push(role);
    people.push(
        Json::object({{"name", o.name}, {"public_key", o.public_key}, {"roles", roles}, {"title", o.title}}));
  }
  Json doc = Json::object({{"officers", people},
                           {"organisation", organisation},
                           {"origin", origin},
                           {"profile", profile},
                           {"quorum", quorum},
                           {"type", "kesu-genesis-v1"},
                           {"vault", vault.str()}});
  if (waiting_seconds) doc.set("waiting_seconds", waiting_seconds);
  if (signed_commands) doc.set("signed_commands", true);
  if (!anchors.empty()) doc.set("anchors", anchors.to_json());
  return doc.pretty();
}

Genesis Genesis::parse(std::string_view text) {
  Json doc = parse_json(text, "genesis statement", {.max_bytes = 1 << 20, .max_depth = 6});
  if (doc.str("type") != "kesu-genesis-v1")
    throw Error(Code::bad_input, "genesis statement: unknown type " + doc.str("type"));
  Genesis g;
  g.vault = statement::id_of<VaultId>(doc, "vault", "statement");
  g.organisation = doc.str("organisation");
  g.origin = doc.str("origin");
  g.profile = doc.str("profile");
  g.quorum = doc.num("quorum");
  g.waiting_seconds = doc.num_or("waiting_seconds", 0);
  g.signed_commands = doc.flag("signed_commands");
  if (const Json* bound = doc.find("anchors")) g.anchors = Anchors::from_json(*bound, "genesis statement");
  if (g.waiting_seconds < 0)
    throw Error(Code::bad_input, "genesis statement: \"waiting_seconds\" is negative");
  if (g.organisation.empty()) throw Error(Code::bad_input, "genesis statement: \"organisation\" is empty");
  if (g.origin.empty() || g.origin.find_first_of(" +\n\t") != std::string::npos)
    throw Error(
        Code::bad_input,
        "genesis statement: \"origin\" must be a name that the organisation controls, such as bank.example");
  no_controls(g.organisation, "\"organisation\"");
  no_controls(g.origin, "\"origin\"");
  static const std::set<std::string> kRoles = {"operator", "approver", "verifier", "validator", "auditor"};
  std::set<std::string> names, keys;
  int64_t operators = 0, approvers = 0;
  for (const Json& item : doc.at("officers").as_array()) {
    GenesisOfficer o;
    o.name = item.str("name");
    o.title = item.str("title");
    o.public_key = item.str("public_key");
    std::string number = "officer " + std::to_string(g.officers.size() + 1);
    no_controls(o.name, number + "'s name");
    no_controls(o.title, number + "'s title");
    no_controls(o.public_key, number + "'s public key");
    for (const Json& role : item.at("roles").as_array()) {
      if (!kRoles.contains(role.as_string()))
        throw Error(Code::bad_input,
                    "genesis statement: " + o.name + ": unknown role \"" + role.as_string() + "\"");
      o.roles.push_back(role.as_string());
      operators += role.as_string() == "operator";
      approvers += role.as_string() == "approver";
    }
    size_t blob_at = o.public_key.find(' ');
    std::string blob =
        blob_at == std::string::npos
            ? ""
            : o.public_key.substr(blob_at + 1, o.public_key.find(' ', blob_at + 1) - blob_at - 1);
    if (blob.empty())
      throw Error(Code::bad_input,
                  "genesis statement: " + o.name +
                      ": \"public_key\" is neither an OpenSSH public key line nor a certificate");
    // One key is one key, be it in a certificate or not.
    if (o.public_key.substr(0, blob_at) == kX509Word)
      blob = base64(PersonKey::parse_line(o.public_key).ssh.blob);
    if (!names.insert(o.name).second)
      throw Error(Code::bad_input, "genesis statement: " + o.name + " stands twice");
    if (!keys.insert(blob).second)
      throw Error(Code::bad_input, "genesis statement: " + o.name + "'s key is also another officer's");
    g.officers.push_back(std::move(o));
  }
  if (g.quorum < 1 || approvers < g.quorum)
    throw Error(Code::bad_input, "genesis statement: quorum " + std::to_string(g.quorum) +
                                     " needs as many approvers; there are " + std::to_string(approvers));
  if (operators < 1)
    throw Error(Code::bad_input,
                "genesis statement: nobody has the role operator, so nothing could ever be requested");
  statement::same_bytes(text, g.text(), "genesis statement");
  return g;
}

}  // namespace kesu
