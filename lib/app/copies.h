// Copies of key material outside the provider's object: each with its place and custodian, from registration
// to its end. An open copy is a living path to all that its versions ever reached (docs/spec/keys.md).
#pragma once
#include <string>
#include <vector>

#include "app/key_states.h"
#include "app/vault.h"

namespace kesu {

// backup, escrow-share, replica, paper, token-backup, import-origin, keystore-file
const std::vector<std::string>& copy_kinds();

struct CopyDraft {
  std::string kind, place, custodian, medium;
  std::string provider;    // `prv-…` of a keystore file, else empty
  int64_t generation = 0;  // of a keystore file
};
// The entries that register `id`: one for every few versions. Throws usage when kind, place or custodian is
// missing or not known.
std::vector<Event> copy_events(const std::string& id, const std::vector<std::string>& versions,
                               const CopyDraft& draft);
// Registers a copy that there is: of the version named, else of the only one that ever was; with
// `all_versions` of each. A copy found late may be of destroyed versions, and of keys that an erasure holds:
// its plan changes by that. Returns its identifier. Errors: usage, not_found.
std::string add_copy(Vault& vault, const KeyWord& which, bool all_versions, const CopyDraft& draft);

// Key material of a version was met where no copy was known to be: registered as an open one, once (not where
// an open copy of that place, or an open origin of an import, says it already). Of a destroyed version with a
// finding `destroyed-key-back` as well. Does nothing in a vault that cannot be written.
void record_found_copy(Vault& vault, const std::string& version, const CopyDraft& draft,
                       const std::string& detail);

// Records that a copy is no more, on the word of an enrolled operator or approver; `document` (a file, kept
// as evidence) may be empty. Errors: not_enrolled, state_refused (it has ended), usage, not_found (the file).
void end_copy(Vault& vault, const std::string& id, const std::string& how, const OperatorRecord& person,
              const std::string& document);

// An identifier or its first digits. Errors: not_found, identifier_ambiguous.
const CopyRecord& find_copy(const State& state, const std::string& text);
// {"id","kind","place","custodian","medium","versions":[{"version","name","state"}],"state","registered",
// "ended"?,"how"?,"provider"?,"generation"}
Json copy_json(const State& state, const CopyRecord& copy);

}  // namespace kesu
