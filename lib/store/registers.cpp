// Registers: opened for each use, so that somebody may delete the file between two; every trouble means "not
// there".
#include "store/registers_impl.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <memory>

#include "base/files.h"

namespace kesu {

using sqlite::Access;
using sqlite::Db;
using sqlite::Statement;

namespace {

constexpr int64_t kRegistersVersion = 9;
constexpr const char* kSchema =
    "CREATE TABLE standing(one INTEGER PRIMARY KEY CHECK(one = 1), size INTEGER NOT NULL, root TEXT NOT "
    "NULL);"
    "CREATE TABLE rows(kind TEXT, id TEXT, json TEXT NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;";

struct NotOurs {
  std::string why;
  Severity severity = Severity::failure;
};

// Throws NotOurs for what no kesu of this version has written. In a transaction, so that it is one look.
void demand_ours(Db& db) {
  const int64_t application = db.pragma("PRAGMA application_id"), version = db.pragma("PRAGMA user_version");
  if (application != kRegistersApplicationId)
    throw NotOurs{"it is not kesu's: its application_id is " + std::to_string(application)};
  if (version != kRegistersVersion)
    throw NotOurs{"another version of kesu wrote it: it is of version " + std::to_string(version),
                  Severity::note};
  // With a log beside it, it would say what the log says.
  Statement mode(db, "PRAGMA journal_mode");
  if (!mode.step() || mode.text(0) != "delete")
    throw NotOurs{"a write-ahead log is in use, which kesu makes none"};
  std::string all;
  for (const std::string& d : sqlite::schema_differences(db, kSchema)) all += (all.empty() ? "" : "; ") + d;
  if (!all.empty()) throw NotOurs{all};
}

std::optional<std::pair<uint64_t, std::string>> standing(Db& db) {
  Statement s(db, "SELECT size, root FROM standing WHERE one = 1");
  if (!s.step()) return std::nullopt;
  return std::pair(static_cast<uint64_t>(s.integer(0)), std::string(s.text(1)));
}

bool is_empty(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 && st.st_size == 0;
}

}  // namespace

RegisterFile::RegisterFile(const std::string& directory, bool writable, Millis busy_wait)
    : path_(path_join(directory, "registers.db")), writable_(writable), busy_wait_(busy_wait) {}

// For reading, also where it could be written: SQLite would otherwise put back what the journal of a killed
// writer holds, and whoever may write such a journal writes the registers. Without one they are as they were,
// with one they are not there.
RegisterFile::Look RegisterFile::read(const std::function<void(Db&)>& use) {
  finding_.reset();
  const auto foreign = [&](const std::string& why, Severity severity = Severity::failure) {
    finding_ = {"registers.db", "not compared, and no command goes by it: " + why, severity};
    return Look::foreign;
  };
  // Nothing stands in an empty one: that is how it begins.
  if (!exists(path_) || is_empty(path_)) return Look::absent;
  std::unique_ptr<Db> db;
  try {
    db = std::make_unique<Db>(path_, Access::read, busy_wait_);
    sqlite::Snapshot snapshot(*db);
    demand_ours(*db);
    use(*db);
    return Look::done;
  } catch (const NotOurs& e) {
    return foreign(e.why, e.severity);
  } catch (const Error& e) {
    if (!exists(path_)) return Look::absent;
    if (e.code() == Code::store_busy) {
      finding_ = {"registers.db", "not compared: another process kept it locked"};
      return Look::locked;
    }
    if (db && db->last_rc == SQLITE_READONLY_ROLLBACK)
      return foreign("beside it lies the journal of a save that did not end", Severity::note);
    return foreign(e.message() + (e.cause().empty() ? "" : ": " + e.cause()));
  } catch (const std::exception& e) {
    return foreign(e.what());
  }
}

std::optional<LedgerFinding> RegisterFile::finding() {
  std::lock_guard lock(mutex_);
  return finding_;
}

std::optional<Store::Registers> RegisterFile::load(std::string_view without) noexcept try {
  std::lock_guard lock(mutex_);
  base_.reset();
  Store::Registers out;
  std::optional<Standing> stands_for;
  const Look look = read([&](Db& db) {
    stands_for = standing(db);
    if (!stands_for) throw NotOurs{"it does not say what it stands for"};
    std::tie(out.size, out.root) = *stands_for;
    // Two ranges: with both in one condition SQLite reads all rows, and those left out are most of them.
    for (const char* beside : {"SELECT kind, id, json FROM rows WHERE kind < ?1 ORDER BY kind, id",
                               "SELECT kind, id, json FROM rows WHERE kind > ?1 ORDER BY kind, id"}) {
      Statement rows(db, beside);
      rows.bind(1, without);
      while (rows.step()) out.rows.emplace_back(rows.text(0), rows.text(1), rows.text(2));
    }
  });
  if (look != Look::done) return std::nullopt;
  base_ = stands_for;
  return out;
} catch (...) {
  return std::nullopt;
}

bool RegisterFile::visit(std::string_view kind, std::string_view prefix, const Visit& each) {
  std::lock_guard lock(mutex_);
  std::exception_ptr theirs;
  finding_.reset();
  if (!base_) return false;
  bool moved = false;
  const Look look = read([&](Db& db) {
    moved = standing(db) != base_;
    if (moved) return;
    const std::string end = std::string(prefix) + '\x7f';  // behind every character of an identifier
    Statement rows(db, "SELECT id, json FROM rows WHERE kind = ?1 AND id >= ?2 AND id < ?3 ORDER BY id");
    rows.bind(1, kind).bind(2, prefix).bind(3, end);
    while (!theirs && rows.step()) try {
        each(rows.text(0), rows.text(1));
      } catch (...) {
        theirs = std::current_exception();
      }
  });
  if (theirs) std::rethrow_exception(theirs);
  return look == Look::done && !moved;
}

void RegisterFile::recreate() {
  for (const char* suffix : {"", "-journal", "-wal", "-shm"}) remove_file(path_ + suffix);
  Fd fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.ok()) throw file_error(errno, "create", path_);
}

