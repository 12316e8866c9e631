// Reading certificates and checking chains over OpenSSL.
#include "crypto/x509.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>

#include "crypto/der_impl.h"
#include "crypto/openssl_impl.h"
#include "crypto/pem_impl.h"
#include "crypto/x509_impl.h"

namespace kesu {

using namespace ossl;

namespace {
constexpr std::string_view kLabel = "CERTIFICATE";
constexpr std::string_view kTimeStamping = "1.3.6.1.5.5.7.3.8", kAnyPurpose = "2.5.29.37.0";
constexpr int kMaxBetween = 7;  // certificates between a path's first one and its anchor

using X509Ptr = Owned<X509, X509_free>;
using StorePtr = Owned<X509_STORE, X509_STORE_free>;
using StoreCtx = Owned<X509_STORE_CTX, X509_STORE_CTX_free>;
void free_stack(STACK_OF(X509) * stack) { sk_X509_pop_free(stack, X509_free); }
using StackPtr = Owned<STACK_OF(X509), free_stack>;

Error bad(std::string what) {
  std::string cause = take_errors();
  return Error(Code::bad_input, "certificate: " + std::move(what)).cause(std::move(cause));
}

X509Ptr read(ByteView der) {
  if (der.size() > kMaxCertificate) throw bad("larger than 65,536 bytes");
  const uint8_t* at = der.data();
  X509Ptr cert(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!cert) throw bad("not a certificate in DER");
  if (at != der.data() + der.size()) throw bad("bytes follow its end");
  return cert;
}

std::string common_name_of(const X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0) return {};
  unsigned char* text = nullptr;
  const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  if (size < 0) throw bad("its common name is no text");
  std::string out(reinterpret_cast<char*>(text), static_cast<size_t>(size));
  OPENSSL_free(text);
  // Shown to people: no control characters, which a terminal would obey. name_text escapes them itself.
  if (std::ranges::any_of(out, [](unsigned char c) { return c < 0x20 || c == 0x7F; }))
    throw bad("its common name has control characters");
  return out;
}

Millis time_of(const ASN1_TIME* t) {
  std::tm tm{};
  if (!t || !ASN1_TIME_to_tm(t, &tm)) throw bad("its validity is no time");
  return static_cast<Millis>(timegm(&tm)) * 1000;
}

std::string hex_of(const ASN1_INTEGER* serial) {
  Bignum n(check(ASN1_INTEGER_to_BN(serial, nullptr), "reading a serial number"));
  Bytes bytes(static_cast<size_t>(BN_num_bytes(n.get())));
  BN_bn2bin(n.get(), bytes.data());
  std::string text = hex(bytes);
  text.erase(0, std::min(text.find_first_not_of('0'), text.size()));
  return (BN_is_negative(n.get()) ? "-" : "") + (text.empty() ? "0" : text);
}

// X509_get_key_usage has the first bit of the extension as 0x80, the ninth as 0x8000.
std::optional<uint32_t> key_usage_of(X509* cert) {
  if (X509_get_ext_by_NID(cert, NID_key_usage, -1) < 0) return std::nullopt;
  const uint32_t flags = X509_get_key_usage(cert);
  uint32_t out = 0;
  for (int i = 0; i < 8; ++i)
    if (flags & (0x80u >> i)) out |= 1u << i;
  if (flags & KU_DECIPHER_ONLY) out |= 1u << 8;
  return out;
}

std::vector<std::string> extended_usage(X509* cert, bool& is_critical) {
  std::vector<std::string> out;
  int critical = 0;
  auto* list =
      static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(cert, NID_ext_key_usage, &critical, nullptr));
  if (!list) {
    if (critical != -1) throw bad("its extended key usage is damaged");
    return out;
  }
  for (int i = 0; i < sk_ASN1_OBJECT_num(list); ++i) {
    char text[128];
    OBJ_obj2txt(text, sizeof text, sk_ASN1_OBJECT_value(list, i), 1);
    out.emplace_back(text);
  }
  EXTENDED_KEY_USAGE_free(list);
  is_critical = critical == 1;
  return out;
}

bool signed_by_itself(X509* cert) {
  if (X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) != 0) return false;
  EVP_PKEY* key = X509_get0_pubkey(cert);
  const bool good = key && X509_verify(cert, key) == 1;
  ERR_clear_error();
  return good;
}

// Critical extensions that are judged or may be read over here; docs/spec/certificate.md has the same list.
constexpr int kUnderstood[] = {NID_basic_constraints,    NID_key_usage,
                               NID_ext_key_usage,        NID_subject_alt_name,
                               NID_certificate_policies, NID_crl_distribution_points};

