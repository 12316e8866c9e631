// Whether the vault can still show who released a hold: a reader of a certificate asks for it, and a release
// that it cannot see releases nothing (docs/spec/erasure.md, "Holds").
#pragma once
#include <string>

#include "app/vault.h"

namespace kesu {

// Why no recorded release of this hold would count to a reader: statements or signatures are lost, altered or
// no good ones, so that fewer approvers are shown than the quorum then asked for. "" where one would, and of
// a hold that stands. Reads the ledger's headers.
std::string release_problem(Vault& vault, const HoldRecord& hold);

}  // namespace kesu
