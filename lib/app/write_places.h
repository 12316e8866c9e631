// The directories of a vault in which small files are written durably.
#pragma once
#include <string>
#include <vector>

#include "base/files.h"

namespace kesu {

// Those that there are or may come to be. Errors: io_failed, where inventory/ cannot be listed.
inline std::vector<std::string> write_places(const std::string& vault_directory) {
  std::vector<std::string> out = {vault_directory};
  for (const char* name : {"evidence", "plans", "stamps"}) out.push_back(path_join(vault_directory, name));
  const std::string inventory = path_join(vault_directory, "inventory");
  if (exists(inventory))
    for (const std::string& dataset : list_directory(inventory)) out.push_back(path_join(inventory, dataset));
  return out;
}

}  // namespace kesu
