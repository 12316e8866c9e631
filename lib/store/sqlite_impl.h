// SQLite for the store: owners of a connection and of statements, and its result codes as Errors. Not
// installed.
#pragma once
#include <sqlite3.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"

namespace kesu::sqlite {

// disk_full, store_busy, ledger_damaged, read_only or store_unavailable, with SQLite's words in it.
Error error_of(sqlite3* db, int rc, std::string_view doing, std::string_view path);

enum class Access { write, read, immutable, scratch };  // scratch: a temporary database, of no path

class Db {
 public:
  // Opens an existing file. What its schema brings with it never runs: no trigger, no view, no function.
  // Throws store_unavailable, ledger_damaged and the like.
  Db(const std::string& path, Access access, Millis busy_wait);
  Db(Db&&) = delete;
  ~Db();

  sqlite3* get() const { return db_; }
  const std::string& path() const { return path_; }
  void run(const char* sql);
  int64_t pragma(const char* sql);  // the first column of the first row; 0 without one
  bool in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }
  void rollback() noexcept;
  // Whether Ctrl-C (base/interrupt.h) ends a wait for other processes: then as if they had not let go.
  void end_wait_when_interrupted(bool yes) { stoppable_ = yes; }

  int last_rc = SQLITE_OK;  // of the statement that threw last

 private:
  static int wait(void* self, int tries);
  sqlite3* db_ = nullptr;
  std::string path_;
  Millis busy_wait_;
  int64_t waiting_since_ = 0;
  bool said_ = false, stoppable_ = false;
};

// A prepared statement. Binding is 1-based as in SQLite; bound views must live until the next reset().
class Statement {
 public:
  Statement(Db& db, const char* sql);
  ~Statement() { sqlite3_finalize(stmt_); }
  Statement(const Statement&) = delete;

  Statement& bind(int at, int64_t v);
  Statement& bind(int at, std::string_view v);
  Statement& bind(int at, ByteView v);
  bool step();   // false at the end; throws
  void done() {  // runs a statement without rows, and resets it
    while (step()) {
    }
    reset();
  }
  void reset() { sqlite3_reset(stmt_); }

  int64_t integer(int column) const { return sqlite3_column_int64(stmt_, column); }
  std::string_view text(int column) const;
  ByteView blob(int column) const;
  int type(int column) const { return sqlite3_column_type(stmt_, column); }  // before it is read as another

 private:
  Db& db_;
  sqlite3_stmt* stmt_ = nullptr;
};

// Resets a statement when the scope ends, so that no read transaction stays open.
struct ResetAtEnd {
  Statement& statement;
  ~ResetAtEnd() { statement.reset(); }
};

// How the tables of `db` differ from those that `schema` makes: each table, index, trigger or view that is
// missing, defined otherwise, or nobody's. Values are not looked at.
std::vector<std::string> schema_differences(Db& db, const char* schema);

// A read transaction; ends with the scope.
class Snapshot {
 public:
  explicit Snapshot(Db& db) : db_(db) { db.run("BEGIN"); }
  ~Snapshot() { db_.rollback(); }
  Snapshot(const Snapshot&) = delete;

 private:
  Db& db_;
};

}  // namespace kesu::sqlite
