// Wrapping a data key, and the proof that the wrap opens.
#include "provider/wrap_checked.h"

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/mac.h"

namespace kesu {

namespace {
Error believed_nothing(const KeyRef& ref, const std::string& what, const std::string& cause) {
  return Error(Code::provider_failed, "the provider did not wrap the data key of " + what)
      .tried("wrapping it with " + ref.label + ", and opening what came out")
      .cause(cause)
      .next(
          "nothing was written for it; kesu provider test says how the provider does, then the same command "
          "again");
}

// What came out, or the error that names whose key it was.
Secret opened_again(Provider& provider, const KeyRef& ref, const WrappedKey& wrapped, ByteView aad,
                    const std::string& what) {
  try {
    return provider.unwrap(ref, wrapped, aad);
  } catch (const Error& e) {
    // A session that was told of an encryption which never happened also answers so: CKR_OPERATION_ACTIVE.
    if (e.code() != Code::sealed_damaged && e.code() != Code::provider_failed) throw;
    throw believed_nothing(ref, what, e.message() + (e.cause().empty() ? "" : ": " + e.cause()));
  }
}

Error another_key(const KeyRef& ref, const std::string& what) {
  return believed_nothing(ref, what, "it said that it did; what came out opens to something else");
}
}  // namespace

WrappedKey wrap_checked(Provider& provider, const KeyRef& ref, const Secret& key, ByteView aad,
                        const std::string& what) {
  WrappedKey wrapped = provider.wrap(ref, key, aad);
  const Secret opened = opened_again(provider, ref, wrapped, aad, what);
  if (!equal_constant_time(opened.reveal(), key.reveal())) throw another_key(ref, what);
  return wrapped;
}

void prove_wrap(Provider& provider, const KeyRef& ref, const WrapClaim& claim, const Secret& tag_key) {
  const Secret opened = opened_again(provider, ref, claim.wrapped, claim.aad, claim.what);
  if (!equal_constant_time(hmac_sha256(tag_key, opened.reveal()), claim.tag))
    throw another_key(ref, claim.what);
}

}  // namespace kesu
