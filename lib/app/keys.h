// Use cases around keys and providers: register a token, make keys, rotate. States: app/key_states.h.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "app/vault.h"

namespace kesu {

// Opens the token, records who it is and what it can, makes its control key. Errors: already_exists (name, or
// the same token under another name), and those of ProviderFactory::open.
std::string add_provider(Vault& vault, const std::string& name, const std::string& uri);
// What an object listing says against the ledger: a version that must be there is not, or one that was
// destroyed has an object of its label and id there again (`returned`).
struct ObjectDrift {
  VersionRecord version;
  bool returned = false;
};
std::vector<ObjectDrift> object_drift(const State& state, const std::string& provider,
                                      const Enumeration& seen);
// Does the object of that label and id open the canary of `ref`? Errors: those of Provider::try_keys.
bool opens_canary(Provider& provider, const KeyRef& ref);
// Logs in, opens every canary, enumerates. A report; a failed check is a finding in it ("findings": []).
Json test_provider(Vault& vault, const ProviderRecord& provider);

// What is to be made. Periods (docs/spec/keys.md) count from activation; nullopt: what SP 800-57 suggests.
struct KeyDraft {
  std::string provider;  // may be empty when there is one
  KeyPurpose purpose = KeyPurpose::wrap;
  bool pre_activation = false;  // not active at birth: kesu key activate
  std::optional<int64_t> originator = {}, recipient = {};
  std::optional<int64_t> wrap_quota =
      {};                            // 1 to kMaxWrapQuota (app/census.h); nullopt: kWrapQuota, or as before
  std::string fingerprints_of = {};  // the dataset whose fingerprint key it is to wrap, and nothing else
};
// Makes keys of these names, each with one version; returns their identifiers. What was made before a failure
// stays. Errors: already_exists (before anything is made), usage, bad_input, those of Provider::generate.
std::vector<std::string> create_keys(Vault& vault, const std::vector<std::string>& names,
                                     const KeyDraft& draft);
// One key, active at once, with the periods that are suggested.
std::string create_key(Vault& vault, const std::string& name, const std::string& provider,
                       KeyPurpose purpose);
// A new version; an active one before is deactivated in the append that makes the new one active. Works from
// every state of the newest version but pre-activation and destroyed. Periods: as asked, else as the version
// before. Errors: state_refused, frozen.
std::string rotate_key(Vault& vault, const std::string& key, const KeyDraft& draft = {});

// Throws state_refused where the key wraps a dataset's fingerprint key: kesu makes, uses and destroys it.
void refuse_of_fingerprints(const State& state, const KeyRecord& key, const std::string& act);
// Throws already_exists or usage where a new key cannot be called so.
void refuse_name(const State& state, const std::string& name);
// The provider that is meant; usage when none is named and there are several.
const ProviderRecord& choose_provider(Vault& vault, const std::string& text);
// The body of key-intended, but `label` and `id`; `origin` is generated, imported or adopted.
Json intended_body(const std::string& name, const KeyDraft& draft, const std::string& origin);
// The events that end an open key-intended bracket, given what the provider made. Used here and when
// settling. Decided on key_streams (app/key_states.h).
std::vector<Event> birth_events(Vault& vault, const VersionRecord& version, const Birth& birth,
                                bool interrupted);
// The same for a bracket whose body is at hand: it stands in the same append.
std::vector<Event> birth_events(Vault& vault, const VersionRef& version, const std::string& provider,
                                const Json& intended, const Birth& birth, bool interrupted);

// `kesu --json key list` and the like: stable JSON (docs/spec/interface.md).
Json key_json(const State& state, const KeyRecord& key);

}  // namespace kesu
