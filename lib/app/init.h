// Making a vault: the genesis statement that its first officers sign, then store, token, ledger key.
#pragma once
#include <string>
#include <vector>

#include "app/vault.h"
#include "erasure/statement.h"

namespace kesu {

struct OfficerDraft {
  std::string name, title, roles,
      key_file;  // roles: comma-separated; key_file: an SSH public key, or a certificate (PEM)
};
// The statement to be signed, with a fresh vault identifier. Errors: bad_input.
Genesis draft_genesis(const std::string& organisation, const std::string& origin, const std::string& profile,
                      int64_t quorum, bool signed_commands, const std::vector<OfficerDraft>& officers,
                      Random& random, const Anchors& anchors = {});

// Where keys lie when nobody says otherwise: a keystore file in the vault's directory.
constexpr std::string_view kDefaultProvider = "soft:./keystore";

struct InitRequest {
  std::string directory, genesis_file;
  std::string provider_name;                      // empty: what there is, else soft1 or hsm1
  std::string provider_uri;                       // empty: kDefaultProvider, or what an interrupted run took
  std::string passphrase_source;                  // for kDefaultProvider; empty: asked on the terminal
  std::vector<std::string> signature_files = {};  // empty: GENESIS*.sig and *.p7s beside the statement
};
// Safe to interrupt: run again with the same statement it finishes what it began. Errors: already_exists
// (another vault is there, or this one with another provider than the one that is asked for), signature_bad
// (naming the officer), and those of the provider. Returns the vault's identifier.
std::string init_vault(Environment& env, const InitRequest& request);

}  // namespace kesu
