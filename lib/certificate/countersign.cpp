#include "certificate/countersign.h"

#include <algorithm>

#include "certificate/conditions_impl.h"
#include "certificate/dossier_impl.h"
#include "certificate/verify_impl.h"
#include "crypto/cms.h"
#include "crypto/timestamp.h"

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

int countersignatures_of(const BundleFiles& files) {
  return static_cast<int>(std::ranges::count_if(
      files, [](const auto& file) { return countersignature_number(file.first).has_value(); }));
}

namespace {
CmsCheck good_one(ByteView certificate, ByteView cms) {
  CmsCheck check = checked(certificate, cms);
  if (check.ok) return check;
  throw Error(Code::signature_bad, "that is no good signature over certificate.json").cause(check.reason);
}

// The file of the countersignature that was made with the same certificate; empty: there is none.
std::string file_of_same(const BundleFiles& files, const CmsCheck& check) {
  const Bytes& certificate = files.at(std::string(bundle::kCertificate));
  for (const auto& [path, content] : files) {
    if (!countersignature_number(path)) continue;
    const CmsCheck other = checked(certificate, content);
    if (other.signer && other.signer->der == check.signer->der) return path;
  }
  return "";
}

// An answer's token, or the bytes as they are.
Bytes token_in(ByteView file) {
  try {
    const TimestampAnswer answer = parse_timestamp_answer(file);
    if (!answer.granted)
      throw Error(Code::signature_bad, "the time-stamp authority refused").cause(answer.refusal);
    return answer.token;
  } catch (const Error& e) {
    if (e.code() != Code::bad_input) throw;
    return to_bytes(file);
  }
}
}  // namespace

std::string add_countersignature(BundleFiles& files, ByteView cms) {
  const CmsCheck check = good_one(files.at(std::string(bundle::kCertificate)), cms);
  if (const std::string path = file_of_same(files, check); !path.empty())
    throw Error(Code::already_exists, check.signer->subject + " has countersigned it already").tried(path);
  for (int n = kFirst; n <= kLast; ++n)
    if (files.emplace(path_of(n), to_bytes(cms)).second) return path_of(n);
  throw Error(Code::already_exists, "the bundle has 32 countersignatures, as many as one may have");
}

Bytes countersignature_value(ByteView certificate, ByteView cms) {
  CmsCheck check = good_one(certificate, cms);
  if (!check.timestamps.empty())
    throw Error(Code::already_exists, "this signature has a time-stamp already")
        .next("the same command without --token and --tsa");
  return std::move(check.signature);
}

Bytes stamp_countersignature(ByteView certificate, ByteView cms, ByteView file) {
  const Bytes value = countersignature_value(certificate, cms), token = token_in(file);
  if (const TimestampCheck check = verify_timestamp(token, {.data = value}); !check.ok)
    throw Error(Code::signature_bad, "that is no good time-stamp over this signature")
        .cause(check.reason)
        .next("docs/verify-by-hand.md has the lines that take the signature's value out and ask for a token");
  return add_signature_timestamp(cms, token);
}

namespace {
// Why a time-stamp of this time is too old for what was issued then; empty: it is not.
std::string older_problem(const TimestampCheck& token, std::optional<Millis> issued) {
  if (!issued || *issued <= token.time + token.accuracy + dossier::kStampSlack) return "";
  return "its time-stamp of " + utc_text(token.time) + " is older than the certificate, issued " +
         utc_text(*issued);
}

// Why a reader would not take this countersignature; empty: he would.
std::string problem_of(ByteView certificate, ByteView cms) {
  const CmsCheck check = checked(certificate, cms);
  if (!check.ok) return check.reason;
  if (check.timestamps.empty()) return "";
  const TimestampCheck token = verify_timestamp(check.timestamps.front(), {.data = check.signature});
  if (!token.ok) return "its time-stamp: " + token.reason;
  return older_problem(token,
                       parse_utc(parse_json(as_text(certificate), "certificate.json").str_or("issued", "")));
}
}  // namespace

void check_countersignatures(const BundleFiles& files) {
  const Bytes& certificate = files.at(std::string(bundle::kCertificate));
  for (int n = kFirst; n <= kLast; ++n) {
    const auto it = files.find(path_of(n));
    if (it == files.end()) continue;
    const std::string why = problem_of(certificate, it->second);
    if (why.empty()) continue;
    throw Error(Code::signature_bad, it->first + " is no good countersignature of this certificate")
        .cause(why)
        .next(
            "ask whoever signed it for his file, as it was when he made it, or to sign again; or take "
            "along those of another bundle, or none");
  }
}

std::string missing_countersignature(const BundleFiles& files) {
  const int there = countersignatures_of(files);
  for (int n = kFirst; n < kFirst + there; ++n)
    if (!files.contains(path_of(n))) return path_of(n);
  return "";
}

