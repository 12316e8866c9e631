// Certificates of people: in which form and for which use one is enrolled, and which one a signature is made
// with.
#include <gtest/gtest.h>

#include "base/error.h"
#include "crypto/der_impl.h"
#include "crypto/person_key.h"
#include "crypto/random.h"
#include "support/test_keys.h"

namespace kesu {
namespace {

using test::SigningKey;

const Millis kFrom = parse_utc("2026-01-01T00:00:00.000Z").value();
const Millis kTo = parse_utc("2027-01-01T00:00:00.000Z").value();
constexpr std::string_view kStatement =
    "{\n  \"action\": \"approve\",\n  \"type\": \"kesu-statement-v1\"\n}\n";
constexpr std::string_view kEcdsaSha384 = "1.2.840.10045.4.3.3", kEcdsaSha1 = "1.2.840.10045.4.1";

const SigningKey& sato() {
  static const SigningKey key = SigningKey::ec(KeyKind::p384);
  return key;
}

// What one differs in from a good one.
struct Form {
  int version = 3;
  std::string_view algorithm = kEcdsaSha384, inner_algorithm = {};
  std::vector<Bytes> extensions = {};
  bool unique_identifiers = false;
  uint64_t serial = 1001;
  std::string_view name = "Sato";
};

Bytes extension(std::string_view oid, ByteView value) {
  return der::seq({der::oid(oid), der::boolean(true), der::octets(value)});
}

Bytes usage(uint32_t bits) { return extension("2.5.29.15", der::named_bits(bits)); }

// Self-signed; whether the signature is good is asked of nobody's certificate that is enrolled.
Bytes certificate(const SigningKey& key, const Form& form = {}) {
  auto algorithm = [](std::string_view oid) { return der::seq({der::oid(oid)}); };
  const Bytes name = der::seq(
      {der::tlv(der::kSet, der::seq({der::oid("2.5.4.3"), der::tlv(der::kUtf8, as_bytes(form.name))}))});
  const Bytes version =
      form.version == 1 ? Bytes()
                        : der::tlv(der::context(0), der::integer(static_cast<uint64_t>(form.version) - 1));
  Bytes unique, list;
  for (int n : {1, 2})
    if (form.unique_identifiers)
      for (uint8_t b : der::tlv(der::context_primitive(n), Bytes{0, 1})) unique.push_back(b);
  for (const Bytes& e : form.extensions) list.insert(list.end(), e.begin(), e.end());
  const Bytes extensions = list.empty() ? Bytes() : der::tlv(der::context(3), der::tlv(der::kSequence, list));
  const Bytes body = der::seq(
      {version, der::integer(form.serial),
       algorithm(form.inner_algorithm.empty() ? form.algorithm : form.inner_algorithm), name,
       der::seq({der::time(kFrom), der::time(kTo)}), name, key.public_key().spki(), unique, extensions});
  return der::seq(
      {body, algorithm(form.algorithm), der::bit_string(key.sign_digest(hash(HashAlg::sha384, body)))});
}

// Detached CMS of one signer over the statement; the program makes none that it would not take.
Bytes signed_with_certificate(const Bytes& own, const std::vector<Bytes>& along = {}) {
  const Bytes digest = der::seq({der::oid("2.16.840.1.101.3.4.2.2")});
  auto attribute = [](std::string_view oid, ByteView value) {
    return der::seq({der::oid(oid), der::tlv(der::kSet, value)});
  };
  const std::vector<Bytes> attributes = {
      attribute("1.2.840.113549.1.9.3", der::oid("1.2.840.113549.1.7.1")),
      attribute("1.2.840.113549.1.9.4", der::octets(hash(HashAlg::sha384, as_bytes(kStatement))))};
  const Certificate parsed = Certificate::parse(own);
  const Bytes signature = sato().sign_digest(hash(HashAlg::sha384, der::set_of(attributes)));
  std::vector<Bytes> certificates = along;
  certificates.push_back(own);
  const Bytes info = der::seq({der::integer(1), der::seq({parsed.issuer_der, parsed.serial_der}), digest,
                               der::set_of(attributes, der::context(0)), der::seq({der::oid(kEcdsaSha384)}),
                               der::octets(signature)});
  const Bytes data =
      der::seq({der::integer(1), der::tlv(der::kSet, digest), der::seq({der::oid("1.2.840.113549.1.7.1")}),
                der::set_of(certificates, der::context(0)), der::tlv(der::kSet, info)});
  return der::seq({der::oid("1.2.840.113549.1.7.2"), der::tlv(der::context(0), data)});
}

std::string person_problem(ByteView enrolled, ByteView cms) {
  return verify_person(as_bytes(kStatement), person_signature_text(cms), "kesu-approve-v1",
                       PersonKey::parse_line("x509 " + base64(enrolled)))
      .reason;
}

// The error of enrolling it; empty: it is enrolled.
std::string enrolment(ByteView certificate) {
  try {
    PersonKey::parse_line("x509 " + base64(certificate));
    return "";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::bad_input);
    return e.message();
  }
}

struct Odd {
  std::string_view word;
  Form form;
};

const std::vector<Odd>& odd_forms() {
  static const Bytes other = extension("1.2.3.4", der::boolean(true));
  static const std::vector<Odd> all = {
      {"not of X.509 version 3", {.version = 1}},
      {"not of X.509 version 3", {.version = 2}},
      {"an algorithm that is not supported", {.algorithm = kEcdsaSha1}},
      {"two signature algorithms", {.inner_algorithm = "1.2.840.10045.4.3.2"}},
      {"unique identifiers", {.unique_identifiers = true}},
      {"stands twice", {.extensions = {other, other}}},
      {"path length that means nothing",
       {.extensions = {extension("2.5.29.19", der::seq({der::integer(3)}))}}},
  };
  return all;
}

TEST(PersonCertificate, AFormThatNoReaderTakesIsNotEnrolled) {
  EXPECT_EQ(enrolment(certificate(sato())), "");
  EXPECT_EQ(enrolment(certificate(sato(), {.extensions = {usage(kUsageDigitalSignature)}})), "");
  for (const Odd& odd : odd_forms())
    EXPECT_NE(enrolment(certificate(sato(), odd.form)).find(odd.word), std::string::npos)
        << odd.word << ": " << enrolment(certificate(sato(), odd.form));
}

TEST(PersonCertificate, AFormThatNoReaderTakesSignsNothing) {
  const Bytes good = certificate(sato());
  const CmsCheck taken = verify_detached(as_bytes(kStatement), signed_with_certificate(good));
  EXPECT_TRUE(taken.ok) << taken.reason;
  for (const Odd& odd : odd_forms()) {
    const Bytes bad = certificate(sato(), odd.form), cms = signed_with_certificate(bad);
    for (const CmsCheck& check : {verify_detached(as_bytes(kStatement), cms),
                                  verify_detached_by(as_bytes(kStatement), cms, Certificate::parse(bad))}) {
      EXPECT_FALSE(check.ok) << odd.word;
      EXPECT_NE(check.reason.find(odd.word), std::string::npos) << odd.word << ": " << check.reason;
    }
  }
}

TEST(PersonCertificate, OneForAnotherUseIsNotEnrolledAndSignsNothing) {
  for (uint32_t bits : {kUsageDigitalSignature, kUsageContentCommitment}) {
    const Bytes good = certificate(sato(), {.extensions = {usage(bits)}});
    EXPECT_EQ(enrolment(good), "") << bits;
    EXPECT_EQ(person_problem(good, signed_with_certificate(good)), "") << bits;
  }
  for (uint32_t bits : {1u << 2, 1u << 3, 1u << 4, 1u << 5, 1u << 6}) {
    const Bytes bad = certificate(sato(), {.extensions = {usage(bits)}}), cms = signed_with_certificate(bad);
    EXPECT_NE(enrolment(bad).find("key usage does not allow signing"), std::string::npos) << bits;
    for (const CmsCheck& check : {verify_detached(as_bytes(kStatement), cms),
                                  verify_detached_by(as_bytes(kStatement), cms, Certificate::parse(bad))}) {
      EXPECT_FALSE(check.ok) << bits;
      EXPECT_NE(check.reason.find("does not allow signing"), std::string::npos) << check.reason;
    }
  }
}

TEST(PersonCertificate, NothingElseCameAlongUnderItsIssuerAndNumber) {
  const Bytes own = certificate(sato());
  const SigningKey other = SigningKey::ec(KeyKind::p384);
  EXPECT_EQ(person_problem(own, signed_with_certificate(own, {own})), "") << "itself, once more";
  EXPECT_EQ(person_problem(own, signed_with_certificate(own, {certificate(other, {.serial = 7})})), "");
  EXPECT_EQ(person_problem(own, signed_with_certificate(own, {certificate(other, {.name = "Mori"})})), "");
  for (const Bytes& twin : {certificate(other), certificate(sato(), {.extensions = {usage(1u)}})}) {
    const std::string why = person_problem(own, signed_with_certificate(own, {twin}));
    EXPECT_NE(why.find("another certificate under the issuer and number"), std::string::npos) << why;
    // Nor does a signature that nobody is pinned for leave open whose it is.
    const CmsCheck check = verify_detached(as_bytes(kStatement), signed_with_certificate(own, {twin}));
    EXPECT_NE(check.reason.find("two certificates answer"), std::string::npos) << check.reason;
  }
  std::vector<Bytes> many(8, certificate(other, {.serial = 7}));
  EXPECT_NE(person_problem(own, signed_with_certificate(own, many)).find("more than 8"), std::string::npos);
  many.pop_back();
  EXPECT_EQ(person_problem(own, signed_with_certificate(own, many)), "");
}

}  // namespace
}  // namespace kesu