// Why a certificate cannot be part of a path; empty: it can. Name constraints bind whoever reads on, critical
// or not.
// An anchor is trusted as it is: whoever signed it.
std::string refused_part(X509* cert, bool is_anchor) {
  const X509_ALGOR* algorithm = nullptr;
  X509_get0_signature(nullptr, &algorithm, cert);
  if (!key_supported(X509_get0_pubkey(cert)) || (!is_anchor && !signature_supported(algorithm)))
    return "a key or signature that is too weak, or of a kind that is not supported (" +
           name_text(X509_get_subject_name(cert)) + ")";
  for (int i = 0; i < X509_get_ext_count(cert); ++i) {
    X509_EXTENSION* e = X509_get_ext(cert, i);
    const int nid = OBJ_obj2nid(X509_EXTENSION_get_object(e));
    const bool critical = X509_EXTENSION_get_critical(e) != 0;
    if (nid != NID_name_constraints && (!critical || std::ranges::count(kUnderstood, nid) == 1)) continue;
    char oid[128];
    OBJ_obj2txt(oid, sizeof oid, X509_EXTENSION_get_object(e), 1);
    return std::string(critical ? "the critical extension " : "the extension ") + oid +
           " is not supported (" + name_text(X509_get_subject_name(cert)) + ")";
  }
  return {};
}

// Why a certificate cannot be an issuer in a path; empty: it can. OpenSSL takes an anchor without basic
// constraints, and asks of no issuer what it is for.
std::string issuer_problem(X509* cert, ChainPurpose purpose) {
  X509_check_purpose(cert, -1, 0);
  if (X509_get_extension_flags(cert) & EXFLAG_INVALID) return "an issuer has a damaged extension";
  if (!(X509_get_extension_flags(cert) & EXFLAG_CA)) return "an issuer is no certification authority";
  bool is_critical = false;
  const std::vector<std::string> uses = extended_usage(cert, is_critical);
  if (purpose == ChainPurpose::timestamping && !uses.empty() &&
      std::ranges::none_of(uses, [](auto& oid) { return oid == kTimeStamping || oid == kAnyPurpose; }))
    return "an issuer is for another purpose";
  return {};
}
}  // namespace

namespace {
Bytes der_of(const X509_NAME* name) { return encode(i2d_X509_NAME, name); }

// The first directory name of whoever issued the issuer, as the certificate says; null: it says none.
const X509_NAME* issuers_issuer(X509* cert) {
  const GENERAL_NAMES* names = X509_get0_authority_issuer(cert);
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names); ++i) {
    int type = 0;
    const void* value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
    if (type == GEN_DIRNAME) return static_cast<const X509_NAME*>(value);
  }
  return nullptr;
}

// Whether `issuer` signed `cert`, as docs/spec/certificate.md says ("Whose a certificate is"). OpenSSL judges
// the key identifiers alike, but takes names that differ in letters' case, and of several issuers of one name
// one that did not sign.
int is_issued(X509_STORE_CTX*, X509* cert, X509* issuer) {
  const X509_NAME* above = issuers_issuer(cert);
  const bool fits = X509_check_issued(issuer, cert) == X509_V_OK &&
                    der_of(X509_get_issuer_name(cert)) == der_of(X509_get_subject_name(issuer)) &&
                    (!above || der_of(above) == der_of(X509_get_issuer_name(issuer)));
  EVP_PKEY* key = X509_get0_pubkey(issuer);
  const bool good = fits && key && X509_verify(cert, key) == 1;
  ERR_clear_error();
  return good ? 1 : 0;
}
}  // namespace

Certificate Certificate::parse(ByteView der) {
  const X509Ptr cert = read(der);
  // Fills OpenSSL's view of the extensions; -1 is fine, a damaged one is not.
  X509_check_purpose(cert.get(), -1, 0);
  if (X509_get_extension_flags(cert.get()) & EXFLAG_INVALID) throw bad("an extension is damaged");
  ERR_clear_error();

  Certificate out;
  out.der = encode(i2d_X509, cert.get());
  if (!std::ranges::equal(out.der, der)) throw bad("not in DER form");
  const X509_NAME* subject = X509_get_subject_name(cert.get());
  const X509_NAME* issuer = X509_get_issuer_name(cert.get());
  out.subject = name_text(subject);
  out.issuer = name_text(issuer);
  out.common_name = common_name_of(subject);
  out.subject_der = encode(i2d_X509_NAME, subject);
  out.issuer_der = encode(i2d_X509_NAME, issuer);
  out.serial = hex_of(X509_get0_serialNumber(cert.get()));
  out.serial_der = encode(i2d_ASN1_INTEGER, X509_get0_serialNumber(cert.get()));
  out.not_before = time_of(X509_get0_notBefore(cert.get()));
  out.not_after = time_of(X509_get0_notAfter(cert.get()));
  try {
    out.key = PublicKey::from_spki(
        encode(i2d_X509_PUBKEY, static_cast<const X509_PUBKEY*>(X509_get_X509_PUBKEY(cert.get()))));
  } catch (const Error& e) {
    if (e.code() != Code::bad_input) throw;
  }
  out.self_signed = signed_by_itself(cert.get());
  out.is_ca = (X509_get_extension_flags(cert.get()) & EXFLAG_CA) != 0;
  out.key_usage = key_usage_of(cert.get());
  out.extended_key_usage = extended_usage(cert.get(), out.extended_key_usage_critical);
  return out;
}

