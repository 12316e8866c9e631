// What hangs on a key version, by the ledger alone: objects whose newest slot is under it, dataset keys that
// only it opens. Decides whether the version may be destroyed outside an erasure (docs/decisions/0008).
#pragma once
#include <set>
#include <string>
#include <vector>

#include "app/vault.h"

namespace kesu {

// Limit of a version's wrap quota (NIST SP 800-38D §8.3: 2^32 with random nonces); the default is kWrapQuota.
constexpr int64_t kMaxWrapQuota = int64_t{1} << 32;

struct CensusRow {
  std::string dataset;               // `ds-…`, one that is not erased
  int64_t objects = 0, batches = 0;  // whose newest slot is under the version
  int64_t superseded_at_most = 0;    // of these, sealed over by others; which ones, the dataset key tells
  int64_t fingerprint_keys = 0;      // which nothing else opens, ever
  int64_t dataset_keys = 0;          // of batches that are kept, opened by no other version that stays
  int64_t open_questions = 0;        // batches of which it is not settled what is under the version
  int64_t elsewhere_lost = 0;        // objects that were moved away, to a version that is gone since
  bool operator==(const CensusRow&) const = default;
  bool holds() const {
    return objects || dataset_keys || fingerprint_keys || open_questions || elsewhere_lost;
  }
};
struct Census {
  std::string version;
  std::vector<CensusRow> rows;  // one for each dataset with anything in it
  // What it rests on that nothing hangs on the version: these open what it once opened.
  std::set<std::string> relies_on;
  int64_t given_up = 0;  // objects of interrupted batches under it that were given up: nobody knows of them
  int64_t objects() const;
};
// `going`: versions that are to be destroyed together with it; what only they hold, it holds.
// By the sums that State keeps; the batches of a dataset are read only where these do not tell.
Census census(const State& state, const VersionRecord& version, const std::set<std::string>& going = {});
// [{"version","objects","batches","dataset_keys","superseded_at_most","datasets":[{"dataset","objects","batches",
// "dataset_keys","superseded_at_most"}]}], for every version that was made and is not destroyed.
Json census_json(Vault& vault, const KeyRecord& key);
// "3 objects of loans-2019 (at most 1 of them sealed over), 1 dataset key"; empty when nothing.
std::string census_text(const State& state, const Census& census);

// Whether the version's object is in its provider, by the ledger, and is to stay there.
bool stays(const VersionRecord& version);

}  // namespace kesu
