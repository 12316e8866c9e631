// What a person is enrolled with and signs with (docs/spec/erasure.md, "Keys of people"): an OpenSSH key and
// SSHSIG, or an X.509 certificate and detached CMS, made with stock tools.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/cms.h"
#include "crypto/sshsig.h"

namespace kesu {

inline constexpr size_t kMaxPersonCertificate = 8192;  // bytes of DER
inline constexpr size_t kMaxPersonSignature = 65536;   // bytes of a signature's text
inline constexpr std::string_view kX509Word = "x509";  // first word of a certificate's line

struct PersonKey {
  SshPublicKey ssh;                        // the key itself: of a certificate, its key in SSH's form
  std::optional<Certificate> certificate;  // whoever has one signs with CMS

  // "type base64 [comment]" as OpenSSH writes it, or "x509 <base64 of the DER>". Throws Error bad_input: for
  // a certificate that is not of version 3, larger than 8 KiB, of another key than ECDSA P-256, P-384, P-521
  // or RSA from 3,072 bits, or whose key usage does not let it sign.
  static PersonKey parse_line(std::string_view line);
  // The file that somebody brings to be enrolled: such a line, or one certificate as PEM. Throws Error
  // bad_input.
  static PersonKey from_file(std::string_view text);

  std::string line() const;
  // Of the key, as ssh-keygen -l prints it: the same key has one, be it in a certificate or not.
  std::string fingerprint() const { return ssh.fingerprint(); }
  // "" or, of a certificate, why it was not valid at that time (RFC 5280 §4.1.2.5, both ends included).
  std::string validity_problem(Millis at) const;
  // The same enrolment: an SSH key by its blob, a certificate by its bytes.
  bool operator==(const PersonKey& other) const;
};

// A signature as it is kept: SSHSIG's armor, or CMS as PEM (label CMS, lines of 64 characters, one line feed
// each). `file` is what signing tools write: SSHSIG, CMS or PKCS7 as PEM, CMS in DER. What is none of these
// is returned as it is.
std::string person_signature_text(ByteView file);

// The DER of the one CMS in what a signing tool wrote (DER, or PEM labelled CMS or PKCS7); nullopt: none, or
// several.
std::optional<Bytes> cms_in(ByteView file);

// How the reason begins of a signature that is good, but for whose key made it.
inline constexpr std::string_view kMadeWithAnotherKey = "made with another key: ";

struct PersonCheck {
  bool ok = false;
  std::string reason;  // why not, for a person
};

// Whether `signature` (in the form it is kept in) is this person's over `message`, for `name_space`. SSHSIG
// names its namespace itself. A CMS does not: there it is what the signed statement says of itself, its
// `type`, or of a kesu-statement-v1 its `action`. Never throws for what `signature` or `message` hold. The
// certificate's validity in time is the caller's question.
PersonCheck verify_person(ByteView message, std::string_view signature, std::string_view name_space,
                          const PersonKey& key);

// The certificates (DER) that came along in a CMS, unverified; of an SSHSIG none.
std::vector<Bytes> carried_certificates(std::string_view signature);

// What a signature was made with, unverified. nullopt: it cannot be read.
struct SignedWith {
  HashAlg message;    // the digest of the statement
  HashAlg signature;  // the digest inside the signature's algorithm, of RSA
  bool pss = false;   // RSA: PSS, else PKCS #1 v1.5
};
std::optional<SignedWith> signed_with(std::string_view signature);

}  // namespace kesu
