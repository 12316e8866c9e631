// The embedded keystore: keys in one sealed file (docs/spec/soft-keystore.md). TEST GRADE always.
#pragma once
#include <memory>

#include "provider/provider.h"

namespace kesu {

// Opens 'soft:/absolute/path?passphrase-source=…'; with `create=yes` in the query it makes the file where
// there is none, `iterations=N` says how often PBKDF2 goes round then.
std::unique_ptr<ProviderFactory> soft_factory();

}  // namespace kesu
