// Time-stamp authorities of kesu.toml: asked over HTTP, their answers checked before anything rests on them.
#pragma once
#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "app/vault.h"
#include "crypto/timestamp.h"

namespace kesu {

// A table [[time.authority]] of kesu.toml (docs/spec/store.md).
struct TimeAuthority {
  std::string url;
  std::vector<Bytes> anchors;  // DER, of the file `ca`: what its answers must chain to
  std::string policy;          // asked for and demanded; empty: any
  std::string tls_ca;          // path; empty: the system's
  Millis timeout = 20'000;
};
// In the file's order; none where it names none. Errors: bad_input naming kesu.toml and the member, or what
// files throw.
std::vector<TimeAuthority> time_authorities(const std::string& vault_directory);

struct Stamp {
  Bytes answer;              // the whole TimeStampResp
  Bytes token;               // inside it
  TimestampCheck check;      // good, and to the authority's anchors
  std::vector<Bytes> chain;  // DER, from its certificate to an anchor
  std::string url;
  Millis asked = 0, answered = 0;  // this host's clock
  // How far this host's clock is from the token's time, beyond what accuracy and the exchange explain:
  // positive: ahead; 0: it may be right.
  Millis clock_off() const;
};
// Asks one authority. Errors: network_unavailable; time_unavailable (it refuses, or its answer does not
// count: why). `stop`: as in net/http.h.
Stamp ask_authority(Environment& env, const TimeAuthority& authority, ByteView data,
                    const std::atomic<bool>* stop = nullptr);

// More than this between host and authority, beyond the accuracy, is a finding, and contradicts times that
// were recorded (docs/spec/certificate.md).
constexpr Millis kAuthoritySlack = 60'000;

// Asks the authorities in their order, the next one beside those that are slow (app/authority_asking.h),
// until one gives a token that counts and whose time is not earlier than the host's time `recorded`, which
// the stamped bytes bear. A clock that differs is recorded as a finding (clock-jumped: the host is ahead;
// clock-behind), once, as clock_watch does. Errors: time_unavailable naming what each authority did; waiting
// when the host's time contradicts those that did answer; interrupted. `ahead_only`: a host that is behind is
// no finding, for only one that is ahead could gain by it.
enum class AheadOnly { no, yes };
Stamp fetch_stamp(Vault& vault, const std::vector<TimeAuthority>& authorities, ByteView data, Millis recorded,
                  const std::string& what, AheadOnly ahead_only = AheadOnly::no);

// Certificates as PEM, each once, in order.
std::string chain_pem(const std::vector<std::vector<Bytes>>& chains);

}  // namespace kesu
