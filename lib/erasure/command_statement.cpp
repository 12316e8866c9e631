#include "erasure/command_statement.h"

#include <algorithm>

#include "base/bytes.h"
#include "erasure/change_statement.h"
#include "erasure/statement_impl.h"

namespace kesu {

namespace {
const std::string kWhat = "command statement";
constexpr std::string_view kAnyRole[] = {
    "certificate withdraw", "erase approve",  "erase reject",    "erase validate",  "erase verify",
    "hold place",           "hold release",   "key attest",      "key extend",      "operator add",
    "operator grant",       "operator renew", "operator review", "operator revoke", "operator sign",
    "operator withdraw",    "policy except",  "vault rules"};

[[noreturn]] void refuse(const std::string& why) { throw Error(Code::bad_input, kWhat + ": " + why); }

// Words of small letters and hyphens, one blank between them.
bool is_command(std::string_view text) {
  if (text.empty() || text.size() > 64 || text.find("  ") != text.npos) return false;
  return text.front() != ' ' && text.back() != ' ' &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz- ") == text.npos;
}
}  // namespace

bool any_role_signs(std::string_view command) {
  return std::find(std::begin(kAnyRole), std::end(kAnyRole), command) != std::end(kAnyRole);
}

std::vector<std::string> CommandStatement::summary() const {
  return {"Runs kesu " + command + " as " + role,
          "Every entry that this run adds to the ledger, from entry " + std::to_string(size) +
              " on, names this statement"};
}

std::string CommandStatement::text() const {
  return Json::object({{"about", statement::lines(about)},
                       {"command", command},
                       {"issued", utc_text(issued)},
                       {"ledger", Json::object({{"root", root}, {"size", size}})},
                       {"name", name},
                       {"operator", operator_id.str()},
                       {"organisation", organisation},
                       {"process", process},
                       {"role", role},
                       {"summary", statement::lines(summary())},
                       {"type", kCommandNamespace},
                       {"vault", vault.str()}})
      .pretty();
}

CommandStatement CommandStatement::parse(std::string_view text) {
  const Json doc = statement::parse(text, kCommandNamespace, kWhat);
  CommandStatement s;
  s.vault = statement::id_of<VaultId>(doc, "vault", kWhat);
  s.organisation = doc.str("organisation");
  s.operator_id = statement::id_of<OperatorId>(doc, "operator", kWhat);
  s.name = doc.str("name");
  s.role = doc.str("role");
  if (std::find(all_roles().begin(), all_roles().end(), s.role) == all_roles().end())
    refuse("unknown role \"" + s.role + "\"");
  s.command = doc.str("command");
  if (!is_command(s.command)) refuse("\"command\" is none");
  for (const Json& one : doc.at("about").as_array()) s.about.push_back(one.as_string());
  if (s.about.size() > kMaxCommandAbout ||
      std::adjacent_find(s.about.begin(), s.about.end(), std::greater_equal<>()) != s.about.end())
    refuse("\"about\" is not ascending, or too long");
  if (doc.at("ledger").num("size") < 0) refuse("\"size\" is negative");
  s.size = static_cast<uint64_t>(doc.at("ledger").num("size"));
  s.root = doc.at("ledger").str("root");
  s.process = doc.str("process");
  if (!unhex32(s.root) || !unhex32(s.process)) refuse("\"root\" or \"process\" is no digest");
  s.issued = statement::time_of(doc, "issued", kWhat);
  statement::same_bytes(text, s.text(), kWhat);
  return s;
}

}  // namespace kesu
