// The statement with which an approver withdraws a certificate (docs/spec/erasure.md, "Withdrawal"). Pure:
// bytes in, values out.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"

namespace kesu {

struct WithdrawStatement {
  VaultId vault;
  std::string organisation;
  CertificateId certificate;
  std::string document;  // hex SHA-256 of certificate.json
  ErasureId erasure;
  std::string datasets;  // names, joined by ", "
  std::string reason;
  Millis issued = 0;  // the statement, not the certificate
  OperatorId operator_id;
  std::string name;

  // What the person reads: wholly determined by the members above.
  std::vector<std::string> summary() const;
  std::string text() const;  // the bytes that are signed
  // Strict: text() of the result equals the input. Throws bad_input.
  static WithdrawStatement parse(std::string_view text);
};
constexpr std::string_view kWithdrawNamespace = "kesu-withdraw-v1";
// A statement serves at most this long after `issued`.
constexpr Millis kMaxWithdrawStatementAge = 31LL * 24 * 3600 * 1000;

}  // namespace kesu
