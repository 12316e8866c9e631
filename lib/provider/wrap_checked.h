// How data keys are wrapped: what the provider gives is opened again before anybody relies on it. A token may
// say that it encrypted and not have done so; the older way in may be destroyed on the strength of the new
// one.
#pragma once
#include <string>

#include "provider/provider.h"

namespace kesu {

// Provider::wrap, then Provider::unwrap of what came out, under the same key and AAD, compared with `key` in
// constant time. `what` names whose key it is, for the error. Errors: those of both calls; provider_failed
// where what came out does not open, or opens to something else: nothing of it may be written then.
WrappedKey wrap_checked(Provider& provider, const KeyRef& ref, const Secret& key, ByteView aad,
                        const std::string& what);

}  // namespace kesu
