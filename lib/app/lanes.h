// Wrapping and unwrapping from several threads at once, each with its own session at the provider where that
// helps. The vault itself stays with one thread: what it has to say of a version is asked beforehand.
#pragma once
#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "app/key_states.h"
#include "app/vault.h"
#include "provider/prover.h"
#include "seal/object.h"
#include "seal/rewrapper.h"

namespace kesu {

class Lanes {
 public:
  // For `count` threads, numbered from 0. The vault's thread makes and destroys it: destroyed it must be
  // before the vault closes its providers, and before a probe that wants every session closed. While lanes
  // run, the vault's thread uses no provider but through its own lane (no checkpoint, no dataset key).
  Lanes(Vault& vault, unsigned count);
  ~Lanes();
  unsigned size() const { return static_cast<unsigned>(lanes_.size()); }

  // The vault's thread, while no lane runs. Allows a version for an end: what refuse_to_process says, or
  // Vault::provider, is kept and thrown where a lane needs it.
  void allow(const VersionRecord& version, ProcessFor why);
  // Every version that a slot of this dataset may name, as the ledger knows it.
  void allow_all(const DatasetRecord& dataset, ProcessFor why);

  // The vault's thread, while no lane runs, after allow(): about so many wraps are to come by wrap_later.
  // Where it pays (many wraps, a provider whose sessions do not add up), a process of ours logs in besides
  // and proves wraps there while the lanes go on. KESU_PROVER says from how many; 0: never. Errors:
  // pin_wrong, when that login spent an attempt.
  void expect(const VersionRecord& version, int64_t wraps);
  // The same for objects that are to be carried over to `version`: each lane from 0 on gets a process of its
  // own that does so, up to `processes`. Errors: as expect().
  void expect_moves(const VersionRecord& version, int64_t wraps, unsigned processes);
  // That process of this lane, where it may open all that the region's slots name; else null: the caller
  // unwraps and wraps. From the lane's thread.
  Rewrapper* beside(unsigned lane, const Region& region);
  // The same whatever it may open, and dead or alive; null: the lane has none.
  Rewrapper* beside(unsigned lane) { return lanes_[lane].mover.get(); }
  // A process that lives did not do what was then done here without trouble. From any thread.
  void done_here() { done_here_ = true; }

  // From lane `lane`'s thread. Returns a wrap that is proven to open. Errors: object_absent for a version
  // that was not allowed, those of refuse_to_process, wrap_checked and Vault::provider.
  WrappedKey wrap(unsigned lane, const VersionRef& version, const Secret& key, ByteView aad,
                  const std::string& what);
  // The same, but nothing may rely on it (no final name, no slot of a file that has one, no entry) before
  // confirm() of the same lane returned: it may be proven elsewhere meanwhile. `what` is named if it fails.
  WrappedKey wrap_later(unsigned lane, const VersionRef& version, const Secret& key, ByteView aad,
                        const std::string& what);
  // From lane `lane`'s thread, or the vault's while no lane runs: returns when every wrap_later() of the lane
  // since its last confirm() is proven. For groups of some dozens up to a thousand: a call for each wrap
  // would wait for each. Errors: as wrap(), for the first that does not open; what was wrapped before that
  // one in the group is proven all the same, how many tells good().
  void confirm(unsigned lane);
  size_t good(unsigned lane) const { return lanes_[lane].good; }
  // Errors: object_absent for a version that was not allowed, those of refuse_to_process and
  // Provider::unwrap.
  Secret unwrap(unsigned lane, const Slot& slot, ByteView aad);

 private:
  struct Place;
  // The vault's thread: a notice, once each, of processes that are asked no more, or do nothing any more:
  // the work is done here then, more slowly.
  void say_of_processes() noexcept;

 public:
  // While it lives, `lane` keeps its turn at the provider of a version: where lanes take turns, one for some
  // dozens of calls costs less than one for each. Nothing slow besides them then, and no confirm().
  class Stay {
   public:
    Stay(Lanes& lanes, unsigned lane, const VersionRef& version);
    ~Stay();
    Stay(const Stay&) = delete;
    Stay& operator=(const Stay&) = delete;

   private:
    Place*& mark_;
    std::unique_lock<std::mutex> lock_;
  };

 private:
  // A provider, as the lanes use it: a session for each, or one for all under a mutex.
  struct Place {
    Provider* shared = nullptr;                     // the vault's own; also lane 0's
    std::vector<std::unique_ptr<Provider>> others;  // of the lanes from 1 on; empty: all take turns
    std::mutex turn;
    std::optional<Error> refusal;  // of Vault::provider
    std::unique_ptr<Prover> prover;
    bool said = false;                          // what became of it
    std::map<VersionRef, size_t> proven_there;  // versions whose wraps it proves
    std::set<VersionRef> moved_there;           // what the lanes' processes may open
  };
  struct Allowed {
    KeyRef ref;
    Place* place = nullptr;
    std::optional<Error> refusal;
  };
  struct Pending {
    const Allowed* version = nullptr;
    Prover::Claim claim;
  };
  struct Lane {
    std::deque<Pending> pending;
    std::unique_ptr<Rewrapper> mover;
    bool said = false;       // what became of it
    Place* stays = nullptr;  // whose turn it keeps
    size_t good = 0;
  };
  // One lane's use of a provider.
  struct Turn {
    std::unique_lock<std::mutex> lock;
    Provider& provider;
  };

  Place& place(const std::string& provider);
  const Allowed& allowed(const VersionRef& version) const;
  LoginProcess::Waits say_waits();
  // The place at which another process pays, for `count` wraps under this version; null: nowhere.
  Place* worth_a_process(const VersionRef& version, int64_t count);
  // Every version that may be used at that place.
  Rewrapper::Versions versions_at(const Place& place) const;
  Turn turn(unsigned lane, const Allowed& version) const;

  Vault& vault_;
  std::vector<Lane> lanes_;
  std::map<std::string, std::unique_ptr<Place>> places_;
  std::map<VersionRef, Allowed> versions_;
  VersionRef moves_to_;  // of the lanes' processes
  std::atomic<bool> done_here_{false};
  bool said_done_here_ = false;
};

}  // namespace kesu
