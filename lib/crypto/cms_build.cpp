// Making detached signatures and adding time-stamps to them.
#include "base/error.h"
#include "crypto/algid_impl.h"
#include "crypto/cms_impl.h"

namespace kesu {

using namespace cms;

namespace {
Bytes attribute(std::string_view type, ByteView value) {
  return der::seq({der::oid(type), der::tlv(der::kSet, value)});
}

Bytes content_info(ByteView signed_data) {
  return der::seq({der::oid(kSignedData), der::tlv(der::context(0), signed_data)});
}
}  // namespace

Bytes build_detached_cades(ByteView content, ByteView certificate, const std::vector<Bytes>& extra,
                           Millis signing_time, const Signer& sign) {
  const Certificate cert = Certificate::parse(certificate);
  if (!cert.key)
    throw Error(Code::bad_input, "the signer's certificate has a kind of key that is not accepted");
  const SigAlg alg = algid::chosen(*cert.key);
  const HashAlg hash_alg = sig_alg_hash(alg).value();

  // ESSCertIDv2 with its default hash, SHA-256, which DER leaves out.
  const Bytes cert_id = der::seq({der::octets(sha256(certificate))});
  const std::vector<Bytes> attributes = {
      attribute(kContentType, der::oid(kData)),
      attribute(kMessageDigest, der::octets(hash(hash_alg, content))),
      attribute(kSigningTime, der::time(signing_time)),
      attribute(kSigningCertificateV2, der::seq({der::seq({cert_id})})),
  };
  const Bytes signature = algid::sign_elsewhere(*cert.key, alg, der::set_of(attributes), sign);
  const Bytes signer_info = der::seq({
      der::integer(1),
      der::seq({cert.issuer_der, cert.serial_der}),
      algid::digest(hash_alg),
      der::set_of(attributes, der::context(0)),
      algid::signature(alg),
      der::octets(signature),
  });
  std::vector<Bytes> certificates = extra;
  certificates.push_back(to_bytes(certificate));
  Bytes out = content_info(der::seq({
      der::integer(1),
      der::tlv(der::kSet, algid::digest(hash_alg)),
      der::seq({der::oid(kData)}),
      der::set_of(std::move(certificates), der::context(0)),
      der::tlv(der::kSet, signer_info),
  }));
  const CmsCheck check = verify_detached(content, out);
  if (!check.ok) throw Error(Code::bad_input, "the new signature would not be accepted").cause(check.reason);
  return out;
}

Bytes add_signature_timestamp(ByteView der, ByteView token) {
  const Signed parts = read_signed(der);
  if (parts.signers != 1) throw Error(Code::bad_input, "CMS: a time-stamp needs exactly one signer");
  der::Reader whole(token, "time-stamp token");
  if (whole.next("token").tag != der::kSequence) whole.bad("token", "is no SEQUENCE");
  whole.end("token");
  std::vector<Bytes> attributes;
  for (const Attribute& a : read_attributes(parts.unsigned_attributes, "unsigned attributes")) {
    if (a.oid == kTimeStampToken)
      throw Error(Code::bad_input, "CMS: the signature has its time-stamp already");
    attributes.push_back(to_bytes(a.whole));
  }
  attributes.push_back(attribute(kTimeStampToken, token));
  const Bytes signer_info =
      der::seq({parts.before_unsigned, der::set_of(std::move(attributes), der::context(1))});
  return content_info(der::seq({parts.before_signers, der::tlv(der::kSet, signer_info)}));
}

}  // namespace kesu
