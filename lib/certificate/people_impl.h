// The allowed_signers file of a bundle, as issuer and reader both make it. For lib/certificate itself.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "erasure/change_statement.h"
#include "ledger/entry.h"

namespace kesu::dossier {

// One line per officer of the genesis statement, in its order, then one per enrolment since; the principal is
// the operator's identifier (docs/spec/certificate.md, "People after genesis"). Fed in the ledger's order.
class SignerLines {
 public:
  void genesis(const std::vector<std::string>& operators);
  // An `operator-enrolled`; counts for those that genesis names.
  void enrolled(const std::string& id, const std::vector<std::string>& roles, const std::string& public_key);
  void changed(const Header& h, const RuleChange& change);
  // `later_acts`: the ledger has a verification or validation of this erasure: their namespaces are listed
  // then. `attested`: a `key-attested` is opened, likewise; `commands`: an opened entry names a signed
  // command. Throws Error bad_input for a key that is none.
  std::string text(bool later_acts, bool attested, bool commands) const;
  // Of those with a line who are enrolled with a certificate: path in the bundle → PEM.
  std::map<std::string, std::string> certificates() const;

 private:
  struct Line {
    std::string public_key;
    std::set<std::string> roles;
    std::optional<Millis> after, revoked;
    Millis until = 0;
  };
  std::map<std::string, Line> lines_;
  std::vector<std::string> order_;
  bool changed_ = false;
};

// Where a bundle has the certificate of a person who is enrolled with one.
std::string certificate_path(const std::string& person);
// Where a bundle has the statement of a `rules-changed` entry, and the signatures under it.
std::string change_path(uint64_t seq);
std::string change_signature_path(uint64_t seq, const std::string& person);
// Where it has the statement of a `key-attested`; its signature: with ".sig" behind.
std::string attest_path(uint64_t seq, const std::string& person);
// Where it has the statement of a signed command, by its SHA-256; its signature: with ".sig" behind.
std::string command_path(const std::string& statement);
// Where it has the statement of one approver of a `hold-released`; its signature: with ".sig" behind.
std::string release_path(uint64_t seq, const std::string& person);

}  // namespace kesu::dossier
