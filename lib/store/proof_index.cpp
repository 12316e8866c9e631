#include "store/proof_index.h"

#include <fcntl.h>

#include <algorithm>

#include "base/files.h"
#include "store/sqlite_impl.h"

namespace kesu {

using sqlite::Access;
using sqlite::Db;
using sqlite::ResetAtEnd;
using sqlite::Statement;

namespace {
constexpr int64_t kApplicationId = 0x6b657370;  // "kesp"
constexpr int64_t kVersion = 1;
constexpr const char* kCache = "PRAGMA cache_size = -16384";
constexpr const char* kSchema =
    "CREATE TABLE batches(n INTEGER PRIMARY KEY, dataset TEXT NOT NULL, batch TEXT NOT NULL UNIQUE, "
    "done_seq INTEGER NOT NULL);"
    "CREATE TABLE objects(object BLOB PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE parts(one INTEGER PRIMARY KEY CHECK(one = 1), roots BLOB NOT NULL);";
constexpr Millis kPatience = 20;  // longer than that, and reading everything is no worse

bool is_ours(Db& db) {
  const sqlite::Snapshot one_look(db);
  return db.pragma("PRAGMA application_id") == kApplicationId &&
         db.pragma("PRAGMA user_version") == kVersion && sqlite::schema_differences(db, kSchema).empty();
}

void fill(Db& db) {
  db.run("BEGIN IMMEDIATE");
  if (db.pragma("SELECT count(*) FROM sqlite_master") == 0) {
    db.run(("PRAGMA application_id=" + std::to_string(kApplicationId)).c_str());
    db.run(("PRAGMA user_version=" + std::to_string(kVersion)).c_str());
    db.run(kSchema);
  }
  db.run("COMMIT");
}
}  // namespace

struct ProofIndex::Open {
  explicit Open(std::unique_ptr<Db> from) : db(std::move(from)) {}
  std::unique_ptr<Db> db;
  Statement look{*db,
                 "SELECT b.batch, b.done_seq FROM objects AS o JOIN batches AS b ON b.n = o.n "
                 "WHERE o.object = ?1 AND b.dataset = ?2"};
  Statement put{*db, "INSERT OR REPLACE INTO objects(object, n) VALUES(?1, ?2)"};
  std::vector<std::pair<ObjectId, int64_t>> fresh;  // rows of `objects` to come
};

ProofIndex::ProofIndex(const std::string& vault_directory, bool writable) noexcept : writable_(writable) {
  try {
    path_ = path_join(vault_directory, "proofs.db");
    for (int tries = 0; tries < 2 && !open_; ++tries) {
      if (!exists(path_)) {
        if (!writable_) return;
        Fd made(::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!made.ok()) return;
      }
      try {
        auto db = std::make_unique<Db>(path_, writable_ ? Access::write : Access::read, kPatience);
        // Losing it is harmless, and a torn one is found out: no sync.
        if (writable_) db->run("PRAGMA synchronous=OFF");
        db->run(kCache);
        if (writable_ && db->pragma("SELECT count(*) FROM sqlite_master") == 0) fill(*db);
        if (is_ours(*db)) open_ = std::make_unique<Open>(std::move(db));
      } catch (const Error& e) {
        if (e.code() != Code::ledger_damaged) return;  // locked, no room, no right: not now
      }
      if (!open_) {
        if (!writable_) return;
        discard();
      }
    }
  } catch (...) {
    open_.reset();
  }
}
ProofIndex::~ProofIndex() = default;

// After trouble nothing more is tried: what the file says may be half of something.
template <class F>
void ProofIndex::use(bool writing, F work) noexcept {
  if (!open_ || (writing && !writable_)) return;
  try {
    if (writing && !open_->db->in_transaction()) open_->db->run("BEGIN IMMEDIATE");
    work();
  } catch (const Error& e) {
    if (e.code() == Code::ledger_damaged)
      discard();
    else
      open_.reset();
  } catch (...) {
    open_.reset();
  }
}

std::optional<ProofIndex::Place> ProofIndex::find(const std::string& dataset,
                                                  const ObjectId& object) noexcept {
  std::optional<Place> out;
  use(false, [&] {
    ResetAtEnd end{open_->look};
    open_->look.bind(1, ByteView(object.bytes())).bind(2, dataset);
    if (open_->look.step() && open_->look.integer(1) >= 0)
      out = Place{std::string(open_->look.text(0)), static_cast<uint64_t>(open_->look.integer(1))};
  });
  return out;
}

std::set<std::string> ProofIndex::batches(const std::string& dataset) noexcept {
  std::set<std::string> out;
  use(false, [&] {
    Statement s(*open_->db, "SELECT batch FROM batches WHERE dataset = ?1");
    s.bind(1, dataset);
    while (s.step()) out.emplace(s.text(0));
  });
  return out;
}

void ProofIndex::add(const std::string& dataset, const Place& place,
                     const std::vector<std::pair<ObjectId, Digest32>>& rows) noexcept {
  use(true, [&] {
    Statement batch(*open_->db,
                    "INSERT OR REPLACE INTO batches(dataset, batch, done_seq) VALUES(?1, ?2, ?3)");
    batch.bind(1, dataset).bind(2, place.batch).bind(3, static_cast<int64_t>(place.done_seq)).done();
    const int64_t n = open_->db->pragma("SELECT last_insert_rowid()");
    for (auto& [object, leaf] : rows) open_->fresh.emplace_back(object, n);
  });
}

std::vector<Digest32> ProofIndex::parts() noexcept {
  std::vector<Digest32> out;
  use(false, [&] {
    Statement s(*open_->db, "SELECT roots FROM parts WHERE one = 1");
    if (!s.step()) return;
    const ByteView all = s.blob(0);
    out.resize(all.size() / 32);
    for (size_t i = 0; i < out.size(); ++i)
      std::copy_n(all.begin() + static_cast<long>(32 * i), 32, out[i].begin());
  });
  return out;
}

void ProofIndex::keep_parts(const std::vector<Digest32>& roots) noexcept {
  use(true, [&] {
    Bytes all;
    all.reserve(32 * roots.size());
    for (const Digest32& d : roots) all.insert(all.end(), d.begin(), d.end());
    Statement s(*open_->db, "INSERT OR REPLACE INTO parts(one, roots) VALUES(1, ?1)");
    s.bind(1, ByteView(all)).done();
  });
}

// Identifiers are random: in their order, each page of the table is met once.
void ProofIndex::save() noexcept {
  if (!open_ || !open_->db->in_transaction()) return;
  use(true, [&] {
    std::sort(open_->fresh.begin(), open_->fresh.end());
    for (auto& [object, n] : open_->fresh) open_->put.bind(1, ByteView(object.bytes())).bind(2, n).done();
    open_->fresh.clear();
    open_->db->run("COMMIT");
  });
}

void ProofIndex::discard() noexcept {
  open_.reset();
  if (!writable_) return;
  try {
    for (const char* suffix : {"-journal", ""}) remove_file(path_ + suffix);
  } catch (...) {
  }
}

}  // namespace kesu
