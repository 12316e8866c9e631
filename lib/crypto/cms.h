// Detached CMS signatures (RFC 5652) at CAdES level (ETSI EN 319 122-1: signing-certificate-v2,
// signature-time-stamp) by keys that live elsewhere; checkable with `openssl cms -verify -cades`.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/x509.h"

namespace kesu {

inline constexpr size_t kMaxCms = 1u << 20;  // bytes of DER

// A signature over `content` as DER: one signer, content absent, signed attributes content-type,
// message-digest, signing-time (cut to seconds) and signing-certificate-v2. The digest fits the certificate's
// key (P-384: SHA-384; RSA: RSA-PSS with SHA-384); `sign` as Signer says. `extra` are further certificates
// (DER) to carry along. The result is verified before it is returned: Error signature_bad when key and
// certificate do not belong together.
Bytes build_detached_cades(ByteView content, ByteView certificate, const std::vector<Bytes>& extra,
                           Millis signing_time, const Signer& sign);

struct CmsCheck {
  bool ok = false;
  std::string reason;  // why not, for a person; names the field where it is the structure
  int signers = 0;     // how many there are; one is accepted
  std::optional<Certificate> signer;
  std::vector<Bytes> certificates;     // all that came along, DER, the signer's too
  std::optional<Millis> signing_time;  // as the signer asserts it
  std::optional<HashAlg> digest;
  std::optional<SigAlg> algorithm;
  bool has_signing_certificate_v2 = false;  // and it names the signer's certificate
  Bytes signature;                          // its value: what a signature time-stamp is over
  std::vector<Bytes> timestamps;  // RFC 3161 tokens (DER ContentInfo) in the unsigned attributes, unchecked
};

// Whether `der` is a good detached signature over `content`. Strict: DER, type id-data, content absent, one
// signer named by issuer and serial number whose certificate is inside, SHA-256 or longer, ECDSA
// P-256/384/521, RSA-PSS or RSASSA-PKCS1-v1_5 from 3,072 bits, a certificate that may sign. Whether the
// certificate is to be trusted, and its validity in time, are the caller's questions (verify_chain). Never
// throws for what `der` holds.
CmsCheck verify_detached(ByteView content, ByteView der);

// The same of a signer who is known beforehand: the issuer and serial number that it names are those of
// `signer`, whose key alone counts; that certificate need not be inside, and no other one under its issuer
// and number may be. At most eight certificates may come along. Signed attributes are in DER's order.
CmsCheck verify_detached_by(ByteView content, ByteView der, const Certificate& signer);

// The same signature with a signature-time-stamp in its unsigned attributes (RFC 5126 §6.1.1). `token` is the
// DER ContentInfo of an RFC 3161 token over SignerInfo's signature value; it is not checked here. Throws
// Error bad_input when `der` is no signature that verify_detached could read.
Bytes add_signature_timestamp(ByteView der, ByteView token);

}  // namespace kesu
