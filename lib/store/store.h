// The vault's store: ledger.db, evidence blobs, inventory segments, registers.db (docs/spec/store.md). One Store
// object per process and vault; append may be called from many threads.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"
#include "ledger/entry.h"
#include "ledger/tree.h"

namespace kesu {

struct StoredEntry {
  Entry entry;
  std::string canonical_header, canonical_body;
  Digest32 leaf{};
};

struct AppendResult {
  uint64_t first_seq = 0;  // of the events, in order, without gaps
  Millis time = 0;
};

// (stream, number of entries that name it): what the caller decided on.
using StreamVersions = std::vector<std::pair<std::string, uint64_t>>;

struct SavedCheckpoint {
  uint64_t size = 0;
  std::string note;  // the whole signed note
};

class Store {
 public:
  virtual ~Store() = default;

  // Appends all events as one transaction: all or none, in order, consecutive. Durable on return. Waiting appends of
  // other threads share the commit (leader thread). Throws conflict when a stream has moved, store_busy,
  // store_unavailable, disk_full, read_only; bad_input when a header breaks the rules.
  virtual AppendResult append(std::vector<Event> events, const StreamVersions& expected = {}) = 0;
  virtual uint64_t stream_version(std::string_view stream) = 0;

  virtual uint64_t size() = 0;
  // Calls `each` for entries [from, to) in order; stops when it returns false.
  virtual void read(uint64_t from, uint64_t to, const std::function<bool(const StoredEntry&)>& each) = 0;
  virtual StoredEntry entry(uint64_t seq) = 0;
  // Leaf hashes [0, size), as stored.
  virtual std::vector<Digest32> leaves(uint64_t size) = 0;

  virtual void save_checkpoint(const SavedCheckpoint& checkpoint) = 0;
  virtual std::vector<SavedCheckpoint> checkpoints() = 0;

  // Evidence, by SHA-256; durable on return. Putting what is there is harmless.
  virtual std::string put_blob(ByteView content) = 0;  // hex digest
  virtual Bytes blob(std::string_view digest) = 0;     // throws not_found; ledger_damaged when the bytes disagree
  virtual bool has_blob(std::string_view digest) = 0;
  virtual std::vector<std::string> blobs() = 0;

  // Inventory segments: immutable, `inventory/<dataset>/<batch>.seg`.
  virtual std::string put_segment(std::string_view dataset, std::string_view batch, ByteView content) = 0;  // hex SHA-256
  virtual Bytes segment(std::string_view dataset, std::string_view batch) = 0;
  virtual bool has_segment(std::string_view dataset, std::string_view batch) = 0;
  virtual std::vector<std::pair<std::string, std::string>> segments() = 0;  // (dataset, batch)

  // Derived registers: rows (kind, id) → JSON, and the ledger size and root they stand for. Losing them is harmless.
  struct Registers {
    uint64_t size = 0;
    std::string root;  // hex
    std::vector<std::tuple<std::string, std::string, std::string>> rows;  // kind, id, canonical JSON
  };
  virtual std::optional<Registers> load_registers() = 0;
  // Replaces the given rows, removes those with an empty JSON text, and sets size and root, atomically.
  virtual void save_registers(const Registers& changed, bool replace_all) = 0;

  virtual bool read_only() const = 0;
  virtual const std::string& directory() const = 0;
};

struct StoreOptions {
  bool create = false;
  bool read_only = false;        // also chosen by itself when the directory is not writable
  bool allow_network = false;    // network file systems are refused otherwise
};
// `directory` is the vault's. Throws vault_absent, vault_newer, network_filesystem, store_unavailable, already_exists.
std::unique_ptr<Store> open_sqlite_store(const std::string& directory, Clock& clock, Random& random, const StoreOptions& options);

// What a full check found: every entry, link, blob, segment and register row that is changed, missing, inserted or out of order, by name.
struct LedgerFinding {
  std::string what;   // "entry 17", "blob 3f9a…", "segment ds-… bat-…", "register key key-…", "checkpoint 42"
  std::string why;
};
// Recomputes everything from the bytes on disk: headers, bodies, leaves, order, tree against every saved checkpoint (signature check by
// `verify_note`, which says "" or what is wrong), blobs and segments against the digests that entries name (`named_blobs`
// gives those of one entry), stream table. Registers are compared by the caller, who can rebuild them.
std::vector<LedgerFinding> verify_store(Store& store, const std::function<std::string(const SavedCheckpoint&)>& verify_note,
                                        const std::function<std::vector<std::string>(const StoredEntry&)>& named_blobs,
                                        const std::function<std::vector<std::pair<std::string, std::string>>(const StoredEntry&)>& named_segments);

}  // namespace kesu
