#include "app/hold_evidence.h"

#include <algorithm>
#include <set>

#include "app/people.h"
#include "app/rules.h"
#include "crypto/hash.h"
#include "erasure/hold_statement.h"

namespace kesu {

namespace {
bool is_kept(Vault& vault, const std::string& digest) {
  try {
    vault.store().blob(digest);
    return true;
  } catch (const Error& e) {
    if (e.code() != Code::not_found && e.code() != Code::ledger_damaged) throw;
    return false;
  }
}

void add_lost(Vault& vault, const Header& h, const Json& item, std::vector<std::string>& lost) {
  const std::string in_bundle =
      "approvals/release." + std::to_string(h.seq) + "." + item.str("operator") + ".json";
  for (const auto& [part, end] : {std::pair("statement", ""), std::pair("signature", ".sig")})
    if (const std::string digest = item.str(part); !is_kept(vault, digest))
      lost.push_back("evidence/" + digest + " (in a bundle: " + in_bundle + end + ")");
}

// Why this consent would not count; "" when it would.
std::string consent_problem(Vault& vault, const HoldRecord& hold, const Json& body, const Json& item) {
  const State& state = vault.state();
  const auto person = state.operators.find(item.str("operator"));
  if (person == state.operators.end()) return item.str("operator") + " is not enrolled";
  try {
    const std::string text = to_text(vault.store().blob(item.str("statement"))),
                      armored = to_text(vault.store().blob(item.str("signature")));
    const HoldStatement s = HoldStatement::parse(text);
    if (s.vault != vault.id() || s.hold.str() != hold.id || s.subject != hold.subject ||
        s.case_number != hold.case_number || s.reason != body.str("reason") ||
        s.operator_id.str() != person->first || s.name != person->second.name)
      return "the statement of " + person->second.name + " is of something else";
    return signature_problem(text, armored, std::string(kHoldNamespace), person->second.public_key);
  } catch (const Error& e) {
    return "the statement of " + person->second.name + ", or its signature, is lost: " + e.message();
  }
}
}  // namespace

std::map<std::string, ReleaseProblem> release_problems(Vault& vault, const std::set<std::string>& holds,
                                                       uint64_t until) {
  std::map<std::string, ReleaseProblem> out;
  std::set<std::string> counted;
  const auto asked = [&](const Header& h) {
    return h.type == "hold-released" && holds.contains(h.nodes.front().id) &&
           !counted.contains(h.nodes.front().id);
  };
  if (holds.empty()) return out;
  vault.store().read(
      0, std::min(until, vault.state().size),
      [&](const StoredEntry& e) {
        const Header& h = e.entry.header;
        if (!asked(h)) return true;
        const HoldRecord& hold = vault.state().holds.at(h.nodes.front().id);
        int64_t have = 0;
        std::set<std::string> persons, keys;
        ReleaseProblem& found = out[hold.id];
        found.why.clear();
        for (const Json& item : e.entry.body.at("approvals").as_array()) {
          const std::string problem = consent_problem(vault, hold, e.entry.body, item);
          if (!problem.empty()) {
            found.why += (found.why.empty() ? "" : "; ") + problem;
            add_lost(vault, h, item, found.lost);
            continue;
          }
          const OperatorRecord& person = vault.state().operators.at(item.str("operator"));
          if (persons.insert(person.id).second && keys.insert(person.fingerprint).second) ++have;
        }
        const int64_t need =
            std::max<int64_t>(1, rules_in_force(vault.state(), Moment{h.seq, h.time}).quorum);
        if (have >= need) {
          counted.insert(hold.id);
          out.erase(hold.id);
        } else {
          found.why = "entry " + std::to_string(h.seq) + " shows " + std::to_string(have) + " of " +
                      std::to_string(need) + " approvers" + (found.why.empty() ? "" : ": " + found.why);
        }
        return counted.size() < holds.size();
      },
      asked);
  return out;
}

std::set<std::string> released_on(const State& state, const std::set<std::string>& nodes) {
  std::set<std::string> out;
  for (auto& [id, hold] : state.holds)
    if (hold.released && nodes.contains(hold.subject)) out.insert(id);
  return out;
}

std::string release_problem(Vault& vault, const HoldRecord& hold) {
  if (!hold.released) return "";
  const auto found = release_problems(vault, {hold.id});
  return found.empty() ? "" : found.begin()->second.why;
}

}  // namespace kesu
