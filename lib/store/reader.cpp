// Reading: a page of rows under the lock, decoding and the caller's work outside of it.
#include "store/reader_impl.h"

#include <optional>

#include "store/appender_impl.h"
#include "store/ledger_file_impl.h"

namespace kesu {

using sqlite::Db;
using sqlite::Statement;

namespace {

constexpr int64_t kPageRows = 256;
constexpr size_t kPageBytes = 4 << 20;
constexpr const char* kRow = "SELECT seq, header, salt, leaf, body FROM entries";
constexpr const char* kCheckpoints = "SELECT size, note FROM checkpoints ORDER BY size, id";

RawRow row_of(const Statement& s) { return {s.integer(0), s.text(1), s.text(4), s.blob(2), s.blob(3)}; }

Error damaged(uint64_t seq, std::string why) {
  return Error(Code::ledger_damaged, "entry " + std::to_string(seq) + " of the ledger is damaged")
      .cause(std::move(why))
      .next("run: kesu ledger verify");
}

std::vector<SavedCheckpoint> read_checkpoints(Statement& s) {
  sqlite::ResetAtEnd end{s};
  std::vector<SavedCheckpoint> out;
  while (s.step()) out.push_back({static_cast<uint64_t>(s.integer(0)), std::string(s.text(1))});
  return out;
}

}  // namespace

StoredEntry checked_entry(const RawEntry& raw, const std::function<bool(const Header&)>& wants) {
  uint64_t seq = static_cast<uint64_t>(raw.row);
  StoredEntry out;
  try {
    out.entry.header = Header::parse(raw.header);
    if (!wants || wants(out.entry.header)) {
      out.entry.body = parse_canonical_json(raw.body, "ledger body");
      if (!out.entry.body.is_object()) throw Error(Code::bad_input, "its body is no object");
    }
  } catch (const Error& e) {
    if (e.code() == Code::vault_newer) throw;
    throw damaged(seq, e.message() + (e.cause().empty() ? "" : ": " + e.cause()));
  }
  if (raw.row < 0 || out.entry.header.seq != seq)
    throw damaged(seq, "its header is that of entry " + std::to_string(out.entry.header.seq));
  if (raw.salt.size() != kSaltBytes)
    throw damaged(seq, "its salt has " + std::to_string(raw.salt.size()) + " bytes");
  out.leaf = leaf_hash(raw.header, body_hash(raw.salt, raw.body));
  if (!std::equal(raw.leaf.begin(), raw.leaf.end(), out.leaf.begin(), out.leaf.end()))
    throw damaged(seq, "header, salt and body do not give its leaf");
  out.entry.salt = raw.salt;
  out.canonical_header = raw.header;
  out.canonical_body = raw.body;
  return out;
}

struct LedgerReader::Statements {
  explicit Statements(Db& db)
      : head(db, HeadRow::kSelect),
        version(db, "SELECT version FROM streams WHERE id = ?1"),
        page(db, (std::string(kRow) + " WHERE seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT ?3").c_str()),
        leaves(db, "SELECT seq, leaf FROM entries WHERE seq >= ?1 AND seq < ?2 ORDER BY seq"),
        checkpoints(db, kCheckpoints) {}
  Statement head, version, page, leaves, checkpoints;
};

LedgerReader::LedgerReader(std::unique_ptr<Db> db) : db_(std::move(db)), statements_(new Statements(*db_)) {}
LedgerReader::~LedgerReader() = default;

TreeHead LedgerReader::head() {
  std::lock_guard lock(mutex_);
  return HeadRow::read(*db_, statements_->head).tree;
}

uint64_t LedgerReader::stream_version(std::string_view stream) {
  std::lock_guard lock(mutex_);
  sqlite::ResetAtEnd end{statements_->version};
  return statements_->version.bind(1, stream).step() ? static_cast<uint64_t>(statements_->version.integer(0))
                                                     : 0;
}

std::vector<RawEntry> LedgerReader::page(uint64_t from, uint64_t to) {
  std::lock_guard lock(mutex_);
  Statement& s = statements_->page;
  sqlite::ResetAtEnd end{s};
  s.bind(1, static_cast<int64_t>(from)).bind(2, static_cast<int64_t>(to)).bind(3, kPageRows);
  std::vector<RawEntry> rows;
  for (size_t bytes = 0; bytes < kPageBytes && s.step(); bytes += rows.back().body.size())
    rows.push_back(row_of(s));
  return rows;
}

void LedgerReader::read(uint64_t from, uint64_t to, const std::function<bool(const StoredEntry&)>& each,
                        const std::function<bool(const Header&)>& wants) {
  to = std::min(to, head().size());
  while (from < to) {
    std::vector<RawEntry> rows = page(from, to);
    if (rows.empty()) throw damaged(from, "it is missing");
    for (const RawEntry& raw : rows) {
      if (raw.row != static_cast<int64_t>(from)) throw damaged(from, "it is missing");
      if (!each(checked_entry(raw, wants))) return;
      ++from;
    }
  }
}

std::vector<Digest32> LedgerReader::leaves(uint64_t from, uint64_t to) {
  uint64_t there = head().size();
  if (from > to || to > there)
    throw Error(Code::bad_input,
                "the ledger has " + std::to_string(there) + " entries, not " + std::to_string(to));
  std::lock_guard lock(mutex_);
  Statement& s = statements_->leaves;
  sqlite::ResetAtEnd end{s};
  std::vector<Digest32> out;
  out.reserve(to - from);
  s.bind(1, static_cast<int64_t>(from)).bind(2, static_cast<int64_t>(to));
  while (s.step()) {
    ByteView leaf = s.blob(1);
    const uint64_t at = from + out.size();
    if (s.integer(0) != static_cast<int64_t>(at)) throw damaged(at, "it is missing");
    if (leaf.size() != 32) throw damaged(at, "its leaf has " + std::to_string(leaf.size()) + " bytes");
    std::copy(leaf.begin(), leaf.end(), out.emplace_back().begin());
  }
  if (out.size() != to - from) throw damaged(from + out.size(), "it is missing");
  return out;
}

std::vector<SavedCheckpoint> LedgerReader::checkpoints() {
  std::lock_guard lock(mutex_);
  return read_checkpoints(statements_->checkpoints);
}

namespace {
// SQLite keeps values of any type in any column, compares those of one type only, and reads them as another
// without a word: what has another type than its column is found by some statements and not by others.
std::string_view odd_in(const Statement& row) {
  if (row.type(1) != SQLITE_TEXT) return "its header is not stored as text";
  if (row.type(2) != SQLITE_BLOB) return "its salt is not stored as bytes";
  if (row.type(3) != SQLITE_BLOB) return "its leaf is not stored as bytes";
  if (row.type(4) != SQLITE_TEXT) return "its body is not stored as text";
  return {};
}

void look_for_odd(Db& db, RawState& out) {
  for (std::string& problem : ledger_schema_problems(db))
    out.odd.push_back({"ledger.db", std::move(problem)});
  Statement head(db, "SELECT typeof(size), typeof(time), typeof(subtrees) FROM head WHERE one = 1");
  if (head.step() && (head.text(0) != "integer" || head.text(1) != "integer" || head.text(2) != "blob"))
    out.odd.push_back({"tree head", "its size and time are not stored as integers, its subtrees as bytes"});
  Statement points(db,
                   "SELECT id FROM checkpoints WHERE typeof(size) <> 'integer' OR typeof(note) <> 'text' "
                   "ORDER BY id");
  while (points.step())
    out.odd.push_back({"checkpoint row " + std::to_string(points.integer(0)),
                       "its size is not stored as an integer, or its note not as text"});
  // Its index may name other rows than the table has.
  Statement check(db, "PRAGMA integrity_check('checkpoints')");
  while (check.step())
    if (check.text(0) != "ok") out.odd.push_back({"checkpoints", std::string(check.text(0))});
}
}  // namespace

void read_raw_state(Db& db, const std::function<void(const RawState&)>& state,
                    const std::function<void(const RawRow&)>& each,
                    const std::function<void(const RawStream&)>& stream) {
  db.run("PRAGMA cache_size = -256");  // KiB: each page is read once, in order
  sqlite::Snapshot snapshot(db);
  std::optional<Error> torn;  // said after the entries, which may be readable still
  try {
    RawState out;
    Statement head(db, HeadRow::kSelect);
    if (head.step()) {
      out.head_present = true;
      out.size = head.integer(0);
      out.time = head.integer(1);
      out.subtrees = to_bytes(head.blob(2));
    }
    Statement checkpoints(db, kCheckpoints);
    out.checkpoints = read_checkpoints(checkpoints);
    try {
      look_for_odd(db, out);
    } catch (const Error& e) {
      torn = e;
    }
    state(out);
  } catch (const Error& e) {
    torn = e;
  }
  {
    Statement rows(db, (std::string(kRow) + " ORDER BY seq").c_str());
    while (rows.step()) {
      const std::string_view odd = odd_in(rows);
      RawRow row = row_of(rows);
      row.odd = odd;
      each(row);
    }
  }
  if (torn) throw *torn;
  Statement streams(db, "SELECT id, version FROM streams ORDER BY id");
  while (streams.step()) {
    std::string_view odd;
    if (streams.type(0) != SQLITE_TEXT) odd = "its identifier is not stored as text";
    if (streams.type(1) != SQLITE_INTEGER) odd = "its version is not stored as an integer";
    stream({streams.text(0), streams.integer(1), odd});
  }
}

}  // namespace kesu
