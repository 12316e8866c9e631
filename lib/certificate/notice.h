// Signed documents about an erasure that are no certificates: notice of disablement, superseding record,
// failure report (docs/spec/notices.md). Reading one: what it is, who signed it, when, whether it was
// superseded as far as that can be known; never a verdict.
#pragma once
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "certificate/trust.h"
#include "certificate/verify.h"

namespace kesu {

namespace notice {
constexpr std::string_view kDocument = "notice.json";
constexpr std::string_view kSignature = "notice.json.p7s";
constexpr std::string_view kStamp = "notice.json.p7s.tsr";
constexpr std::string_view kStampChain = "tsa.pem";
constexpr std::string_view kSigner = "signer.pem";
constexpr std::string_view kHtml = "notice.html";
constexpr std::string_view kNotice = "kesu-notice-v1";
constexpr std::string_view kSuperseding = "kesu-superseding-v1";
constexpr std::string_view kFailure = "kesu-failure-v1";
}  // namespace notice

// What a newer extract of the ledger says of a document (docs/spec/notices.md, "Superseded").
struct NoticeStanding {
  std::string state = "unknown";  // or not-recorded, superseded, ended, in-force, not-applicable
  std::string by;                 // the superseding record's identifier
  int64_t as_of = 0;              // entries of the extract
  bool log_known = false;         // the reader's trust file has the extract's key
};

struct NoticeReport {
  Json document;       // null where it cannot be read
  std::string type;    // kesu-notice-v1, …; empty where it is none of them
  std::string sha256;  // of notice.json
  bool signer_known = false;
  RevocationCheck revocation;       // of a chain that leads to the reader's anchor
  std::vector<StampResult> stamps;  // over: signature, notice.json.p7s
  NoticeStanding standing;          // unknown without an extract
  std::vector<VerifyError> errors;  // any: altered, or not signed
};

// `files`: those of the directory by name; of others nothing is read. `extract`: a newer ledger extract, or
// nullptr. Never throws for what they hold.
NoticeReport verify_notice(const BundleFiles& files, const TrustAnchors& trust,
                           const BundleFiles* extract = nullptr);

// What a document says in words, {en, ja}, made from its other members: nobody words one himself. Throws
// Error bad_input for a type, stage or outcome that is not of docs/spec/notices.md.
Json notice_statement(const Json& document);

// 6 where anything is wrong, else 7: whatever a notice says, it is no certificate.
Exit exit_of(const NoticeReport& report);
Json to_json(const NoticeReport& report);
std::string render_notice(const NoticeReport& report, bool ja = false);

}  // namespace kesu