int carry_countersignatures(BundleFiles& to, const BundleFiles& from) {
  const std::string certificate(bundle::kCertificate);
  const auto old = from.find(certificate);
  if (old == from.end() || old->second != to.at(certificate))
    throw Error(Code::bad_input,
                "that bundle is of another certificate: its certificate.json is not the same")
        .next("countersignatures stand for the bytes that were signed; who signed others has to sign again");
  check_countersignatures(from);
  int carried = 0;
  for (int n = kFirst; n <= kLast; ++n) {
    const auto it = from.find(path_of(n));
    if (it == from.end()) continue;
    if (!file_of_same(to, good_one(old->second, it->second)).empty()) continue;
    add_countersignature(to, it->second);
    ++carried;
  }
  return carried;
}

namespace {
// Its own time-stamp; nothing where there is none, or where it is not good, which is a finding.
std::optional<dossier::StampFacts> stamp_of(dossier::Dossier& d, const std::string& path,
                                            const CmsCheck& check, const TrustAnchors& trust,
                                            const std::vector<Crl>& lists, std::optional<Millis> now) {
  if (check.timestamps.empty()) return std::nullopt;  // there is one at most: an attribute stands once
  dossier::StampFacts s{dossier::StampFacts::Over::signature,
                        path,
                        verify_timestamp(check.timestamps.front(), {.data = check.signature}),
                        false,
                        "",
                        {},
                        check.certificates};
  if (!s.token.ok) {
    d.findings.bad(path, "its time-stamp: " + s.token.reason);
    return std::nullopt;
  }
  dossier::judge_stamp(s, trust.tsa_cas, lists);
  if (s.trusted && now && !dossier::stamp_stands(s, trust.tsa_cas, *now)) {
    s.trusted = false;
    s.why = dossier::kStampEnded;
  }
  return s;
}

std::string said(const StampResult& t, bool ja) {
  return local_text(t.at) + (ja ? "、" : ", by ") + plain(t.authority);
}
}  // namespace

void read_countersignatures(dossier::Dossier& d, const TrustAnchors& trust, const std::vector<Crl>& lists,
                            std::optional<Millis> issued, std::optional<Millis> now, VerifyReport& report) {
  const auto certificate = d.file(bundle::kCertificate);
  const int there = countersignatures_of(*d.files);
  for (int n = kFirst; n < kFirst + there; ++n) {
    const std::string path = path_of(n);
    const auto file = d.file(path);
    if (!file || !certificate) {
      d.findings.bad(path, "is missing: countersignatures are numbered from 2 on without a gap");
      continue;
    }
    const CmsCheck check = checked(*certificate, *file);
    if (!check.ok) {
      d.findings.bad(path, check.reason);
      continue;
    }
    const std::optional<dossier::StampFacts> stamp = stamp_of(d, path, check, trust, lists, now);
    if (!stamp && !check.timestamps.empty()) continue;
    if (const std::string why = stamp ? older_problem(stamp->token, issued) : ""; !why.empty())
      d.findings.bad(path, why);
    const Certificate& signer = *check.signer;
    const Digest32 digest = signer.fingerprint();
    CountersignatureResult row{
        path,        signer.subject,
        hex(digest), std::ranges::find(trust.countersigners, digest) != trust.countersigners.end(),
        {},          {}};
    if (stamp) row.time = stamp_result(*stamp, path);
    // A certificate's end is to the second, and that second is part of it.
    if (stamp && stamp->trusted)
      row.valid = signer.not_before <= stamp->token.time && stamp->token.time <= signer.not_after + 999;
    report.countersignatures.push_back(std::move(row));
  }
}

Json countersignature_json(const CountersignatureResult& c) {
  return Json::object({{"file", c.file},
                       {"signer", c.signer},
                       {"certificate", c.certificate},
                       {"known", c.known},
                       {"time", c.time ? stamp_json(*c.time) : Json()},
                       {"valid", c.valid ? Json(*c.valid) : Json()}});
}

std::string countersignature_line(const CountersignatureResult& c, bool ja) {
  std::string out = plain(c.signer) + ", sha256:" + c.certificate;
  if (!c.known)
    out += ja ? "（利用者は特定していない）"
              : ", not identified: no countersigner line of the trust file names it";
  if (c.time && c.time->trusted)
    out += (ja ? "、時刻 " : ", at ") + said(*c.time, ja);
  else
    out += ja ? "、時刻は示されていない" : ", time not shown";
  if (c.time && !c.time->trusted)
    out += (ja ? "（算入しない：" : " (not counted: ") + said(*c.time, ja) + ": " + plain(c.time->why) +
           (ja ? "）" : ")");
  if (c.valid && !*c.valid)
    out += ja ? "。その証明書はその時点で有効ではなかった" : "; ITS CERTIFICATE WAS NOT VALID THEN";
  return out;
}

}  // namespace kesu
