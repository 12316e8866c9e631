// ledger.db as a file: making it, and finding the way to open it that loses nothing. Not installed.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/sqlite_impl.h"
#include "store/store.h"

namespace kesu {

constexpr int64_t kLedgerApplicationId = 0x6b657375;  // "kesu"
constexpr int64_t kStoreVersion = 1;                  // user_version

// What of the tables in `db` is not as create_ledger_file makes it; nothing of a newer vault,
// whose tables are others.
std::vector<std::string> ledger_schema_problems(sqlite::Db& db);
Error foreign_schema(const std::string& path, const std::vector<std::string>& problems);

// Makes `path` with empty tables, durable: whole or not at all. Throws already_exists.
void create_ledger_file(const std::string& path, Millis busy_wait);

// How ledger.db of a directory is to be opened.
class LedgerFile {
 public:
  LedgerFile(const std::string& directory, const StoreOptions& options);
  ~LedgerFile();  // removes the private copy, if one was made
  LedgerFile(const LedgerFile&) = delete;

  bool writable() const { return access_ == sqlite::Access::write; }
  int64_t version() const { return version_; }  // user_version
  std::unique_ptr<sqlite::Db> connect_writing();
  std::unique_ptr<sqlite::Db> connect_reading();

 private:
  void choose_reading(bool directory_writable);
  void read_where_writable();
  std::optional<Error> try_reading();
  void copy_aside();  // sets path_ to the copy
  void check_identity();

  std::string path_, copy_;
  sqlite::Access access_ = sqlite::Access::write;
  int64_t version_ = 0;
  Millis busy_wait_;
  // The connection that found out what the file is, for the first that asks for one of its access: the last
  // one to be closed takes -wal and -shm away, and the next would make them again.
  std::unique_ptr<sqlite::Db> looked_;
};

// What append refuses with in a vault that a newer kesu has written.
Error newer_vault(int64_t version);

}  // namespace kesu
