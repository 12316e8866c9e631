// The one list of providers that this program knows.
#pragma once
#include <memory>
#include <string>
#include <utility>
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

// The URI of an object that kesu did not make, 'pkcs11:token=…;object=LABEL;id=%01%02': its token's names in
// a form of their own, for object_uri_fits, and what to look for there. Error bad_input naming what does not
// fit: another scheme, no object, a query (the provider's own record has module and PIN source).
std::pair<std::string, ObjectSelector> parse_object_uri(const std::string& uri);
// Does this provider's token bear the names of that part? What the URI leaves out fits every token.
bool object_uri_fits(const std::string& token_part, const ProviderIdentity& identity);

// "pkcs11:", …
std::vector<std::string> provider_schemes();

}  // namespace kesu
