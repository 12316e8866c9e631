// What was issued of a stage (app/notices.h), found again and written out again. For lib/app itself.
#pragma once
#include <optional>
#include <string>

#include "app/vault.h"
#include "certificate/bundle.h"

namespace kesu {

// The files of one that is recorded, the same bytes, from what its entry names. Errors: ledger_damaged,
// not_found (a blob).
BundleFiles kept_notice(Vault& vault, const std::string& id);
// `document`, signed: the files as they are written. `signer` is signer.pem; stamp and chain may be empty.
BundleFiles notice_files(ByteView document, Bytes signature, const std::string& signer, Bytes stamp,
                         const std::string& chain);

// One of the erasure that an entry of this type recorded within a day, and that says just what `document`
// does, but for its own identifier, its time and the ledger's head: from a run that was killed before it
// had written it out, or could say so. The newest.
std::optional<std::string> same_notice(Vault& vault, const std::string& erasure, std::string_view entry,
                                       const Json& document);

}  // namespace kesu
