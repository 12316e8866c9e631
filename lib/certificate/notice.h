// Signed documents about an erasure that are no certificates: notice of disablement, superseding record,
// failure report (docs/spec/certificate.md, "Notices"). Reading one: what it is, who signed it, never a
// verdict.
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
constexpr std::string_view kSigner = "signer.pem";
constexpr std::string_view kHtml = "notice.html";
constexpr std::string_view kNotice = "kesu-notice-v1";
constexpr std::string_view kSuperseding = "kesu-superseding-v1";
constexpr std::string_view kFailure = "kesu-failure-v1";
}  // namespace notice

struct NoticeReport {
  Json document;       // null where it cannot be read
  std::string type;    // kesu-notice-v1, …; empty where it is none of them
  std::string sha256;  // of notice.json
  bool signer_known = false;
  std::vector<VerifyError> errors;  // any: altered, or not signed
};
// `document`, `signature`: the bytes of notice.json and notice.json.p7s. Never throws for what they hold.
NoticeReport verify_notice(ByteView document, ByteView signature, const TrustAnchors& trust);

// What a document says in words, {en, ja}, made from its other members: nobody words one himself. Throws
// Error bad_input for a type, stage or outcome that is not of docs/spec/certificate.md, "Notices".
Json notice_statement(const Json& document);

// 6 where anything is wrong, else 7: whatever a notice says, it is no certificate.
Exit exit_of(const NoticeReport& report);
Json to_json(const NoticeReport& report);
std::string render_notice(const NoticeReport& report, bool ja = false);

}  // namespace kesu
