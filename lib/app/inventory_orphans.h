// Use cases: sealed files that no inventory counts are taken into it; leftovers are removed.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "app/sealing.h"
#include "app/vault.h"

namespace kesu {

struct AdoptResult {
  int64_t adopted = 0, known = 0, bytes = 0, batches = 0;  // known: counted at that place already
  std::vector<Skipped> failed;
};
// Sealed files of the dataset at or below `paths` that no batch names, each opened to its end under a living
// version, become batches of their own: seal-intended, seal-done with `adopted`. A copy of an object that is
// counted at another place failed with already_exists: none is counted twice. An interruption is settled like
// that of a sealing. Errors: frozen, state_refused; conflict when another process sealed into the dataset
// meanwhile; those of KeyHolder and open_dataset_key.
AdoptResult adopt_objects(Vault& vault, const std::string& dataset, const std::vector<std::string>& paths,
                          const std::function<void(int64_t, int64_t)>& progress);

struct LeftoverFile {
  std::string path, object;  // object: 32 hex or ""
  std::string kind;          // part, opening, set-aside, unopenable, unrecorded
  std::string why;           // a sentence
  int64_t bytes = 0;
  uint64_t device = 0, inode = 0;
};
struct LeftoverList {
  std::vector<LeftoverFile> remove, keep;  // keep: looked like leftovers, and why they stay
  std::vector<Skipped> failed;             // could not be looked at
};
// What may go, of the files at or below `paths`. Never what an inventory of this vault counts, what an open
// batch names, or what a process of this host has open. What still opens (`unrecorded`) only with `force`.
// Settles first. Opening a data key is recorded (objects-opened, purpose "remove").
LeftoverList find_leftovers(Vault& vault, const std::vector<std::string>& paths, bool force);
// Removes them, recorded before and after (document-attached). Returns those that could not be removed, or
// were exchanged since they were looked at. Errors: usage (no reason).
std::vector<Skipped> remove_leftovers(Vault& vault, const std::vector<LeftoverFile>& files,
                                      const std::string& reason);

}  // namespace kesu
