// Hashing over OpenSSL EVP, with contexts and digests that are made once.
#include "crypto/hash.h"

#include "crypto/openssl_impl.h"

namespace kesu {

namespace ossl {
std::string take_errors() {
  std::string text;
  while (unsigned long code = ERR_get_error()) {
    char line[256];
    ERR_error_string_n(code, line, sizeof line);
    if (!text.empty()) text += "; ";
    text += line;
  }
  return text;
}

void fail(std::string_view doing) {
  throw Error(Code::failed, std::string(doing) + " failed").tried(std::string(doing)).cause(take_errors());
}

const EVP_MD* fetched(HashAlg alg) {
  // OpenSSL reads its configuration with the first of them, and gives no reason where memory ends meanwhile.
  static const auto fetch = [](const char* name) {
    if (const EVP_MD* md = EVP_MD_fetch(nullptr, name, nullptr)) return md;
    throw Error(Code::failed, "OpenSSL has no " + std::string(name))
        .cause(take_errors())
        .next("raise the limit on memory, or mend OpenSSL's configuration, then run the same command again");
  };
  static const EVP_MD* const kMds[] = {fetch("SHA2-256"), fetch("SHA2-384"), fetch("SHA2-512")};
  return kMds[static_cast<size_t>(alg)];
}
}  // namespace ossl

using namespace ossl;

namespace {
MdCtx started(HashAlg alg) {
  MdCtx ctx(check(EVP_MD_CTX_new(), "making a hash context"));
  check(EVP_DigestInit_ex2(ctx.get(), fetched(alg), nullptr), "starting a hash");
  return ctx;
}

// The digest is set once; starting again with the same one costs a tenth of a fetch.
EVP_MD_CTX* restarted_sha256() {
  thread_local MdCtx ctx = started(HashAlg::sha256);
  check(EVP_DigestInit_ex2(ctx.get(), nullptr, nullptr), "starting a hash");
  return ctx.get();
}

Digest32 finished(EVP_MD_CTX* ctx) {
  Digest32 out;
  check(EVP_DigestFinal_ex(ctx, out.data(), nullptr), "finishing a hash");
  return out;
}
}  // namespace

std::string_view hash_name(HashAlg alg) {
  return alg == HashAlg::sha256 ? "SHA-256" : alg == HashAlg::sha384 ? "SHA-384" : "SHA-512";
}

Digest32 sha256(ByteView data) {
  EVP_MD_CTX* ctx = restarted_sha256();
  check(EVP_DigestUpdate(ctx, data.data(), data.size()), "hashing");
  return finished(ctx);
}

Digest32 sha256(std::span<const ByteView> parts) {
  EVP_MD_CTX* ctx = restarted_sha256();
  for (ByteView part : parts) check(EVP_DigestUpdate(ctx, part.data(), part.size()), "hashing");
  return finished(ctx);
}

Digest32 sha256(std::initializer_list<ByteView> parts) {
  return sha256(std::span<const ByteView>(parts.begin(), parts.size()));
}

Bytes hash(HashAlg alg, ByteView data) { return Hasher(alg).update(data).finish(); }

struct Hasher::State {
  MdCtx ctx;
};

Hasher::Hasher(HashAlg alg) : alg_(alg), state_(new State{started(alg)}) {}
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

Hasher& Hasher::update(ByteView data) {
  check(EVP_DigestUpdate(state_->ctx.get(), data.data(), data.size()), "hashing");
  return *this;
}

void Hasher::finish(std::span<uint8_t> out) {
  if (out.size() < digest_size(alg_)) throw Error(Code::bad_input, "the buffer is too small for the digest");
  check(EVP_DigestFinal_ex(state_->ctx.get(), out.data(), nullptr), "finishing a hash");
  check(EVP_DigestInit_ex2(state_->ctx.get(), nullptr, nullptr), "starting a hash");
}

Bytes Hasher::finish() {
  Bytes out(digest_size(alg_));
  finish(std::span<uint8_t>(out));
  return out;
}

}  // namespace kesu
