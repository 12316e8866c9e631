// Until when a certificate's own evidence is fresh: the authority's and the signer's certificates, and the
// algorithms that it rests on, all end some day.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "app/due.h"
#include "app/vault.h"
#include "crypto/timestamp.h"

namespace kesu {

struct RenewBefore {
  Millis at = 0;     // the earliest end
  std::string what;  // of what: "the time-stamp authority's certificate (CN=…)"
};
// nullopt: nothing of it has an end that is known. Errors: ledger_damaged, not_found (what was kept is gone).
std::optional<RenewBefore> renew_before(Vault& vault, const CertificateRecord& certificate);
// Whether that comes within half a year, or has come.
bool is_due(const std::optional<RenewBefore>& ends, Millis now);
// The same of one good time-stamp whose chain (DER) leads to an anchor: its certificates and its algorithms.
std::optional<RenewBefore> stamp_ends(const TimestampCheck& token, const std::vector<Bytes>& chain);
// A row of `certificate list` with `renew_before` and `renew_why` (null where there is no end).
Json with_renewal(Vault& vault, const CertificateRecord& certificate, Json row);
// Issued certificates whose evidence ends within half a year, or has.
void add_renewal_due(Vault& vault, std::vector<Due>& due);

}  // namespace kesu
