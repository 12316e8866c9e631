// Use case: the objects of one dataset, sealed anew into another (docs/spec/inventory.md, "Moving"). And what
// an erasure asks of a dataset that was declared to be kept.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "app/progress.h"
#include "app/sealing.h"

namespace kesu {

struct ResealOrder {
  std::string from, to;            // identifiers
  std::string into;                // directory; "": where `to` was sealed to last
  std::vector<std::string> paths;  // where objects lie that are not at their places; first come, first taken
  std::optional<bool> opaque;      // as SealOrder
};
struct ResealResult {
  int64_t objects = 0;                               // current ones of `from`
  int64_t resealed = 0, already = 0;                 // now; by earlier runs
  int64_t left = 0;                                  // not in `to`
  int64_t bytes = 0, sealed_bytes = 0, batches = 0;  // of what was sealed now
  std::string place;
  bool complete = false;  // recorded: every current object of `from` has one in `to`
  std::vector<Skipped> failed;
};
// Opens each current object of `from` and seals it under a data key of its own into `to`: plaintext goes
// through memory only. An object counts when the new one was opened to its end and gave the same bytes. What
// earlier runs did is not done again. Errors: those of KeyHolder and protecting_version; usage (one dataset,
// no place); interrupted, wrap_quota: what was sealed stays.
ResealResult reseal(Vault& vault, const ResealOrder& order, Progress& progress);

// What keeps `dataset` from being erased by `erasure` (of which `scope` are the datasets): it was declared to
// be kept (setting `keep_as`) as one that is on its way to destruction itself, its reseal is not complete, or
// was before something was sealed; or another one that is not erased is to be kept as it. nullopt: nothing.
// Reads the ledger.
struct KeepProblem {
  std::string what, next;
};
std::optional<KeepProblem> keep_problem(Vault& vault, const std::string& dataset,
                                        const std::vector<std::string>& scope, const std::string& erasure);
// Looks for all objects of each such dataset at their new places, and opens samples of them (at most 16).
// Errors: plan_blocked, naming the first that is not there or does not open.
void demand_kept_opens(Vault& vault, const std::vector<std::string>& datasets, const std::string& erasure);

}  // namespace kesu
