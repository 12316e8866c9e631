// AEADs: the table of algorithms and the engine over OpenSSL EVP.
#include "crypto/aead.h"

#include <algorithm>

#include "crypto/aead_impl.h"
#include "crypto/openssl_impl.h"

namespace kesu {

using namespace ossl;

namespace {
struct Row {
  AeadAlg alg;
  std::string_view name;
  const char* openssl;  // nullptr: libgcrypt, whose Camellia is several times faster and has GCM
};
constexpr Row kRows[] = {
    {AeadAlg::aes256_gcm, "AES-256-GCM", "AES-256-GCM"},
    {AeadAlg::chacha20_poly1305, "ChaCha20-Poly1305", "ChaCha20-Poly1305"},
    {AeadAlg::camellia256_gcm, "Camellia-256-GCM", nullptr},
    {AeadAlg::aes128_gcm, "AES-128-GCM", "AES-128-GCM"},
};
const Row& row(AeadAlg alg) {
  for (const Row& r : kRows)
    if (r.alg == alg) return r;
  throw Error(Code::bad_input, "unknown content algorithm " + std::to_string(static_cast<unsigned>(alg)));
}

// Fetched once for the process: a fetch takes a lock and a string search.
const EVP_CIPHER* fetched_cipher(AeadAlg alg) {
  static const EVP_CIPHER* const kCiphers[] = {
      EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr),
      EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr),
      EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr),
  };
  const EVP_CIPHER* cipher = kCiphers[alg == AeadAlg::aes256_gcm          ? 0
                                      : alg == AeadAlg::chacha20_poly1305 ? 1
                                                                          : 2];
  if (!cipher)
    throw Error(Code::mechanism_absent, "this OpenSSL has no " + std::string(aead_name(alg)))
        .cause(take_errors());
  return cipher;
}

class OpensslEngine final : public Aead::Engine {
 public:
  OpensslEngine(AeadAlg alg, std::span<const uint8_t> key)
      : ctx_(check(EVP_CIPHER_CTX_new(), "making a cipher context")) {
    check(EVP_EncryptInit_ex2(ctx_.get(), fetched_cipher(alg), key.data(), nullptr, nullptr),
          "setting a content key");
  }

  void seal(AeadNonce nonce, ByteView aad, ByteView plain, uint8_t* out) override {
    EVP_CIPHER_CTX* ctx = ctx_.get();
    check(EVP_EncryptInit_ex2(ctx, nullptr, nullptr, nonce.data(), nullptr), "setting a nonce");
    feed(ctx, nullptr, aad);
    feed(ctx, out, plain);
    int none = 0;
    uint8_t* tag = out + plain.size();
    check(EVP_EncryptFinal_ex(ctx, tag, &none), "encrypting");
    check(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, kAeadTag, tag), "making a tag");
  }

  bool open(AeadNonce nonce, ByteView aad, ByteView cipher, const uint8_t* tag, uint8_t* out) override {
    EVP_CIPHER_CTX* ctx = ctx_.get();
    uint8_t expected[kAeadTag];
    std::copy_n(tag, kAeadTag, expected);
    check(EVP_DecryptInit_ex2(ctx, nullptr, nullptr, nonce.data(), nullptr), "setting a nonce");
    check(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, kAeadTag, expected), "setting a tag");
    feed(ctx, nullptr, aad);
    feed(ctx, out, cipher);
    int none = 0;
    uint8_t nothing[kAeadTag];
    const bool good = EVP_DecryptFinal_ex(ctx, nothing, &none) > 0;
    if (!good) ERR_clear_error();
    return good;
  }

 private:
  // OpenSSL counts in int; a null `out` feeds associated data.
  static void feed(EVP_CIPHER_CTX* ctx, uint8_t* out, ByteView in) {
    constexpr size_t kPiece = 1u << 30;
    while (!in.empty()) {
      const size_t piece = std::min(kPiece, in.size());
      int done = 0;
      check(EVP_CipherUpdate(ctx, out, &done, in.data(), static_cast<int>(piece)),
            "encrypting or decrypting");
      if (out) out += piece;
      in = in.subspan(piece);
    }
  }

  CipherCtx ctx_;  // both ways: each message says which, and the key stays
};
}  // namespace

std::string_view aead_name(AeadAlg alg) { return row(alg).name; }

std::optional<AeadAlg> aead_from_name(std::string_view name) {
  for (const Row& r : kRows)
    if (r.name == name) return r.alg;
  return std::nullopt;
}

std::optional<AeadAlg> aead_from_number(uint16_t number) {
  for (const Row& r : kRows)
    if (static_cast<uint16_t>(r.alg) == number) return r.alg;
  return std::nullopt;
}

Aead::Aead(AeadAlg alg, std::span<const uint8_t> key, AeadUse use) : alg_(alg) {
  const Row& r = row(alg);
  if (key.size() != aead_key_size(alg))
    throw Error(Code::bad_input, std::string(r.name) + " takes a key of " +
                                     std::to_string(aead_key_size(alg)) + " bytes, not " +
                                     std::to_string(key.size()));
  if (use == AeadUse::much) engine_ = make_wide_engine(alg, key);
  if (engine_) return;
  if (r.openssl)
    engine_ = std::make_unique<OpensslEngine>(alg, key);
  else
    engine_ = make_camellia_engine(key);
}
Aead::Aead(Aead&&) noexcept = default;
Aead& Aead::operator=(Aead&&) noexcept = default;
Aead::~Aead() = default;

void Aead::seal(AeadNonce nonce, ByteView aad, ByteView plain, std::span<uint8_t> out) {
  if (out.size() != plain.size() + kAeadTag)
    throw Error(Code::bad_input, "seal: the output has a wrong size");
  engine_->seal(nonce, aad, plain, out.data());
}

Bytes Aead::seal(AeadNonce nonce, ByteView aad, ByteView plain) {
  Bytes out(plain.size() + kAeadTag);
  seal(nonce, aad, plain, out);
  return out;
}

bool Aead::open(AeadNonce nonce, ByteView aad, ByteView sealed, std::span<uint8_t> out) {
  if (sealed.size() < kAeadTag) {
    wipe(out);
    return false;
  }
  const size_t size = sealed.size() - kAeadTag;
  if (out.size() != size) throw Error(Code::bad_input, "open: the output has a wrong size");
  if (engine_->open(nonce, aad, sealed.first(size), sealed.data() + size, out.data())) return true;
  wipe(out);
  return false;
}

std::optional<Bytes> Aead::open(AeadNonce nonce, ByteView aad, ByteView sealed) {
  if (sealed.size() < kAeadTag) return std::nullopt;
  Bytes out(sealed.size() - kAeadTag);
  if (!open(nonce, aad, sealed, out)) return std::nullopt;
  return out;
}

}  // namespace kesu
