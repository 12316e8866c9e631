// The earliest end among what a certificate's evidence rests on.
#include "app/renewal.h"

#include <algorithm>

#include "certificate/evidence_chain.h"
#include "certificate/renewal.h"
#include "crypto/cms.h"
#include "crypto/timestamp.h"

namespace kesu {

namespace {
constexpr Millis kRenewNotice = 180 * 86'400'000LL;

class Earliest {
 public:
  void end(Millis at, const std::string& what) {
    if (!found_ || at < found_->at) found_ = RenewBefore{at, what};
  }
  std::optional<RenewBefore> found_;
};

// The last instant of a year, in UTC.
Millis end_of_year(int year) { return *parse_utc(std::to_string(year + 1) + "-01-01T00:00:00.000Z") - 1; }

void signer(Vault& vault, const CertificateRecord& c, Earliest& out) {
  const Bytes document = vault.store().blob(c.document);
  const CmsCheck cms = verify_detached(document, vault.store().blob(c.signature));
  for (const Bytes& der : cms.certificates) {
    const Certificate one = Certificate::parse(der);
    out.end(one.not_after, "the signer's certificate (" + one.subject + ")");
  }
}

// What it rests on, as today's policy judges it: for reading, since nothing new is signed with it.
void algorithms(Vault& vault, const CertificateRecord& c, Earliest& out) {
  const Json json = parse_canonical_json(as_text(vault.store().blob(c.document)), "certificate.json");
  const Json* chain = json.find("evidence_chain");
  if (!chain || !chain->is_array()) return;
  std::vector<EvidencePart> parts;
  for (const Json& part : chain->as_array())
    parts.push_back({part.str("part"), part.str("algorithm"), policy::purpose_from(part.str("purpose"))});
  for (const EvidenceLink& link : judge_evidence(parts))
    if (link.verdict.horizon_year_process > 0 && link.verdict.horizon_year_process < policy::kNoLimit)
      out.end(end_of_year(link.verdict.horizon_year_process),
              "the period of " + link.part.algorithm + " (" + link.part.part + ")");
}

void token_ends(const TimestampCheck& token, const std::vector<Bytes>& chain, Earliest& out) {
  for (const Bytes& der : chain) {
    const Certificate one = Certificate::parse(der);
    out.end(one.not_after, "the time-stamp authority's certificate (" + one.subject + ")");
  }
  if (const int year = last_year_of(token); year < policy::kNoLimit)
    out.end(end_of_year(year), "the period of the time-stamp's algorithms (" + token.algorithm + ")");
}

// A kept answer and the certificates kept with it (PEM).
void kept_stamp(Vault& vault, const std::string& answer, const std::string& data, const std::string& pem,
                Earliest& out) {
  const TimestampCheck token = verify_timestamp(parse_timestamp_answer(vault.store().blob(answer)).token,
                                                {.data = vault.store().blob(data)});
  std::vector<Bytes> chain;
  for (const Certificate& one : Certificate::parse_pem(as_text(vault.store().blob(pem))))
    chain.push_back(one.der);
  token_ends(token, chain, out);
}
}  // namespace

std::optional<RenewBefore> renew_before(Vault& vault, const CertificateRecord& certificate) {
  Earliest out;
  if (!certificate.renewals.empty()) {
    // It covers all that stood before, whatever that rested on.
    const RenewalRecord& last = certificate.renewals.back();
    kept_stamp(vault, last.stamp, last.manifest, last.stamp_chain, out);
    return out.found_;
  }
  algorithms(vault, certificate, out);
  if (certificate.stamp.empty())
    signer(vault, certificate, out);
  else
    kept_stamp(vault, certificate.stamp, certificate.signature, certificate.stamp_chain, out);
  return out.found_;
}

bool is_due(const std::optional<RenewBefore>& ends, Millis now) {
  return ends && ends->at - now <= kRenewNotice;
}

std::optional<RenewBefore> stamp_ends(const TimestampCheck& token, const std::vector<Bytes>& chain) {
  Earliest out;
  token_ends(token, chain, out);
  return out.found_;
}

Json with_renewal(Vault& vault, const CertificateRecord& certificate, Json row) {
  const auto ends = renew_before(vault, certificate);
  row.set("renew_before", ends ? Json(utc_text(ends->at)) : Json());
  row.set("renew_why", ends ? Json(ends->what) : Json());
  return row;
}

void add_renewal_due(Vault& vault, std::vector<Due>& due) {
  const Millis now = vault.now();
  for (auto& [id, c] : vault.state().certificates) {
    if (c.state != "issued") continue;
    const auto ends = renew_before(vault, c);
    if (!is_due(ends, now)) continue;
    due.push_back({"certificate", id, id.substr(0, 12), ends->at, false,
                   "rests on what " + std::string(ends->at <= now ? "ended " : "ends ") +
                       local_text(ends->at).substr(0, 10) + ": " + ends->what,
                   ends->at <= now
                       ? "what can still be shown is said by: kesu certificate renew " + id.substr(0, 12)
                       : "kesu certificate renew " + id.substr(0, 12)});
  }
}

}  // namespace kesu
