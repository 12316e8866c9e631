#include "certificate/countersign.h"

#include "certificate/dossier_impl.h"
#include "certificate/verify_impl.h"
#include "crypto/cms.h"

namespace kesu {

namespace {
constexpr int kFirst = 2, kLast = 33;

std::string path_of(int n) { return "certificate.json." + std::to_string(n) + ".p7s"; }

CmsCheck checked(ByteView certificate, ByteView cms) {
  CmsCheck check = verify_detached(certificate, cms);
  if (check.ok && !check.has_signing_certificate_v2) {
    check.ok = false;
    check.reason = "the signed attribute signing-certificate-v2 is not there (openssl cms -cades)";
  }
  return check;
}
}  // namespace

std::optional<int> countersignature_number(std::string_view path) {
  for (int n = kFirst; n <= kLast; ++n)
    if (path == path_of(n)) return n;
  return std::nullopt;
}

std::string add_countersignature(BundleFiles& files, ByteView cms) {
  const Bytes& certificate = files.at(std::string(bundle::kCertificate));
  const CmsCheck check = checked(certificate, cms);
  if (!check.ok)
    throw Error(Code::signature_bad, "that is no good signature over certificate.json").cause(check.reason);
  for (int n = kFirst; n <= kLast; ++n) {
    const auto it = files.find(path_of(n));
    if (it == files.end()) {
      files[path_of(n)] = to_bytes(cms);
      return path_of(n);
    }
    const CmsCheck other = checked(certificate, it->second);
    if (other.signer && other.signer->der == check.signer->der)
      throw Error(Code::already_exists, check.signer->subject + " has countersigned it already")
          .tried(path_of(n));
  }
  throw Error(Code::already_exists, "the bundle has 32 countersignatures, as many as one may have");
}

void read_countersignatures(dossier::Dossier& d, const TrustAnchors& trust, VerifyReport& report) {
  const auto certificate = d.file(bundle::kCertificate);
  int there = 0;
  for (const auto& [path, content] : *d.files) there += countersignature_number(path).has_value();
  for (int n = kFirst; n < kFirst + there; ++n) {
    const auto file = d.file(path_of(n));
    if (!file || !certificate) {
      d.findings.bad(path_of(n), "is missing: countersignatures are numbered from 2 on without a gap");
      continue;
    }
    const CmsCheck check = checked(*certificate, *file);
    if (!check.ok) {
      d.findings.bad(path_of(n), check.reason);
      continue;
    }
    const Digest32 digest = check.signer->fingerprint();
    const bool known = std::find(trust.countersigners.begin(), trust.countersigners.end(), digest) !=
                       trust.countersigners.end();
    report.countersignatures.push_back({path_of(n), check.signer->subject, hex(digest), known});
  }
}

}  // namespace kesu
