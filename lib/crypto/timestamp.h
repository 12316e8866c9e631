// Time-stamps (RFC 3161, with RFC 5816's ESSCertIDv2): what is asked of an authority, and what its answers
// and tokens say. No network, no clock. Everything that is read is a stranger's: strict DER, bounded.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/random.h"
#include "crypto/hash.h"
#include "crypto/x509.h"

namespace kesu {

inline constexpr size_t kMaxTimestamp = 1u << 18;  // bytes of a TimeStampResp
// Longest extension of an authority's accuracy that is believed: more says nothing about when.
inline constexpr Millis kMaxAccuracy = 60'000;

// TimeStampReq (RFC 3161 §2.4.1): version 1, certReq TRUE, a nonce of 64 random bits, always.
struct TimestampRequest {
  HashAlg hash = HashAlg::sha512;
  Bytes imprint;  // the data's digest
  Bytes nonce;    // the INTEGER element, DER
  Bytes der;      // the request
};
// `policy`: dotted OID that is asked for, or empty. Throws Error bad_input when it is none, or when `hash` is
// SHA-384 (few authorities take it).
TimestampRequest make_timestamp_request(ByteView data, Random& random, HashAlg hash = HashAlg::sha512,
                                        std::string_view policy = {});
// Whether `text` is an object identifier in dotted form.
bool is_oid(std::string_view text);

// TimeStampResp (§2.4.2).
struct TimestampAnswer {
  bool granted = false;  // PKIStatus granted or grantedWithMods; then there is a token
  std::string refusal;   // else: status, the authority's own words and failure bits, for a person
  Bytes token;           // DER ContentInfo
};
// Throws Error bad_input naming the field for anything that is not one whole TimeStampResp.
TimestampAnswer parse_timestamp_answer(ByteView der);

// What the token must say besides being good.
struct TimestampExpected {
  ByteView data;                           // what it has to be over
  std::optional<Bytes> nonce = {};         // of the request, where that is known
  std::optional<std::string> policy = {};  // where one was asked for
};

struct TimestampCheck {
  bool ok = false;
  std::string reason;   // why not, for a person
  Millis time = 0;      // genTime
  Millis accuracy = 0;  // either way; 0: it says none
  std::string policy;   // dotted OID
  std::string serial;   // lower-case hex
  std::optional<HashAlg> imprint;
  std::optional<Certificate> authority;
  std::vector<Bytes> certificates;  // all that came along, DER, the authority's too
  std::string algorithm;            // "RSA-4096, SHA-512": of its signature
};

// Whether `token` is a good time-stamp over `expected.data` (§2.4.2, §2.3): one signer by issuer and serial
// number with its certificate inside; signed attributes content-type, message-digest and a signing
// certificate (ESSCertIDv2 of RFC 5816, or ESSCertID) that names it; SHA-256 or longer, ECDSA or RSA from
// 2,048 bits; TSTInfo version 1 with the imprint of the data, of SHA-256, -384 or -512, no unknown critical
// extension, accuracy at most kMaxAccuracy; nonce and policy as expected; the certificate valid at genTime
// with a critical extended key usage of time-stamping alone. Whether the certificate is to be trusted is the
// caller's question: timestamp_chain. Never throws for what `token` holds.
TimestampCheck verify_timestamp(ByteView token, const TimestampExpected& expected);

// The chain of a good token's authority to `anchors` as of the token's time, over its own certificates and
// `others`. A token outlives its authority's certificate: what counts is that it was valid then.
ChainCheck timestamp_chain(const TimestampCheck& token, const std::vector<Bytes>& others,
                           const std::vector<Bytes>& anchors);

}  // namespace kesu
