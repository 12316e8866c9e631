#include "store/scratch.h"

#include "store/sqlite_impl.h"

namespace kesu {

namespace {
// One transaction without a journal: nobody reads it after this process, and nothing is taken back.
constexpr const char* kSetUp =
    "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-2048;"
    "CREATE TABLE scratch(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID; BEGIN";

// An empty name: SQLite makes a file of its own when memory no longer holds the pages, and unlinks it.
struct Opened : sqlite::Db {
  Opened() : Db("", sqlite::Access::scratch, 0) { run(kSetUp); }
};
}  // namespace

struct Scratch::Tables {
  Opened db;
  sqlite::Statement put{db, "INSERT OR REPLACE INTO scratch(key, value) VALUES(?, ?)"};
  sqlite::Statement find{db, "SELECT value FROM scratch WHERE key = ?"};
};

Scratch::Scratch() : tables_(std::make_unique<Tables>()) {}
Scratch::~Scratch() = default;

void Scratch::put(ByteView key, ByteView value) { tables_->put.bind(1, key).bind(2, value).done(); }

std::optional<Bytes> Scratch::find(ByteView key) {
  sqlite::Statement& s = tables_->find.bind(1, key);
  const sqlite::ResetAtEnd reset{s};
  if (!s.step()) return std::nullopt;
  const ByteView value = s.blob(0);
  return Bytes(value.begin(), value.end());
}

}  // namespace kesu
