// Public keys and signature verification over OpenSSL EVP.
#include "crypto/sign.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>

#include "crypto/der_impl.h"
#include "crypto/sign_impl.h"

namespace kesu {

using namespace ossl;

namespace {
using EcdsaSig = Owned<ECDSA_SIG, ECDSA_SIG_free>;
using ParamBuild = Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using Params = Owned<OSSL_PARAM, OSSL_PARAM_free>;

constexpr int kMinRsaBits = 2048, kMaxRsaBits = 16384;
constexpr size_t kMaxSpki = 4096;

Error bad_key(std::string what) {
  std::string cause = take_errors();
  return Error(Code::bad_input, "public key: " + what).cause(std::move(cause));
}

struct Scheme {
  SigAlg alg;
  std::string_view name;
  enum Family { eddsa, ecdsa, pss, pkcs1 } family;
  HashAlg hash;
};
constexpr Scheme kSchemes[] = {
    {SigAlg::ed25519, "Ed25519", Scheme::eddsa, HashAlg::sha512},
    {SigAlg::ecdsa_sha256, "ECDSA with SHA-256", Scheme::ecdsa, HashAlg::sha256},
    {SigAlg::ecdsa_sha384, "ECDSA with SHA-384", Scheme::ecdsa, HashAlg::sha384},
    {SigAlg::ecdsa_sha512, "ECDSA with SHA-512", Scheme::ecdsa, HashAlg::sha512},
    {SigAlg::rsa_pss_sha256, "RSA-PSS with SHA-256", Scheme::pss, HashAlg::sha256},
    {SigAlg::rsa_pss_sha384, "RSA-PSS with SHA-384", Scheme::pss, HashAlg::sha384},
    {SigAlg::rsa_pss_sha512, "RSA-PSS with SHA-512", Scheme::pss, HashAlg::sha512},
    {SigAlg::rsa_pkcs1_sha256, "RSASSA-PKCS1-v1_5 with SHA-256", Scheme::pkcs1, HashAlg::sha256},
    {SigAlg::rsa_pkcs1_sha384, "RSASSA-PKCS1-v1_5 with SHA-384", Scheme::pkcs1, HashAlg::sha384},
    {SigAlg::rsa_pkcs1_sha512, "RSASSA-PKCS1-v1_5 with SHA-512", Scheme::pkcs1, HashAlg::sha512},
};
const Scheme& scheme(SigAlg alg) { return kSchemes[static_cast<size_t>(alg)]; }

KeyKind kind_of(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519")) return KeyKind::ed25519;
  if (EVP_PKEY_is_a(key, "RSA")) return KeyKind::rsa;
  if (EVP_PKEY_is_a(key, "EC")) {
    char group[64] = {};
    if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, nullptr)) {
      const std::string_view name(group);
      if (name == "prime256v1") return KeyKind::p256;
      if (name == "secp384r1") return KeyKind::p384;
      if (name == "secp521r1") return KeyKind::p521;
    }
    throw bad_key("only the curves P-256, P-384 and P-521 are accepted");
  }
  throw bad_key("only Ed25519, ECDSA and RSA keys are accepted");
}

void check_rsa(EVP_PKEY* key, int bits) {
  if (bits < kMinRsaBits || bits > kMaxRsaBits)
    throw bad_key("RSA of " + std::to_string(bits) + " bits; 2,048 to 16,384 are accepted");
  BIGNUM* e = nullptr;
  check(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e), "reading an RSA exponent");
  Bignum exponent(e);
  if (!BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > 64) throw bad_key("unusual RSA exponent");
}

// Takes the parsed key, checks it, and writes its canonical SubjectPublicKeyInfo.
std::shared_ptr<const PublicKey::State> checked(Pkey pkey) {
  auto state = std::make_shared<PublicKey::State>();
  state->kind = kind_of(pkey.get());
  state->bits = EVP_PKEY_get_bits(pkey.get());
  if (state->kind == KeyKind::rsa) {
    check_rsa(pkey.get(), state->bits);
  } else if (state->kind == KeyKind::ed25519) {
    state->bits = 256;
    state->raw.resize(32);
    size_t size = 32;
    check(EVP_PKEY_get_raw_public_key(pkey.get(), state->raw.data(), &size), "reading an Ed25519 key");
  } else {
    PkeyCtx ctx(check(EVP_PKEY_CTX_new_from_pkey(nullptr, pkey.get(), nullptr), "making a key context"));
    if (EVP_PKEY_public_check(ctx.get()) <= 0) throw bad_key("the point is not on its curve");
  }
  if (state->kind == KeyKind::ed25519) {
    // RFC 8410 §4, written here: OpenSSL looks through all its encoders for it, 0.3 ms at the start of a
    // command.
    state->spki = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
    state->spki.insert(state->spki.end(), state->raw.begin(), state->raw.end());
  } else {
    uint8_t* der = nullptr;
    const int size = i2d_PUBKEY(pkey.get(), &der);
    check(size, "writing a public key");
    state->spki.assign(der, der + size);
    OPENSSL_free(der);
  }
  if (const size_t field = field_size(state->kind)) {
    der::Reader spki = der::Reader(state->spki, "public key").enter(der::kSequence, "key");
    spki.next(der::kSequence, "algorithm");
    state->raw = to_bytes(spki.next(der::kBitString, "point").subspan(1));
    if (state->raw.size() != 1 + 2 * field || state->raw[0] != 0x04)
      throw bad_key("the point is not uncompressed");
  }
  state->pkey = std::move(pkey);
  return state;
}
}  // namespace

