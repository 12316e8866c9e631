// Use cases: seal files into a dataset, open sealed files, describe one.
#pragma once
#include <string>
#include <vector>

#include "app/datasets.h"
#include "app/key_states.h"
#include "seal/object.h"

namespace kesu {

struct Skipped {
  std::string path, why;
  Code code = Code::failed;
};
struct SealResult {
  int64_t sealed = 0, unchanged = 0, bytes = 0, sealed_bytes = 0, batches = 0;
  std::vector<Skipped> skipped;  // not regular files: said, no failure
  std::vector<Skipped> failed;   // unreadable, changed while read: exit 8
};
// Seals every regular file of `sources` (files or directories) to OUT/<basename>/….kesu. What stands
// unchanged in the inventory (name, size, mtime, ctime, inode; contents where those are not known) and is in
// its place is passed over. A changed one is sealed anew over its old object only with `replace`: else it
// failed with already_exists, since the old ciphertext may be all that is left of another file. Links are not
// followed. `progress(done, total)` after each file. Errors: frozen, state_refused, already_exists (a foreign
// file in the way); wrap_quota when the version may wrap no more: what was sealed before stays.
SealResult seal_files(Vault& vault, DatasetRecord& dataset, const std::vector<std::string>& sources,
                      const std::string& out, bool replace,
                      const std::function<void(int64_t, int64_t)>& progress);

// The version that data keys of `dataset` are wrapped under now. Errors: frozen, state_refused, those of
// refuse_to_protect, and wrap_quota.
const VersionRecord& protecting_version(Vault& vault, const DatasetRecord& dataset);
Error quota_used_up(const State& state, const VersionRecord& version);

struct OpenResult {
  int64_t opened = 0, bytes = 0;
  std::vector<Skipped> failed;
};
// 0 when nothing failed; 6 when anything was altered; the common exit code of all failures when nothing was
// done; else 8.
Exit exit_of_parts(int64_t done, const std::vector<Skipped>& failed);

// Opens files, and the .kesu files below directories, to OUT/<name>. The entry of the unwraps is durable
// before the first byte leaves. Existing destinations are refused unless `force`. What a compromised version
// wrapped is opened only where `accept_compromised` says why; the reason is recorded with the opening.
OpenResult open_files(Vault& vault, const std::vector<std::string>& sources, const std::string& out,
                      bool force, const std::function<void(int64_t, int64_t)>& progress,
                      const std::string& accept_compromised = "");

// What can be said without any key; with a vault, names of dataset and key too.
Json describe_object(const std::string& path, const State* state);

// The regular files below `roots` that end in .kesu, sorted.
std::vector<std::string> sealed_files(const std::vector<std::string>& roots);

// Which directory it is, so that another one under the same name (a place that is not mounted) is noticed; ""
// when it is not there.
std::string inode_of(const std::string& directory);

// Opens `slot` of an object of `dataset`; the version must be one that may process, for that end. Errors:
// object_absent, and those of refuse_to_process and Provider::unwrap.
Secret unwrap_slot(Vault& vault, const DatasetRecord& dataset, const Slot& slot, ByteView aad,
                   ProcessFor why = ProcessFor::opening);

// Writes the segment of a batch, durable, unless an interrupted command did (then `objects` are those in it),
// and gives the entry that ends the batch.
Event seal_done(Vault& vault, const SegmentHeader& header, const std::vector<SegmentObject>& objects,
                const Secret& dataset_key, int64_t bytes, const std::string& version,
                const DatasetRecord& dataset, bool interrupted);

}  // namespace kesu
