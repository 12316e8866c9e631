// Use case: seal files, trees and streams into a dataset.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "app/datasets.h"
#include "app/key_states.h"
#include "app/progress.h"
#include "app/selection.h"
#include "seal/object.h"

namespace kesu {

struct Skipped {
  std::string path, why;
  Code code = Code::failed;
};
struct SealOrder {
  std::vector<std::string> sources;  // files and directories; or "-" alone: standard input
  std::string out;                   // directory; "-": standard output, of one file or standard input
  std::string name;                  // of standard input, relative to the dataset
  Selection selection;               // of what lies below the sources
  bool replace = false;              // changed files over their older objects
  bool remove_source = false;        // what was sealed, after it was opened again and compared
  std::optional<bool> opaque;        // files are named by their objects; nullopt: by the vault's profile
};
struct SealResult {
  int64_t sealed = 0, unchanged = 0, manifests = 0, removed = 0, batches = 0;
  int64_t bytes = 0, sealed_bytes = 0;  // of what was sealed now
  double total_seconds = 0,
         binding_seconds = 0,    // processor time of sealing, and of it SHA-256 of the ciphertext,
      print_seconds = 0;         // and fingerprints
  std::vector<Skipped> skipped;  // neither files, links nor directories: said, no failure
  std::vector<Skipped> failed;   // unreadable, changed while read: exit 8
};
// Seals every regular file of the sources to OUT/<basename>/….kesu, on all processors, and for each directory
// among them a manifest of what else makes up its tree (docs/spec/tree-manifest.md). What stands unchanged in
// the inventory (name, size, mtime, ctime, inode; contents where those are not known) and is in its place is
// passed over. A changed one is sealed anew over its old object only with `replace`: else it failed with
// already_exists, since the old ciphertext may be all that is left of another file. Ctrl-C ends it between
// two files, or within one that is thrown away then: Error interrupted, what was sealed stays. Errors:
// frozen, state_refused, already_exists (a foreign file in the way), usage; wrap_quota when the version may
// wrap no more: what was sealed before stays.
SealResult seal_files(Vault& vault, DatasetRecord& dataset, const SealOrder& order, Progress& progress);

// Walks the sources once and sets the totals, for somebody who looks.
void count_sources(const SealOrder& order, Progress& progress);

// What seal_files would look at, and the space it needs. No key is asked and nothing changed, so that what is
// unchanged is told by its place alone (under hidden names: not at all).
struct SealForecast {
  std::string place;                               // whose free space it is
  int64_t files = 0, bytes = 0, sealed_bytes = 0;  // all of them, sealed anew
  int64_t there = 0;                               // of them, something stands at the place
  int64_t new_bytes = 0;                           // sealed size of the others
  // What those take at the place, in whole blocks and with the tree's manifest and the directories made for
  // them, and how many files and directories that are.
  int64_t needed_bytes = 0, new_files = 0;
  int64_t free_bytes = 0, free_files = 0;  // where they go; files -1: not counted there
  std::vector<Skipped> skipped, failed;
  bool fits() const { return needed_bytes <= free_bytes && (free_files < 0 || new_files <= free_files); }
};
SealForecast forecast_seal(Vault& vault, const DatasetRecord& dataset, const SealOrder& order);

// The version that data keys of `dataset` are wrapped under now. Errors: frozen, state_refused, those of
// refuse_to_protect, and wrap_quota.
const VersionRecord& protecting_version(Vault& vault, const DatasetRecord& dataset);
Error quota_used_up(const State& state, const VersionRecord& version);

// 0 when nothing failed; 6 when anything was altered; the common exit code of all failures when nothing was
// done; else 8.
Exit exit_of_parts(int64_t done, const std::vector<Skipped>& failed);

// The regular files below `roots` that end in .kesu, and those that are named themselves; absolute, sorted.
// What cannot be looked at below them is put to `failed`. Errors: of the roots themselves.
std::vector<std::string> sealed_files(const std::vector<std::string>& roots, std::vector<Skipped>& failed);

// The body of `seal-intended`. `place`: of the directory that is sealed to, so that another one at its path
// is noticed later; none for standard output.
Json intended_body(const std::string& location, const PlaceMark& place, const Json& objects,
                   const std::string& version, const std::string& dataset_key);

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
