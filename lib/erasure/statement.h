// Statements that people sign, and the genesis statement (docs/spec/erasure.md). Pure: bytes in, values out.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/json.h"

namespace kesu {

struct Statement {
  std::string action;  // request, approve, reject
  VaultId vault;
  std::string organisation;
  ErasureId erasure;
  std::string plan;  // hex digest
  std::string role;  // operator for a request, approver for approve and reject
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
  std::vector<GenesisOfficer> officers;

  std::string text() const;
  // Strict as above, and complete: at least one operator, at least `quorum` approvers, distinct names and
  // keys.
  static Genesis parse(std::string_view text);
};
constexpr std::string_view kGenesisNamespace = "kesu-genesis-v1";

}  // namespace kesu
