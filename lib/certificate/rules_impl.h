// Changes of people and rules as a reader follows them (docs/spec/erasure.md, "People and rules"). For
// lib/certificate itself.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "crypto/person_key.h"
#include "erasure/change_statement.h"

namespace kesu::dossier {

struct Dossier;

struct ChangeFacts {
  uint64_t seq = 0;
  Millis time = 0, effective = 0;
  int64_t waiting = 0, quorum = 1;   // of the rules in force at its entry
  bool counts = false;               // properly approved, and not void since
  bool counted = false;              // properly approved when it was recorded
  std::string part, why;             // the file of its statement; why it does not count, if so
  RuleChange change;                 // what the statement says
  std::vector<std::string> signers;  // approvers that count for it
  std::vector<std::string> all;      // everybody whose signature is good
};

// A place in the ledger at which people and rules are judged.
struct Moment {
  uint64_t seq = 0;
  Millis time = 0;
};

// Follows the `rules-changed` entries below checkpoint A. After the enrolments of genesis were read.
void read_rules(Dossier& d);
Rules rules_at(const Dossier& d, const Moment& at);
// What a person may do by what was in force then; no roles: nothing.
Terms terms_at(const Dossier& d, const std::string& person, const Moment& at);
// Why this person cannot sign in this role at `when`; "" when he can. Revocations are the caller's question.
std::string role_problem(const Dossier& d, const std::string& person, const std::string& role,
                         const Moment& at, Millis when);
// The same, and of whoever signs with a certificate: it was valid at `when`.
std::string signing_problem(const Dossier& d, const std::string& person, const std::string& role,
                            const Moment& at, Millis when);
// Why the file is no good signature of the person with this key and name over `message`; "" when it is.
std::string signature_problem(const PersonKey& key, const std::string& name, ByteView message, ByteView file,
                              std::string_view name_space);
// When the erasure was requested.
Moment moment_of_request(const Dossier& d);

}  // namespace kesu::dossier
