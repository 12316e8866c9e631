// Wrapping and unwrapping from several threads at once, each with its own session at the provider. The vault
// itself stays with one thread: what it has to say of a version is asked beforehand.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "app/key_states.h"
#include "app/vault.h"
#include "seal/object.h"

namespace kesu {

class Lanes {
 public:
  // For `count` threads, numbered from 0. The vault's thread makes and destroys it.
  Lanes(Vault& vault, unsigned count);
  ~Lanes();
  unsigned size() const { return count_; }

  // The vault's thread, while no lane runs. Allows a version for an end: what refuse_to_process says is kept
  // and thrown where a lane needs it; sessions are opened on first use.
  void allow(const VersionRecord& version, ProcessFor why);
  // Every version that a slot of this dataset may name, as the ledger knows it.
  void allow_all(const DatasetRecord& dataset, ProcessFor why);

  // The vault's thread, while no lane runs, after allow(): about so many wraps are to come by wrap_later. Where
  // it pays (many wraps, a provider whose sessions do not add up), a process of ours logs in besides and proves
  // wraps there while the lanes go on. Errors: pin_wrong, when that login spends an attempt.
  void expect(const VersionRecord& version, int64_t wraps);

  // From lane `lane`'s thread. Returns a wrap that is proven to open. Errors: those of wrap_checked, and of
  // Vault::provider.
  WrappedKey wrap(unsigned lane, const VersionRef& version, const Secret& key, ByteView aad,
                  const std::string& what);
  // The same, but nothing may rely on it (no final name, no slot of a file that has one, no entry) before
  // confirm() of the same lane returned: proofs are made meanwhile, elsewhere. `what` is named if it fails.
  WrappedKey wrap_later(unsigned lane, const VersionRef& version, const Secret& key, ByteView aad,
                        const std::string& what);
  // From lane `lane`'s thread, or the vault's while no lane runs: returns when every wrap_later() of the lane
  // since its last confirm() is proven. Call it for a group of some dozens up to a thousand: a call for each
  // wrap waits for each. Errors: as wrap(), naming the first that does not open; then nothing of the group
  // may be kept that good(lane, …) does not name.
  void confirm(unsigned lane);
  // After a confirm() that threw: how many of the group, from its first, are proven all the same.
  size_t good(unsigned lane) const;
  // Errors: object_absent for a version that was not allowed, those of refuse_to_process and
  // Provider::unwrap.
  Secret unwrap(unsigned lane, const Slot& slot, ByteView aad);

 private:
  struct Allowed {
    KeyRef ref;
    std::string provider;
    std::optional<Error> refusal;
  };
  const Allowed& allowed(const VersionRef& version) const;
  Provider& session(unsigned lane, const std::string& provider);

  Vault& vault_;
  unsigned count_;
  std::map<std::string, Allowed> versions_;
  std::mutex mutex_;
};

}  // namespace kesu
