// What makes and what reads renewals share. For lib/certificate itself.
#pragma once
#include <map>
#include <string>

#include "certificate/renewal.h"

namespace kesu {

// n and name of "renewal/<n>.<name>"; 0 for any other path.
std::pair<uint64_t, std::string> renewal_part(std::string_view path);
constexpr uint64_t kMaxRenewals = 1000;
// Whether renewal `n` hashes `path` where it is in the bundle: must, may (approvals/release.*), or does not.
enum class Covered { no, may, must };
Covered covered_by_renewal(std::string_view path, uint64_t n);

// renewal/<n>.ledger: SHA-512 of the first `size` lines of the headers, and of opened bodies' lines.
struct RenewalLedger {
  uint64_t size = 0;
  std::string headers;                     // hex
  std::map<uint64_t, std::string> bodies;  // seq → hex
};
RenewalLedger parse_renewal_ledger(std::string_view text);  // throws bad_input
std::string renewal_ledger_text(const RenewalLedger& ledger);
// Of each opened body its line's digest, by seq.
std::map<uint64_t, std::string> body_digests(std::string_view bodies);
// SHA-512 of the beginnings of the headers' text, of these numbers of lines. Throws bad_input where there are
// fewer.
std::map<uint64_t, std::string> header_digests(ByteView headers, const std::vector<uint64_t>& sizes);

}  // namespace kesu
