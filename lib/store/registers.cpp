// Registers: opened for each use, so that somebody may delete the file between two; every trouble means "not
// there".
#include "store/registers_impl.h"

#include <fcntl.h>

#include "base/files.h"
#include "store/sqlite_impl.h"

namespace kesu {

using sqlite::Access;
using sqlite::Db;
using sqlite::Statement;

namespace {

constexpr int64_t kRegistersVersion = 5;

bool is_ours(Db& db) {
  return db.pragma("PRAGMA application_id") == kRegistersApplicationId &&
         db.pragma("PRAGMA user_version") == kRegistersVersion;
}

std::optional<std::pair<uint64_t, std::string>> standing(Db& db) {
  Statement s(db, "SELECT size, root FROM standing WHERE one = 1");
  if (!s.step()) return std::nullopt;
  return std::pair(static_cast<uint64_t>(s.integer(0)), std::string(s.text(1)));
}

}  // namespace

RegisterFile::RegisterFile(const std::string& directory, bool writable, Millis busy_wait)
    : path_(path_join(directory, "registers.db")), writable_(writable), busy_wait_(busy_wait) {}

std::optional<Store::Registers> RegisterFile::load(std::string_view without) noexcept {
  std::lock_guard lock(mutex_);
  base_.reset();
  try {
    if (!exists(path_)) return std::nullopt;
    // A journal left by a killed writer is rolled back, which takes a writing connection.
    Db db(path_, writable_ ? Access::write : Access::read, busy_wait_);
    if (!is_ours(db)) return std::nullopt;
    sqlite::Snapshot snapshot(db);
    auto stands_for = standing(db);
    if (!stands_for) return std::nullopt;
    Store::Registers out;
    std::tie(out.size, out.root) = *stands_for;
    Statement rows(db, "SELECT kind, id, json FROM rows WHERE kind < ?1 OR kind > ?1 ORDER BY kind, id");
    rows.bind(1, without);
    while (rows.step()) out.rows.emplace_back(rows.text(0), rows.text(1), rows.text(2));
    base_ = stands_for;
    return out;
  } catch (...) {
    return std::nullopt;
  }
}

bool RegisterFile::visit(std::string_view kind, std::string_view prefix, const Visit& each) {
  std::lock_guard lock(mutex_);
  std::exception_ptr theirs;
  try {
    if (!base_ || !exists(path_)) return false;
    Db db(path_, writable_ ? Access::write : Access::read, busy_wait_);
    if (!is_ours(db)) return false;
    sqlite::Snapshot snapshot(db);
    if (standing(db) != base_) return false;
    const std::string end = std::string(prefix) + '\x7f';  // behind every character of an identifier
    Statement rows(db, "SELECT id, json FROM rows WHERE kind = ?1 AND id >= ?2 AND id < ?3 ORDER BY id");
    rows.bind(1, kind).bind(2, prefix).bind(3, end);
    while (!theirs && rows.step()) try {
        each(rows.text(0), rows.text(1));
      } catch (...) {
        theirs = std::current_exception();
      }
  } catch (...) {
    return false;
  }
  if (theirs) std::rethrow_exception(theirs);
  return true;
}

void RegisterFile::recreate() {
  for (const char* suffix : {"", "-journal", "-wal", "-shm"}) remove_file(path_ + suffix);
  Fd fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.ok()) throw file_error(errno, "create", path_);
}

void RegisterFile::write(const Store::Registers& changed, bool replace_all, const More& more) {
  Db db(path_, Access::write, busy_wait_);
  db.run("PRAGMA synchronous=NORMAL");
  db.run("BEGIN IMMEDIATE");
  struct Rollback {
    Db& db;
    ~Rollback() { db.rollback(); }
  } rollback{db};
  if (db.pragma("SELECT count(*) FROM sqlite_master") == 0) {
    db.run(("PRAGMA application_id=" + std::to_string(kRegistersApplicationId)).c_str());
    db.run(("PRAGMA user_version=" + std::to_string(kRegistersVersion)).c_str());
    db.run(
        "CREATE TABLE standing(one INTEGER PRIMARY KEY CHECK(one = 1), size INTEGER NOT NULL, root TEXT NOT "
        "NULL)");
    db.run("CREATE TABLE rows(kind TEXT, id TEXT, json TEXT NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID");
  } else if (!is_ours(db)) {
    throw Error(Code::ledger_damaged, path_ + " is not kesu's");
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
  try {
    if (!exists(path_)) recreate();
    write(changed, replace_all, more);
  } catch (const Error& e) {
    // Damaged or foreign: made anew, but only with everything in it.
    if (e.code() != Code::ledger_damaged) return;
    try {
      recreate();
      if (replace_all) write(changed, true, more);
    } catch (...) {
    }
  } catch (...) {
  }
}

}  // namespace kesu
