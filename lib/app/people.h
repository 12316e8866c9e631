// Signatures of people: made through ssh-keygen and the person's agent or key file, or elsewhere, checked
// against enrolled keys and certificates. kesu never sees a private key.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "app/vault.h"
#include "erasure/statement.h"

namespace kesu {

// Runs `ssh-keygen -Y sign -n NAMESPACE -f KEY`: KEY is a private key file, or a public one whose private
// half the agent holds. Returns the armored signature. Errors: signature_bad with ssh-keygen's words.
std::string ssh_sign(std::string_view message, const std::string& key_file, const std::string& name_space);

// What to type, wherever the private key is, to sign `file`.
std::string signing_recipe(const std::string& name_space, bool certificate, const std::string& file);

// Why `armored` is not a good signature of this person over `message` in this namespace; "" when it is.
std::string signature_problem(std::string_view message, std::string_view armored,
                              const std::string& name_space, const std::string& public_key);

// Reads `signature_file` if given, else signs with `key_file`; checks it against the person's enrolled key.
// Errors: usage when neither is given, or no file of somebody who signs with a certificate (next: what to
// type), signature_bad. The signature as it is kept (crypto/person_key.h).
struct SignatureSource {
  std::string key_file, signature_file;
};
std::string obtain_signature(const Statement& statement, const OperatorRecord& person,
                             const SignatureSource& source, const std::string& export_hint);
// The same for any statement's bytes.
std::string obtain_signature(const std::string& text, const std::string& name_space,
                             const OperatorRecord& person, const SignatureSource& source,
                             const std::string& export_hint);

}  // namespace kesu
