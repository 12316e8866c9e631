// The verifier: reads a bundle as a stranger does, believes nothing that the writer left, and says what it
// found. Needs no vault and no network. Never throws for what a bundle holds.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "certificate/bundle.h"
#include "certificate/claims.h"
#include "certificate/evidence_chain.h"
#include "certificate/grade.h"
#include "certificate/trust.h"
#include "crypto/crl.h"
#include "seal/object.h"

namespace kesu {

// invalid: forged, altered or inconsistent. incomplete: genuine, but below what the reader asked for.
enum class Verdict { complete, incomplete, invalid };
std::string_view verdict_text(Verdict verdict);

struct ObjectToCheck {
  std::string path;  // as the reader knows it
  SealedInput input;
};

struct VerifyOptions {
  std::string required_profile = "high";
  bool allow_test_grade = false;
  std::vector<ObjectToCheck> objects = {};
  const BundleFiles* extract = nullptr;  // of the same ledger, newer: was the certificate withdrawn since?
  std::optional<Millis> now =
      {};  // the reader's clock; only a certificate from the future is noticed with it
};

struct ClaimResult {
  std::string id;
  Level level = Level::absent;   // as computed here
  Level stored = Level::absent;  // as certificate.json says
  Level least = Level::absent;   // what the required profile asks
  BilingualText title, says;
  std::vector<std::string> rests_on, premises;
  std::string detail;
};
enum class Coverage { covered, header_covered, not_covered, cannot_say };
std::string_view coverage_text(Coverage coverage);  // "covered", "header-covered", …
struct ObjectResult {
  std::string path;
  Coverage result = Coverage::cannot_say;
  std::string dataset, name;  // identifier and name, where covered
  std::string why;            // where it cannot be said, or a key that lives could open the object
};
// A good time-stamp, whoever's it is.
struct StampResult {
  std::string over;     // signature (inside certificate.json.p7s), certificate.json.p7s, ledger/checkpoint-b
  Millis at = 0;        // the token's time
  Millis accuracy = 0;  // in milliseconds, either way; 0: it says none
  std::string authority;  // subject of its certificate
  std::string policy, algorithm;
  Millis certificate_until = 0;  // when the authority's certificate ends
  bool trusted = false;          // to an anchor of the reader
  std::string why;               // else why not
  RevocationCheck revocation;    // of its chain to that anchor
};
// Somebody else's good signature over certificate.json.
struct CountersignatureResult {
  std::string file, signer, certificate;  // subject; SHA-256 of the certificate
  bool known = false;                     // to the reader
  std::optional<StampResult> time;        // its own token, where it has one
  std::optional<bool> valid;              // the certificate, at the time of a token that counts
};
struct VerifyError {
  std::string part, what;
  bool hard = true;  // it makes the bundle invalid; else it is said, and does not count
};
// Recorded about something in scope: disclosed, not judged.
struct DisclosedException {
  std::string what, subject, detail, until, reason, approver;  // until: a time, or empty: without end
  uint64_t entry = 0;
  bool shown = false;  // its body is in the bundle
};

struct VerifyReport {
  Verdict verdict = Verdict::invalid;
  std::string certificate, organisation, claimed_profile, required_profile, erased, issued;
  BilingualText statement;
  int64_t as_of = 0;       // ledger entries that checkpoint B covers, or those of a newer extract
  bool withdrawn = false;  // by an entry before as_of
  bool test_grade = true;
  bool history_unknown = true;
  bool signer_known = false, log_known = false, officers_known = false;
  RevocationCheck revocation;  // of a chain that leads to the reader's anchor
  std::vector<ClaimResult> claims;
  std::vector<Premise> premises;
  std::vector<Limit> limits;
  std::vector<DisclosedException> exceptions;
  std::vector<EvidenceLink> evidence_chain;  // weakest first, by this program's policy
  std::vector<ObjectResult> objects;
  std::vector<StampResult> stamps;
  std::vector<CountersignatureResult> countersignatures;
  std::vector<VerifyError> errors;      // what is wrong, the part named first
  std::vector<std::string> shortfalls;  // why a genuine bundle is not complete
};

// Throws Error usage when options.required_profile is unknown.
VerifyReport verify_bundle(const BundleFiles& files, const TrustAnchors& trust, const VerifyOptions& options);

// "part: what" of the first error that makes it invalid; empty: none does.
std::string first_error(const VerifyReport& report);
// 0 complete, 6 invalid, 7 incomplete.
Exit exit_of(const VerifyReport& report);
Json to_json(const VerifyReport& report);
// For a terminal: aligned, the verdict last. `ja`: claims, premises and limits in Japanese.
std::string render_report(const VerifyReport& report, bool ja = false);

}  // namespace kesu
