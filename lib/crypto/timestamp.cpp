// Time-stamps: requests, answers, tokens.
#include "crypto/timestamp.h"

#include <algorithm>

#include "base/error.h"
#include "crypto/algid_impl.h"
#include "crypto/cms_impl.h"

namespace kesu {

using namespace cms;

namespace {
constexpr std::string_view kTimeStamping = "1.3.6.1.5.5.7.3.8";  // id-kp-timeStamping
constexpr std::string_view kAnswer = "time-stamp answer", kToken = "time-stamp token";
constexpr size_t kNonceBytes = 8, kMaxSerial = 64, kMaxText = 200;

// A small unsigned INTEGER in its shortest form.
uint64_t small(der::Reader& in, uint8_t tag, std::string_view field) {
  const ByteView b = in.next(tag, field);
  if (b.empty() || b.size() > 5 || b[0] >= 0x80 || (b.size() > 1 && b[0] == 0 && b[1] < 0x80))
    in.bad(field, "is no small whole number");
  uint64_t out = 0;
  for (uint8_t byte : b) out = out << 8 | byte;
  return out;
}

std::string plain_words(ByteView text) {
  std::string out;
  if (!is_utf8(as_text(text))) return "(not UTF-8)";
  for (char c : as_text(text).substr(0, kMaxText))
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  while (!is_utf8(out)) out.pop_back();  // cut within a character
  return out;
}

// PKIFailureInfo (RFC 3161 §2.4.2).
std::string failure_words(ByteView bits) {
  struct Row {
    size_t bit;
    const char* name;
  };
  static constexpr Row kRows[] = {
      {0, "algorithm not supported"},    {2, "bad request"},           {5, "bad data format"},
      {14, "time source not available"}, {15, "policy not supported"}, {16, "extension not supported"},
      {17, "information not available"}, {25, "system failure"}};
  std::string out;
  for (const Row& r : kRows)
    if (1 + r.bit / 8 < bits.size() && (bits[1 + r.bit / 8] & (0x80u >> r.bit % 8)))
      out += (out.empty() ? "" : ", ") + std::string(r.name);
  return out;
}

// What follows the status: statusString and failInfo, both optional.
std::string refusal_words(uint64_t status, der::Reader in) {
  static constexpr const char* kStatus[] = {"granted", "granted with changes", "rejected",
                                            "waiting", "about to be revoked",  "revoked"};
  std::string out = status < std::size(kStatus) ? kStatus[status] : "status " + std::to_string(status);
  if (in.at(der::kSequence))
    for (der::Reader texts = in.enter(der::kSequence, "status text"); !texts.done();)
      if (std::string words = plain_words(texts.next(der::kUtf8, "status text")); out.size() < 4 * kMaxText)
        out += ": " + words;
  if (in.at(der::kBitString)) {
    const std::string words = failure_words(in.next(der::kBitString, "failure information"));
    if (!words.empty()) out += " (" + words + ")";
  }
  in.end("status");
  return out;
}

// GeneralizedTime with or without a fraction of a second, as DER has it (X.690 §11.7).
Millis gen_time(der::Reader& in) {
  const ByteView content = in.next(der::kGeneralizedTime, "genTime");
  std::string text = to_text(content);
  Millis extra = 0;
  if (const size_t dot = text.find('.'); dot != std::string::npos) {
    const std::string digits = text.substr(dot + 1, text.size() - dot - 2);
    if (dot != 14 || text.back() != 'Z' || digits.empty() || digits.size() > 9 || digits.back() == '0' ||
        digits.find_first_not_of("0123456789") != std::string::npos)
      in.bad("genTime", "is no time in DER");
    for (size_t i = 0; i < 3; ++i) extra = extra * 10 + (i < digits.size() ? digits[i] - '0' : 0);
    text = text.substr(0, dot) + "Z";
  }
  const der::Element whole{der::kGeneralizedTime, as_bytes(text), {}};
  const auto time = der::parse_time(whole);
  if (!time) in.bad("genTime", "is no time in DER");
  return *time + extra;
}

// Accuracy: seconds, [0] milliseconds, [1] microseconds; rounded up.
Millis accuracy_of(der::Reader in) {
  uint64_t seconds = 0, millis = 0, micros = 0;
  if (in.at(der::kInteger)) seconds = small(in, der::kInteger, "accuracy");
  if (in.at(der::context_primitive(0))) millis = small(in, der::context_primitive(0), "accuracy");
  if (in.at(der::context_primitive(1))) micros = small(in, der::context_primitive(1), "accuracy");
  in.end("accuracy");
  if (millis > 999 || micros > 999) in.bad("accuracy", "has parts out of range");
  return static_cast<Millis>(seconds * 1000 + millis + (micros ? 1 : 0));
}

struct TstInfo {
  std::string policy, serial;
  std::optional<HashAlg> imprint_alg;
  Bytes imprint, nonce;
  Millis time = 0, accuracy = 0;
};

TstInfo read_info(ByteView content) {
  TstInfo out;
  der::Reader outer(content, kToken);
  der::Reader in = outer.enter(der::kSequence, "TSTInfo");
  outer.end("TSTInfo");
  if (small(in, der::kInteger, "TSTInfo version") != 1) in.bad("TSTInfo version", "is not 1");
  out.policy = der::oid_text(in.next(der::kOid, "policy"));
  if (out.policy.empty()) in.bad("policy", "is no object identifier");
  der::Reader imprint = in.enter(der::kSequence, "message imprint");
  out.imprint_alg = algid::parse_digest(imprint.next("imprint's algorithm").whole);
  out.imprint = to_bytes(imprint.next(der::kOctetString, "message imprint"));
  imprint.end("message imprint");
  const ByteView serial = in.next(der::kInteger, "serial number");
  if (serial.empty() || serial.size() > kMaxSerial) in.bad("serial number", "is empty or too long");
  out.serial = hex(serial);
  out.time = gen_time(in);
  if (in.at(der::kSequence)) out.accuracy = accuracy_of(in.enter(der::kSequence, "accuracy"));
  if (in.at(der::kBoolean)) {
    const ByteView ordering = in.next(der::kBoolean, "ordering");
    if (ordering.size() != 1 || (ordering[0] != 0 && ordering[0] != 0xFF))
      in.bad("ordering", "is no BOOLEAN");
  }
  if (in.at(der::kInteger)) {
    const der::Element nonce = in.next("nonce");
    if (nonce.content.empty() || nonce.content.size() > kMaxSerial) in.bad("nonce", "is empty or too long");
    out.nonce = to_bytes(nonce.whole);
  }
  if (in.at(der::context(0))) in.next("authority's name");
  if (in.at(der::context(1)))
    for (der::Reader list = in.enter(der::context(1), "extensions"); !list.done();) {
      der::Reader extension = list.enter(der::kSequence, "extension");
      extension.next(der::kOid, "extension");
      if (extension.at(der::kBoolean)) extension.bad("extension", "is critical, and not known here");
      extension.next(der::kOctetString, "extension");
      extension.end("extension");
    }
  in.end("TSTInfo");
  return out;
}

// The certificate that answers to the signer's name, and what RFC 3161 §2.3 asks of it.
std::string authority_problem(const Signed& parts, TimestampCheck& out) {
  for (ByteView c : parts.certificates) {
    if (named(c) != Named{parts.issuer, parts.serial}) continue;
    if (out.authority) return "two certificates answer to the signer's name";
    out.authority = Certificate::parse(c);
  }
  if (!out.authority) return "the authority's certificate is not inside";
  const Certificate& cert = *out.authority;
  if (!cert.key) return "the authority's certificate has a kind of key that is not accepted";
  if (!cert.may_sign()) return "the key usage of the authority's certificate does not allow signing";
  if (cert.extended_key_usage.size() != 1 || cert.extended_key_usage[0] != kTimeStamping)
    return "the authority's certificate is not for time-stamping alone (extended key usage)";
  if (!cert.extended_key_usage_critical)
    return "the extended key usage of the authority's certificate is not critical";
  return {};
}

std::string attributes_problem(const Signed& parts, HashAlg digest, const Certificate& authority) {
  const auto attributes = read_attributes(parts.signed_attributes, "signed attributes");
  read_attributes(parts.unsigned_attributes, "unsigned attributes");
  const der::Element* type = single(attributes, kContentType);
  if (!type || !std::ranges::equal(type->whole, der::oid(kTstInfo)))
    return "signed attribute content-type is not id-ct-TSTInfo";
  const der::Element* imprint = single(attributes, kMessageDigest);
  if (!imprint || imprint->tag != der::kOctetString) return "signed attribute message-digest is missing";
  if (!equal_constant_time(imprint->content, hash(digest, parts.content)))
    return "the signature is over another TSTInfo";
  const der::Element* v2 = single(attributes, kSigningCertificateV2);
  const der::Element* v1 = single(attributes, kSigningCertificate);
  if (!v1 && !v2) return "no signed attribute names the authority's certificate (ESSCertID)";
  if ((v2 && !names_certificate(*v2, authority)) || (v1 && !names_certificate(*v1, authority, true)))
    return "the signed attributes name another certificate than the authority's";
  return {};
}

// Fills `out`; gives the reason for refusing, empty if there is none.
std::string problem(ByteView token, const TimestampExpected& expected, TimestampCheck& out) {
  if (token.size() > kMaxTimestamp) return "the token is larger than it may be";
  const Signed parts = read_signed(token, Kind::token);
  for (ByteView c : parts.certificates) out.certificates.push_back(to_bytes(c));
  if (parts.signers != 1)
    return "the token has " + std::to_string(parts.signers) + " signers; one is accepted";
  const TstInfo info = read_info(parts.content);
  out.time = info.time;
  out.accuracy = info.accuracy;
  out.policy = info.policy;
  out.serial = info.serial;
  out.imprint = info.imprint_alg;

  const auto digest = algid::parse_digest(parts.digest_algorithm);
  if (!digest) return "the digest algorithm is not SHA-256, SHA-384 or SHA-512";
  if (algid::parse_digest(parts.digest_algorithms) != digest) return "the digest algorithms do not agree";
  const auto algorithm = algid::parse_signature(parts.signature_algorithm, *digest);
  if (!algorithm) return "the signature algorithm is not one that is accepted with this digest";
  if (std::string why = authority_problem(parts, out); !why.empty()) return why;
  const PublicKey& key = *out.authority->key;
  if (!fits(key.kind(), *algorithm)) return "the signature algorithm does not fit the authority's key";
  out.algorithm = key.name() + ", " + std::string(hash_name(*digest));
  if (std::string why = attributes_problem(parts, *digest, *out.authority); !why.empty()) return why;
  // RFC 5652 §5.4: what is signed has the tag of a SET, not the [0] that stands in the message.
  if (!verify(key, *algorithm, der::tlv(der::kSet, parts.signed_attributes), parts.signature))
    return "the signature does not verify";

  if (!info.imprint_alg) return "the imprint is not of SHA-256, SHA-384 or SHA-512";
  if (!equal_constant_time(info.imprint, hash(*info.imprint_alg, expected.data)))
    return "the token is over other bytes";
  if (expected.nonce && info.nonce != *expected.nonce) return "the nonce is not the one of the request";
  if (expected.policy && info.policy != *expected.policy)
    return "the policy is " + info.policy + ", not " + *expected.policy;
  if (info.accuracy > kMaxAccuracy) return "the accuracy is worse than a minute";
  if (info.time < out.authority->not_before || info.time > out.authority->not_after)
    return "the authority's certificate was not valid at the token's time";
  return {};
}
}  // namespace

bool is_oid(std::string_view text) {
  if (text.empty() || text.size() > 100 || text.find_first_not_of("0123456789.") != std::string_view::npos)
    return false;
  size_t arcs = 0;
  for (size_t at = 0; at <= text.size(); ++arcs) {
    const size_t end = std::min(text.find('.', at), text.size());
    const std::string_view arc = text.substr(at, end - at);
    if (arc.empty() || arc.size() > 10 || (arc.size() > 1 && arc[0] == '0')) return false;
    if (arcs == 0 && (arc.size() != 1 || arc[0] > '2')) return false;
    at = end + 1;
  }
  // Written and read again it must be the same: the second arc is below 40 under 0 and 1.
  if (arcs < 2) return false;
  const Bytes whole = der::oid(text);
  return der::oid_text(der::Reader(whole, "policy").next(der::kOid, "policy")) == text;
}

TimestampRequest make_timestamp_request(ByteView data, Random& random, HashAlg alg, std::string_view policy) {
  if (alg == HashAlg::sha384)
    throw Error(Code::bad_input, "time-stamps are asked for over SHA-256 or SHA-512");
  if (!policy.empty() && !is_oid(policy))
    throw Error(Code::bad_input, "\"" + std::string(policy) + "\" is no object identifier");
  TimestampRequest out;
  out.hash = alg;
  out.imprint = hash(alg, data);
  out.nonce = der::integer(ByteView(random.bytes(kNonceBytes)));
  const Bytes policy_der = policy.empty() ? Bytes() : der::oid(policy);
  out.der = der::seq({der::integer(1), der::seq({algid::digest(alg), der::octets(out.imprint)}), policy_der,
                      out.nonce, der::boolean(true)});
  return out;
}

TimestampAnswer parse_timestamp_answer(ByteView der) {
  TimestampAnswer out;
  der::Reader all(der, kAnswer);
  if (der.size() > kMaxTimestamp) all.bad("the answer", "is larger than it may be");
  der::Reader in = all.enter(der::kSequence, "TimeStampResp");
  all.end("TimeStampResp");
  der::Reader status = in.enter(der::kSequence, "status");
  const uint64_t number = small(status, der::kInteger, "status");
  const std::string words = refusal_words(number, status);
  out.granted = number <= 1;
  if (!out.granted) {
    out.refusal = words;
    in.end("a refusal");
    return out;
  }
  const der::Element token = in.next("token");
  if (token.tag != der::kSequence) in.bad("token", "is no ContentInfo");
  in.end("token");
  out.token = to_bytes(token.whole);
  return out;
}

TimestampCheck verify_timestamp(ByteView token, const TimestampExpected& expected) {
  TimestampCheck out;
  try {
    out.reason = problem(token, expected, out);
    out.ok = out.reason.empty();
  } catch (const Error& e) {
    if (e.code() != Code::bad_input) throw;
    out.reason = e.message();
  }
  return out;
}

ChainCheck timestamp_chain(const TimestampCheck& token, const std::vector<Bytes>& others,
                           const std::vector<Bytes>& anchors) {
  if (!token.ok || !token.authority) return {false, "the token is not good", {}};
  std::vector<Bytes> intermediates = token.certificates;
  intermediates.insert(intermediates.end(), others.begin(), others.end());
  return verify_chain(token.authority->der, intermediates, anchors, token.time, ChainPurpose::timestamping);
}

}  // namespace kesu
