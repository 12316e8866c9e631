// Connections, statements, result codes.
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <thread>
#include <tuple>

#include "base/files.h"
#include "base/interrupt.h"
#include "store/sqlite_impl.h"
#include "store/waiting_impl.h"

namespace kesu::sqlite {

namespace {

constexpr Millis kSayAfter = 1500;

int64_t steady_millis() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

// A file name as SQLite's URI form, so that ?immutable can be said.
std::string uri_of(std::string_view path) {
  std::string out = "file:";
  for (unsigned char c : path) {
    if (std::isalnum(c) || std::strchr("/-_.", c)) {
      out += static_cast<char>(c);
    } else {
      uint8_t byte = c;
      out += "%" + hex(ByteView(&byte, 1));
    }
  }
  return out;
}

}  // namespace

namespace {
// SQLite keeps the system's word not on every way (a sync that fails inside a commit): then errno still has
// it.
int system_error(sqlite3* db) {
  const int now = errno, kept = db ? sqlite3_system_errno(db) : 0;
  for (int known : {ENOSPC, EDQUOT, EIO, EMFILE, ENFILE, ENOMEM, EFBIG})
    if (kept == 0 && now == known) return known;
  return kept;
}

// Whether this user may write: then a database that is "read-only" is so because its disk refuses.
bool may_write(const std::string& path) {
  return ::access(path.c_str(), W_OK) == 0 && ::access(dir_name(path).c_str(), W_OK) == 0;
}
}  // namespace

Error error_of(sqlite3* db, int rc, std::string_view doing, std::string_view path) {
  int primary = rc & 0xff, system = system_error(db);
  const bool no_space = system == ENOSPC || system == EDQUOT;
  bool full = primary == SQLITE_FULL || ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) && no_space);
  Code code = Code::store_unavailable;
  if (full)
    code = Code::disk_full;
  else if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED)
    code = Code::store_busy;
  else if (primary == SQLITE_NOMEM)
    code = Code::out_of_memory;
  else if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB || primary == SQLITE_CONSTRAINT ||
           primary == SQLITE_SCHEMA || primary == SQLITE_MISMATCH || rc == SQLITE_READONLY_ROLLBACK)
    code = Code::ledger_damaged;
  else if (primary == SQLITE_READONLY || primary == SQLITE_PERM)
    code = may_write(std::string(path)) ? Code::store_unavailable : Code::read_only;
  std::string cause = db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
  if (system != 0 && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN || primary == SQLITE_FULL))
    cause += std::string(": ") + std::strerror(system);
  if (rc == SQLITE_READONLY_ROLLBACK) cause = "beside it lies the journal of a write that did not end";
  Error e(code, "cannot " + std::string(doing) + " " + std::string(path));
  e.cause(cause);
  if (primary == SQLITE_NOMEM) system = ENOMEM;
  e.next(file_error(full ? ENOSPC : system, "use", path).next());
  if (e.next().empty()) e.next("remove the cause, then run the same command again");
  if (code == Code::read_only) e.next("run it as the vault's owner, with the vault mounted for writing");
  if (code == Code::store_busy) e.next("another kesu is writing; try again when it has finished");
  if (code == Code::ledger_damaged) e.next("run: kesu ledger verify");
  return e;
}

Db::Db(const std::string& path, Access access, Millis busy_wait)
    : path_(access == Access::scratch ? "a temporary database" : path), busy_wait_(busy_wait) {
  int flags = (access == Access::write     ? SQLITE_OPEN_READWRITE
               : access == Access::scratch ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                                           : SQLITE_OPEN_READONLY) |
              SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  std::string uri = uri_of(path) + (access == Access::immutable ? "?immutable=1" : "");
  int rc = sqlite3_open_v2(uri.c_str(), &db_, flags, nullptr);
  if (rc != SQLITE_OK) {
    Error e = error_of(db_, rc, "open", path_);
    sqlite3_close_v2(db_);
    throw e;
  }
  for (int off :
       {SQLITE_DBCONFIG_ENABLE_TRIGGER, SQLITE_DBCONFIG_ENABLE_VIEW, SQLITE_DBCONFIG_TRUSTED_SCHEMA})
    sqlite3_db_config(db_, off, 0, nullptr);
  sqlite3_busy_handler(db_, &Db::wait, this);
}

