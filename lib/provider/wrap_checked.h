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

// A wrap that is still to be proven, without the data key: `tag` is HMAC-SHA-256 of the key under a random
// key of this process. From 32 random bytes and their tag nobody learns anything of the data key.
struct WrapClaim {
  WrappedKey wrapped;
  Bytes aad;
  Digest32 tag{};
  std::string what;
};
// Provider::unwrap of the claim, whose tag must be the same. Errors as wrap_checked.
void prove_wrap(Provider& provider, const KeyRef& ref, const WrapClaim& claim, const Secret& tag_key);

}  // namespace kesu