size_t field_size(KeyKind kind) {
  return kind == KeyKind::p256 ? 32 : kind == KeyKind::p384 ? 48 : kind == KeyKind::p521 ? 66 : 0;
}

std::string_view key_kind_name(KeyKind kind) {
  constexpr std::string_view kNames[] = {"Ed25519", "P-256", "P-384", "P-521", "RSA"};
  return kNames[static_cast<size_t>(kind)];
}

std::string_view sig_alg_name(SigAlg alg) { return scheme(alg).name; }

std::optional<HashAlg> sig_alg_hash(SigAlg alg) {
  if (alg == SigAlg::ed25519) return std::nullopt;
  return scheme(alg).hash;
}

PublicKey PublicKey::from_spki(ByteView der) {
  if (der.size() > kMaxSpki) throw bad_key("larger than 4,096 bytes");
  const uint8_t* at = der.data();
  Pkey pkey(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
  if (!pkey) throw bad_key("not a SubjectPublicKeyInfo");
  if (at != der.data() + der.size()) throw bad_key("bytes follow its end");
  PublicKey key(checked(std::move(pkey)));
  if (!std::ranges::equal(key.spki(), der)) throw bad_key("not in its canonical DER form");
  return key;
}

PublicKey PublicKey::from_ed25519(ByteView raw32) {
  if (raw32.size() != 32) throw bad_key("Ed25519 takes 32 bytes, not " + std::to_string(raw32.size()));
  Pkey pkey(EVP_PKEY_new_raw_public_key_ex(nullptr, "ED25519", nullptr, raw32.data(), raw32.size()));
  if (!pkey) throw bad_key("not an Ed25519 key");
  return PublicKey(checked(std::move(pkey)));
}

PublicKey PublicKey::from_ec_point(KeyKind curve, ByteView point) {
  const size_t field = field_size(curve);
  if (!field) throw bad_key(std::string(key_kind_name(curve)) + " keys are no points");
  if (point.size() != 1 + 2 * field || point[0] != 0x04)
    throw bad_key("not an uncompressed point on " + std::string(key_kind_name(curve)));
  const char* group = curve == KeyKind::p256 ? "P-256" : curve == KeyKind::p384 ? "P-384" : "P-521";
  ParamBuild build(check(OSSL_PARAM_BLD_new(), "making a key"));
  check(OSSL_PARAM_BLD_push_utf8_string(build.get(), OSSL_PKEY_PARAM_GROUP_NAME, group, 0), "making a key");
  check(OSSL_PARAM_BLD_push_octet_string(build.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()),
        "making a key");
  Params params(check(OSSL_PARAM_BLD_to_param(build.get()), "making a key"));
  PkeyCtx ctx(check(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr), "making a key"));
  check(EVP_PKEY_fromdata_init(ctx.get()), "making a key");
  EVP_PKEY* pkey = nullptr;
  if (EVP_PKEY_fromdata(ctx.get(), &pkey, EVP_PKEY_PUBLIC_KEY, params.get()) <= 0)
    throw bad_key("the point is not on " + std::string(key_kind_name(curve)));
  return PublicKey(checked(Pkey(pkey)));
}

PublicKey PublicKey::from_pkcs11_point(KeyKind kind, ByteView attribute) {
  const size_t inner = kind == KeyKind::ed25519 ? 32 : field_size(kind) ? 1 + 2 * field_size(kind) : 0;
  if (!inner) throw bad_key("RSA keys have no CKA_EC_POINT");
  ByteView point = attribute;
  if (point.size() != inner) {
    Bytes head{0x04};
    if (inner >= 0x80) head.push_back(0x81);
    head.push_back(static_cast<uint8_t>(inner));
    if (point.size() != head.size() + inner || !std::ranges::equal(point.first(head.size()), head))
      throw bad_key("CKA_EC_POINT is no OCTET STRING of " + std::to_string(inner) + " bytes");
    point = point.subspan(head.size());
  }
  return kind == KeyKind::ed25519 ? from_ed25519(point) : from_ec_point(kind, point);
}

PublicKey PublicKey::from_rsa(ByteView modulus, ByteView exponent) {
  if (modulus.size() > kMaxSpki || exponent.size() > 16) throw bad_key("RSA numbers are too large");
  Bignum n(check(BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr), "making a key"));
  Bignum e(check(BN_bin2bn(exponent.data(), static_cast<int>(exponent.size()), nullptr), "making a key"));
  if (!BN_is_odd(n.get())) throw bad_key("the RSA modulus is even");
  ParamBuild build(check(OSSL_PARAM_BLD_new(), "making a key"));
  check(OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_N, n.get()), "making a key");
  check(OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_E, e.get()), "making a key");
  Params params(check(OSSL_PARAM_BLD_to_param(build.get()), "making a key"));
  PkeyCtx ctx(check(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr), "making a key"));
  check(EVP_PKEY_fromdata_init(ctx.get()), "making a key");
  EVP_PKEY* pkey = nullptr;
  if (EVP_PKEY_fromdata(ctx.get(), &pkey, EVP_PKEY_PUBLIC_KEY, params.get()) <= 0)
    throw bad_key("not an RSA key");
  return PublicKey(checked(Pkey(pkey)));
}