Db::~Db() { sqlite3_close_v2(db_); }

// Short waits: SQLite's own back-off of up to 100 ms would hardly ever meet the gap between two commits of a
// busy neighbour.
int Db::wait(void* self, int tries) {
  auto& db = *static_cast<Db*>(self);
  int64_t now = steady_millis();
  if (tries == 0) db.waiting_since_ = now;
  if (tries == 0) db.said_ = false;
  if (now - db.waiting_since_ >= db.busy_wait_) return 0;
  if (db.stoppable_ && interrupted()) return 0;
  if (!db.said_ && now - db.waiting_since_ >= kSayAfter) {
    db.said_ = true;
    said_waiting(db.path_, db.busy_wait_);
  }
  auto micros = std::min(50 * (tries + 1), 2000);
  std::this_thread::sleep_for(std::chrono::microseconds(micros));
  return 1;
}

void Db::run(const char* sql) {
  errno = 0;
  int rc = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  if (rc == SQLITE_OK) return;
  last_rc = rc;
  throw error_of(db_, rc, "use", path_);
}

int64_t Db::pragma(const char* sql) {
  Statement s(*this, sql);
  return s.step() ? s.integer(0) : 0;
}

void Db::rollback() noexcept {
  if (in_transaction()) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
}

Statement::Statement(Db& db, const char* sql) : db_(db) {
  int rc = sqlite3_prepare_v3(db.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt_, nullptr);
  if (rc == SQLITE_OK) return;
  db.last_rc = rc;
  throw error_of(db.get(), rc, "use", db.path());
}

Statement& Statement::bind(int at, int64_t v) {
  sqlite3_bind_int64(stmt_, at, v);
  return *this;
}
Statement& Statement::bind(int at, std::string_view v) {
  sqlite3_bind_text64(stmt_, at, v.data() ? v.data() : "", v.size(), SQLITE_STATIC, SQLITE_UTF8);
  return *this;
}
Statement& Statement::bind(int at, ByteView v) {
  sqlite3_bind_blob64(stmt_, at, v.data() ? v.data() : reinterpret_cast<const uint8_t*>(""), v.size(),
                      SQLITE_STATIC);
  return *this;
}

bool Statement::step() {
  errno = 0;
  int rc = sqlite3_step(stmt_);
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  db_.last_rc = rc;
  Error e = error_of(db_.get(), rc, "use", db_.path());
  sqlite3_reset(stmt_);
  throw e;
}

namespace {
using Schema = std::map<std::tuple<std::string, std::string, std::string>, std::string>;

Schema schema_of(Db& db) {
  Schema out;
  Statement rows(db, "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master");
  while (rows.step())
    out[{std::string(rows.text(0)), std::string(rows.text(1)), std::string(rows.text(2))}] = rows.text(3);
  return out;
}
}  // namespace

std::vector<std::string> schema_differences(Db& db, const char* schema) {
  Db made(":memory:", Access::write, 0);
  made.run(schema);
  Schema wanted = schema_of(made);
  std::vector<std::string> out;
  for (auto& [key, sql] : schema_of(db)) {
    auto& [type, name, table] = key;
    const std::string what = type + " " + name + (name == table ? "" : " of " + table);
    auto it = wanted.find(key);
    if (it == wanted.end())
      out.push_back(what + " is not one that kesu makes");
    else if (it->second != sql)
      out.push_back(what + " is defined otherwise than kesu does");
    if (it != wanted.end()) wanted.erase(it);
  }
  for (auto& [key, sql] : wanted) out.push_back(std::get<0>(key) + " " + std::get<1>(key) + " is missing");
  return out;
}

std::string_view Statement::text(int column) const {
  auto* data = sqlite3_column_text(stmt_, column);
  if (!data) return {};
  return {reinterpret_cast<const char*>(data), static_cast<size_t>(sqlite3_column_bytes(stmt_, column))};
}
ByteView Statement::blob(int column) const {
  auto* data = static_cast<const uint8_t*>(sqlite3_column_blob(stmt_, column));
  if (!data) return {};
  return {data, static_cast<size_t>(sqlite3_column_bytes(stmt_, column))};
}

}  // namespace kesu::sqlite
