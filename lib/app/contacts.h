// Use case: how the organisation and its people are reached, and where each acts. What a certificate's record
// of sanitization says of them (docs/spec/certificate.md, "Record of sanitization").
#pragma once
#include <optional>
#include <string>

#include "app/vault.h"

namespace kesu {

// `person`: a name or identifier; empty: the organisation itself. What is not given stays as it was.
// Errors: usage (nothing given), bad_input (control characters, more than 500 bytes), not_found.
void record_contact(Vault& vault, const std::string& person, const std::optional<std::string>& contact,
                    const std::optional<std::string>& place);

// [{"node","name","contact","place","recorded"}]: the organisation, then everybody who is or was enrolled.
Json contacts_json(const State& state);

}  // namespace kesu
