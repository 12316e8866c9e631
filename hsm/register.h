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

// Makes a token with this label and PINs in an empty slot of a PKCS #11 module: for demonstrations and tests
// with software tokens. Errors: module_absent, token_absent (no empty slot), provider_failed.
void make_test_token(const std::string& module_path, const std::string& label, const Secret& so_pin,
                     const Secret& pin);

// "pkcs11:", …
std::vector<std::string> provider_schemes();

}  // namespace kesu
