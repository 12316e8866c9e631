// What several approvers have to sign, one command each, before one entry carries all of it: drafts and
// consents wait in plans/ until there are enough. A statement is rebuilt, never believed: what counts is the
// text that this vault would have each person sign now.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/people.h"
#include "app/vault.h"

namespace kesu {

struct ConsentForm {
  std::string subject;  // the node that it is about: names the files
  std::string name_space;
  std::string reason;     // a draft is of one reason: another command's does not take its place
  Millis not_before = 0;  // a statement is not older than what it is about,
  Millis max_age = 0;     // nor than this
  // The statement's bytes for this person at that moment.
  std::function<std::string(const OperatorRecord& person, Millis issued)> text;
  // When a statement says that it was issued. Throws Error where it is none.
  std::function<Millis(std::string_view text)> issued_of;
};

// The text that this person is to sign: the one written before, while it still fits; else a new one, kept.
std::string consent_text(Vault& vault, const ConsentForm& form, const OperatorRecord& person);
// Statement and signature in one file, durable on return.
void keep_consent(Vault& vault, const ConsentForm& form, const OperatorRecord& person,
                  const std::string& text, const std::string& armored);

struct Consent {
  std::string person, text, armored;
};
// Those that count now: of approvers who are enrolled, in time, of different persons with different keys.
std::vector<Consent> consents(Vault& vault, const ConsentForm& form);
// As an entry's body has them: [{operator, statement, signature}], the latter two kept as evidence.
Json approvals_json(Vault& vault, const std::vector<Consent>& consents);

}  // namespace kesu
