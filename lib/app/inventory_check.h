// Use case: is what the inventory lists still there, whole, and to be opened? And what else lies beside it?
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "app/vault.h"

namespace kesu {

struct CheckRow {
  std::string path;    // "": not known without the dataset key
  std::string object;  // "": not known, or none
  std::string what;    // a sentence
  std::string code;    // an error code; of orphans one of the words below
};
struct InventoryCheck {
  std::string dataset;
  bool quick = false;
  int64_t objects = 0;     // looked at: the current one of each place
  int64_t good = 0;        // of those
  int64_t superseded = 0;  // a newer one took their place
  // Quick with paths: so many current objects may be missing beyond `missing`, since one that was sealed over
  // cannot be told from the one that took its place.
  int64_t undecided = 0;
  int64_t bytes = 0;              // plaintext that was authenticated; quick: sealed bytes that are there
  int64_t not_covered = 0;        // of the good: the payload was not held against the inventory
  std::vector<CheckRow> missing;  // not there, not readable, or under no key version that may open it
  std::vector<CheckRow> damaged;  // altered, cut, exchanged
  std::vector<CheckRow> torn;  // good, with a slot torn by an interrupted re-wrap beside the one that opens
  // unknown-object, other-dataset, copy, interrupted, part, opening, set-aside, unreadable
  std::vector<CheckRow> orphans;
};

struct CheckOrder {
  std::string dataset;  // identifier
  bool quick = false;   // presence, length and header alone: no data key is unwrapped
  std::vector<std::string>
      paths;  // where to look for orphans and what has no place; with `quick`: for every object
};
// Every current object at its place: header and ciphertext against its leaf, both slots, every chunk, name
// and length. What is opened goes nowhere, and is recorded (objects-opened, purpose "check") before. With
// `quick` and `paths` no key is used at all and nothing is written: files are matched to leaves by their
// object identifier. Memory: one batch, and the identifiers of superseded objects; with `paths` 16 to 48
// bytes for each object of the datasets met. Errors: state_refused (erased), those of KeyHolder and
// open_dataset_key; ledger_damaged where a segment does not fit its batch; interrupted.
InventoryCheck check_inventory(Vault& vault, const CheckOrder& order,
                               const std::function<void(int64_t, int64_t)>& progress);

// For the inventory's own use cases.

// Sealed batches in inventory order.
std::vector<BatchRecord> batches_sealed(const DatasetRecord& dataset);
// Batches whose sealing has begun and not ended.
std::vector<BatchRecord> batches_intended(const DatasetRecord& dataset);
// A batch's rows, shown to be those that the ledger committed to. Throws ledger_damaged.
struct BatchRows {
  std::vector<std::pair<ObjectId, Digest32>> rows;
  Bytes segment;
};
BatchRows batch_rows(Vault& vault, const DatasetRecord& dataset, const BatchRecord& batch);

// What a name says of a file that lies where sealed objects lie.
enum class Leftover { none, object, part, opening, set_aside };
struct NamedFile {
  Leftover kind = Leftover::none;
  std::string object;  // 32 hex, of a part, an opening, or what was set aside; "" where the name has none
};
NamedFile name_says(const std::string& path);
// Calls visit(path) for every regular file at or below `roots`, absolute, directory by directory in the order
// of names, at any depth (open_path opens it); links are not followed, what is the file system's own is
// passed over. failed(path, why) where one cannot be looked at. Errors: interrupted; those of visit and
// failed.
void walk_files(const std::vector<std::string>& roots, const std::function<void(const std::string&)>& visit,
                const std::function<void(const std::string&, const Error&)>& failed);

}  // namespace kesu
