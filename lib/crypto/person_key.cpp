// Keys of people and their signatures, of either kind.
#include "crypto/person_key.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "crypto/algid_impl.h"
#include "crypto/cms_impl.h"
#include "crypto/pem_impl.h"
#include "crypto/x509_impl.h"

namespace kesu {

namespace {
constexpr std::string_view kCertificate = "CERTIFICATE", kCms = "CMS";
constexpr std::string_view kSshArmor = "-----BEGIN SSH SIGNATURE-----";
constexpr std::string_view kCmsArmor = "-----BEGIN CMS-----";
constexpr int kMinRsaBits = kMinSshRsaBits;

[[noreturn]] void bad(const std::string& why) { throw Error(Code::bad_input, "certificate: " + why); }

PersonKey of_certificate(ByteView der) {
  if (der.size() > kMaxPersonCertificate) bad("it is larger than 8,192 bytes");
  Certificate c = Certificate::parse(der);
  if (!c.key || c.key->kind() == KeyKind::ed25519 ||
      (c.key->kind() == KeyKind::rsa && c.key->bits() < kMinRsaBits))
    bad("its key is not ECDSA P-256, P-384, P-521 or RSA from 3,072 bits");
  if (!c.may_sign()) bad("its key usage does not allow signing");
  if (const std::string why = ossl::form_problem(der); !why.empty()) bad(why);
  SshPublicKey key = SshPublicKey::from_public_key(*c.key);
  return {std::move(key), std::move(c)};
}

// The DER of a CMS in the one form that is kept; nullopt for another text.
std::optional<Bytes> kept_cms(std::string_view text) {
  if (!text.starts_with(kCmsArmor) || text.size() > kMaxPersonSignature) return std::nullopt;
  std::optional<Bytes> out;
  try {
    pem::each_block(
        text, kCms, [](const char* why) { return Error(Code::bad_input, why); },
        [&](const Bytes& der) { out = der; });
  } catch (const Error&) {
    return std::nullopt;
  }
  return out && pem::block(kCms, *out) == text ? out : std::nullopt;
}

// What a statement says that it is, as a namespace of SSHSIG would say it; "" where it is no statement.
std::string namespace_of(ByteView message) {
  try {
    const Json doc = parse_json(as_text(message), "statement", {.max_bytes = 4 << 20});
    const std::string type = doc.str("type");
    return type == "kesu-statement-v1" ? "kesu-" + doc.str("action") + "-v1" : type;
  } catch (const Error&) {
    return "";
  }
}
}  // namespace

PersonKey PersonKey::parse_line(std::string_view line) {
  const std::string word = std::string(kX509Word) + " ";
  if (!line.starts_with(word)) return {SshPublicKey::parse_line(line), std::nullopt};
  const auto der = unbase64(line.substr(word.size()));
  if (!der) bad("it is not base64");
  return of_certificate(*der);
}

PersonKey PersonKey::from_file(std::string_view text) {
  if (text.find("-----BEGIN") != std::string_view::npos) {
    if (text.find("PRIVATE KEY-----") != std::string_view::npos)
      throw Error(Code::bad_input, "there is a private key in this file")
          .next("a file with the certificate alone; the private key stays where it is");
    const std::vector<Certificate> all = Certificate::parse_pem(text);
    if (all.size() != 1)
      throw Error(Code::bad_input, "there are " + std::to_string(all.size()) + " certificates in this file")
          .next("a file with the person's own certificate alone");
    return of_certificate(all.front().der);
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.remove_suffix(1);
  return {SshPublicKey::parse_line(text), std::nullopt};
}

std::string PersonKey::line() const {
  return certificate ? std::string(kX509Word) + " " + base64(certificate->der) : ssh.line();
}

std::string PersonKey::validity_problem(Millis at) const {
  if (!certificate) return "";
  if (at < certificate->not_before)
    return "the certificate was not valid yet: it begins " + utc_text(certificate->not_before);
  // Its end is to the second, and that second is part of it.
  if (at > certificate->not_after + 999)
    return "the certificate had ended " + utc_text(certificate->not_after);
  return "";
}

bool PersonKey::operator==(const PersonKey& other) const {
  if (certificate || other.certificate)
    return certificate && other.certificate && certificate->der == other.certificate->der;
  return ssh == other.ssh;
}

std::optional<Bytes> cms_in(ByteView file) {
  if (!file.empty() && file[0] == 0x30) return to_bytes(file);
  std::vector<Bytes> found;
  try {
    for (std::string_view label : {kCms, std::string_view("PKCS7")})
      pem::each_block(
          as_text(file), label, [](const char* why) { return Error(Code::bad_input, why); },
          [&](const Bytes& der) { found.push_back(der); });
  } catch (const Error&) {
    return std::nullopt;
  }
  return found.size() == 1 ? std::optional(found.front()) : std::nullopt;
}

std::string person_signature_text(ByteView file) {
  const std::string_view text = as_text(file);
  if (text.starts_with(kSshArmor)) return std::string(text);
  const auto cms = cms_in(file);
  return cms ? pem::block(kCms, *cms) : std::string(text);
}

PersonCheck verify_person(ByteView message, std::string_view signature, std::string_view name_space,
                          const PersonKey& key) {
  PersonCheck out;
  if (!key.certificate) {
    const SshSigCheck check = verify_sshsig(message, signature, name_space);
    out.ok = check.ok && *check.signer == key.ssh;
    if (!out.ok)
      out.reason = check.ok ? std::string(kMadeWithAnotherKey) + check.signer->fingerprint() : check.reason;
    return out;
  }
  const auto der = kept_cms(signature);
  if (!der) {
    out.reason = signature.starts_with(kSshArmor)
                     ? "this is an SSH signature; who is enrolled with a certificate signs with CMS"
                     : "this is no CMS signature (openssl cms -sign -binary -outform PEM)";
    return out;
  }
  const std::string own = namespace_of(message);
  if (own != name_space) {
    out.reason = "the signed statement is one of \"" + own + "\", not of \"" + std::string(name_space) + "\"";
    return out;
  }
  const CmsCheck check = verify_detached_by(message, *der, *key.certificate);
  out.ok = check.ok;
  out.reason = check.reason;
  return out;
}

std::vector<Bytes> carried_certificates(std::string_view signature) {
  std::vector<Bytes> out;
  try {
    if (const auto der = kept_cms(signature))
      for (ByteView c : cms::read_signed(*der).certificates) out.push_back(to_bytes(c));
  } catch (const Error& e) {
    if (e.code() != Code::bad_input) throw;
  }
  return out;
}

std::optional<SignedWith> signed_with(std::string_view signature) {
  try {
    if (const auto der = kept_cms(signature)) {
      const cms::Signed parts = cms::read_signed(*der);
      const auto digest = algid::parse_digest(parts.digest_algorithm);
      if (parts.signers != 1 || !digest) return std::nullopt;
      const auto algorithm = algid::parse_signature(parts.signature_algorithm, *digest);
      if (!algorithm) return std::nullopt;
      const bool pss = *algorithm == SigAlg::rsa_pss_sha256 || *algorithm == SigAlg::rsa_pss_sha384 ||
                       *algorithm == SigAlg::rsa_pss_sha512;
      return SignedWith{*digest, *digest, pss};
    }
    const SshSignature s = parse_sshsig(signature);
    return SignedWith{s.hash, s.algorithm == "rsa-sha2-256" ? HashAlg::sha256 : HashAlg::sha512, false};
  } catch (const Error& e) {
    if (e.code() != Code::bad_input) throw;
    return std::nullopt;
  }
}

}  // namespace kesu
