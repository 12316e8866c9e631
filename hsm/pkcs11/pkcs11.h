// Providers behind PKCS #11 modules (docs/providers/pkcs11.md).
#pragma once
#include <memory>
#include <string>
#include <utility>

#include "provider/provider.h"

namespace kesu {

// Opens `pkcs11:` URIs (RFC 7512). All providers of a process share one initialisation of each module, and
// with it the login at each token: a second provider of the same token finds the process logged in. Use from
// one thread; the providers that it opened may then go to one thread each. A forked child must open its own
// factory after exec.
std::unique_ptr<ProviderFactory> pkcs11_factory();

// As in hsm/register.h, for `pkcs11:`.
std::pair<std::string, ObjectSelector> pkcs11_object_uri(const std::string& uri);
bool pkcs11_token_fits(const std::string& token_part, const ProviderIdentity& identity);

}  // namespace kesu
