// Closed list of algorithm identifiers (RFC 5754, RFC 5758, RFC 4056).
#include <algorithm>

#include "base/error.h"
#include "crypto/algid_impl.h"
#include "crypto/sign_impl.h"

namespace kesu::algid {

namespace {
constexpr std::string_view kRsaEncryption = "1.2.840.113549.1.1.1";
constexpr std::string_view kPss = "1.2.840.113549.1.1.10";
constexpr std::string_view kMgf1 = "1.2.840.113549.1.1.8";

struct HashRow {
  HashAlg hash;
  std::string_view digest, ecdsa, pkcs1;
  SigAlg ecdsa_alg, pkcs1_alg, pss_alg;
};
constexpr HashRow kRows[] = {
    {HashAlg::sha256, "2.16.840.1.101.3.4.2.1", "1.2.840.10045.4.3.2", "1.2.840.113549.1.1.11",
     SigAlg::ecdsa_sha256, SigAlg::rsa_pkcs1_sha256, SigAlg::rsa_pss_sha256},
    {HashAlg::sha384, "2.16.840.1.101.3.4.2.2", "1.2.840.10045.4.3.3", "1.2.840.113549.1.1.12",
     SigAlg::ecdsa_sha384, SigAlg::rsa_pkcs1_sha384, SigAlg::rsa_pss_sha384},
    {HashAlg::sha512, "2.16.840.1.101.3.4.2.3", "1.2.840.10045.4.3.4", "1.2.840.113549.1.1.13",
     SigAlg::ecdsa_sha512, SigAlg::rsa_pkcs1_sha512, SigAlg::rsa_pss_sha512},
};
const HashRow& row(HashAlg alg) { return kRows[static_cast<size_t>(alg)]; }

struct Identifier {
  std::string oid;
  std::optional<der::Element> parameters;
  bool plain() const {  // absent or NULL
    return !parameters || (parameters->tag == der::kNull && parameters->content.empty());
  }
};

Identifier read(ByteView whole) {
  der::Reader outer(whole, "algorithm");
  der::Reader in = outer.enter(der::kSequence, "algorithm identifier");
  outer.end("algorithm identifier");
  Identifier out{der::oid_text(in.next(der::kOid, "algorithm identifier")), std::nullopt};
  if (!in.done()) out.parameters = in.next("algorithm parameters");
  in.end("algorithm parameters");
  return out;
}

Bytes pss_parameters(HashAlg alg) {
  const Bytes hash_id = digest(alg);
  return der::seq({der::tlv(der::context(0), hash_id),
                   der::tlv(der::context(1), der::seq({der::oid(kMgf1), hash_id})),
                   der::tlv(der::context(2), der::integer(digest_size(alg)))});
}

// RSASSA-PSS-params; the trailer field must be left at its default.
bool is_pss_of(ByteView parameters, HashAlg alg) {
  der::Reader outer(parameters, "RSA-PSS parameters");
  der::Reader in = outer.enter(der::kSequence, "parameters");
  outer.end("parameters");
  const bool hash_fits = parse_digest(in.next(der::context(0), "hash")) == alg;
  const Identifier mgf = read(in.next(der::context(1), "mask generation"));
  der::Reader salt = in.enter(der::context(2), "salt length");
  in.end("salt length");
  return hash_fits && mgf.oid == kMgf1 && mgf.parameters && parse_digest(mgf.parameters->whole) == alg &&
         std::ranges::equal(salt.next("salt length").whole, der::integer(digest_size(alg))) && salt.done();
}
}  // namespace

std::optional<HashAlg> parse_digest(ByteView whole) {
  const Identifier id = read(whole);
  const auto r = std::ranges::find(kRows, id.oid, &HashRow::digest);
  if (r == std::end(kRows) || !id.plain()) return std::nullopt;
  return r->hash;
}

Bytes digest(HashAlg alg) { return der::seq({der::oid(row(alg).digest)}); }

std::optional<SigAlg> parse_signature(ByteView whole, HashAlg with) {
  const Identifier id = read(whole);
  const HashRow& r = row(with);
  if (id.oid == r.ecdsa && !id.parameters) return r.ecdsa_alg;
  if ((id.oid == r.pkcs1 || id.oid == kRsaEncryption) && id.plain()) return r.pkcs1_alg;
  if (id.oid == kPss && id.parameters && is_pss_of(id.parameters->whole, with)) return r.pss_alg;
  return std::nullopt;
}

SigAlg chosen(const PublicKey& key) {
  switch (key.kind()) {
    case KeyKind::p256:
      return SigAlg::ecdsa_sha256;
    case KeyKind::p384:
      return SigAlg::ecdsa_sha384;
    case KeyKind::p521:
      return SigAlg::ecdsa_sha512;
    case KeyKind::rsa:
      if (key.bits() >= 3072) return SigAlg::rsa_pss_sha384;
      break;
    case KeyKind::ed25519:
      break;
  }
  throw Error(Code::bad_input, "certificates and CMS are not signed with " + key.name())
      .next("use an ECDSA key on P-384, or RSA from 3,072 bits");
}

Bytes signature(SigAlg alg) {
  const HashRow& r = row(sig_alg_hash(alg).value());
  if (alg == r.ecdsa_alg) return der::seq({der::oid(r.ecdsa)});
  return der::seq({der::oid(kPss), pss_parameters(r.hash)});
}

Bytes sign_elsewhere(const PublicKey& key, SigAlg alg, ByteView message, const Signer& sign) {
  Bytes made = sign(hash(sig_alg_hash(alg).value(), message));
  if (field_size(key.kind()))
    if (auto from_raw = ecdsa_raw_to_der(key.kind(), made); from_raw && !verify(key, alg, message, made))
      made = std::move(*from_raw);
  if (!verify(key, alg, message, made))
    throw Error(Code::signature_bad, "the new signature does not verify under the signer's key")
        .tried(std::string(sig_alg_name(alg)) + " with " + key.name())
        .next("check that certificate and provider's key belong together");
  return made;
}

}  // namespace kesu::algid
