// Self-signed certificates and certification requests for keys that live elsewhere.
#include <algorithm>

#include "base/error.h"
#include "crypto/algid_impl.h"
#include "crypto/csr.h"
#include "crypto/pem_impl.h"
#include "crypto/x509.h"

namespace kesu {

namespace {
Error bad(std::string what) { return Error(Code::bad_input, "new certificate: " + std::move(what)); }

void check_text(std::string_view text, std::string_view field) {
  const auto characters = std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; });
  const bool control = std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  if (!is_utf8(text) || control || characters > 64)
    throw bad(std::string(field) + " is no text of 64 characters at the most");
}

Bytes rdn(std::string_view oid, uint8_t tag, std::string_view text) {
  return der::tlv(der::kSet, der::seq({der::oid(oid), der::tlv(tag, as_bytes(text))}));
}

Bytes name_of(const SubjectName& subject) {
  check_text(subject.common_name, "the common name");
  check_text(subject.organization, "the organization");
  if (subject.common_name.empty()) throw bad("the common name is empty");
  ByteWriter out;
  if (!subject.country.empty()) {
    if (subject.country.size() != 2 ||
        !std::ranges::all_of(subject.country, [](char c) { return c >= 'A' && c <= 'Z'; }))
      throw bad("the country is not two capital letters");
    out.raw(rdn("2.5.4.6", der::kPrintable, subject.country));
  }
  if (!subject.organization.empty()) out.raw(rdn("2.5.4.10", der::kUtf8, subject.organization));
  out.raw(rdn("2.5.4.3", der::kUtf8, subject.common_name));
  return der::tlv(der::kSequence, out.bytes());
}

Bytes extension(std::string_view oid, bool critical, ByteView value) {
  const Bytes flag = critical ? der::boolean(true) : Bytes();
  return der::seq({der::oid(oid), flag, der::octets(value)});
}

Bytes extensions_for(const PublicKey& key) {
  // RFC 7093 §2 method 1: the leftmost 160 bits of SHA-256 of the key's bits.
  der::Reader outer(key.spki(), "public key");
  der::Reader spki = outer.enter(der::kSequence, "key");
  spki.next(der::kSequence, "algorithm");
  const Digest32 id = sha256(spki.next(der::kBitString, "bits").subspan(1));
  return der::tlv(
      der::context(3),
      der::seq({
          extension("2.5.29.19", true, der::seq({})),
          extension("2.5.29.15", true, der::named_bits(kUsageDigitalSignature | kUsageContentCommitment)),
          extension("2.5.29.14", false, der::octets(ByteView(id).first(20))),
      }));
}

Bytes requested_extensions() {
  return der::seq({
      extension("2.5.29.19", true, der::seq({})),
      extension("2.5.29.15", true, der::named_bits(kUsageDigitalSignature | kUsageContentCommitment)),
  });
}
}  // namespace

Bytes build_self_signed(const SubjectName& subject, const PublicKey& key, Millis not_before, Millis not_after,
                        Random& random, const Signer& sign) {
  const Millis first = not_before - not_before % 1000, last = not_after - not_after % 1000;
  if (first < 0 || last <= first) throw bad("the validity ends before it begins");
  const SigAlg alg = algid::chosen(key);
  const Bytes algorithm = algid::signature(alg);
  const Bytes name = name_of(subject);
  Bytes serial = random.bytes(16);
  serial[0] = static_cast<uint8_t>((serial[0] & 0x7F) | 0x40);  // positive and always as long
  const Bytes to_be_signed =
      der::seq({der::tlv(der::context(0), der::integer(2)), der::integer(ByteView(serial)), algorithm, name,
                der::seq({der::time(first), der::time(last)}), name, key.spki(), extensions_for(key)});
  const Bytes signature = algid::sign_elsewhere(key, alg, to_be_signed, sign);
  return der::seq({to_be_signed, algorithm, der::bit_string(signature)});
}

Bytes build_certificate_request(const SubjectName& subject, const PublicKey& key, const Signer& sign) {
  const SigAlg alg = algid::chosen(key);
  const Bytes attribute =
      der::seq({der::oid("1.2.840.113549.1.9.14"), der::tlv(der::kSet, requested_extensions())});
  const Bytes to_be_signed =
      der::seq({der::integer(0), name_of(subject), key.spki(), der::tlv(der::context(0), attribute)});
  const Bytes signature = algid::sign_elsewhere(key, alg, to_be_signed, sign);
  return der::seq({to_be_signed, algid::signature(alg), der::bit_string(signature)});
}

std::string certificate_request_pem(ByteView der) { return pem::block("CERTIFICATE REQUEST", der); }

}  // namespace kesu
