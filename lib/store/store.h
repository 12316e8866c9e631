// The vault's store: ledger.db, evidence blobs, inventory segments, registers.db (docs/spec/store.md). One
// Store object per process and vault; append may be called from many threads.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
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
// As a stream: all of the ledger. Its version is the number of entries.
constexpr std::string_view kWholeLedger = "*";

struct SavedCheckpoint {
  uint64_t size = 0;
  std::string note;  // the whole signed note
  bool operator==(const SavedCheckpoint&) const = default;
};

// What a full check found: every entry, link, blob and segment that is changed, missing, inserted or out of
// order.
enum class Severity {
  failure,  // the vault is not what it was
  note,     // harmless, and worth knowing: what an interrupted command left
};
struct LedgerFinding {
  std::string what;  // "entry 17", "entries 3 to 9", "blob 3f9a…", "segment ds-… bat-…", "checkpoint 42",
                     // "stream key-….1", "tree head", "ledger", "ledger.db", "registers.db"
  std::string why;
  Severity severity = Severity::failure;
  bool operator==(const LedgerFinding&) const = default;
};

// The ledger as it lies in the database, unchecked: for verify_store.
struct RawEntry {
  int64_t row = 0;  // the row's number, which should be the header's seq
  std::string header, body;
  Bytes salt, leaf;
};
// The same, in somebody else's memory.
struct RawRow {
  int64_t row = 0;
  std::string_view header, body;
  ByteView salt, leaf;
  std::string_view odd = {};  // which column is stored as another type than the table's; lives for ever
  operator RawEntry() const {
    return {row, std::string(header), std::string(body), to_bytes(salt), to_bytes(leaf)};
  }
};
struct RawState {
  bool head_present = false;
  int64_t size = 0, time = 0;
  Bytes subtrees;  // 32 bytes each, as TreeHead::subtrees()
  std::vector<SavedCheckpoint> checkpoints;
  std::vector<LedgerFinding> odd;  // tables, triggers and the like that are not kesu's; types, as above
};
struct RawStream {
  std::string_view id;
  int64_t version = 0;
  std::string_view odd = {};  // as in RawRow
};

class Store {
 public:
  virtual ~Store() = default;

  // Appends all events as one transaction: all or none, in order, consecutive. Durable on return. Waiting
  // appends of other threads share the commit (one of them leads). Throws conflict when a stream has moved,
  // store_busy when other processes do not let go for StoreOptions::busy_wait, store_unavailable, disk_full,
  // read_only, vault_newer, ledger_damaged when the end of the ledger is not what its head says; bad_input
  // when a header breaks the rules, a body is no object or larger than kMaxBodyBytes, or there is no event. A
  // call that threw has added nothing; only after store_unavailable or disk_full from a failed write may the
  // entries still be found when the vault is opened again, whole or not at all, and this Store refuses every
  // further append.
  virtual AppendResult append(std::vector<Event> events, const StreamVersions& expected = {}) = 0;
  virtual uint64_t stream_version(std::string_view stream) = 0;

  virtual uint64_t size() = 0;
  // Size and root of the ledger now, without reading its leaves.
  virtual TreeHead head() = 0;
  // Calls `each` for entries [from, to) in order; stops when it returns false. A `to` past the end means the
  // end. Every entry is checked against its leaf: ledger_damaged names one that is altered or missing,
  // vault_newer one of a newer version. `each` may call the store.
  // Where `wants` is given, bodies are built only of entries whose header it says yes to; the others' are
  // null, and their texts are checked by the leaf alone.
  virtual void read(uint64_t from, uint64_t to, const std::function<bool(const StoredEntry&)>& each,
                    const std::function<bool(const Header&)>& wants = nullptr) = 0;
  virtual StoredEntry entry(uint64_t seq) = 0;  // throws not_found past the end
  // Leaf hashes [0, size), as stored. Throws bad_input when the ledger is smaller.
  virtual std::vector<Digest32> leaves(uint64_t size) = 0;
  // Leaf hashes [from, to), as stored, reading no others. Throws as leaves(size).
  virtual std::vector<Digest32> leaves(uint64_t from, uint64_t to) = 0;

  // Several notes for one size are kept (cosignatures come later); the same note again is harmless. Durable
  // on return, and read back: ledger_damaged when the table did not take it.
  virtual void save_checkpoint(const SavedCheckpoint& checkpoint) = 0;
  virtual std::vector<SavedCheckpoint> checkpoints() = 0;  // by size, then as they were saved

  // One consistent reading of everything in the database: `state` for what is no row of the two others, then
  // `each` for all entries in order, then `stream` for all rows of the stream table, in the table's own
  // order, which should be that of identifiers. Views live until the function returns.
  virtual void read_raw(const std::function<void(const RawState&)>& state,
                        const std::function<void(const RawRow&)>& each,
                        const std::function<void(const RawStream&)>& stream) = 0;

  // Evidence, by SHA-256; durable on return. Putting what is there is harmless.
  virtual std::string put_blob(ByteView content) = 0;  // hex digest
  virtual Bytes blob(
      std::string_view digest) = 0;  // throws not_found; ledger_damaged when the bytes disagree
  virtual bool has_blob(std::string_view digest) = 0;
  virtual std::vector<std::string> blobs() = 0;

