// The allowed_signers file of a bundle, as issuer and reader both make it. For lib/certificate itself.
#pragma once
#include <string>
#include <vector>

namespace kesu::dossier {

struct Dossier;
// Whether the ledger has a verification or validation of this erasure: their namespaces are listed then.
bool has_later_acts(const Dossier& d);
// One line per officer of the genesis statement, in its order; the principal is the operator's identifier.
std::string allowed_signers_text(const Dossier& d);
std::string allowed_signer_line(const std::string& id, const std::vector<std::string>& roles,
                                const std::string& public_key, bool later_acts);

}  // namespace kesu::dossier
