// What people are enrolled with and sign with: one key in two forms, and what a CMS is bound by.
#include <gtest/gtest.h>

#include "base/error.h"
#include "crypto/person_key.h"
#include "crypto/random.h"
#include "support/test_keys.h"

namespace kesu {
namespace {

using test::SigningKey;

const Millis kFrom = parse_utc("2026-01-01T00:00:00.000Z").value();
const Millis kTo = parse_utc("2027-01-01T00:00:00.000Z").value();
const Millis kSigned = parse_utc("2026-11-21T09:12:34.567Z").value();
const std::string kApproval = "{\n  \"action\": \"approve\",\n  \"type\": \"kesu-statement-v1\"\n}\n";
const std::string kRelease = "{\n  \"type\": \"kesu-release-v1\"\n}\n";

struct Person {
  SigningKey key = SigningKey::ec(KeyKind::p384);
  Bytes certificate =
      build_self_signed({"Sato", "", "JP"}, key.public_key(), kFrom, kTo, system_random(), key.signer());
  PersonKey enrolled = PersonKey::parse_line("x509 " + base64(certificate));

  Bytes der(std::string_view statement) const {
    return build_detached_cades(as_bytes(statement), certificate, {}, kSigned, key.signer());
  }
  std::string sign(std::string_view statement) const { return person_signature_text(der(statement)); }
};

const Person& sato() {
  static const Person person;
  return person;
}

std::string problem(std::string_view statement, std::string_view signature, std::string_view name_space,
                    const PersonKey& key = sato().enrolled) {
  return verify_person(as_bytes(statement), signature, name_space, key).reason;
}

TEST(PersonKey, OneKeyHasOneFingerprintInEitherForm) {
  const SshPublicKey ssh = SshPublicKey::from_public_key(sato().key.public_key(), "sato");
  const PersonKey plain = PersonKey::parse_line(ssh.line());
  EXPECT_EQ(plain.fingerprint(), sato().enrolled.fingerprint());
  EXPECT_FALSE(plain == sato().enrolled);
  EXPECT_EQ(PersonKey::parse_line(sato().enrolled.line()), sato().enrolled);
  EXPECT_EQ(PersonKey::from_file(Certificate::parse(sato().certificate).pem()), sato().enrolled);
  EXPECT_EQ(PersonKey::from_file(ssh.line() + "\r\n").line(), ssh.line());
}

TEST(PersonKey, WhatIsNoPersonsKey) {
  const std::string pem = Certificate::parse(sato().certificate).pem();
  for (const std::string& file : {pem + pem, pem + "-----BEGIN EC PRIVATE KEY-----\n", std::string("x")})
    EXPECT_THROW(PersonKey::from_file(file), Error) << file.substr(0, 30);
  for (const std::string& line :
       {std::string("x509"), std::string("x509 "), std::string("x509 AAAA"), sato().enrolled.line() + " sato",
        "X509" + sato().enrolled.line().substr(4)})
    EXPECT_THROW(PersonKey::parse_line(line), Error) << line.substr(0, 30);
}

TEST(PersonKey, ItsCertificateIsValidToTheLastSecond) {
  const PersonKey& key = sato().enrolled;
  EXPECT_NE(key.validity_problem(kFrom - 1), "");
  EXPECT_EQ(key.validity_problem(kFrom), "");
  EXPECT_EQ(key.validity_problem(kTo + 999), "");
  EXPECT_NE(key.validity_problem(kTo + 1000), "");
  EXPECT_EQ(PersonKey::parse_line(key.ssh.line()).validity_problem(0), "");
}

TEST(PersonKey, ASignatureServesTheActThatTheStatementNames) {
  const std::string approval = sato().sign(kApproval), release = sato().sign(kRelease);
  EXPECT_EQ(problem(kApproval, approval, "kesu-approve-v1"), "");
  EXPECT_EQ(problem(kRelease, release, "kesu-release-v1"), "");
  for (std::string_view other : {"kesu-reject-v1", "kesu-release-v1", "kesu-statement-v1", ""})
    EXPECT_NE(problem(kApproval, approval, other), "") << other;
  EXPECT_NE(problem(kRelease, release, "kesu-approve-v1"), "");
  EXPECT_NE(problem("no statement", sato().sign("no statement"), ""), "kesu-approve-v1");
  EXPECT_NE(problem("no statement", sato().sign("no statement"), "kesu-approve-v1"), "");
  EXPECT_NE(problem(kRelease, approval, "kesu-release-v1"), "") << "over another statement";
}

TEST(PersonKey, OnlyThePinnedCertificatesSignature) {
  const Person twin;
  EXPECT_NE(problem(kApproval, twin.sign(kApproval), "kesu-approve-v1"), "");
  EXPECT_NE(problem(kApproval, sato().sign(kApproval), "kesu-approve-v1", twin.enrolled), "");
  const PersonKey ssh = PersonKey::parse_line(sato().enrolled.ssh.line());
  EXPECT_NE(problem(kApproval, sato().sign(kApproval), "kesu-approve-v1", ssh), "") << "enrolled with SSH";
}

TEST(PersonKey, EveryToolsFormIsBroughtToOne) {
  const Bytes der = sato().der(kApproval);
  const std::string kept = person_signature_text(der);
  std::string pkcs7 = kept, crlf;
  for (size_t at; (at = pkcs7.find("CMS")) != std::string::npos;) pkcs7.replace(at, 3, "PKCS7");
  for (char c : kept) crlf += c == '\n' ? "\r\n" : std::string(1, c);
  for (const std::string& form : {kept, pkcs7, crlf, "text before\n" + kept + "text behind\n"})
    EXPECT_EQ(person_signature_text(as_bytes(form)), kept);
  // What is kept has that form and no other.
  for (const std::string& form : {pkcs7, crlf, kept + "\n", kept + kept, to_text(der), std::string()})
    EXPECT_NE(problem(kApproval, form, "kesu-approve-v1"), "");
  EXPECT_EQ(person_signature_text(as_bytes(kept + kept)), kept + kept);
}

TEST(PersonKey, WhatItWasMadeWith) {
  const auto with = signed_with(sato().sign(kApproval));
  ASSERT_TRUE(with);
  EXPECT_EQ(with->message, HashAlg::sha384);
  EXPECT_FALSE(with->pss);
  EXPECT_FALSE(signed_with("x"));
  EXPECT_EQ(carried_certificates(sato().sign(kApproval)), std::vector<Bytes>{sato().certificate});
}

TEST(PersonKey, NoDamagedByteIsTaken) {
  const Bytes der = sato().der(kApproval);
  for (size_t at = 0; at < der.size(); at += 7) {
    Bytes damaged = der;
    damaged[at] ^= 0x10;
    // What came along beside the signature is not what it is verified with; another name there changes
    // nothing.
    if (problem(kApproval, person_signature_text(damaged), "kesu-approve-v1").empty()) {
      EXPECT_NE(carried_certificates(person_signature_text(damaged)), std::vector<Bytes>{sato().certificate})
          << at;
    }
  }
}

}  // namespace
}  // namespace kesu