  // Inventory segments: immutable, `inventory/<dataset>/<batch>.seg`; durable on return. Throws
  // already_exists when another content lies there; bad_identifier when `dataset` or `batch` is no such
  // identifier; segment() not_found.
  virtual std::string put_segment(std::string_view dataset, std::string_view batch,
                                  ByteView content) = 0;  // hex SHA-256
  virtual Bytes segment(std::string_view dataset, std::string_view batch) = 0;
  virtual bool has_segment(std::string_view dataset, std::string_view batch) = 0;
  virtual std::vector<std::pair<std::string, std::string>> segments() = 0;  // (dataset, batch)

  // Derived registers: rows (kind, id) → JSON, and the ledger size and root they stand for. Losing them is
  // harmless.
  struct Registers {
    uint64_t size = 0;
    std::string root;                                                     // hex
    std::vector<std::tuple<std::string, std::string, std::string>> rows;  // kind, id, canonical JSON
  };
  // nullopt when they are missing, damaged, not kesu's, or beside the journal of a save that did not end;
  // never an error. Whether size and root fit the ledger is the caller's to see. Rows of the kind `without`
  // are left where they are, for more_registers().
  virtual std::optional<Registers> load_registers(std::string_view without = {}) = 0;
  // Calls `each` for the rows of `kind` whose id begins with `prefix`, in the order of ids. false when they
  // could not be had to the end, or when the file stands for something else than what was last loaded or
  // saved here. What `each` throws is thrown.
  virtual bool more_registers(
      std::string_view kind, std::string_view prefix,
      const std::function<void(std::string_view id, std::string_view json)>& each) = 0;
  // Why the last of the two calls above did not give all: nothing where it did, where there is no file, and
  // where another process has saved since; a note for what an interrupted save or another version of kesu
  // leaves; a failure for what kesu leaves never, and for a file that is kept locked.
  virtual std::optional<LedgerFinding> registers_finding() = 0;
  // Replaces the given rows, removes those with an empty JSON text, and sets size and root, atomically. Never
  // an error: what cannot be saved is lost, harmlessly. Without `replace_all` the rows build on what this
  // Store last loaded or saved; when the file stands for something else by now, they are not saved. After
  // nullopt, replace all. `more` is called once with a function that takes further rows, for those that are
  // too many to be held.
  using RowSink =
      std::function<void(const std::string& kind, const std::string& id, const std::string& json)>;
  virtual void save_registers(const Registers& changed, bool replace_all,
                              const std::function<void(const RowSink&)>& more = nullptr) = 0;

  // Whether the database file itself is sound, by its own quick check, and its tables are kesu's: "" or what
  // is wrong. The ledger's
  // meaning is verify_store's matter.
  virtual std::string database_problem() = 0;

  virtual bool read_only() const = 0;  // asked for, not writable, or a newer vault
  virtual const std::string& directory() const = 0;
};

struct StoreOptions {
  bool create = false;
  bool read_only = false;      // also chosen by itself when the directory is not writable
  bool allow_network = false;  // network file systems are refused otherwise
  Millis busy_wait = 30000;    // how long to wait for other processes before store_busy
};
constexpr size_t kMaxBodyBytes = 16u << 20;

// `directory` is the vault's; `clock` and `random` must outlive the store. Creating makes the directory when
// needed and an empty ledger in it, whole or not at all. A vault of a newer version opens read-only when its
// tables can be read (append then throws vault_newer). Throws vault_absent, vault_newer, network_filesystem,
// store_unavailable, ledger_damaged (no ledger of kesu's; for writing, also when its tables are not those
// that kesu makes), already_exists.
std::unique_ptr<Store> open_sqlite_store(const std::string& directory, Clock& clock, Random& random,
                                         const StoreOptions& options);

// The version of the SQLite in use.
std::string sqlite_library();

using BlobsOf =
    std::function<std::vector<std::string>(const StoredEntry&)>;  // hex SHA-256 of each blob that it names
// Each segment that it names: ("<dataset>/<batch>", hex SHA-256; empty when the entry does not state it).
using SegmentsOf = std::function<std::vector<std::pair<std::string, std::string>>(const StoredEntry&)>;

// How many there were.
struct LedgerCounts {
  uint64_t checkpoints = 0, blobs = 0, segments = 0;
};

// Recomputes everything from the bytes on disk: tables and types of their values, headers, bodies, leaves,
// order, times, tree head, tree against every saved checkpoint (signature check by `verify_note`, which says
// "" or what is wrong), blobs and segments against the digests that entries name, stream table. Reads one
// state of the database, other processes may append meanwhile. An entry whose leaf was recomputed after a
// change is caught by the first checkpoint over it, which names the range. Registers are compared by the
// caller, who can rebuild them. Throws only when the disk cannot be read, and what Ctrl-C throws. Entries are
// checked by all processors: `named_blobs`, `named_segments` and `wants_body` are called by several threads
// at once, `wants_body` says whether the others need an entry's body (all are checked; where it says no, they
// find it null). `each` and `verify_note` are called by the caller's thread; `each` in the order of the
// ledger, with each entry that is whole, which it may take apart (header, body and leaf: texts and salt stay
// empty), and nullptr for each that is not or that is missing. Memory: nothing is kept of an entry but what
// it names of segments and blobs; the ledger is read a second time when the stream table is wrong, to name
// the streams.
std::vector<LedgerFinding> verify_store(Store& store,
                                        const std::function<std::string(const SavedCheckpoint&)>& verify_note,
                                        const BlobsOf& named_blobs, const SegmentsOf& named_segments,
                                        const std::function<bool(const Header&)>& wants_body = nullptr,
                                        const std::function<void(StoredEntry*)>& each = nullptr,
                                        LedgerCounts* counts = nullptr);

}  // namespace kesu
