// Statements that people sign, and the genesis statement (docs/spec/erasure.md). Pure: bytes in, values out.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/json.h"
#include "erasure/anchors.h"

namespace kesu {

struct Statement {
  std::string action;  // request, approve, reject, verify, validate
  VaultId vault;
  std::string organisation;
  ErasureId erasure;
  std::string plan;  // hex digest
  std::string role;  // role_for(action)
  OperatorId operator_id;
  std::string name;
  std::vector<std::string> summary;
  Millis expires = 0;

  std::string text() const;  // the bytes that are signed
  static Statement parse(
      std::string_view text);  // strict: text() of the result equals the input. Throws bad_input
  std::string signature_namespace() const { return "kesu-" + action + "-v1"; }
};

// What a person reads of a plan before signing: the statement's `summary`, wholly determined by the plan.
// Throws bad_input for what is no plan (docs/spec/erasure.md, "Statement").
std::vector<std::string> plan_summary(const Json& plan);
// The same of a verifier: `transcripts` are providers' names and the SHA-256 of their transcripts after.
std::vector<std::string> verify_summary(const Json& plan,
                                        const std::vector<std::pair<std::string, std::string>>& transcripts);
// And of a validator, whose word rests on the verifier's statement.
std::vector<std::string> validate_summary(const Json& plan, const std::string& verifier,
                                          const std::string& statement);
// operator for request; approver for approve and reject; verifier, validator. Throws bad_input.
std::string role_for(const std::string& action);
// A statement serves at most this long from the ledger entry that carries it.
constexpr Millis kMaxStatementLife = 31LL * 24 * 3600 * 1000;

struct GenesisOfficer {
  std::string name, title, public_key;
  std::vector<std::string> roles;
};
struct Genesis {
  VaultId vault;
  std::string organisation, origin, profile;
  int64_t quorum = 1;
  int64_t waiting_seconds = 0;
  bool signed_commands = false;
  std::vector<GenesisOfficer> officers;
  Anchors anchors = {};  // docs/spec/erasure.md, "Anchors"

  std::string text() const;
  // Strict as above, and complete: at least one operator, at least `quorum` approvers, distinct names and
  // keys.
  static Genesis parse(std::string_view text);
};
constexpr std::string_view kGenesisNamespace = "kesu-genesis-v1";

}  // namespace kesu
