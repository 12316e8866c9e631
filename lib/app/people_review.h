// Use case: the review of people and their rights that somebody makes from time to time, and signs
// (docs/spec/erasure.md, "Review of people").
#pragma once
#include <string>
#include <vector>

#include "app/due.h"
#include "app/people.h"
#include "app/vault.h"

namespace kesu {

constexpr std::string_view kReviewNamespace = "kesu-review-v1";

struct ReviewedPerson {
  Json row;          // as `operator list`, and last_used, present, verified, strength_bits, …
  std::string line;  // the same for the statement and for people
  std::vector<std::string> remarks;  // what a reviewer has to look at; empty: nothing stands out
};
struct PeopleReview {
  std::vector<ReviewedPerson> people;  // everybody who was ever enrolled, in the order of identifiers
  Millis last = 0, next = 0;           // of the last recorded review (0: none) and when the next one is due
  std::string last_by;
};
// Reads the whole ledger: who signed what, and when last.
PeopleReview review_people(Vault& vault);
Json to_json(const PeopleReview& review);

// The statement that `person` is to sign, to `file`; it stays the same while what it says does, for 31 days.
// Returns its namespace. Errors: not_enrolled (neither approver nor auditor in force).
std::string export_review(Vault& vault, const OperatorRecord& person, const std::string& note,
                          const std::string& file);
// Signs and records it. Errors: as above; signature_bad; conflict (what it says changed meanwhile).
void record_review(Vault& vault, const OperatorRecord& person, const std::string& note,
                   const SignatureSource& source);

// How long a review serves, by profile: low a year, standard half a year, high a quarter.
Millis review_interval(std::string_view profile);
// A review that is due within 30 days, or overdue.
void add_review_due(Vault& vault, std::vector<Due>& due);

}  // namespace kesu
