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

  // From lane `lane`'s thread. Errors: those of wrap_checked, and of Vault::provider.
  WrappedKey wrap(unsigned lane, const VersionRef& version, const Secret& key, ByteView aad,
                  const std::string& what);
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
