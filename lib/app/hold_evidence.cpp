#include "app/hold_evidence.h"

#include <algorithm>
#include <set>

#include "app/people.h"
#include "app/rules.h"
#include "crypto/hash.h"
#include "erasure/hold_statement.h"

namespace kesu {

namespace {
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

std::string release_problem(Vault& vault, const HoldRecord& hold) {
  if (!hold.released) return "";
  std::string why;
  bool counts = false;
  vault.store().read(
      0, vault.state().size,
      [&](const StoredEntry& e) {
        const Header& h = e.entry.header;
        if (h.type != "hold-released" || h.nodes.front().id != hold.id) return true;
        int64_t have = 0;
        std::set<std::string> persons, keys;
        why.clear();
        for (const Json& item : e.entry.body.at("approvals").as_array()) {
          const std::string problem = consent_problem(vault, hold, e.entry.body, item);
          if (!problem.empty()) {
            why += (why.empty() ? "" : "; ") + problem;
            continue;
          }
          const OperatorRecord& person = vault.state().operators.at(item.str("operator"));
          if (persons.insert(person.id).second && keys.insert(person.fingerprint).second) ++have;
        }
        const int64_t need =
            std::max<int64_t>(1, rules_in_force(vault.state(), Moment{h.seq, h.time}).quorum);
        counts = have >= need;
        if (!counts)
          why = "entry " + std::to_string(h.seq) + " shows " + std::to_string(have) + " of " +
                std::to_string(need) + " approvers" + (why.empty() ? "" : ": " + why);
        return !counts;
      },
      [](const Header& h) { return h.type == "hold-released"; });
  return counts ? "" : why;
}

}  // namespace kesu
