// The part of State's fold that changes people and rules, and its rows (docs/spec/erasure.md, "People and
// rules").
#include <algorithm>

#include "app/clock_watch.h"
#include "app/registers_impl.h"
#include "app/rules.h"
#include "app/state.h"
#include "app/state_impl.h"
#include "base/error.h"

namespace kesu {

using namespace fold;

namespace {
// Each change takes effect no earlier than the one before it; what is void holds nothing up.
void in_order(std::map<uint64_t, ChangeRecord>& changes) {
  Millis last = 0;
  for (auto& [seq, c] : changes) {
    if (c.dead || c.change.what == RuleChange::What::revoke) continue;
    last = c.effective = std::max(c.effective, last);
  }
}
}  // namespace

void State::evolve_rules(const Header& h, const Json& body) {
  // A clock that was set waited for nobody: what had not taken effect waits anew.
  if (h.type == "finding-recorded" && h.nodes.front().id == vault.id && is_clock_finding(body.str("what"))) {
    for (auto& [seq, c] : changes) {
      if (c.change.what == RuleChange::What::revoke || c.effective <= time) continue;
      c.effective = h.time + c.waiting * 1000;
      touch("change", std::to_string(seq));
    }
    in_order(changes);
    return;
  }
  if (h.type != "rules-changed") return;
  const Rules rules = rules_in_force(*this, {h.seq, h.time});
  ChangeRecord c;
  c.seq = h.seq;
  c.time = h.time;
  c.change = RuleChange::from_json(body.at("change"));
  c.waiting = rules.waiting_seconds;
  c.quorum = rules.quorum;
  c.effective = h.time + (c.change.what == RuleChange::What::revoke ? 0 : c.waiting * 1000);
  c.statement = body.str("statement");
  c.reason = body.str("reason");
  for (const Json& s : body.at("signatures").as_array())
    if (s.str("operator") != c.change.operator_id || c.change.what != RuleChange::What::enrol)
      c.signers.push_back(s.str("operator"));
  if (c.change.what == RuleChange::What::enrol) {
    OperatorRecord o;
    o.id = c.change.operator_id;
    o.name = c.change.name;
    o.title = c.change.title;
    o.public_key = c.change.public_key;
    o.fingerprint = c.change.fingerprint;
    o.state = "enrolled";
    for (const auto& [role, until] : c.change.terms.roles) o.roles.push_back(role);
    touch("operator", o.id);
    operators[o.id] = std::move(o);
  } else if (c.change.what == RuleChange::What::revoke) {
    operators.at(c.change.operator_id).state = "revoked";
    touch("operator", c.change.operator_id);
    // What they signed and is not in force yet loses their signature.
    for (auto& [seq, other] : changes) {
      if (other.effective <= h.time || !std::erase(other.signers, c.change.operator_id)) continue;
      other.dead = other.dead || static_cast<int64_t>(other.signers.size()) < other.quorum;
      touch("change", std::to_string(seq));
    }
  }
  touch("change", std::to_string(h.seq));
  changes[h.seq] = std::move(c);
  in_order(changes);
}

namespace registers {
Json row(const ChangeRecord& c) {
  return Json::object({{"seq", c.seq},
                       {"time", c.time},
                       {"effective", c.effective},
                       {"waiting", c.waiting},
                       {"quorum", c.quorum},
                       {"dead", c.dead},
                       {"statement", c.statement},
                       {"reason", c.reason},
                       {"signers", list(c.signers)},
                       {"change", c.change.to_json()}});
}
void read(const Json& j, ChangeRecord& c) {
  c = {static_cast<uint64_t>(j.num("seq")),
       j.num("time"),
       j.num("effective"),
       j.num("waiting"),
       j.num("quorum"),
       j.flag("dead"),
       j.str("statement"),
       j.str("reason"),
       strings(j.at("signers")),
       RuleChange::from_json(j.at("change"))};
}
}  // namespace registers

}  // namespace kesu
