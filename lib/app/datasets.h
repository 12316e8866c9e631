// Use cases around datasets: register, show, and the index of what they hold.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "app/vault.h"
#include "inventory/segment.h"
#include "keys/state.h"
#include "policy/policy.h"

namespace kesu {

struct DatasetDraft {
  std::string name, key, data_class, region, owner, contract, retention;
  // Of SP 800-88 Rev. 2 §4.6: the service that the data was in, whom to ask about it, the number under which
  // the organisation keeps it, what becomes of what is sealed after the erasure.
  std::string service, contact, asset, destination;
  std::vector<std::string> locations;
  std::string unreadable_until = "open-ended";  // or a year
  std::string algorithm = "AES-256-GCM";
  uint32_t chunk = kDefaultChunk;
  bool bind_payload = true;
  std::optional<bool> fingerprints;  // taken at sealing; nullopt: in profile high alone
  std::string history = "unknown", history_by, history_detail;  // none, disposed, unknown
};
// Judged by the policy: payload and wrap until `unreadable_until`. Errors: already_exists, policy_refused,
// bad_input.
std::string add_dataset(Vault& vault, const DatasetDraft& draft);
// What may change in a dataset that is open; nullopt: as it is. New objects follow at once; older ones lie
// where they lie (kesu rewrap moves their data keys to the key).
struct DatasetChanges {
  std::optional<std::string> key, owner, data_class, region, contract, retention, unreadable_until;
  std::optional<std::string> service, contact, asset, destination;
  std::optional<bool> fingerprints;    // of what is sealed from here on
  std::vector<std::string> locations;  // empty: as they are; else all of them
  std::optional<std::string> keep_as;  // the dataset that its objects are to live on in; "": none
  bool empty() const;
};
// Judged by the policy as in add_dataset. Errors: usage (no change, no reason), those of add_dataset, frozen.
void update_dataset(Vault& vault, const std::string& dataset, const DatasetChanges& changes,
                    const std::string& reason);

// Throws policy_refused unless the policy, or an exception in force, lets `algorithm` protect something that
// must stay unreadable until the year `until`, or `open-ended`.
void refuse_weak(const State& state, const std::string& algorithm, policy::Purpose purpose,
                 const std::string& until, Millis now);
// Throws frozen when an erasure that was requested will destroy a version of this key.
void refuse_reserved(const State& state, const KeyRecord& key);
Json dataset_json(const State& state, const DatasetRecord& dataset);

AeadAlg content_algorithm(const DatasetRecord& dataset);

// A process that sees data keys of `dataset` in clear, from before it does until it ends. Two entries of the
// ledger.
class KeyHolder {
 public:
  // Refused (frozen) once an erasure of the dataset has begun to run, unless it is that erasure itself which
  // draws its samples: no key is unwrapped behind its back.
  KeyHolder(Vault& vault, const std::string& dataset, const std::string& purpose,
            const std::string& own_erasure = "");
  ~KeyHolder();  // records the end; a kill leaves that to settle()
  void end(const std::string& how);
  // Long work calls this now and then: the lease is renewed before half of it is over.
  void keep();
  const std::string& id() const { return id_; }

 private:
  void record();
  Vault& vault_;
  std::string id_, dataset_, purpose_, own_erasure_;
  Millis until_ = 0;
};

// The dataset key, opened through the provider by the newest of its wraps whose version may process for this
// end and whose provider answers. Needs a KeyHolder. Errors: those of refuse_to_process and Provider::unwrap.
Secret open_dataset_key(Vault& vault, const DatasetRecord& dataset, const std::string& dataset_key,
                        ProcessFor why = ProcessFor::opening);
// Sealed batches in inventory order.
std::vector<BatchRecord> sealed_batches(const DatasetRecord& dataset);
// Leaves of all sealed batches, in inventory order; no key needed.
std::vector<Digest32> dataset_leaves(Vault& vault, const DatasetRecord& dataset);

}  // namespace kesu
