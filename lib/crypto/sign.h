// Public keys and the verification of signatures: Ed25519 (RFC 8032), ECDSA (FIPS 186-5), RSA (RFC 8017).
// Private keys stay in providers: nothing here signs.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "crypto/hash.h"

namespace kesu {

enum class KeyKind { ed25519, p256, p384, p521, rsa };
std::string_view key_kind_name(KeyKind kind);  // "Ed25519", "P-256", …, "RSA"

// ECDSA signatures are DER ECDSA-Sig-Value; RSA-PSS has MGF1 of the same hash and a salt as long as the
// digest.
enum class SigAlg {
  ed25519,
  ecdsa_sha256,
  ecdsa_sha384,
  ecdsa_sha512,
  rsa_pss_sha256,
  rsa_pss_sha384,
  rsa_pss_sha512,
  rsa_pkcs1_sha256,
  rsa_pkcs1_sha384,
  rsa_pkcs1_sha512,
};
std::string_view sig_alg_name(SigAlg alg);  // "Ed25519", "ECDSA with SHA-384", …
// The hash inside the algorithm; nullopt for Ed25519, which signs the message itself.
std::optional<HashAlg> sig_alg_hash(SigAlg alg);

// A public key that was checked when it was read: point on its curve; RSA of 2,048 to 16,384 bits with an odd
// public exponent of 3 to 64 bits. Cheap to copy; any number of threads may verify with one.
class PublicKey {
 public:
  // DER SubjectPublicKeyInfo (RFC 5480, 8410, 3279), exactly as it would be written again. Bad input is Error
  // bad_input in all of these.
  static PublicKey from_spki(ByteView der);
  static PublicKey from_ed25519(ByteView raw32);
  // Uncompressed point 04 ‖ x ‖ y (SEC 1 §2.3.3) on p256, p384 or p521.
  static PublicKey from_ec_point(KeyKind curve, ByteView point);
  // PKCS #11 CKA_EC_POINT: a DER OCTET STRING around the point or the 32 bytes of Ed25519; some tokens leave
  // the wrapping out, which its length shows.
  static PublicKey from_pkcs11_point(KeyKind kind, ByteView cka_ec_point);
  // Big-endian unsigned integers.
  static PublicKey from_rsa(ByteView modulus, ByteView exponent);

  KeyKind kind() const;
  int bits() const;          // 256, 384, 521; of RSA the modulus
  std::string name() const;  // "Ed25519", "ECDSA P-384", "RSA-3072"
  const Bytes& spki() const;
  Digest32 spki_digest() const { return sha256(spki()); }
  // Ed25519: the 32 bytes; curves: 04 ‖ x ‖ y; RSA: empty.
  const Bytes& raw() const;
  // RSA: big-endian, without leading zeros; other kinds: empty.
  Bytes rsa_modulus() const;
  Bytes rsa_exponent() const;

  bool operator==(const PublicKey& other) const { return spki() == other.spki(); }

  struct State;  // inside sign.cpp
  const State& state() const { return *state_; }

 private:
  explicit PublicKey(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

// Which of the algorithms the kind of key can have made.
bool fits(KeyKind kind, SigAlg alg);

// False for every signature that is not good, also where the algorithm does not fit the key.
[[nodiscard]] bool verify(const PublicKey& key, SigAlg alg, ByteView message, ByteView signature);

// ECDSA signatures between fixed-width r ‖ s (PKCS #11, IEEE P1363) and DER. nullopt when malformed: odd or
// other lengths than the curve's 64, 96, 132; zero r or s; DER that is not canonical.
std::optional<Bytes> ecdsa_raw_to_der(KeyKind curve, ByteView raw);
std::optional<Bytes> ecdsa_der_to_raw(KeyKind curve, ByteView der);

// What makes a signature elsewhere (a provider). For Ed25519 the argument is the message and the result 64
// bytes; for ECDSA it is the digest and the result r ‖ s of fixed width or DER.
using Signer = std::function<Bytes(ByteView)>;

}  // namespace kesu
