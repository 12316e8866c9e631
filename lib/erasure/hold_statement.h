// The statement with which an approver lets a legal hold be released (docs/spec/erasure.md, "Holds"). Pure:
// bytes in, values out.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"

namespace kesu {

struct HoldStatement {
  VaultId vault;
  std::string organisation;
  HoldId hold;
  std::string subject;  // the node: `ds-…` or `key-….n`
  std::string detail;   // its name, as people read it
  std::string case_number;
  std::string reason;  // of the release
  Millis issued = 0;
  OperatorId operator_id;
  std::string name;

  // What the person reads: wholly determined by the members above.
  std::vector<std::string> summary() const;
  std::string text() const;  // the bytes that are signed
  // Strict: text() of the result equals the input. Throws bad_input.
  static HoldStatement parse(std::string_view text);
};
constexpr std::string_view kHoldNamespace = "kesu-release-v1";
// A statement serves at most this long after `issued`.
constexpr Millis kMaxHoldStatementAge = 31LL * 24 * 3600 * 1000;

}  // namespace kesu