namespace {
// X.690 §11.2: no bits behind the last one, no zeros at the end.
bool is_named_bits(ByteView bits) {
  if (bits.empty() || bits[0] > 7 || (bits.size() == 1 && bits[0] != 0)) return false;
  if (bits.size() == 1) return true;
  const unsigned last = bits.back(), one = 1u << bits[0];
  return (last & (one - 1)) == 0 && (last & one) != 0;
}

bool is_boolean(ByteView content) { return content.size() == 1 && (content[0] == 0 || content[0] == 0xFF); }

// Of one extension; empty: nothing.
std::string extension_problem(std::string_view oid, ByteView value) {
  der::Reader all(value, "certificate");
  if (oid == "2.5.29.15") {
    if (!is_named_bits(all.next(der::kBitString, "key usage"))) return "its key usage is not in DER";
    all.end("key usage");
  } else if (oid == "2.5.29.19") {
    der::Reader in = all.enter(der::kSequence, "basic constraints");
    all.end("basic constraints");
    bool is_ca = false;
    if (in.at(der::kBoolean)) {
      const ByteView flag = in.next(der::kBoolean, "basic constraints");
      if (!is_boolean(flag)) return "its basic constraints are not in DER";
      is_ca = flag[0] != 0;
    }
    if (!in.done()) {
      const ByteView length = in.next(der::kInteger, "path length");
      if (!is_ca || length.empty() || length[0] & 0x80)
        return "its basic constraints have a path length that means nothing";
    }
    in.end("basic constraints");
  } else if (oid == "2.5.29.37") {
    der::Reader in = all.enter(der::kSequence, "extended key usage");
    all.end("extended key usage");
    while (!in.done()) in.next(der::kOid, "extended key usage");
  }
  return {};
}
}  // namespace

std::string ossl::form_problem(ByteView der) {
  der::Reader all(der, "certificate");
  der::Reader outer = all.enter(der::kSequence, "certificate");
  der::Reader in = outer.enter(der::kSequence, "body");
  const ByteView named = outer.next("signature algorithm").whole;
  if (!in.at(der::context(0)) ||
      !std::ranges::equal(in.next("version").whole, der::tlv(der::context(0), der::integer(2))))
    return "it is not of X.509 version 3, which has extensions (openssl x509 -req makes such without "
           "-extfile)";
  in.next("serial number");
  if (!std::ranges::equal(in.next("signature algorithm").whole, named))
    return "it names two signature algorithms";
  const uint8_t* at = named.data();
  const Owned<X509_ALGOR, X509_ALGOR_free> algorithm(
      d2i_X509_ALGOR(nullptr, &at, static_cast<long>(named.size())));
  if (!algorithm || !signature_supported(algorithm.get())) {
    ERR_clear_error();
    return "it is signed with an algorithm that is not supported: ECDSA or RSA with SHA-256, SHA-384 or "
           "SHA-512, "
           "or Ed25519";
  }
  in.next("issuer");
  der::Reader validity = in.enter(der::kSequence, "validity");
  for (const char* field : {"begin", "end"})
    if (!der::parse_time(validity.next(field))) return "its validity is not in DER";
  in.next("subject");
  in.next("key");
  if (in.done()) return {};
  if (!in.at(der::context(3))) return "it has unique identifiers, which are not supported";
  der::Reader holder = in.enter(der::context(3), "extensions");
  in.end("extensions");
  std::vector<std::string> seen;
  for (der::Reader list = holder.enter(der::kSequence, "extensions"); !list.done();) {
    der::Reader one = list.enter(der::kSequence, "extension");
    seen.push_back(der::oid_text(one.next(der::kOid, "extension")));
    if (std::ranges::count(seen, seen.back()) > 1) return "the extension " + seen.back() + " stands twice";
    if (one.at(der::kBoolean) && !is_boolean(one.next(der::kBoolean, "critical")))
      return "the extension " + seen.back() + " is not in DER";
    const ByteView value = one.next(der::kOctetString, "extension");
    one.end("extension");
    if (std::string why = extension_problem(seen.back(), value); !why.empty()) return why;
  }
  return {};
}

