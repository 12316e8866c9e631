// Use case: destroy key versions on which nothing that is kept depends (docs/decisions/0008).
#pragma once
#include <set>
#include <string>
#include <vector>

#include "app/vault.h"

namespace kesu {

// A version goes when the census shows nothing on it: no object whose newest slot is under it, no dataset key
// that only it opens, nothing unsettled. One that ever reached data is looked for before and after, in a
// process of its own; an interrupted inspection is made up for by the same command, or by settle(). Errors:
// in_use with the census; state_refused; key_mismatch (not usable before); outcome_unknown (not shown absent
// after). The versions that the census relies on must open their canaries first, or it is in_use.
struct DestroyedVersion {
  std::string version, outcome;  // outcome: destroyed, or refused by the provider
  std::string inspected;  // the inspection's answer; empty: it never reached data, nothing was inspected
};
std::vector<DestroyedVersion> destroy_key(Vault& vault, KeyRecord& key, uint32_t version);
// What destroy_key would do: versions and, per version, what keeps it (empty: nothing), and what to type
// about it. `reached`: data keys were wrapped under it once, so that sealed files which were copied away
// before they were re-wrapped open with it alone.
struct DestroyPreview {
  std::string version, state, kept_by, next;
  bool reached = false;
  std::set<std::string> relies_on = {};  // versions that open what it once opened: they must work
  int64_t given_up = 0;                  // objects under it of batches that were given up
};
std::vector<DestroyPreview> preview_destroy_key(Vault& vault, const KeyRecord& key, uint32_t version);

// For lib/app itself: makes up for all inspections after destructions outside erasures whose process has
// ended.
void settle_inspections(Vault& vault);

}  // namespace kesu
