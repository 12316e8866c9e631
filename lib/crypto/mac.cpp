// HMAC over OpenSSL EVP_MAC.
#include "crypto/mac.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "crypto/openssl_impl.h"

namespace kesu {

using namespace ossl;

namespace {
// A context that knows its digest but no key; each use works on a duplicate, which is freed (and so zeroed)
// after it: a context reused per thread would keep the last key in ordinary memory.
MacCtx unkeyed() {
  static EVP_MAC_CTX* const kTemplate = [] {
    Mac mac(check(EVP_MAC_fetch(nullptr, "HMAC", nullptr), "fetching HMAC"));
    MacCtx ctx(check(EVP_MAC_CTX_new(mac.get()), "making a MAC context"));
    char digest[] = "SHA2-256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_END};
    check(EVP_MAC_CTX_set_params(ctx.get(), params), "choosing HMAC's digest");
    return ctx.release();
  }();
  return MacCtx(check(EVP_MAC_CTX_dup(kTemplate), "making a MAC context"));
}

MacCtx keyed(std::span<const uint8_t> key) {
  static const uint8_t kNone = 0;  // a null pointer would mean "the key as before"
  MacCtx ctx = unkeyed();
  check(EVP_MAC_init(ctx.get(), key.empty() ? &kNone : key.data(), key.size(), nullptr),
        "setting an HMAC key");
  return ctx;
}

Digest32 finished(EVP_MAC_CTX* ctx) {
  Digest32 out;
  size_t size = 0;
  check(EVP_MAC_final(ctx, out.data(), &size, out.size()), "finishing an HMAC");
  return out;
}
}  // namespace

struct HmacSha256::State {
  MacCtx ctx;
};

HmacSha256::HmacSha256(std::span<const uint8_t> key) : state_(new State{keyed(key)}) {}
HmacSha256::HmacSha256(HmacSha256&&) noexcept = default;
HmacSha256& HmacSha256::operator=(HmacSha256&&) noexcept = default;
HmacSha256::~HmacSha256() = default;

HmacSha256& HmacSha256::update(ByteView data) {
  check(EVP_MAC_update(state_->ctx.get(), data.data(), data.size()), "computing an HMAC");
  return *this;
}

Digest32 HmacSha256::finish() {
  Digest32 out = finished(state_->ctx.get());
  check(EVP_MAC_init(state_->ctx.get(), nullptr, 0, nullptr), "starting an HMAC");
  return out;
}

Digest32 hmac_sha256(std::span<const uint8_t> key, std::span<const ByteView> parts) {
  MacCtx ctx = keyed(key);
  for (ByteView part : parts) check(EVP_MAC_update(ctx.get(), part.data(), part.size()), "computing an HMAC");
  return finished(ctx.get());
}

}  // namespace kesu
