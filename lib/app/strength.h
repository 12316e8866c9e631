// How strong a dataset's protection is, until when, and whether its data has to be sealed anew: the policy's
// evaluator over the whole chain from payload to keystore (docs/spec/policy.md, "Chains"). Pure: the year is
// a parameter.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "app/state.h"
#include "policy/policy.h"

namespace kesu {

// Sealed objects whose protection re-wrapping cannot mend: only sealing anew (fresh data keys), or erasing.
struct ResealDue {
  bool due = false;
  int64_t objects = 0;               // each counted once, however many reasons it has
  std::vector<std::string> reasons;  // one sentence each, with its own count of objects
};

struct StrengthLink {
  std::string part;            // payload, wrap, dataset-key, random, keystore, copy
  std::string name;            // for a person: "wrap AES-256-GCM under loans.1 (bank)"
  std::string algorithm;       // as the policy is asked for it
  policy::Verdict until;       // new generation, until the data may be read: `unreadable_until`
  policy::Verdict now;         // new generation, this year
  policy::Verdict end_of_use;  // new generation, at the end of the active version's originator period
  policy::Verdict reading;     // processing of what exists, this year
  bool in_use = true;          // new objects get it, too; false: only older objects have it
};

struct DatasetStrength {
  int bits = 0;                   // of the weakest link; 0: below the lowest row, or not known
  std::string weakest;            // its name
  int horizon = 0;                // last year for which the chain suffices; policy::kNoLimit; 0: none
  bool holds = false;             // every link suffices until `unreadable_until`
  bool may_seal = false;          // every link in use may be used this year and to the end of use
  std::optional<int> wanted;      // the year of `unreadable_until`; nullopt: open-ended
  std::optional<int> end_of_use;  // year of the originator period's end; nullopt: it has none
  std::vector<StrengthLink> links;
  std::vector<std::string> findings;
};

// One judge for one state and one year; verdicts and what compromised versions reach are found once for all
// datasets. `state` outlives it.
class StrengthJudge {
 public:
  StrengthJudge(const State& state, int year);
  DatasetStrength strength(const DatasetRecord& dataset);
  ResealDue reseal_due(const DatasetRecord& dataset);
  // Sets "strength" and "reseal_due" of what `dataset list` and `show` print.
  void add_to(Json& shown, const DatasetRecord& dataset);

 private:
  const policy::Verdict& judge(const std::string& algorithm, policy::Purpose purpose, policy::Mode mode,
                               std::optional<int> end);

  const State& state_;
  int year_;
  std::vector<std::string> exposed_;  // versions that were compromised
  std::map<std::string, policy::Verdict> verdicts_;
};

// For one dataset. An erased dataset is never due.
ResealDue reseal_due(const State& state, const DatasetRecord& dataset, int year);

// {"due","objects","reasons":[]} and {"bits","weakest","until"?} (null: no limit known).
Json reseal_json(const ResealDue& due);
Json strength_json(const DatasetStrength& strength);
// What `dataset inspect` shows: the above, and "holds", "may_seal", "wanted", "end_of_use"?, "links",
// "findings" (docs/spec/interface.md).
Json strength_details(const DatasetStrength& strength);

}  // namespace kesu
