// A dataset's fingerprint key, and what was taken with it while it was sealed (docs/spec/fingerprints.md).
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "app/datasets.h"
#include "inventory/prints.h"

namespace kesu {

struct FingerprintKey {
  std::string id;  // `dsk-…`
  Secret key;      // K1 ‖ K2
};
// The newest one that may be used; where the dataset has none, it is made: a key version of its own at the
// provider of the dataset's key, 64 random bytes wrapped under it, an entry. Needs a KeyHolder; the vault's
// thread, while no lane runs. Errors: state_refused (the making of the dataset's key was attended, of this
// one it was not), those of protecting_version, create_keys and Provider::unwrap.
FingerprintKey fingerprint_key(Vault& vault, const std::string& dataset);
// The version alone, to be taken at the first sealing: its making can be attended before (kesu key attest).
// Returns the key. `provider`: empty for that of the dataset's key. Errors: already_exists, those of
// protecting_version and create_keys.
std::string make_fingerprint_version(Vault& vault, const std::string& dataset, const std::string& name,
                                     const std::string& provider);
// One that was made. Needs a KeyHolder. Errors: those of refuse_to_process and Provider::unwrap.
Secret open_fingerprint_key(Vault& vault, const DatasetRecord& dataset, const std::string& id,
                            ProcessFor why);

// Throws state_refused where a fingerprint key of the dataset was destroyed: nothing recognises its plaintext
// any more.
void refuse_without_fingerprint_key(const State& state, const DatasetRecord& dataset);

// What is kept of what sealing reports. `bytes`: the payload's.
ObjectPrints prints_to_keep(const ObjectId& object, uint64_t bytes, const Fingerprints& taken);
// Which fingerprints stand with a sealed batch: none of a batch that was settled, or sealed without.
struct BatchPrints {
  std::string key, values;  // fingerprint key, evidence digest
};
std::optional<BatchPrints> prints_of(Vault& vault, const BatchRecord& batch);
// Errors: ledger_damaged.
std::vector<ObjectPrints> read_prints(Vault& vault, const std::string& dataset, const BatchRecord& batch,
                                      const BatchPrints& prints, const Secret& dataset_key);

}  // namespace kesu
