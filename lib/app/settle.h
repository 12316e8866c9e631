// After a kill, a crash, a power cut: what an interrupted command left open is learned from the provider and the files,
// and recorded. Never a guess, never a silent retry of something irreversible.
#pragma once
#include <string>
#include <vector>

#include "app/vault.h"

namespace kesu {

// An open question in the ledger.
struct Question {
  std::string node, what, since;
  bool ours_to_settle = true;  // false: the process that opened it still runs, or runs where it cannot be seen
};
std::vector<Question> open_questions(Vault& vault);

// Settles all that can be settled now; what cannot (provider silent, process alive elsewhere) stays a question and is
// said through env.notice. Every command that writes calls it first.
void settle(Vault& vault);

}  // namespace kesu