std::vector<Certificate> Certificate::parse_pem(std::string_view text) {
  std::vector<Certificate> out;
  pem::each_block(text, kLabel, bad, [&](ByteView der) { out.push_back(parse(der)); });
  if (out.empty()) throw bad("no certificate in the PEM text");
  return out;
}

std::string Certificate::pem() const { return pem::block(kLabel, der); }

bool is_signing_purpose(std::string_view oid) {
  return oid == "1.3.6.1.5.5.7.3.36" || oid == "1.3.6.1.4.1.311.10.3.12" || oid == "1.3.6.1.5.5.7.3.4" ||
         oid == kAnyPurpose;
}

ChainCheck verify_chain(ByteView signer, const std::vector<Bytes>& intermediates,
                        const std::vector<Bytes>& anchors, Millis at, ChainPurpose purpose) {
  const X509Ptr leaf = read(signer);
  ChainCheck out;
  std::string refused =
      refused_part(leaf.get(), std::ranges::count(anchors, Bytes(signer.begin(), signer.end())) > 0);
  if (!refused.empty()) {
    out.reason = refused;
    return out;
  }
  // Left out, not fatal: another path may do without it.
  auto usable = [&](X509* cert, bool is_anchor) {
    std::string why = refused_part(cert, is_anchor);
    if (why.empty() && X509_cmp(cert, leaf.get()) != 0)
      if (why = issuer_problem(cert, purpose); !why.empty())
        why += " (" + name_text(X509_get_subject_name(cert)) + ")";
    if (refused.empty()) refused = why;
    return why.empty();
  };
  StorePtr store(check(X509_STORE_new(), "making a certificate store"));
  X509_STORE_set_check_issued(store.get(), is_issued);
  for (const Bytes& der : anchors)
    if (const X509Ptr cert = read(der); usable(cert.get(), true))
      check(X509_STORE_add_cert(store.get(), cert.get()), "adding an anchor");
  StackPtr others(check(sk_X509_new_null(), "making a certificate list"));
  for (const Bytes& der : intermediates) {
    const uint8_t* from = der.data();
    X509Ptr cert(d2i_X509(nullptr, &from, static_cast<long>(der.size())));
    ERR_clear_error();
    // What cannot be read leads nowhere; another path may do without it.
    if (!cert || from != der.data() + der.size()) continue;
    if (!usable(cert.get(), false)) continue;
    check(sk_X509_push(others.get(), cert.get()), "adding a certificate");
    (void)cert.release();  // the list owns it now
  }
  StoreCtx ctx(check(X509_STORE_CTX_new(), "starting a chain check"));
  check(X509_STORE_CTX_init(ctx.get(), store.get(), leaf.get(), others.get()), "starting a chain check");
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(ctx.get());
  X509_VERIFY_PARAM_set_time(param, static_cast<time_t>(at / 1000));
  X509_VERIFY_PARAM_set_auth_level(param, 2);
  X509_VERIFY_PARAM_set_depth(param, kMaxBetween);
  check(X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN), "starting a chain check");
  check(X509_VERIFY_PARAM_set_purpose(
            param, purpose == ChainPurpose::timestamping ? X509_PURPOSE_TIMESTAMP_SIGN : X509_PURPOSE_ANY),
        "starting a chain check");

  const int result = X509_verify_cert(ctx.get());
  if (result != 1) {
    const X509* where = X509_STORE_CTX_get_current_cert(ctx.get());
    out.reason = X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx.get()));
    if (where) out.reason += " (" + name_text(X509_get_subject_name(where)) + ")";
    if (!refused.empty()) out.reason = refused;
    ERR_clear_error();
    return out;
  }
  const STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(ctx.get());
  // To the first anchor: what OpenSSL found above it is nobody's question.
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    out.chain.push_back(encode(i2d_X509, static_cast<const X509*>(sk_X509_value(chain, i))));
    if (std::ranges::count(anchors, out.chain.back())) break;
  }
  if (purpose == ChainPurpose::document_signing) {
    const Certificate c = Certificate::parse(signer);
    if (!c.may_sign()) {
      out.reason = "the certificate's key usage does not allow signing";
      return out;
    }
    const auto& uses = c.extended_key_usage;
    if (!uses.empty() && std::ranges::none_of(uses, [](auto& oid) { return is_signing_purpose(oid); })) {
      out.reason = "the certificate is for another purpose";
      return out;
    }
  }
  out.ok = true;
  return out;
}

}  // namespace kesu
