// Keystore files and their generations: re-keying, and what is recorded when an older file comes back.
#pragma once
#include <string>
#include <vector>

#include "app/settle.h"
#include "app/vault.h"

namespace kesu {

// 'soft:./x?…' names a file in the vault's directory; all other URIs stay as they are.
std::string resolve_provider_uri(const std::string& directory, const std::string& uri);
// As above, and a keystore file that is not there is made by opening this.
std::string creating_uri(const std::string& directory, const std::string& uri);
// What the ledger keeps of a URI: without the words that matter only when the file is made.
std::string recorded_uri(const std::string& uri);
// A generation that the file must show, for the probe: another one is nothing to judge by.
std::string expecting_uri(const ProviderRecord& record, const std::string& uri);
// The source of the passphrase in a keystore's URI; empty: it has none.
std::string passphrase_source_of(const std::string& uri);

struct Rekeyed {
  int64_t before = 0, generation = 0;
  std::string copy, place, uri;  // `copy`: the node that the old file is from now on; `uri`: as recorded
};
// Puts all keys of the provider under a fresh container key and the passphrase of `source`. The file as it
// was, with its passphrase, is registered as a copy of every key that may be in it, before anything is done:
// it is a living path until somebody records its end. Killed in between, settle_containers() finishes.
// Errors: mechanism_absent (keys there do not lie in a file), usage, those of Provider::rekey.
Rekeyed rekey_provider(Vault& vault, const std::string& provider, const std::string& source,
                       const std::string& reason);
// Re-keyings that a kill interrupted: the file's own generation says whether it came to be. Called by
// settle().
void settle_containers(Vault& vault);
// The same as open questions.
std::vector<Question> container_questions(Vault& vault);

// Throws container_old when the file at the provider's place is of an older generation than the ledger knows;
// in a vault that is open for writing that is recorded first: a finding, and, where that generation's end had
// been recorded, a copy that lives.
void refuse_old_container(Vault& vault, const ProviderRecord& record);

}  // namespace kesu
