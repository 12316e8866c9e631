// AES-GCM through libipsec-mb, whose code for processors with VAES and 512-bit registers does in one core
// what OpenSSL 3.0 does in four (docs/decisions/0032-wide-registers.md). The one file that knows that
// library.
#ifdef KESU_IPSEC_MB
#include <dlfcn.h>
#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <cstring>
#endif

#include "crypto/aead_impl.h"

namespace kesu {

#ifdef KESU_IPSEC_MB
namespace {
constexpr const char* kLibrary = "libIPSec_MB.so.1";
// Its code for these instructions; and that it wipes its registers and stack, checks what it is given, and
// has passed its own known answers.
constexpr uint64_t kWanted = IMB_CPUFLAGS_AVX512_T2 | IMB_FEATURE_SAFE_DATA | IMB_FEATURE_SAFE_PARAM |
                             IMB_FEATURE_SELF_TEST | IMB_FEATURE_SELF_TEST_PASS;

// The functions of one key size.
struct WideGcm {
  aes_gcm_pre_t expand = nullptr;
  aes_gcm_enc_dec_t encrypt = nullptr, decrypt = nullptr;
};

struct Wide {
  WideGcm aes128, aes256;
  std::string version;
};

class WideEngine final : public Aead::Engine {
 public:
  WideEngine(const WideGcm& gcm, std::span<const uint8_t> key) : gcm_(gcm), memory_(sizeof(Keys) + kAlign) {
    const auto address = reinterpret_cast<uintptr_t>(memory_.reveal().data());
    keys_ = new (memory_.reveal().data() + (kAlign - address % kAlign) % kAlign) Keys;
    gcm_.expand(key.data(), &keys_->expanded);
  }

  void seal(AeadNonce nonce, ByteView aad, ByteView plain, uint8_t* out) override {
    gcm_.encrypt(&keys_->expanded, &keys_->message, out, plain.data(), plain.size(), nonce.data(), aad.data(),
                 aad.size(), out + plain.size(), kAeadTag);
  }

  bool open(AeadNonce nonce, ByteView aad, ByteView cipher, const uint8_t* tag, uint8_t* out) override {
    uint8_t expected[kAeadTag], found[kAeadTag];
    std::memcpy(expected, tag, kAeadTag);  // before `out` is written, which may reach into it
    std::memset(found, 0, kAeadTag);
    gcm_.decrypt(&keys_->expanded, &keys_->message, out, cipher.data(), cipher.size(), nonce.data(),
                 aad.data(), aad.size(), found, kAeadTag);
    return CRYPTO_memcmp(found, expected, kAeadTag) == 0;
  }

 private:
  struct Keys {
    gcm_key_data expanded;
    gcm_context_data message;
  };
  static constexpr size_t kAlign = alignof(Keys);

  const WideGcm& gcm_;
  Secret memory_;
  Keys* keys_;
};

// Both ways, with sizes around the steps of the code: what one library seals is what the other seals.
bool agrees(const Wide& wide) {
  std::array<uint8_t, 4096 + 33> plain;
  for (size_t i = 0; i < plain.size(); ++i) plain[i] = static_cast<uint8_t>(i * 7 + i / 256);
  const auto nonce = AeadNonce(std::span(plain).subspan<5, 12>());
  for (const AeadAlg alg : {AeadAlg::aes128_gcm, AeadAlg::aes256_gcm}) {
    const auto key = std::span(plain).subspan(100, aead_key_size(alg));
    Aead known(alg, key);
    WideEngine tried(alg == AeadAlg::aes128_gcm ? wide.aes128 : wide.aes256, key);
    for (const size_t size : {size_t{0}, size_t{1}, size_t{255}, plain.size()}) {
      const auto in = std::span(plain).first(size), aad = std::span(plain).first(size / 3);
      const Bytes sealed = known.seal(nonce, aad, in);
      Bytes out(size + kAeadTag), back(size);
      tried.seal(nonce, aad, in, out.data());
      if (out != sealed ||
          !tried.open(nonce, aad, std::span(out).first(size), out.data() + size, back.data()) ||
          !std::ranges::equal(back, in))
        return false;
      out[size] ^= 1;
      if (tried.open(nonce, aad, std::span(out).first(size), out.data() + size, back.data())) return false;
    }
  }
  return true;
}

std::optional<Wide> loaded() {
  // Who asked OpenSSL for validated code wants no other.
  if (EVP_default_properties_is_fips_enabled(nullptr)) return std::nullopt;
  void* library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (!library) return std::nullopt;
  const auto alloc = reinterpret_cast<decltype(&alloc_mb_mgr)>(::dlsym(library, "alloc_mb_mgr"));
  const auto init = reinterpret_cast<decltype(&init_mb_mgr_avx512)>(::dlsym(library, "init_mb_mgr_avx512"));
  const auto release = reinterpret_cast<decltype(&free_mb_mgr)>(::dlsym(library, "free_mb_mgr"));
  const auto version =
      reinterpret_cast<decltype(&imb_get_version_str)>(::dlsym(library, "imb_get_version_str"));
  if (!alloc || !init || !release || !version) return std::nullopt;
  IMB_MGR* manager = alloc(0);
  if (!manager) return std::nullopt;
  std::optional<Wide> out;
  // Another processor's code would be no faster than OpenSSL's.
  if ((manager->features & IMB_CPUFLAGS_AVX512_T2) == IMB_CPUFLAGS_AVX512_T2) {
    init(manager);
    Wide wide{{manager->gcm128_pre, manager->gcm128_enc, manager->gcm128_dec},
              {manager->gcm256_pre, manager->gcm256_enc, manager->gcm256_dec},
              version()};
    if ((manager->features & kWanted) == kWanted && agrees(wide)) out = std::move(wide);
  }
  release(manager);
  return out;
}

const std::optional<Wide>& wide() {
  static const std::optional<Wide> once = loaded();
  return once;
}
}  // namespace

std::unique_ptr<Aead::Engine> make_wide_engine(AeadAlg alg, std::span<const uint8_t> key) {
  if (alg != AeadAlg::aes128_gcm && alg != AeadAlg::aes256_gcm) return nullptr;
  if (!wide()) return nullptr;
  return std::make_unique<WideEngine>(alg == AeadAlg::aes128_gcm ? wide()->aes128 : wide()->aes256, key);
}

std::string wide_library() { return wide() ? wide()->version : ""; }

#else

std::unique_ptr<Aead::Engine> make_wide_engine(AeadAlg, std::span<const uint8_t>) { return nullptr; }
std::string wide_library() { return ""; }

#endif

}  // namespace kesu
