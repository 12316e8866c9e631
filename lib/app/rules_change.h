// Changing people and rules: a statement is proposed, signed by as many approvers as the rules in force ask
// for (and by a newcomer), then recorded in one entry (docs/spec/erasure.md, "People and rules").
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "app/people.h"
#include "app/rules.h"
#include "app/vault.h"
#include "crypto/person_key.h"

namespace kesu {

// An approval serves for 14 days; what waits longer could never run.
constexpr int64_t kMaxWaitingSeconds = 13LL * 24 * 3600;

struct Newcomer {
  std::string name, title, key_file;
  std::vector<std::string> roles;
  Millis until = 0;
};
// The change that is meant, from the state as it is. Errors: usage, bad_input (a key, a role, a time that is
// over), already_exists (name or key taken), not_enrolled (revoked), state_refused (nothing would change, or
// too few approvers would be left), policy_refused (below what the profile asks).
RuleChange enrol_change(Vault& vault, const Newcomer& newcomer);
RuleChange grant_change(Vault& vault, const OperatorRecord& person, const std::string& role, Millis until);
RuleChange withdraw_change(Vault& vault, const OperatorRecord& person, const std::string& role);
RuleChange renew_change(Vault& vault, const OperatorRecord& person, Millis until);
RuleChange revoke_change(Vault& vault, const OperatorRecord& person);
// What is named takes the place of all of its kind (docs/spec/erasure.md, "Anchors").
struct AnchorOrder {
  std::vector<std::string> time_files;  // PEM: certificates under which time-stamps count
  std::vector<std::string> witnesses;   // vkeys
  std::optional<int64_t> witness_quorum = std::nullopt;
  bool any_time = false, any_witness = false;  // bound no more

  bool empty() const;
};
// `from` as the order changes it. Errors: usage, bad_input (a file, a vkey), and those of files.
Anchors ordered_anchors(const Anchors& from, const AnchorOrder& order);
struct RulesOrder {
  std::optional<int64_t> quorum, waiting_seconds;
  std::string profile;  // empty: as it is
  std::optional<bool> signed_commands = std::nullopt;
  AnchorOrder anchors = {};
};
RuleChange rules_change(Vault& vault, const RulesOrder& order);

// A change that waits for signatures, or was just recorded.
struct Proposal {
  std::string id;  // first digits of the statement's SHA-256
  ChangeStatement statement;
  std::vector<std::string> signed_by;  // approvers that count
  int64_t need = 0;
  bool newcomer_missing = false;
  std::optional<uint64_t> entry;  // once it is recorded
  Millis effective = 0;           // then
};

// Writes the statement, or finds the one of the same change and reason that still fits. Returns its id.
std::string propose_change(Vault& vault, const RuleChange& change, const std::string& reason);
// Proposals that still fit, oldest first.
std::vector<Proposal> proposals(Vault& vault);
// One person's consent: an approver's, or the newcomer's own. A consent that was given is kept, and needs no
// second signature. With the last one needed the change is recorded. Errors: not_found, not_enrolled,
// signature_bad, state_refused (people or rules were changed since it was proposed).
Proposal sign_change(Vault& vault, const std::string& id, const std::string& person,
                     const SignatureSource& source);
// Writes the statement for somebody who signs elsewhere. Returns the namespace.
std::string export_change(Vault& vault, const std::string& id, const std::string& file);

Json proposal_json(const State& state, const Proposal& p);
Json change_record_json(const State& state, const ChangeRecord& c, Millis now);
// "ssh-ed25519", …; "x509" of whoever has a certificate.
std::string person_key_type(const PersonKey& key);
// `state`: enrolled, pending, ended, revoked.
Json operator_json(const State& state, const OperatorRecord& person, const Moment& now);

}  // namespace kesu
