// Legal holds: nothing under one is destroyed (docs/spec/erasure.md, "Holds").
#pragma once
#include <set>
#include <string>
#include <vector>

#include "app/people.h"
#include "app/vault.h"

namespace kesu {

struct HoldDraft {
  std::string subject;  // a dataset, a key, or one version as in loans.2: name or identifier
  std::string case_number, reason;
};
// In force on return. A key: one hold for each version of it that may exist. Returns the identifiers.
// Anybody who is enrolled may. Errors: usage without case or reason, not_enrolled, not_found,
// identifier_ambiguous (a dataset and a key of that name), state_refused (erased or destroyed already: when).
std::vector<std::string> place_hold(Vault& vault, const HoldDraft& draft, const OperatorRecord& person);

// Writes the statement that this approver would sign; the same bytes are expected back with the signature.
// Returns the namespace.
std::string export_release(Vault& vault, const std::string& hold, const std::string& reason,
                           const OperatorRecord& person, const std::string& file);
struct ReleaseCount {
  int64_t have = 0, need = 0;
  bool released = false;
};
// One approver's consent; with the last that the quorum asks for the hold is released, in one entry with all
// of them. One that was released already may be released again where nobody could be shown any more who did
// (app/hold_evidence.h). Errors: not_enrolled, signature_bad, state_refused, already_exists (has signed
// already), usage.
ReleaseCount release_hold(Vault& vault, const std::string& hold, const std::string& reason,
                          const OperatorRecord& person, const SignatureSource& source);

// {"id","subject","name","case","reason","state","placed","placed_by","released","release_reason"}
Json hold_json(const State& state, const HoldRecord& hold);

// Holds in force on a dataset itself, or on one of these versions. Identifiers, oldest first.
std::vector<std::string> holds_on(const State& state, const std::set<std::string>& nodes);
// "hold hld-… on loans-2019, case 2026-118, placed …": for refusals.
std::string hold_text(const State& state, const HoldRecord& hold);
// Throws held while a hold stands on a dataset or key version of this plan; and plan_changed where one stood
// since the erasure was requested, for what was approved before it serves no more (unless destroying has
// begun: then it can only be finished).
void refuse_held_erasure(const State& state, const ErasureRecord& erasure, const Json& plan, bool begun);
// Throws held while a hold stands on the dataset or on a version that reaches it: what is sealed over an
// older object destroys that.
void refuse_held_dataset(Vault& vault, const std::string& dataset);
// Throws held when a destruction among `events` would take a version that is under a hold, or from which a
// dataset under a hold can be reached. Vault::append asks for every append: no destruction passes beside it.
void refuse_held(Vault& vault, const std::vector<Event>& events);

}  // namespace kesu
