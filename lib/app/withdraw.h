// Use case: a certificate is withdrawn, by as many approvers as an erasure takes (docs/spec/erasure.md,
// "Withdrawal").
#pragma once
#include <string>

#include "app/people.h"
#include "app/vault.h"

namespace kesu {

// Writes the statement that this approver would sign; the same bytes are expected back with the signature.
// Returns the namespace. Errors: usage (no reason), not_enrolled, state_refused (withdrawn before).
std::string export_withdrawal(Vault& vault, const std::string& certificate, const std::string& reason,
                              const OperatorRecord& person, const std::string& file);

struct WithdrawCount {
  int64_t have = 0, need = 0;
  bool withdrawn = false;
};
// One approver's consent; with the last that the quorum asks for, one entry with all of them withdraws it.
// Errors: those of export_withdrawal, signature_bad.
WithdrawCount withdraw_certificate(Vault& vault, const std::string& certificate, const std::string& reason,
                                   const OperatorRecord& person, const SignatureSource& source);

// Throws state_refused when it was withdrawn, saying when and why. `next`: what else can be done.
void refuse_withdrawn(const CertificateRecord& certificate, const std::string& next);

// {"id","erasure","state","issued","withdrawn","withdraw_reason"}
Json certificate_json(const CertificateRecord& certificate);

}  // namespace kesu
