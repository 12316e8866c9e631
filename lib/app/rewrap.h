// Use case: move data keys of sealed objects to the active version of their dataset's key, in place
// (docs/spec/rewrap.md). Data is not read; old versions stay in the graph.
#pragma once
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "app/sealing.h"
#include "app/vault.h"
#include "base/files.h"
#include "base/nearby.h"

namespace kesu {

struct RewrapOrder {
  std::string dataset;             // `ds-…`
  std::vector<std::string> paths;  // files and directories; empty: the places that the inventory knows
  std::string from;                // `key-….n`: only what is under this one; empty: under any other
  std::string location_lost;       // why what lay in a directory that is not there is gone; empty: it may be
};
struct RewrapResult {
  std::string version;     // the new one
  int64_t moved = 0;       // files whose newest slot is under it now
  int64_t already = 0;     // objects or files that were under it before
  int64_t superseded = 0;  // objects sealed over: their place holds others, nothing to move
  int64_t dataset_keys = 0, batches = 0;
  std::vector<Skipped> missing;  // not at their places
  std::vector<Skipped> failed;   // damaged, foreign, not readable, not writable
};
// Batch by batch, each durable and recorded; run again it moves only what is left. Errors: those of
// protecting_version (wrap_quota after what the quota allowed was moved), conflict (another process re-wraps
// the dataset, or the key was rotated meanwhile), interrupted (what was moved is recorded), those of the
// providers. `progress(done, total)` comes from several threads, one at a time.
RewrapResult rewrap(Vault& vault, const RewrapOrder& order,
                    const std::function<void(int64_t, int64_t)>& progress);
// By the ledger alone: {"dataset","version","to_move","already","dataset_keys","wraps_left","census"}.
Json rewrap_preview(Vault& vault, const RewrapOrder& order);

// For lib/app itself.

// Whether that version opens the dataset key; and the dataset keys that `version` does not open yet, each
// once.
bool opens_with(const DatasetRecord& dataset, const std::string& dataset_key, const std::string& version);
std::vector<std::string> dataset_keys_to_move(const DatasetRecord& dataset, const std::string& version,
                                              const std::string& from);
// Sealed files below `paths` that carry an object of `dataset`, by object; those of others are put to
// `failed`.
using PlacesFound = std::map<ObjectId, std::vector<std::string>>;
PlacesFound find_objects(Vault& vault, const std::string& dataset, const std::vector<std::string>& paths,
                         std::vector<Skipped>& failed);
// Ends an interrupted re-wrap of a batch: reads the slots of its objects at their places and at `found`,
// makes durable what was moved, records it. `lost`: why places that cannot be looked at count as gone; "":
// they do not. Nothing, where the question is no longer open or belongs to a process that still runs. Errors:
// io_failed when places cannot be looked at (the question stays).
void settle_rewrap(Vault& vault, const std::string& dataset, const std::string& batch,
                   const PlacesFound& found, const std::string& lost);
// Records the answer to an interrupted re-wrap that was read as `asked`, unless another process answered it,
// or re-wraps that batch anew: false then.
bool answer_rewrap(Vault& vault, const std::string& dataset, const BatchRecord& asked, Event answer);
// The version whose slot opens the file at `path`, asked of the provider. Errors as opening_version.
std::string opens_under(Vault& vault, const DatasetRecord& dataset, const std::string& path);
// Every interrupted re-wrap whose process has ended.
void settle_rewraps(Vault& vault);

// What a file is, of which an object of `dataset` is expected.
struct FileLook {
  enum Kind { ours, absent, other, unreadable } kind = absent;  // other: another object, or none of kesu's
  std::string newest;                                           // version of the newest good slot
  uint64_t device = 0, inode = 0;                               // of a file that is there
  // Of a file that is ours: its size, and its header region as bytes and as what they say.
  uint64_t size = 0;
  Bytes bytes;
  Region region;
  Code code = Code::failed;
  std::string why;
};
FileLook look_at(const VaultId& vault, const DatasetId& dataset, const ObjectId& object,
                 const std::string& path, OpenNearby& files);
// The first 4096 bytes of a file of that size, or all it has. Errors: io_failed; sealed_damaged when it is
// shorter by now.
Bytes region_at(int fd, uint64_t file_size);

// File systems that were written to: one sync for each. wrote() from any thread.
class Durable {
 public:
  void wrote(int fd, const std::string& path);  // fd is borrowed
  void wrote(int fd, uint64_t device, const std::string& path);
  void sync();  // throws io_failed
 private:
  std::mutex mutex_;
  std::map<uint64_t, std::pair<Fd, std::string>> by_device_;
};
// The versions of a batch's objects, by position, as the ledger knows them.
std::vector<std::string> versions_by_position(const BatchRecord& batch);
Positions ranges_of(const std::vector<int64_t>& positions);  // ascending

}  // namespace kesu
