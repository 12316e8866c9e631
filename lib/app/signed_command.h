// Signing a command, and whether what was signed still serves (docs/spec/erasure.md, "Signed commands").
#pragma once
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/command_order.h"
#include "app/rules.h"
#include "app/vault.h"
#include "erasure/command_statement.h"

namespace kesu {

// Whether an entry appended now, or within the next minute, has to name a signed command.
bool commands_are_signed(const State& state, const Moment& now);

// Finds the person, has the statement signed by key file or agent, and checks it. Nothing is written into the
// vault. Errors: command_unsigned (nobody named, no key, no agent that signs), not_enrolled (expired,
// revoked, without the role), signature_bad (another person's key).
SignedCommand sign_command(Vault& vault, const CommandOrder& order);

// Who would sign that command, and in which role; nothing is signed. Errors: as sign_command, but for those
// of signing.
struct WhoSigns {
  std::string person, role;  // identifier; operator, or the first that serves
};
WhoSigns who_signs(Vault& vault, const CommandOrder& order);

// Why this person cannot answer for entries appended now; "" when he can, and for the next minute.
std::string command_problem(const State& state, const SignedCommand& made, const Moment& now);
// Too old, or from a time that a clock which was set back takes for the future: another one is signed.
bool is_stale(const SignedCommand& made, Millis now);

// The refusal of whoever is enrolled with a certificate: commands are signed with SSH keys.
Error certificate_signs_none(const std::string& name);
// The role in which a person with these roles signs that command; empty: none.
std::string role_to_sign(std::string_view command, const std::vector<std::string>& roles);
// Signs `s` with that key file and checks it against the public key. Errors as above.
SignedCommand sign_statement(const CommandStatement& s, const std::string& key_file,
                             const std::string& public_key);

// What is wrong with the commands that entries name, and with entries that name none though they had to: fed
// in the ledger's order, for `kesu ledger verify`.
class CommandCheck {
 public:
  explicit CommandCheck(Store& store) : store_(store) {}
  // `state`: folded up to this entry. Returns what is wrong; "" when nothing is.
  std::string problem(const State& state, const StoredEntry& entry);
  // At the end: statements that name another ledger than this one was then. (entry, why) pairs.
  std::vector<std::pair<uint64_t, std::string>> of_another_ledger();

 private:
  struct Read {
    std::optional<CommandStatement> statement;
    std::string why;  // why it is none, or not well signed
  };
  const Read& read(const State& state, const std::string& statement, const std::string& signature,
                   const std::string& person);
  Store& store_;
  std::map<std::string, Read> read_;                           // by statement, signature and person
  std::map<uint64_t, std::map<std::string, uint64_t>> roots_;  // size → root in hex → first entry
};

}  // namespace kesu
