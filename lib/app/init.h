// Making a vault: the genesis statement that its first officers sign, then store, token, ledger key.
#pragma once
#include <string>
#include <vector>

#include "app/vault.h"
#include "erasure/statement.h"

namespace kesu {

struct OfficerDraft {
  std::string name, title, roles, key_file;  // roles: comma-separated; key_file: an SSH public key
};
// The statement to be signed, with a fresh vault identifier. Errors: bad_input.
Genesis draft_genesis(const std::string& organisation, const std::string& origin, const std::string& profile,
                      int64_t quorum, const std::vector<OfficerDraft>& officers, Random& random);

struct InitRequest {
  std::string directory, genesis_file, provider_name, provider_uri;
  std::vector<std::string> signature_files;  // empty: GENESIS*.sig beside the statement
};
// Safe to interrupt: run again with the same statement it finishes what it began. Errors: already_exists
// (another vault is there), signature_bad (naming the officer), and those of the provider. Returns the
// vault's identifier.
std::string init_vault(Environment& env, const InitRequest& request);

}  // namespace kesu
