// After a kill, a crash, a power cut: what an interrupted command left open is learned from the provider and
// the files, and recorded. Never a guess, never a silent retry of something irreversible.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "app/vault.h"

namespace kesu {

// An open question in the ledger.
struct Question {
  std::string node, what, since;
  bool ours_to_settle =
      true;  // false: the process that opened it still runs, or runs where it cannot be seen
};
std::vector<Question> open_questions(Vault& vault);

// Processes that hold keys of `dataset`: those whose lease has not passed, and those that can be seen to run
// whatever their lease says. One line each.
std::vector<std::string> living_holders(Vault& vault, const std::string& dataset);

// Ends interrupted batches whose place is gone for good, or is behind a mount, on somebody's word: the
// certificate will say of objects that were not found that they were never seen whole. Returns how many.
int64_t give_up_batches(Vault& vault, const std::string& dataset, const std::string& reason);

// Settles all that can be settled now; what cannot (provider silent, process alive elsewhere) stays a
// question and is said through env.notice. Every command that writes calls it first.
void settle(Vault& vault);

// For lib/app itself.

// Whether the process that opened a question has ended, or cannot be seen from here and has had its time.
bool may_settle(Vault& vault, const Json& actor, Millis since);
// Whether the question that was read as (actor, since) is the one open now, and not answered or asked anew by
// another process meanwhile: settlers list, look for some time, then answer.
inline bool same_question(const Json& actor, Millis since, const Json& actor_now, Millis since_now) {
  return since == since_now && actor == actor_now;
}
// Records how a destruction ended, whatever was appended beside it. Where another process answered for this
// one, a finding keeps what happened. Errors: outcome_unknown then.
void record_destruction_end(Vault& vault, std::vector<Event> events);
// One question that cannot be answered now neither hides the others nor stops the command.
void attempt_to_settle(Vault& vault, const std::function<void()>& settle_one);
// The directory that was sealed to, and not a copy, or what is seen there while it is not mounted.
bool same_place(const BatchRecord& batch);
// One of settle()'s steps: batches whose sealing was interrupted.
void settle_seals(Vault& vault);
// Of `dataset`, those of which a mount may hide objects: what can be seen is kept, the rest is given up for
// `reason`. What cannot be settled stays a question. Returns how many were.
int64_t settle_hidden_seals(Vault& vault, const std::string& dataset, const std::string& reason);

}  // namespace kesu
