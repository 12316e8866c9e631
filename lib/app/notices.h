// Use cases: documents about an erasure at stages at which there is nothing to certify
// (docs/spec/notices.md). Each is signed with the certificate key, time-stamped where authorities are
// configured and answer, written to a new directory,
// and recorded.
#pragma once
#include <optional>
#include <string>

#include "app/vault.h"
#include "certificate/notice.h"

namespace kesu {

struct IssuedNotice {
  std::string id, type, directory;  // type: kesu-notice-v1, kesu-superseding-v1, kesu-failure-v1
};

// A notice of disablement, while the erasure is requested, approved, or begun and has destroyed nothing. Once
// it is cancelled or rejected after such a notice: the superseding record. Errors: state_refused (something
// is destroyed; nothing to supersede), already_exists, provider errors. What a run that was killed has
// recorded is written out, the same bytes: of a notice or report that says the same within a day, of a
// superseding record always.
IssuedNotice issue_notice(Vault& vault, const std::string& erasure, const std::string& directory);
// What is destroyed, what is not, what is unknown, per version, of an erasure that began and did not end.
// Errors: state_refused (not begun, or done), already_exists, provider errors.
IssuedNotice issue_failure_report(Vault& vault, const std::string& erasure, const std::string& directory);

// The newest notice of this erasure that no superseding record has taken back; nullptr: none.
const NoticeRecord* notice_in_force(const State& state, const std::string& erasure);

// Of a directory that holds one of these documents; nullopt for anything else. Without `trust_file` the
// default one, as for certificates. `ledger`: a newer ledger extract, or empty. Needs no vault.
std::optional<NoticeReport> verify_notice_at(const std::string& path, const std::string& trust_file,
                                             const std::string& ledger);

}  // namespace kesu
