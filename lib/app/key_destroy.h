// Use case: destroy key versions on which nothing that is kept depends.
#pragma once
#include <string>
#include <vector>

#include "app/vault.h"

namespace kesu {

// Only versions that reach no data key ever sealed: in_use otherwise, naming the erase plan to type.
struct DestroyedVersion {
  std::string version, outcome;
};
std::vector<DestroyedVersion> destroy_key(Vault& vault, KeyRecord& key, uint32_t version);
// What destroy_key would do: versions and, per version, what keeps it (empty: nothing).
struct DestroyPreview {
  std::string version, state, kept_by;
};
std::vector<DestroyPreview> preview_destroy_key(Vault& vault, const KeyRecord& key, uint32_t version);

}  // namespace kesu
