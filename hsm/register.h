// The one list of providers that this program knows.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "provider/provider.h"

namespace kesu {

// Opens a provider by the scheme of its URI. Besides the errors of ProviderFactory::open: bad_input for a
// scheme that is not in the list, naming those that are.
std::unique_ptr<ProviderFactory> provider_factory();

// "pkcs11:", …
std::vector<std::string> provider_schemes();

}  // namespace kesu
