// Group commit: waiting appends of all threads go into one transaction, which one of them writes. Not
// installed.
#pragma once
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "base/random_pool.h"
#include "store/sqlite_impl.h"
#include "store/store.h"

namespace kesu {

// The tree head row of ledger.db, and the time of the last entry.
struct HeadRow {
  TreeHead tree;
  Millis time = 0;
  static HeadRow read(sqlite::Db& db, sqlite::Statement& select);
  static constexpr const char* kSelect = "SELECT size, time, subtrees FROM head WHERE one = 1";
};

class Appender {
 public:
  Appender(std::unique_ptr<sqlite::Db> db, Clock& clock, Random& random);
  ~Appender();

  AppendResult append(std::vector<Event> events, const StreamVersions& expected);
  void save_checkpoint(const SavedCheckpoint& checkpoint);

 private:
  struct Prepared;
  struct Request;
  struct Transaction;
  using Group = std::vector<std::shared_ptr<Request>>;

  std::shared_ptr<Request> prepare(std::vector<Event> events, const StreamVersions& expected);
  Group take_group();
  void lead(std::unique_lock<std::mutex>& lock);
  void commit(Group& group);
  void begin(Transaction& tx);  // waits for other processes
  void add(Transaction& tx, Request& request);
  void check_expected(Transaction& tx, Request& request);  // sets its error on conflict
  void write_head(Transaction& tx);
  void check_usable();
  void note_failure(const Error& error);  // a failed write closes the appender

  std::unique_ptr<sqlite::Db> db_;
  Clock& clock_;
  RandomPool salts_;  // under random_mutex_
  std::unique_ptr<Transaction> statements_;

  std::mutex queue_mutex_;  // of the next three
  std::deque<std::shared_ptr<Request>> queue_;
  bool leading_ = false;
  size_t last_group_ = 0;

  std::mutex random_mutex_;
  std::mutex db_mutex_;  // db_, statements_, and the next two
  std::optional<Error> failed_;
  bool written_ = false;  // something, by this process
};

}  // namespace kesu
