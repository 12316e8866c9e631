// X.509 certificates (RFC 5280): reading, making a self-signed one for a key that lives elsewhere, and
// checking a chain to anchors that the caller trusts. No network, no clock: time is a parameter.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/random.h"
#include "crypto/sign.h"

namespace kesu {

inline constexpr size_t kMaxCertificate = 65536;  // bytes of DER

// Bits of the key usage extension (RFC 5280 §4.2.1.3), lowest = first of its list.
inline constexpr uint32_t kUsageDigitalSignature = 1u << 0;
inline constexpr uint32_t kUsageContentCommitment = 1u << 1;
inline constexpr uint32_t kUsageKeyCertSign = 1u << 5;

struct Certificate {
  Bytes der;
  std::string subject, issuer;    // "CN=…,O=…,C=JP" (RFC 2253 order, UTF-8)
  std::string common_name;        // of the subject; empty if it has none
  Bytes subject_der, issuer_der;  // the Names as they stand
  std::string serial;             // lower-case hex, no leading zeros
  Bytes serial_der;               // the INTEGER element
  Millis not_before = 0, not_after = 0;
  std::optional<PublicKey> key;  // absent: a kind that PublicKey does not take
  bool self_signed = false;      // issuer = subject and the signature is by its own key
  bool is_ca = false;
  std::optional<uint32_t> key_usage;            // bits as above; absent: any
  std::vector<std::string> extended_key_usage;  // dotted OIDs; empty: any
  bool extended_key_usage_critical = false;

  // Exactly one certificate in DER. Throws Error bad_input.
  static Certificate parse(ByteView der);
  // One or more PEM certificates; other text between them is passed over. Throws Error bad_input when there
  // is none or one is damaged.
  static std::vector<Certificate> parse_pem(std::string_view text);
  std::string pem() const;
  Digest32 fingerprint() const { return sha256(der); }
  // Whether its key usage lets it sign documents.
  bool may_sign() const {
    return !key_usage || (*key_usage & (kUsageDigitalSignature | kUsageContentCommitment));
  }
};

struct SubjectName {
  std::string common_name;   // 1 to 64 characters, as the other
  std::string organization;  // may be empty
  std::string country;       // two capital letters, or empty
};

// A certificate for signing (digitalSignature, contentCommitment; no CA) under its own key, with a random
// serial of 127 bits. `sign` is as Signer says: ECDSA over the digest that fits the curve (RSA: RSA-PSS with
// SHA-384). Times are cut to seconds. Throws Error bad_input for unusable names or validity, signature_bad
// when what `sign` gave does not verify. The result is DER.
Bytes build_self_signed(const SubjectName& subject, const PublicKey& key, Millis not_before, Millis not_after,
                        Random& random, const Signer& sign);

// Whether an extended key usage serves for documents: document signing (RFC 9336), Microsoft's, e-mail, any.
bool is_signing_purpose(std::string_view oid);

enum class ChainPurpose { document_signing, timestamping };

struct ChainCheck {
  bool ok = false;
  std::string reason;        // why not, in OpenSSL's words and which certificate
  std::vector<Bytes> chain;  // DER from the signer to the anchor
};

// Path validation (RFC 5280 §6) of `signer` over `intermediates` to one of `anchors`, at the time `at`. An
// anchor is trusted as it is, be it self-signed or not. Signatures weaker than 112 bits (SHA-1) do not count.
// Document signing: key usage must allow it, and extended key usage where there is any (is_signing_purpose);
// time-stamping: RFC 3161 §2.3. Revocation: crypto/crl.h.
ChainCheck verify_chain(ByteView signer, const std::vector<Bytes>& intermediates,
                        const std::vector<Bytes>& anchors, Millis at,
                        ChainPurpose purpose = ChainPurpose::document_signing);

}  // namespace kesu
