// The statement of an officer who attended the making of a key version (docs/spec/erasure.md, "Key
// attestation statement"). Pure: bytes in, values out.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/json.h"

namespace kesu {

struct AttestStatement {
  VaultId vault;
  std::string organisation;
  VersionRef version;
  std::string key;       // "loans.1"
  std::string provider;  // its name
  Json identity;         // as provider-added has it
  Json attributes;       // what the provider says of the key, all of it
  std::string birth;     // hex SHA-256 of the birth record
  Millis born = 0;       // time of key-created
  std::string canary;    // its digest, hex
  std::string transcript;
  std::string role;  // auditor or verifier
  Millis issued = 0;
  OperatorId operator_id;
  std::string name;

  // What the person reads: wholly determined by the members above.
  std::vector<std::string> summary() const;
  std::string text() const;  // the bytes that are signed
  // Strict: text() of the result equals the input. Throws bad_input.
  static AttestStatement parse(std::string_view text);
};
constexpr std::string_view kAttestNamespace = "kesu-key-attest-v1";
// After key-created nobody attends its making any more.
constexpr Millis kMaxAttestDelay = 24LL * 3600 * 1000;
// Roles that may attest, in the order in which one is chosen.
constexpr std::string_view kAttestRoles[] = {"auditor", "verifier"};

// Do the attributes say that the key was generated inside and never could leave (docs/spec/certificate.md,
// `birth-recorded`)? Those of PKCS #11.
bool stayed_inside(const Json& attributes);

}  // namespace kesu
