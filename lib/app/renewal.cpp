// The earliest end among what a certificate's evidence rests on.
#include "app/renewal.h"

#include <algorithm>

#include "certificate/evidence_chain.h"
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
  // What it rests on, as today's policy judges it: for reading, since nothing new is signed with it.
  const Json json = parse_canonical_json(as_text(document), "certificate.json");
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

void authorities(Vault& vault, const std::string& chain, Earliest& out) {
  if (chain.empty()) return;
  for (const Certificate& one : Certificate::parse_pem(as_text(vault.store().blob(chain))))
    if (!one.is_ca) out.end(one.not_after, "the time-stamp authority's certificate (" + one.subject + ")");
}
}  // namespace

std::optional<RenewBefore> renew_before(Vault& vault, const CertificateRecord& certificate) {
  Earliest out;
  signer(vault, certificate, out);
  authorities(vault, certificate.stamp_chain, out);
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
    if (!ends || ends->at - now > kRenewNotice) continue;
    due.push_back(
        {"certificate", id, id.substr(0, 12), ends->at, false,
         "rests on what " + std::string(ends->at <= now ? "ended " : "ends ") +
             local_text(ends->at).substr(0, 10) + ": " + ends->what,
         "have its bundle time-stamped anew by an authority whose certificate lasts longer (openssl ts "
         "-query -data MANIFEST), and keep both together"});
  }
}

}  // namespace kesu