void RegisterFile::write(const Store::Registers& changed, bool replace_all, const More& more) {
  Db db(path_, Access::write, busy_wait_);
  db.run("PRAGMA synchronous=NORMAL");
  // For a file made anew: a key's row of 1 to 4 KB lies in one page then, and not on an overflow page
  // besides.
  db.run("PRAGMA page_size=16384");
  db.run("BEGIN IMMEDIATE");
  struct Rollback {
    Db& db;
    ~Rollback() { db.rollback(); }
  } rollback{db};
  if (db.pragma("SELECT count(*) FROM sqlite_master") == 0) {
    db.run(("PRAGMA application_id=" + std::to_string(kRegistersApplicationId)).c_str());
    db.run(("PRAGMA user_version=" + std::to_string(kRegistersVersion)).c_str());
    db.run(kSchema);
  } else {
    demand_ours(db);
  }
  // Another process may have written rows for a later ledger; changes over an earlier one would spoil them.
  if (!replace_all && (!base_ || standing(db) != base_)) return;
  if (replace_all) db.run("DELETE FROM rows");
  {
    Statement put(db, "INSERT OR REPLACE INTO rows(kind, id, json) VALUES(?1, ?2, ?3)");
    Statement remove(db, "DELETE FROM rows WHERE kind = ?1 AND id = ?2");
    auto take = [&](const std::string& kind, const std::string& id, const std::string& json) {
      if (json.empty())
        remove.bind(1, kind).bind(2, id).done();
      else
        put.bind(1, kind).bind(2, id).bind(3, json).done();
    };
    for (const auto& [kind, id, json] : changed.rows) take(kind, id, json);
    if (more) more(take);
    Statement stand(db, "INSERT OR REPLACE INTO standing(one, size, root) VALUES(1, ?1, ?2)");
    stand.bind(1, static_cast<int64_t>(changed.size)).bind(2, changed.root).done();
  }
  db.run("COMMIT");
  base_ = Standing(changed.size, changed.root);
}

void RegisterFile::save(const Store::Registers& changed, bool replace_all, const More& more) noexcept {
  if (!writable_) return;
  std::lock_guard lock(mutex_);
  // Damaged, foreign, or with a journal that opening it for writing would put back: made anew, but only with
  // everything in it.
  const auto anew = [&] {
    recreate();
    if (replace_all) write(changed, true, more);
  };
  try {
    if (!exists(path_)) recreate();
    const Look look = read([](Db&) {});
    if (look == Look::foreign) return anew();
    if (look == Look::locked) return;
    try {
      write(changed, replace_all, more);
    } catch (const NotOurs&) {
      anew();
    } catch (const Error& e) {
      if (e.code() == Code::ledger_damaged) anew();
    }
  } catch (...) {
  }
}

}  // namespace kesu
