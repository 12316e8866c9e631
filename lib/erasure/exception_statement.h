// The statement with which an approver lets a limit be passed (docs/spec/erasure.md, "Exception statement").
// Pure: bytes in, values out.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"

namespace kesu {

struct ExceptionStatement {
  VaultId vault;
  std::string organisation;
  std::string what;     // originator-period, recipient-period, algorithm
  std::string subject;  // the node: `key-….n`, for an algorithm the vault
  std::string detail;   // `loans.1`; `AES-KW for wrap`
  std::string reason;
  Millis until = 0;
  Millis issued = 0;
  OperatorId operator_id;
  std::string name;

  // What the person reads: wholly determined by the members above.
  std::vector<std::string> summary() const;
  std::string text() const;  // the bytes that are signed
  // Strict: text() of the result equals the input. Throws bad_input.
  static ExceptionStatement parse(std::string_view text);
};
constexpr std::string_view kExceptionNamespace = "kesu-exception-v1";
// A statement may be recorded at most this long after `issued`.
constexpr Millis kMaxExceptionAge = 31LL * 24 * 3600 * 1000;

}  // namespace kesu
