// Use cases around keys and providers: register a token, make keys, rotate.
#pragma once
#include <string>
#include <vector>

#include "app/vault.h"

namespace kesu {

// Opens the token, records who it is and what it can, makes its control key. Errors: already_exists (name, or
// the same token under another name), and those of ProviderFactory::open.
std::string add_provider(Vault& vault, const std::string& name, const std::string& uri);
// Logs in, opens every canary, enumerates. A report; a failed check is a finding in it ("findings": []).
Json test_provider(Vault& vault, const ProviderRecord& provider);

// Makes a key with one active version. `provider` may be empty when there is one. Errors: already_exists.
std::string create_key(Vault& vault, const std::string& name, const std::string& provider,
                       KeyPurpose purpose);
// A new active version; the one before is deactivated in the same append.
std::string rotate_key(Vault& vault, KeyRecord& key);
// The events that end an open key-intended bracket, given what the provider made. Used here and when
// settling.
std::vector<Event> birth_events(Vault& vault, const VersionRecord& version, const Birth& birth,
                                bool interrupted);

// `kesu --json key list` and the like: stable JSON (docs/spec/interface.md).
Json key_json(const State& state, const KeyRecord& key);

}  // namespace kesu
