// Generating keys and reading back what came of it.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "hsm/pkcs11/session_impl.h"
#include "provider/provider.h"

namespace kesu::p11 {

bool is_signing(KeyPurpose purpose);
CK_OBJECT_CLASS class_of(KeyPurpose purpose);  // of the object that holds the secret
CK_MECHANISM_TYPE mechanism_of(KeyPurpose purpose);

struct NewKey {
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;         // secret or private key
  CK_OBJECT_HANDLE public_key = CK_INVALID_HANDLE;  // signing keys
  std::vector<std::string> left_out;
};

// Calls C_GenerateKey or C_GenerateKeyPair with the template of docs/spec/provider-port.md. Errors:
// mechanism_absent, provider_failed, session_lost, provider_unavailable: nothing was made; outcome_unknown:
// something may have been.
NewKey generate_key(Session& session, const VersionRef& version, KeyPurpose purpose);

// Calls C_CreateObject with the same template and these 32 bytes. Errors as generate_key.
NewKey create_key(Session& session, const VersionRef& version, const Secret& key);

// Attributes of the template that the object does not show as asked for.
std::vector<std::string> differing(Session& session, CK_OBJECT_HANDLE key, const VersionRef& version,
                                   KeyPurpose purpose);

// The attributes of the secret's object, and of a pair's public object as member "public".
Json all_attributes(Session& session, CK_OBJECT_HANDLE key, CK_OBJECT_HANDLE public_key);

// The reference to a key as it is now, with a new canary (not for signing keys) and without a check that use
// does. Throws provider_failed when the key is not sensitive or can be extracted.
KeyRef reference(Session& session, const NewKey& made, const VersionRef& version, KeyPurpose purpose);

// The reference to a key that kesu did not make, under its own label and id, with a new canary. Throws
// policy_refused naming the attribute when it is not AES-256 of the token, for encryption and decryption,
// sensitive, not extractable.
KeyRef foreign_reference(Session& session, CK_OBJECT_HANDLE key, const VersionRef& version);

}  // namespace kesu::p11
