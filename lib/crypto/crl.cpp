// Reading revocation lists over OpenSSL, and judging a chain by them.
#include "crypto/crl.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>

#include "crypto/openssl_impl.h"
#include "crypto/pem_impl.h"
#include "crypto/x509_impl.h"

namespace kesu {

using namespace ossl;

namespace {
using CrlPtr = Owned<X509_CRL, X509_CRL_free>;
using X509Ptr = Owned<X509, X509_free>;
constexpr std::string_view kLabel = "X509 CRL";
constexpr size_t kMaxLists = 16;
// Signature algorithms that carry their digest in their name; RSA-PSS has it in its parameters.
constexpr int kPlainAlgorithms[] = {NID_ecdsa_with_SHA256,
                                    NID_ecdsa_with_SHA384,
                                    NID_ecdsa_with_SHA512,
                                    NID_sha256WithRSAEncryption,
                                    NID_sha384WithRSAEncryption,
                                    NID_sha512WithRSAEncryption,
                                    NID_ED25519};
constexpr int kDigests[] = {NID_sha256, NID_sha384, NID_sha512};
using PssPtr = Owned<RSA_PSS_PARAMS, RSA_PSS_PARAMS_free>;
using AlgorithmPtr = Owned<X509_ALGOR, X509_ALGOR_free>;

Error bad(std::string what) {
  std::string cause = take_errors();
  return Error(Code::bad_input, "revocation list: " + std::move(what)).cause(std::move(cause));
}

CrlPtr read(ByteView der) {
  if (der.size() > kMaxCrl) throw bad("larger than 16 MiB");
  const uint8_t* at = der.data();
  CrlPtr list(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
  if (!list) throw bad("not one in DER");
  if (at != der.data() + der.size()) throw bad("bytes follow its end");
  return list;
}

Millis time_of(const ASN1_TIME* t) {
  std::tm tm{};
  if (!t || !ASN1_TIME_to_tm(t, &tm)) throw bad("one of its times is none");
  return static_cast<Millis>(timegm(&tm)) * 1000;
}

void refuse_critical(const STACK_OF(X509_EXTENSION) * list) {
  for (int i = 0; list && i < sk_X509_EXTENSION_num(list); ++i) {
    X509_EXTENSION* e = sk_X509_EXTENSION_value(list, i);
    if (!X509_EXTENSION_get_critical(e)) continue;
    char oid[128];
    OBJ_obj2txt(oid, sizeof oid, X509_EXTENSION_get_object(e), 1);
    throw bad("the critical extension " + std::string(oid) + " is not supported");
  }
}

int nid_of(const X509_ALGOR* algorithm) {
  const ASN1_OBJECT* object = nullptr;
  X509_ALGOR_get0(&object, nullptr, nullptr, algorithm);
  return OBJ_obj2nid(object);
}

// One digest of the three, for the message and for the mask, both written out (the defaults mean SHA-1).
bool is_supported_pss(const X509_ALGOR* algorithm) {
  int type = 0;
  const void* value = nullptr;
  X509_ALGOR_get0(nullptr, &type, &value, algorithm);
  if (type != V_ASN1_SEQUENCE) return false;
  const PssPtr pss(static_cast<RSA_PSS_PARAMS*>(
      ASN1_item_unpack(static_cast<const ASN1_STRING*>(value), ASN1_ITEM_rptr(RSA_PSS_PARAMS))));
  if (!pss || !pss->hashAlgorithm || !pss->maskGenAlgorithm || pss->trailerField) return false;
  X509_ALGOR_get0(nullptr, &type, &value, pss->maskGenAlgorithm);
  if (nid_of(pss->maskGenAlgorithm) != NID_mgf1 || type != V_ASN1_SEQUENCE) return false;
  const AlgorithmPtr mask(static_cast<X509_ALGOR*>(
      ASN1_item_unpack(static_cast<const ASN1_STRING*>(value), ASN1_ITEM_rptr(X509_ALGOR))));
  const int digest = nid_of(pss->hashAlgorithm);
  return mask && nid_of(mask.get()) == digest && std::ranges::count(kDigests, digest) == 1;
}
}  // namespace

Crl Crl::parse(ByteView der) {
  const CrlPtr list = read(der);
  Crl out;
  out.der = encode(i2d_X509_CRL, static_cast<const X509_CRL*>(list.get()));
  if (!std::ranges::equal(out.der, der)) throw bad("not in DER form");
  refuse_critical(X509_CRL_get0_extensions(list.get()));
  const X509_NAME* issuer = X509_CRL_get_issuer(list.get());
  out.issuer_der = encode(i2d_X509_NAME, issuer);
  out.issuer = name_text(issuer);
  out.this_update = time_of(X509_CRL_get0_lastUpdate(list.get()));
  if (const ASN1_TIME* next = X509_CRL_get0_nextUpdate(list.get())) out.next_update = time_of(next);
  STACK_OF(X509_REVOKED)* rows = X509_CRL_get_REVOKED(list.get());
  for (int i = 0; rows && i < sk_X509_REVOKED_num(rows); ++i) {
    const X509_REVOKED* row = sk_X509_REVOKED_value(rows, i);
    refuse_critical(X509_REVOKED_get0_extensions(row));
    out.revoked.emplace(encode(i2d_ASN1_INTEGER, X509_REVOKED_get0_serialNumber(row)),
                        time_of(X509_REVOKED_get0_revocationDate(row)));
  }
  ERR_clear_error();
  return out;
}

std::vector<Crl> Crl::parse_any(ByteView file) {
  const std::string_view text = as_text(file);
  std::vector<Crl> out;
  if (!text.empty() && file[0] == 0x30) {
    out.push_back(parse(file));
    return out;
  }
  if (!is_utf8(text)) throw bad("neither DER nor UTF-8 text");
  pem::each_block(text, kLabel, bad, [&](ByteView der) {
    if (out.size() == kMaxLists) throw bad("more than 16 in one file");
    out.push_back(parse(der));
  });
  if (out.empty()) throw bad("none in the file");
  return out;
}

std::string Crl::pem() const { return pem::block(kLabel, der); }

bool ossl::signature_supported(const X509_ALGOR* algorithm) {
  const int nid = nid_of(algorithm);
  int parameters = 0;
  X509_ALGOR_get0(nullptr, &parameters, nullptr, algorithm);
  // NULL stands behind RSA alone.
  const bool rsa = nid == NID_sha256WithRSAEncryption || nid == NID_sha384WithRSAEncryption ||
                   nid == NID_sha512WithRSAEncryption;
  const bool out = nid == NID_rsassaPss
                       ? is_supported_pss(algorithm)
                       : std::ranges::count(kPlainAlgorithms, nid) == 1 &&
                             (parameters == V_ASN1_UNDEF || (rsa && parameters == V_ASN1_NULL));
  ERR_clear_error();
  return out;
}

bool ossl::key_supported(EVP_PKEY* key) {
  if (!key) return false;
  const int kind = EVP_PKEY_get_base_id(key), bits = EVP_PKEY_get_bits(key);
  if (kind == EVP_PKEY_ED25519) return true;
  if (kind == EVP_PKEY_RSA) return bits >= 2048 && bits <= 16384;
  char group[64] = {};
  size_t size = 0;
  if (kind != EVP_PKEY_EC || EVP_PKEY_get_group_name(key, group, sizeof group, &size) != 1) return false;
  const int nid = OBJ_sn2nid(group);
  return nid == NID_X9_62_prime256v1 || nid == NID_secp384r1 || nid == NID_secp521r1;
}

bool Crl::algorithm_supported() const {
  const CrlPtr list = read(der);
  const X509_ALGOR* algorithm = nullptr;
  X509_CRL_get0_signature(list.get(), nullptr, &algorithm);
  return signature_supported(algorithm);
}

bool Crl::signed_by(const Certificate& by) const {
  if (by.subject_der != issuer_der) return false;
  if (by.key_usage && !(*by.key_usage & kUsageCrlSign)) return false;
  const CrlPtr list = read(der);
  const uint8_t* at = by.der.data();
  const X509Ptr cert(d2i_X509(nullptr, &at, static_cast<long>(by.der.size())));
  EVP_PKEY* key = cert ? X509_get0_pubkey(cert.get()) : nullptr;
  const bool good = key && algorithm_supported() && X509_CRL_verify(list.get(), key) == 1;
  ERR_clear_error();
  return good;
}

std::string_view revocation_text(Revocation r) {
  switch (r) {
    case Revocation::not_asked:
      return "not-asked";
    case Revocation::good:
      return "good";
    case Revocation::not_shown:
      return "not-shown";
    case Revocation::earlier:
      return "earlier";
    case Revocation::in_doubt:
      return "in-doubt";
    case Revocation::revoked:
      break;
  }
  return "revoked";
}

RevocationCheck check_revocation(const std::vector<Bytes>& chain, const std::vector<Crl>& lists, Millis at,
                                 bool dated) {
  RevocationCheck out{Revocation::good, ""};
  std::string doubt, early;
  for (size_t i = 0; i + 1 < chain.size(); ++i) {
    const Certificate cert = Certificate::parse(chain[i]), issuer = Certificate::parse(chain[i + 1]);
    std::string why = "there is no revocation list of " + cert.issuer;
    bool shown = false;
    const Crl* newest = nullptr;  // of those that count
    for (const Crl& list : lists) {
      if (list.issuer_der != cert.issuer_der) continue;
      const auto row = list.revoked.find(cert.serial_der);
      const bool named = row != list.revoked.end() && (!dated || row->second <= at);
      if (named && doubt.empty() && !list.algorithm_supported())
        doubt = "a revocation list of " + cert.issuer + " names the certificate of " + cert.subject +
                ", and is signed by an algorithm that is not supported";
      if (!list.signed_by(issuer)) {
        if (!shown) why = "the revocation list of " + cert.issuer + " is not signed by it";
        continue;
      }
      if (named)
        return {Revocation::revoked,
                "the certificate of " + cert.subject + " was revoked at " + utc_text(row->second)};
      if (list.next_update < at)
        why = "the revocation list of " + cert.issuer + " ended at " + utc_text(list.next_update);
      else if (list.this_update > cert.not_after)
        why = "the revocation list of " + cert.issuer + " is newer than the certificate's end";
      else {
        shown = true;
        if (!newest || list.this_update > newest->this_update) newest = &list;
      }
    }
    if (i == 0 && newest && newest->this_update < at / 1000 * 1000)
      early = "the revocation list of " + cert.issuer + " was published at " + utc_text(newest->this_update) +
              ", before the signature";
    if (!shown && out.why.empty()) out = {Revocation::not_shown, why};
  }
  if (!doubt.empty()) return {Revocation::in_doubt, doubt};
  if (out.state == Revocation::good && !early.empty()) return {Revocation::earlier, early};
  return out;
}

}  // namespace kesu
