#include "app/countersign.h"

#include "app/certificate.h"
#include "app/time_authority.h"
#include "base/files.h"
#include "certificate/countersign.h"
#include "crypto/cms.h"
#include "crypto/person_key.h"
#include "crypto/x509.h"
#include "net/http.h"

namespace kesu {

namespace {
constexpr Millis kTimeout = 20'000;

VerifyReport sound(const BundleFiles& files, const std::string& where, const std::string& what) {
  VerifyReport report = verify_bundle(files, {}, {.required_profile = "low"});
  if (report.verdict != Verdict::invalid) return report;
  throw Error(Code::bundle_invalid, what).cause(first_error(report)).next("kesu verify " + where);
}

void check_words(const CountersignRequest& r) {
  if (r.signature.empty() && r.from.empty())
    throw Error(Code::usage, "whose signature? --signature FILE")
        .next(
            "where the private key is: openssl cms -sign -binary -cades -md sha384 -in certificate.json "
            "-signer CERTIFICATE.pem -inkey KEY -outform DER -out FILE");
  if (r.signature.empty() && (!r.token.empty() || !r.tsa_url.empty()))
    throw Error(Code::usage, "a time-stamp is of one signature").next("--signature FILE");
  if (!r.token.empty() && !r.tsa_url.empty())
    throw Error(Code::usage, "--token and --tsa say two things: a time-stamp that is there, or a new one");
  if (r.tsa_url.empty() != r.tsa_ca.empty())
    throw Error(Code::usage, "--tsa URL and --tsa-ca PEM go together")
        .next("the authority's root certificate, as PEM: an answer that does not lead to it does not count");
  if (const std::string why = r.tsa_url.empty() ? "" : url_problem(r.tsa_url); !why.empty())
    throw Error(Code::usage, "--tsa " + r.tsa_url + ": the URL " + why);
}

// The signature with its token, as far as one is asked for.
Bytes stamped(Environment& env, const CountersignRequest& r, ByteView certificate, Bytes cms) {
  if (!r.token.empty()) return stamp_countersignature(certificate, cms, read_file(r.token, kMaxTimestamp));
  if (r.tsa_url.empty()) return cms;
  TimeAuthority authority{.url = r.tsa_url, .anchors = {}, .policy = "", .tls_ca = "", .timeout = kTimeout};
  for (const Certificate& c : Certificate::parse_pem(as_text(read_file(r.tsa_ca, 1 << 20))))
    authority.anchors.push_back(c.der);
  const Bytes value = countersignature_value(certificate, cms);
  return stamp_countersignature(certificate, cms, ask_authority(env, authority, value).token);
}
}  // namespace

Countersigned countersign_bundle(Environment& env, const CountersignRequest& request) {
  check_words(request);
  const std::string path = absolute_path(request.out);
  refuse_existing(path);
  BundleFiles files = open_bundle(request.bundle);
  sound(files, request.bundle, "what is forged or altered is not countersigned");
  Countersigned done{};
  if (!request.from.empty())
    done.carried = carry_countersignatures(
        files,
        read_countersigned(env, request.from, hex(sha256(files.at(std::string(bundle::kCertificate))))));
  if (!request.signature.empty()) {
    const auto cms = cms_in(read_file(request.signature, kMaxCms));
    if (!cms)
      throw Error(Code::signature_bad, request.signature + " holds no CMS signature")
          .next("openssl cms -sign -binary -cades … -outform DER or PEM");
    const Bytes certificate = files.at(std::string(bundle::kCertificate));
    done.path = add_countersignature(files, stamped(env, request, certificate, *cms));
  }
  done.report = sound(files, request.bundle, "with this signature nobody would accept the bundle");
  make_directories(dir_name(path));
  write_bundle(path, files);
  return done;
}

BundleFiles read_countersigned(Environment& env, const std::string& path, const std::string& document) {
  BundleFiles out;
  if (path.empty()) return out;
  for (auto& [name, content] : open_bundle(path))
    if (name == bundle::kCertificate || countersignature_number(name)) out.emplace(name, std::move(content));
  const auto it = out.find(std::string(bundle::kCertificate));
  if (it == out.end() || hex(sha256(it->second)) != document)
    throw Error(Code::bad_input, path + " is of another certificate: its certificate.json is not the same")
        .next(
            "countersignatures stand for the bytes that were signed: name an older bundle of this "
            "certificate; who signed another has to sign again");
  try {
    check_countersignatures(out);
  } catch (Error& e) {
    throw e.tried(path);
  }
  if (const std::string missing = missing_countersignature(out); !missing.empty())
    env.notice(path + " has no " + missing +
               ", but later ones: somebody's signature was taken out of it; the others are taken along, "
               "numbered anew");
  return out;
}

void refuse_existing(const std::string& path) {
  if (!exists(path)) return;
  int there = 0;
  try {
    there = countersignatures_of(open_bundle(path));
  } catch (const Error&) {  // no bundle, so it has none
  }
  throw Error(Code::already_exists, path + " is there already")
      .next("choose another -o DIR or FILE.zip" +
            (there ? "; it has countersignatures (" + std::to_string(there) +
                         "), which the vault does not keep: kesu certificate bundle --countersigned " + path +
                         " takes them along"
                   : std::string()));
}

}  // namespace kesu
