// Renewals: the whole bundle hashed and time-stamped anew before what its time-stamps rest on ends
// (docs/spec/certificate.md, "Renewals"; the idea is RFC 4998 §5: here each renewal is a hash-tree renewal,
// over all data and all that stamped it before). Order: begin_renewal → a token over the manifest →
// add_renewal_stamp → append renewal_event → checkpoint B covers it. Pure but for what the source reads.
#pragma once
#include <optional>
#include <string>

#include "base/clock.h"
#include "certificate/bundle.h"
#include "certificate/source.h"
#include "crypto/timestamp.h"
#include "ledger/entry.h"

namespace kesu {

// What a renewal consists of: the files renewal/<n>.*.
struct RenewalFiles {
  Bytes ledger, manifest, stamp, chain;
};
// "renewal/<n>.<name>".
std::string renewal_path(uint64_t n, std::string_view name);
// How many renewals `files` has: numbers go from 1 on without a gap.
uint64_t renewals_of(const BundleFiles& files);

// Writes renewal/<n>.ledger and renewal/<n>.manifest of the next renewal and returns n. `files`: an issued
// bundle with MANIFEST and all renewals so far; its ledger files become those of `source`, whose signed note
// `checkpoint` is. Errors: conflict, not_found as finish_bundle.
uint64_t begin_renewal(BundleFiles& files, LedgerSource& source, const std::string& checkpoint);
// The authority's answer (TimeStampResp) over that manifest, and its chain as PEM. Throws bad_input where it
// is not good.
void add_renewal_stamp(BundleFiles& files, uint64_t n, ByteView answer, std::string_view chain);
// The entry to append: certificate-renewed, with the SHA-512 of the manifest.
Event renewal_event(const BundleFiles& files, uint64_t n);
// The same four files again, from what was kept.
void put_renewal(BundleFiles& files, uint64_t n, const RenewalFiles& kept);

// The last year (UTC) in which this program's policy still takes what a good token is made with: its
// signature, that one's digest and the imprint's; policy::kNoLimit: no end known; 0: none.
int last_year_of(const TimestampCheck& token);

}  // namespace kesu
