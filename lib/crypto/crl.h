// Certificate revocation lists (RFC 5280 §5) and what they say of a chain at a time. No network, no clock.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/x509.h"

namespace kesu {

inline constexpr size_t kMaxCrl = 16u << 20;  // bytes of DER
inline constexpr uint32_t kUsageCrlSign = 1u << 6;

// A whole list of one issuer. Delta lists, lists of only some certificates and indirect ones (critical
// extensions) are refused by name: what is not in one of these says nothing.
struct Crl {
  Bytes der, issuer_der;
  std::string issuer;
  Millis this_update = 0, next_update = 0;  // next_update: 0, it says none
  std::map<Bytes, Millis> revoked;          // serial number as DER INTEGER → since when

  // Exactly one list in DER. Throws Error bad_input.
  static Crl parse(ByteView der);
  // PEM blocks "X509 CRL", one or more; or one list in DER. Throws Error bad_input.
  static std::vector<Crl> parse_any(ByteView file);
  std::string pem() const;
  // Whether its signature algorithm is one that is judged here: ECDSA, RSA (PKCS #1 v1.5, or PSS with one
  // digest for both), each with SHA-256, -384 or -512; Ed25519.
  bool algorithm_supported() const;
  // Whether this certificate's key signed it, by such an algorithm, and may sign lists.
  bool signed_by(const Certificate& by) const;
};

enum class Revocation {
  not_asked,  // nobody's chain: a certificate that the reader names itself, or none
  good,       // for every certificate below the anchor a list that counts does not have it
  not_shown,  // a list that counts is missing: `why` says for whom
  earlier,    // those that count for the first certificate were published before the signature
  revoked,    // one of them was revoked: `why` says which, and since when
  in_doubt,   // a list whose signature cannot be judged names one of them: `why` says which
};
std::string_view revocation_text(
    Revocation r);  // "not-asked", "good", "not-shown", "earlier", "revoked", "in-doubt"

// Revoked, or named by a list that cannot be judged: what was signed under it does not count.
inline bool tells_against(Revocation r) { return r == Revocation::revoked || r == Revocation::in_doubt; }
// A list that counts is missing, or came too early to tell.
inline bool is_unshown(Revocation r) { return r == Revocation::not_shown || r == Revocation::earlier; }

struct RevocationCheck {
  Revocation state = Revocation::not_asked;
  std::string why;
};
// `chain` is DER from the signer to the anchor (verify_chain); `at`: when the signature was there. A list
// counts for a certificate when its issuer signed it, it did not end before `at`, and it is not newer than
// the certificate's end (what has ended may be dropped from lists). Where a time-stamp shows `at`
// (`dated`), a revocation after it changes nothing; else every revocation counts.
// What a list published before `at` cannot have yet is asked of the first certificate alone: authorities'
// lists come out once in months.
RevocationCheck check_revocation(const std::vector<Bytes>& chain, const std::vector<Crl>& lists, Millis at,
                                 bool dated);

}  // namespace kesu
