// Use case: a certificate's evidence hashed and time-stamped anew before what its time-stamps rest on ends
// (docs/spec/certificate.md, "Renewals").
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "app/vault.h"
#include "certificate/bundle.h"

namespace kesu {

struct RenewOutcome {
  std::string certificate;
  // renewed; not-due; no-later: what the authority gave ends no later than what there is, so nothing was
  // recorded; refused (only where several were asked for)
  std::string outcome;
  uint64_t n = 0;                   // which renewal; 0: none
  Millis at = 0, until = 0;         // of the new time-stamp: its time, and when it ends (0: no end known)
  std::string detail;               // for people; empty: nothing to say
  std::optional<int> carried = {};  // countersignatures that were taken along, where that was asked for
  Json to_json() const;
};

// Renews one issued certificate: all bytes of its bundle hashed anew, a time-stamp over that, the entry
// certificate-renewed, a checkpoint. With `due` only when it ends within half a year (app/renewal.h). Where
// `out` is not empty its bundle is written there, too, with the countersignatures of the bundle
// `countersigned` where that is not empty. Until the authority has answered nothing is recorded;
// where it does not answer for the checkpoint any more, only the renewal is, and the same call finishes it.
// Errors: state_refused (no authority in kesu.toml; withdrawn; what it rests on has ended already, or the new
// time-stamp would end earlier), already_exists, those of fetch_stamp (time_unavailable) and
// authorities_of_rules (policy_refused), ledger_damaged.
RenewOutcome renew_certificate(Vault& vault, const std::string& certificate, bool due, const std::string& out,
                               const std::string& countersigned = "");

// The same for every issued certificate that is due; refusals of single ones become outcomes.
std::vector<RenewOutcome> renew_due(Vault& vault);

// The renewals that were kept, into a bundle that is made again. Errors: ledger_damaged, not_found.
void restore_renewals(Vault& vault, const CertificateRecord& certificate, BundleFiles& files);

}  // namespace kesu
