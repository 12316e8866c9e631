// The statement with which approvers change people and rules (docs/spec/erasure.md, "People and rules"). One
// statement, signed by several. Pure: bytes in, values out.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/json.h"
#include "erasure/anchors.h"

namespace kesu {

// What a person may do. Ends are exclusive; 0: without end.
struct Terms {
  std::map<std::string, Millis> roles;  // role → its end
  Millis until = 0;                     // of the whole enrolment
  bool operator==(const Terms&) const = default;
};

// The rules that every erasure is held to.
struct Rules {
  std::string profile;
  int64_t quorum = 1, waiting_seconds = 0;
  bool signed_commands = false;  // each command that writes is signed by who runs it
  Anchors anchors = {};          // by whose time-stamps and cosignatures; empty: whose the reader takes
  bool operator==(const Rules&) const = default;
};

struct RuleChange {
  enum class What { enrol, roles, revoke, rules };
  What what = What::rules;
  std::string operator_id, name;               // all but rules
  std::string title, public_key, fingerprint;  // enrol
  Terms terms;                                 // enrol, roles: all that the person has from then on
  Rules rules;                                 // rules

  Json to_json() const;
  // Strict: no other members, known roles, each once, no control characters. Throws bad_input.
  static RuleChange from_json(const Json& doc);
};

struct ChangeStatement {
  VaultId vault;
  std::string organisation, reason;
  RuleChange change;
  Rules from;          // what was in force when it was written
  uint64_t since = 0;  // entry of the last change before it; 0: none
  Millis issued = 0;

  // What a person reads: wholly determined by the members above.
  std::vector<std::string> summary() const;
  std::string text() const;  // the bytes that are signed
  // Strict: text() of the result equals the input. Throws bad_input.
  static ChangeStatement parse(std::string_view text);
};
constexpr std::string_view kChangeNamespace = "kesu-change-v1";
// A statement serves at most this long after `issued`.
constexpr Millis kMaxChangeStatementAge = 31LL * 24 * 3600 * 1000;

// operator, approver, verifier, validator, auditor.
const std::vector<std::string>& all_roles();
std::string_view change_word(RuleChange::What what);  // "enrol", …
// "approver, verifier until 2027-01-01T00:00:00.000Z", in the order of all_roles().
std::string roles_text(const Terms& terms);

}  // namespace kesu
