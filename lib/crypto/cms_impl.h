// The parts of a CMS SignedData that are read and written here. Private to lib/crypto.
#pragma once
#include "crypto/cms.h"
#include "crypto/der_impl.h"

namespace kesu::cms {

inline constexpr std::string_view kSignedData = "1.2.840.113549.1.7.2";
inline constexpr std::string_view kData = "1.2.840.113549.1.7.1";
inline constexpr std::string_view kContentType = "1.2.840.113549.1.9.3";
inline constexpr std::string_view kMessageDigest = "1.2.840.113549.1.9.4";
inline constexpr std::string_view kSigningTime = "1.2.840.113549.1.9.5";
inline constexpr std::string_view kSigningCertificateV2 = "1.2.840.113549.1.9.16.2.47";
inline constexpr std::string_view kSigningCertificate = "1.2.840.113549.1.9.16.2.12";
inline constexpr std::string_view kTimeStampToken = "1.2.840.113549.1.9.16.2.14";
inline constexpr std::string_view kTstInfo = "1.2.840.113549.1.9.16.1.4";

inline constexpr size_t kMaxCertificates = 32;
inline constexpr size_t kMaxAttributes = 32;

// Views into the DER that it was read from; each is a whole element unless said otherwise.
struct Signed {
  ByteView digest_algorithms;  // content of the SET
  ByteView content;            // of a time-stamp token: the TSTInfo, whole
  std::vector<ByteView> certificates;
  ByteView before_signers;  // from the version to just before the signerInfos, as they stand
  int signers = 0;
  // Of the one signer:
  ByteView issuer, serial, digest_algorithm, signature_algorithm;
  ByteView signed_attributes;    // content of [0]
  ByteView before_unsigned;      // from SignerInfo's version up to and with the signature
  ByteView signature;            // content of the OCTET STRING
  ByteView unsigned_attributes;  // content of [1], empty if absent
};

// detached: version 1, id-data, content absent (RFC 5652 §5.1). token: version 3, a TSTInfo inside (RFC 3161
// §2.4.2).
enum class Kind { detached, token };
// Throws Error bad_input naming the field. With other than one signer only what stands before them is filled.
Signed read_signed(ByteView der, Kind kind = Kind::detached);

// Issuer and serial number of a certificate that came along. Nothing else of it is read, so that no reader
// need understand a certificate that says nothing here. Throws Error bad_input where they do not stand in
// their place.
struct Named {
  ByteView issuer, serial;
  bool operator==(const Named& other) const;
};
Named named(ByteView certificate);

struct Attribute {
  std::string oid;
  der::Element value;
  ByteView whole;
};
// Throws Error bad_input for more than kMaxAttributes, for one that stands twice, and one with other than one
// value.
std::vector<Attribute> read_attributes(ByteView content, std::string_view field);
// The value of a signed attribute; nullptr when absent.
const der::Element* single(const std::vector<Attribute>& attributes, std::string_view oid);
// Whether a signing certificate attribute names `cert` first: SigningCertificateV2 (RFC 5035 §3), or `v1`
// SigningCertificate (RFC 2634 §5.4), whose hash is SHA-1.
bool names_certificate(const der::Element& value, const Certificate& cert, bool v1 = false);

}  // namespace kesu::cms
