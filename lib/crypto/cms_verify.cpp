// Reading and verifying detached signatures, and what time-stamp tokens share with them.
#include <openssl/evp.h>

#include <algorithm>

#include "base/error.h"
#include "crypto/algid_impl.h"
#include "crypto/cms_impl.h"
#include "crypto/openssl_impl.h"
#include "crypto/x509_impl.h"

namespace kesu {

namespace cms {

namespace {
constexpr std::string_view kWhat = "CMS";

// From the first byte of `first` to the last of `last`, both within one buffer.
ByteView span_of(ByteView first, ByteView last) {
  return {first.data(), static_cast<size_t>(last.data() + last.size() - first.data())};
}

void must_be(ByteView element, ByteView wanted, const der::Reader& in, std::string_view field,
             std::string_view why) {
  if (!std::ranges::equal(element, wanted)) in.bad(field, why);
}

void read_signer(Signed& out, der::Reader set) {
  der::Reader in = set.enter(der::kSequence, "SignerInfo");
  const der::Element version = in.next("SignerInfo version");
  must_be(version.whole, der::integer(1), in, "SignerInfo version", "is not 1");
  der::Reader sid = in.enter(der::kSequence, "signer identifier (issuer and serial number)");
  out.issuer = sid.next("issuer").whole;
  out.serial = sid.next("serial number").whole;
  sid.end("serial number");
  out.digest_algorithm = in.next("digest algorithm").whole;
  out.signed_attributes = in.next(der::context(0), "signed attributes");
  out.signature_algorithm = in.next("signature algorithm").whole;
  const der::Element signature = in.next("signature");
  if (signature.tag != der::kOctetString) in.bad("signature", "is no OCTET STRING");
  out.signature = signature.content;
  out.before_unsigned = span_of(version.whole, signature.whole);
  if (in.at(der::context(1))) out.unsigned_attributes = in.next(der::context(1), "unsigned attributes");
  in.end("SignerInfo");
}

ByteView encapsulated(const der::Element& info) {
  der::Reader outer(info.whole, kWhat);
  der::Reader in = outer.enter(der::kSequence, "encapsulated content");
  must_be(in.next("encapsulated content").whole, der::oid(kTstInfo), in, "encapsulated content",
          "is no time-stamp's (id-ct-TSTInfo)");
  der::Reader explicit_ = in.enter(der::context(0), "encapsulated content");
  in.end("encapsulated content");
  const ByteView content = explicit_.next(der::kOctetString, "encapsulated content");
  explicit_.end("encapsulated content");
  return content;
}
}  // namespace

Signed read_signed(ByteView der, Kind kind) {
  const bool token = kind == Kind::token;
  Signed out;
  der::Reader all(der, kWhat);
  if (der.size() > kMaxCms) all.bad("the signature", "is larger than 1 MiB");
  der::Reader info = all.enter(der::kSequence, "ContentInfo");
  all.end("ContentInfo");
  must_be(info.next("content type").whole, der::oid(kSignedData), info, "content type", "is not signedData");
  der::Reader explicit_ = info.enter(der::context(0), "content");
  info.end("content");
  der::Reader in = explicit_.enter(der::kSequence, "SignedData");
  explicit_.end("SignedData");

  const der::Element version = in.next("version");
  must_be(version.whole, der::integer(token ? 3 : 1), in, "version", token ? "is not 3" : "is not 1");
  out.digest_algorithms = in.next(der::kSet, "digest algorithms");
  der::Element last = in.next("encapsulated content");
  if (token) {
    out.content = encapsulated(last);
  } else {
    // Nothing may stand behind the type: the content is detached.
    must_be(last.whole, der::seq({der::oid(kData)}), in, "encapsulated content",
            "is not id-data with its content absent");
  }
  if (in.at(der::context(0))) {
    last = in.next("certificates");
    for (der::Reader certs(last.content, kWhat); !certs.done();) {
      const der::Element cert = certs.next("certificate");
      if (cert.tag != der::kSequence) certs.bad("certificate", "is of another kind than X.509");
      if (out.certificates.size() == kMaxCertificates) certs.bad("certificates", "are more than 32");
      out.certificates.push_back(cert.whole);
    }
  }
  if (in.at(der::context(1))) last = in.next("revocation lists");
  out.before_signers = span_of(version.whole, last.whole);
  der::Reader signers = in.enter(der::kSet, "signers");
  in.end("signers");
  const der::Reader first = signers;
  for (; !signers.done(); ++out.signers) signers.next("SignerInfo");
  if (out.signers == 1) read_signer(out, first);
  return out;
}

std::vector<Attribute> read_attributes(ByteView content, std::string_view field) {
  std::vector<Attribute> out;
  for (der::Reader in(content, kWhat); !in.done();) {
    if (out.size() == kMaxAttributes) in.bad(field, "are more than 32");
    const der::Element e = in.next(field);
    der::Reader outer(e.whole, kWhat);
    der::Reader parts = outer.enter(der::kSequence, field);
    Attribute a{der::oid_text(parts.next(der::kOid, field)), {}, e.whole};
    der::Reader values = parts.enter(der::kSet, field);
    parts.end(field);
    if (a.oid.empty()) in.bad(field, "have one without an identifier");
    if (std::ranges::count(out, a.oid, &Attribute::oid)) in.bad(field, "have one twice (" + a.oid + ")");
    if (values.done()) in.bad(field, "have one without a value (" + a.oid + ")");
    a.value = values.next(field);
    if (!values.done()) in.bad(field, "have one with two values (" + a.oid + ")");
    out.push_back(std::move(a));
  }
  return out;
}

const der::Element* single(const std::vector<Attribute>& attributes, std::string_view oid) {
  const auto found = std::ranges::find(attributes, oid, &Attribute::oid);
  return found == attributes.end() ? nullptr : &found->value;
}

bool Named::operator==(const Named& other) const {
  return std::ranges::equal(issuer, other.issuer) && std::ranges::equal(serial, other.serial);
}

Named named(ByteView certificate) {
  der::Reader all(certificate, kWhat);
  der::Reader outer = all.enter(der::kSequence, "certificate that came along");
  der::Reader in = outer.enter(der::kSequence, "certificate that came along");
  if (in.at(der::context(0))) in.next("version");
  const der::Element serial = in.next("serial number");
  if (serial.tag != der::kInteger) in.bad("serial number", "is no INTEGER");
  in.next(der::kSequence, "signature algorithm");
  const der::Element issuer = in.next("issuer");
  if (issuer.tag != der::kSequence) in.bad("issuer", "is no SEQUENCE");
  while (!in.done()) in.next("certificate that came along");
  while (!outer.done()) outer.next("certificate that came along");
  return {issuer.whole, serial.whole};
}

namespace {
Bytes sha1(ByteView data) {
  Bytes out(20);
  unsigned size = 0;
  ossl::check(EVP_Digest(data.data(), data.size(), out.data(), &size, EVP_sha1(), nullptr), "SHA-1");
  return out;
}
}  // namespace

bool names_certificate(const der::Element& value, const Certificate& cert, bool v1) {
  der::Reader outer(value.whole, "CMS");
  der::Reader in = outer.enter(der::kSequence, "signing-certificate-v2");
  der::Reader list = in.enter(der::kSequence, "signing-certificate-v2");
  der::Reader id = list.enter(der::kSequence, "signing-certificate-v2");
  HashAlg alg = HashAlg::sha256;
  if (!v1 && id.at(der::kSequence)) {
    const auto named = algid::parse_digest(id.next("signing-certificate-v2 hash algorithm").whole);
    if (!named) return false;
    alg = *named;
  }
  if (!std::ranges::equal(id.next(der::kOctetString, "signing-certificate-v2 hash"),
                          v1 ? sha1(cert.der) : hash(alg, cert.der)))
    return false;
  if (id.done()) return true;
  der::Reader issuer_serial = id.enter(der::kSequence, "signing-certificate-v2 issuer");
  id.end("signing-certificate-v2");
  der::Reader names = issuer_serial.enter(der::kSequence, "signing-certificate-v2 issuer");
  const ByteView name = names.next(der::context(4), "signing-certificate-v2 issuer");
  return names.done() && std::ranges::equal(name, cert.issuer_der) &&
         std::ranges::equal(issuer_serial.next("signing-certificate-v2 serial number").whole,
                            cert.serial_der);
}

}  // namespace cms

using namespace cms;

namespace {
constexpr size_t kMaxPersonCertificates = 8;

// Of somebody whose certificate is known: it is the one that is meant, whatever came along.
std::string take_pinned(const Signed& parts, const Certificate& pinned, CmsCheck& out) {
  if (parts.certificates.size() > kMaxPersonCertificates) return "more than 8 certificates came along";
  const Named own{pinned.issuer_der, pinned.serial_der};
  if (own != Named{parts.issuer, parts.serial})
    return "it is made with another certificate than the enrolled one";
  for (ByteView c : parts.certificates)
    if (named(c) == own && !std::ranges::equal(c, pinned.der))
      return "it carries another certificate under the issuer and number of the enrolled one";
  out.signer = pinned;
  return {};
}

// RFC 5652 §5.3: in DER, as whoever checks by hand encodes them.
bool in_order(const std::vector<Attribute>& attributes) {
  return std::ranges::is_sorted(attributes, [](const Attribute& a, const Attribute& b) {
    return std::ranges::lexicographical_compare(a.whole, b.whole);
  });
}

// Fills `out`; gives the reason for refusing, empty if there is none. `pinned`: whose signature it has to be.
std::string refusal(ByteView content, ByteView der, CmsCheck& out, const Certificate* pinned = nullptr) {
  const Signed parts = read_signed(der);
  out.signers = parts.signers;
  for (ByteView c : parts.certificates) out.certificates.push_back(to_bytes(c));
  if (parts.signers != 1)
    return "the signature has " + std::to_string(parts.signers) + " signers; one is accepted";
  out.signature = to_bytes(parts.signature);

  out.digest = algid::parse_digest(parts.digest_algorithm);
  if (!out.digest) return "the digest algorithm is not SHA-256, SHA-384 or SHA-512";
  if (algid::parse_digest(parts.digest_algorithms) != out.digest) return "the digest algorithms do not agree";
  out.algorithm = algid::parse_signature(parts.signature_algorithm, *out.digest);
  if (!out.algorithm) return "the signature algorithm is not one that is accepted with this digest";

  if (pinned)
    if (std::string why = take_pinned(parts, *pinned, out); !why.empty()) return why;
  for (ByteView c : pinned ? std::vector<ByteView>() : parts.certificates) {
    if (named(c) != Named{parts.issuer, parts.serial}) continue;
    if (out.signer) return "two certificates answer to the signer's name";
    out.signer = Certificate::parse(c);
  }
  if (!out.signer) return "the signer's certificate is not inside";
  const auto& key = out.signer->key;
  if (!key || !fits(key->kind(), *out.algorithm) || (key->kind() == KeyKind::rsa && key->bits() < 3072))
    return "the signer's key is not ECDSA P-256, P-384, P-521 or RSA from 3,072 bits, or does not fit the "
           "algorithm";
  if (const std::string why = ossl::form_problem(out.signer->der); !why.empty())
    return "the signer's certificate is not what all readers take: " + why;
  if (!out.signer->may_sign()) return "the key usage of the signer's certificate does not allow signing";

  const auto attributes = read_attributes(parts.signed_attributes, "signed attributes");
  if (!in_order(attributes)) return "the signed attributes are not in DER's order";
  const der::Element* type = single(attributes, kContentType);
  if (!type || !std::ranges::equal(type->whole, der::oid(kData)))
    return "signed attribute content-type is not id-data";
  const der::Element* imprint = single(attributes, kMessageDigest);
  if (!imprint || imprint->tag != der::kOctetString) return "signed attribute message-digest is missing";
  if (const der::Element* time = single(attributes, kSigningTime)) {
    out.signing_time = der::parse_time(*time);
    if (!out.signing_time) return "signed attribute signing-time is no time";
  }
  if (const der::Element* names = single(attributes, kSigningCertificateV2)) {
    if (!names_certificate(*names, *out.signer)) return "signing-certificate-v2 names another certificate";
    out.has_signing_certificate_v2 = true;
  }
  for (const Attribute& a : read_attributes(parts.unsigned_attributes, "unsigned attributes"))
    if (a.oid == kTimeStampToken) out.timestamps.push_back(to_bytes(a.value.whole));

  // RFC 5652 §5.4: what is signed has the tag of a SET, not the [0] that stands in the message.
  if (!verify(*key, *out.algorithm, der::tlv(der::kSet, parts.signed_attributes), parts.signature))
    return "the signature does not verify";
  if (!equal_constant_time(imprint->content, hash(*out.digest, content)))
    return "the signature is over other content";
  return {};
}
}  // namespace

namespace {
CmsCheck checked(ByteView content, ByteView der, const Certificate* pinned) {
  CmsCheck out;
  try {
    out.reason = refusal(content, der, out, pinned);
    out.ok = out.reason.empty();
  } catch (const Error& e) {
    if (e.code() != Code::bad_input) throw;
    out.reason = e.message();
  }
  return out;
}
}  // namespace

CmsCheck verify_detached(ByteView content, ByteView der) { return checked(content, der, nullptr); }

CmsCheck verify_detached_by(ByteView content, ByteView der, const Certificate& signer) {
  return checked(content, der, &signer);
}

}  // namespace kesu
