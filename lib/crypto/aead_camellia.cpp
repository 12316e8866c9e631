// Camellia-256-GCM through libgcrypt: OpenSSL 3.0 has no GCM for it, and its Camellia is several times
// slower.
#include <gcrypt.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "crypto/aead_impl.h"

namespace kesu {

namespace {
void init_gcrypt() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P)) return;  // another library of the process did it
    if (!gcry_check_version("1.8.0"))
      throw Error(Code::failed, "libgcrypt is too old: 1.8 or newer is needed");
    // Its locked pool is small and fixed; contexts are zeroed when closed, and Secret keeps the key itself.
    gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
  });
}

void check(gcry_error_t err, std::string_view doing) {
  if (!err) return;
  throw Error(Code::failed, std::string(doing) + " failed")
      .tried(std::string(doing) + " (Camellia-256-GCM)")
      .cause(std::string(gcry_strsource(err)) + ": " + gcry_strerror(err));
}

class CamelliaEngine final : public Aead::Engine {
 public:
  explicit CamelliaEngine(std::span<const uint8_t> key) {
    init_gcrypt();
    if (gcry_error_t err = gcry_cipher_open(&handle_, GCRY_CIPHER_CAMELLIA256, GCRY_CIPHER_MODE_GCM, 0))
      throw Error(Code::mechanism_absent, "this libgcrypt has no Camellia-256-GCM").cause(gcry_strerror(err));
    if (gcry_error_t err = gcry_cipher_setkey(handle_, key.data(), key.size())) {
      gcry_cipher_close(handle_);
      check(err, "setting a content key");
    }
  }
  CamelliaEngine(const CamelliaEngine&) = delete;
  CamelliaEngine& operator=(const CamelliaEngine&) = delete;
  ~CamelliaEngine() override { gcry_cipher_close(handle_); }

  void seal(AeadNonce nonce, ByteView aad, ByteView plain, uint8_t* out) override {
    start(nonce, aad);
    gcry_cipher_final(handle_);
    if (!plain.empty())
      check(out == plain.data() ? gcry_cipher_encrypt(handle_, out, plain.size(), nullptr, 0)
                                : gcry_cipher_encrypt(handle_, out, plain.size(), plain.data(), plain.size()),
            "encrypting");
    check(gcry_cipher_gettag(handle_, out + plain.size(), kAeadTag), "making a tag");
  }

  bool open(AeadNonce nonce, ByteView aad, ByteView cipher, const uint8_t* tag, uint8_t* out) override {
    uint8_t expected[kAeadTag];
    std::copy_n(tag, kAeadTag, expected);
    start(nonce, aad);
    gcry_cipher_final(handle_);
    if (!cipher.empty())
      check(out == cipher.data()
                ? gcry_cipher_decrypt(handle_, out, cipher.size(), nullptr, 0)
                : gcry_cipher_decrypt(handle_, out, cipher.size(), cipher.data(), cipher.size()),
            "decrypting");
    const gcry_error_t err = gcry_cipher_checktag(handle_, expected, kAeadTag);
    if (gcry_err_code(err) == GPG_ERR_CHECKSUM) return false;
    check(err, "checking a tag");
    return true;
  }

 private:
  void start(AeadNonce nonce, ByteView aad) {
    check(gcry_cipher_reset(handle_), "starting a message");
    check(gcry_cipher_setiv(handle_, nonce.data(), nonce.size()), "setting a nonce");
    if (!aad.empty())
      check(gcry_cipher_authenticate(handle_, aad.data(), aad.size()), "adding associated data");
  }

  gcry_cipher_hd_t handle_ = nullptr;
};
}  // namespace

std::unique_ptr<Aead::Engine> make_camellia_engine(std::span<const uint8_t> key) {
  return std::make_unique<CamelliaEngine>(key);
}

}  // namespace kesu
