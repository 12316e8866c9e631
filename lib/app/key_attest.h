// Use case: an officer who attended the making of a key version signs what the token says of it
// (docs/spec/keys.md, "Attended births").
#pragma once
#include <string>

#include "app/key_states.h"
#include "app/people.h"
#include "app/vault.h"

namespace kesu {

// Looks at the key anew (attributes, canary, in a process of its own), and writes the statement that this
// person would sign; the same bytes are expected back with the signature. Returns the namespace. Errors:
// usage (which version?), not_enrolled, requester_is_approver (an operator), state_refused (imported,
// adopted, in software, not alive any more, something wrapped under it, too late, attested already by this
// person), policy_refused (what the token says of it), key_mismatch, provider_unavailable.
std::string export_attestation(Vault& vault, const KeyWord& which, const OperatorRecord& person,
                               const std::string& file);
// The same, signed: with a signature made elsewhere it is the exported statement that counts, whose
// transcript and attributes are judged again. Returns the version. Errors: those of export_attestation,
// not_found (nothing was exported), signature_bad.
std::string attest_key(Vault& vault, const KeyWord& which, const OperatorRecord& person,
                       const SignatureSource& source);

}  // namespace kesu