KeyKind PublicKey::kind() const { return state_->kind; }
int PublicKey::bits() const { return state_->bits; }
const Bytes& PublicKey::spki() const { return state_->spki; }
const Bytes& PublicKey::raw() const { return state_->raw; }

namespace {
Bytes rsa_number(const PublicKey::State& state, const char* which) {
  if (state.kind != KeyKind::rsa) return {};
  BIGNUM* n = nullptr;
  check(EVP_PKEY_get_bn_param(state.pkey.get(), which, &n), "reading an RSA key");
  Bignum number(n);
  Bytes out(static_cast<size_t>(BN_num_bytes(n)));
  BN_bn2bin(n, out.data());
  return out;
}
}  // namespace

Bytes PublicKey::rsa_modulus() const { return rsa_number(*state_, OSSL_PKEY_PARAM_RSA_N); }
Bytes PublicKey::rsa_exponent() const { return rsa_number(*state_, OSSL_PKEY_PARAM_RSA_E); }

std::string PublicKey::name() const {
  if (kind() == KeyKind::rsa) return "RSA-" + std::to_string(bits());
  if (kind() == KeyKind::ed25519) return "Ed25519";
  return "ECDSA " + std::string(key_kind_name(kind()));
}

bool fits(KeyKind kind, SigAlg alg) {
  switch (scheme(alg).family) {
    case Scheme::eddsa:
      return kind == KeyKind::ed25519;
    case Scheme::ecdsa:
      return field_size(kind) != 0;
    case Scheme::pss:
    case Scheme::pkcs1:
      return kind == KeyKind::rsa;
  }
  return false;
}

bool verify(const PublicKey& key, SigAlg alg, ByteView message, ByteView signature) {
  if (!fits(key.kind(), alg)) return false;
  const Scheme& s = scheme(alg);
  MdCtx ctx(check(EVP_MD_CTX_new(), "making a verification context"));
  EVP_PKEY_CTX* pctx = nullptr;  // belongs to ctx
  const char* md = s.family == Scheme::eddsa ? nullptr : EVP_MD_get0_name(fetched(s.hash));
  check(EVP_DigestVerifyInit_ex(ctx.get(), &pctx, md, nullptr, nullptr, key.state().pkey.get(), nullptr),
        "starting a verification");
  if (s.family == Scheme::pss) {
    check(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), "choosing RSA-PSS");
    check(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST), "choosing the salt of RSA-PSS");
  } else if (s.family == Scheme::pkcs1) {
    check(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PADDING), "choosing RSASSA-PKCS1-v1_5");
  }
  const bool good =
      EVP_DigestVerify(ctx.get(), signature.data(), signature.size(), message.data(), message.size()) == 1;
  if (!good) ERR_clear_error();
  return good;
}

std::optional<Bytes> ecdsa_raw_to_der(KeyKind curve, ByteView raw) {
  const size_t field = field_size(curve);
  if (!field || raw.size() != 2 * field) return std::nullopt;
  BIGNUM* r = check(BN_bin2bn(raw.data(), static_cast<int>(field), nullptr), "converting a signature");
  BIGNUM* s =
      check(BN_bin2bn(raw.data() + field, static_cast<int>(field), nullptr), "converting a signature");
  EcdsaSig sig(check(ECDSA_SIG_new(), "converting a signature"));
  check(ECDSA_SIG_set0(sig.get(), r, s), "converting a signature");
  if (BN_is_zero(r) || BN_is_zero(s)) return std::nullopt;
  uint8_t* der = nullptr;
  const int size = i2d_ECDSA_SIG(sig.get(), &der);
  check(size, "converting a signature");
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

std::optional<Bytes> ecdsa_der_to_raw(KeyKind curve, ByteView der) {
  const size_t field = field_size(curve);
  if (!field || der.size() > 8 + 2 * (field + 2)) return std::nullopt;
  const uint8_t* at = der.data();
  EcdsaSig sig(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!sig) return std::nullopt;
  const BIGNUM *r = nullptr, *s = nullptr;
  ECDSA_SIG_get0(sig.get(), &r, &s);
  if (BN_is_negative(r) || BN_is_negative(s)) return std::nullopt;
  Bytes raw(2 * field);
  if (BN_bn2binpad(r, raw.data(), static_cast<int>(field)) < 0 ||
      BN_bn2binpad(s, raw.data() + field, static_cast<int>(field)) < 0) {
    ERR_clear_error();
    return std::nullopt;
  }
  const auto again = ecdsa_raw_to_der(curve, raw);
  if (!again || !std::ranges::equal(*again, der)) return std::nullopt;
  return raw;
}

}  // namespace kesu
