// Tombstones: what was destroyed stands in a second directory, too, one signed file for each key version, so
// that an old copy of the vault does not make it live again (docs/spec/store.md, "Tombstones").
#pragma once
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/due.h"
#include "app/vault.h"

namespace kesu {

// What kesu.toml names, absolute; empty where it names nothing. Throws bad_input for a place in the vault.
std::string tombstone_directory(const std::string& vault_directory,
                                const std::optional<std::string>& configured);

// Before events with `destroy-done` are appended: their tombstones, durable. Never throws: the destruction
// has happened; where they cannot be written a notice says so, and they stay due.
void bury(Vault& vault, const std::vector<Event>& events);

// Destroyed versions that have no tombstone, where tombstones are kept. Throws what reading the place throws.
std::vector<std::string> unburied(Vault& vault);
// Writes those. Returns how many. Errors: io_failed and others of files, provider errors (they are signed).
size_t write_tombstones(Vault& vault);
// The same for every command that writes; what fails stays due, and a notice says so.
void finish_tombstones(Vault& vault);

// Versions with a good tombstone that this ledger takes for living. What cannot be read is none.
std::set<std::string> revived_versions(Vault& vault);
// What `status` says: versions that came back (overdue), tombstones that are missing or cannot be read.
std::vector<Due> tombstones_due(Vault& vault);
// Throws version_buried for one of these.
void refuse_buried(Vault& vault, const VersionRecord& version);

}  // namespace kesu
