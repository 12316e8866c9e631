// Appending: what can be done by each thread is done there; one thread at a time leads and writes for all
// that wait.
#include "store/appender_impl.h"

#include <algorithm>
#include <condition_variable>
#include <thread>

#include "base/error.h"
#include "base/interrupt.h"

namespace kesu {

using sqlite::Db;
using sqlite::Statement;

namespace {
constexpr size_t kMaxGroup = 4096;           // requests in one transaction
constexpr size_t kMaxGroupBytes = 32 << 20;  // of their bodies
}  // namespace

struct Appender::Prepared {
  explicit Prepared(Header h) : header(std::move(h)) {}
  HeaderFrame header;
  std::string body;
  std::array<uint8_t, kSaltBytes> salt;
  Digest32 body_sum;
  std::vector<std::string> streams;
};

struct Appender::Request {
  std::vector<Prepared> entries;
  StreamVersions expected;
  size_t bytes = 0;

  AppendResult result;
  std::optional<Error> error;
  // Told by the leader. A condition variable sleeps at once, where std::atomic would spin first: with many
  // waiting and few processors the spinning takes the leader's time.
  enum State { waiting, leader, done };
  State wait() {
    std::unique_lock lock(mutex);
    told.wait(lock, [&] { return state != waiting; });
    return state;
  }
  void tell(State s) {
    {
      std::lock_guard lock(mutex);
      state = s;
    }
    told.notify_one();
  }

 private:
  State state = waiting;
  std::mutex mutex;
  std::condition_variable told;
};

// Statements, and what the running transaction has gathered.
struct Appender::Transaction {
  explicit Transaction(Db& db)
      : begin(db, "BEGIN IMMEDIATE"),
        end(db, "COMMIT"),
        head(db, HeadRow::kSelect),
        last(db, "SELECT coalesce(max(seq) + 1, 0) FROM entries"),
        version(db, "SELECT version FROM streams WHERE id = ?1"),
        insert(db, "INSERT INTO entries(seq, header, salt, leaf, body) VALUES(?1, ?2, ?3, ?4, ?5)"),
        bump(db,
             "INSERT INTO streams(id, version) VALUES(?1, ?2) "
             "ON CONFLICT(id) DO UPDATE SET version = version + excluded.version"),
        save_head(db, "UPDATE head SET size = ?1, time = ?2, subtrees = ?3 WHERE one = 1"),
        checkpoint(db, "INSERT OR IGNORE INTO checkpoints(size, note) VALUES(?1, ?2)"),
        kept(db, "SELECT 1 FROM checkpoints WHERE size = ?1 AND note = ?2") {}

  Statement begin, end, head, last, version, insert, bump, save_head, checkpoint, kept;
  HeadRow at;
  std::unordered_map<std::string, int64_t> bumps;  // streams written once at the end
};

HeadRow HeadRow::read(Db& db, Statement& select) {
  sqlite::ResetAtEnd end{select};
  auto damaged = [&](std::string why) {
    return Error(Code::ledger_damaged, "the tree head in " + db.path() + " is damaged")
        .cause(std::move(why))
        .next("run: kesu ledger verify");
  };
  if (!select.step()) throw damaged("its row is missing");
  int64_t size = select.integer(0);
  ByteView bytes = select.blob(2);
  if (size < 0 || bytes.size() % 32 != 0) throw damaged("its row is malformed");
  std::vector<Digest32> subtrees(bytes.size() / 32);
  for (size_t i = 0; i < subtrees.size(); ++i)
    std::copy_n(bytes.begin() + static_cast<long>(32 * i), 32, subtrees[i].begin());
  HeadRow out;
  out.time = select.integer(1);
  try {
    out.tree = TreeHead::from(static_cast<uint64_t>(size), std::move(subtrees));
  } catch (const Error& e) {
    throw damaged(e.message());
  }
  return out;
}

Appender::Appender(std::unique_ptr<Db> db, Clock& clock, Random& random)
    : db_(std::move(db)), clock_(clock), salts_(random), statements_(new Transaction(*db_)) {}
Appender::~Appender() = default;

std::shared_ptr<Appender::Request> Appender::prepare(std::vector<Event> events,
                                                     const StreamVersions& expected) {
  if (events.empty()) throw Error(Code::bad_input, "nothing to append");
  auto request = std::make_shared<Request>();
  request->expected = expected;
  request->entries.reserve(events.size());
  for (Event& event : events) {
    if (!event.body.is_object()) throw Error(Code::bad_input, "the body of " + event.type + " is no object");
    std::vector<std::string> streams;
    for (const NodeMention& m : event.nodes) streams.push_back(m.id);
    for (const auto& [from, to] : event.edges) streams.insert(streams.end(), {from, to});
    std::sort(streams.begin(), streams.end());
    streams.erase(std::unique(streams.begin(), streams.end()), streams.end());
    Header header;
    header.type = event.type;
    header.nodes = std::move(event.nodes);
    header.edges = std::move(event.edges);
    Prepared& p = request->entries.emplace_back(std::move(header));
    p.streams = std::move(streams);
    p.body = event.body.canonical();
    if (p.body.size() > kMaxBodyBytes)
      throw Error(Code::bad_input,
                  "the body of " + event.type + " has " + std::to_string(p.body.size()) + " bytes")
          .cause("at most " + std::to_string(kMaxBodyBytes));
    request->bytes += p.body.size();
  }
  {
    std::lock_guard lock(random_mutex_);
    for (Prepared& p : request->entries) salts_.fill(p.salt);
  }
  for (Prepared& p : request->entries) p.body_sum = body_hash(p.salt, p.body);
  return request;
}

AppendResult Appender::append(std::vector<Event> events, const StreamVersions& expected) {
  auto request = prepare(std::move(events), expected);
  std::unique_lock lock(queue_mutex_);
  queue_.push_back(request);
  if (!leading_) {
    leading_ = true;
    lead(lock);
  } else {
    lock.unlock();
    if (request->wait() == Request::leader) {
      lock.lock();
      lead(lock);
    }
  }
  if (request->error) throw *request->error;
  return request->result;
}

Appender::Group Appender::take_group() {
  Group group;
  for (size_t bytes = 0; !queue_.empty() && group.size() < kMaxGroup && bytes < kMaxGroupBytes;) {
    bytes += queue_.front()->bytes;
    group.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return group;
}

// The leader's own request is the first of the queue. When it is done, the next that waits leads. Those of
// the group before are told at the same time, and mostly come again: as many are given their turn to, for a
// commit costs the same for few as for many.
void Appender::lead(std::unique_lock<std::mutex>& lock) {
  for (size_t turns = 0; queue_.size() < last_group_ && turns < 2 * last_group_; ++turns) {
    lock.unlock();
    std::this_thread::yield();
    lock.lock();
  }
  Group group = take_group();
  last_group_ = group.size();
  lock.unlock();
  commit(group);
  lock.lock();
  std::shared_ptr<Request> next = queue_.empty() ? nullptr : queue_.front();
  if (!next) leading_ = false;
  lock.unlock();
  if (next) next->tell(Request::leader);
  for (auto& request : group) request->tell(Request::done);
}

// Ctrl-C ends the wait of a process that has written nothing: nothing of it is left open then. One that has
// waits on, to record how what it began ended.
void Appender::begin(Transaction& tx) {
  db_->end_wait_when_interrupted(!written_);
  try {
    tx.begin.done();
  } catch (const Error& e) {
    if (e.code() != Code::store_busy || written_ || !interrupted()) throw;
    throw Error(Code::interrupted, "interrupted while another process was writing to " + db_->path())
        .cause("nothing was recorded")
        .next("the same command again");
  }
}

void Appender::commit(Group& group) {
  std::optional<Error> all;
  try {
    std::lock_guard lock(db_mutex_);
    Transaction& tx = *statements_;
    try {
      check_usable();
      begin(tx);
      tx.bumps.clear();
      tx.at = HeadRow::read(*db_, tx.head);
      sqlite::ResetAtEnd end{tx.last};
      if (!tx.last.step() || tx.last.integer(0) != static_cast<int64_t>(tx.at.tree.size()))
        throw Error(Code::ledger_damaged, "the end of the ledger is not where its head says")
            .cause("entries end at " + std::to_string(tx.last.integer(0)) + ", the head at " +
                   std::to_string(tx.at.tree.size()))
            .next("run: kesu ledger verify");
      tx.last.reset();
      uint64_t before = tx.at.tree.size();
      for (auto& request : group) add(tx, *request);
      if (tx.at.tree.size() == before) {
        db_->rollback();
      } else {
        write_head(tx);
        tx.end.done();
        written_ = true;
      }
    } catch (const Error& e) {
      note_failure(e);
      db_->rollback();
      throw;
    } catch (...) {
      db_->rollback();
      throw;
    }
  } catch (const Error& e) {
    all = e;
  } catch (const std::exception& e) {
    all = Error(Code::failed, "cannot append to the ledger").cause(e.what());
  }
  if (!all) return;
  for (auto& request : group)
    if (!request->error) request->error = all;
}

// One append inside the common transaction. What is refused, is refused before anything of it is written; an
// Error that leaves this function concerns the whole transaction.
void Appender::add(Transaction& tx, Request& request) {
  Millis time = std::max(clock_.now(), tx.at.time);
  uint64_t seq = tx.at.tree.size();
  std::vector<std::string> headers;
  std::vector<Digest32> leaves;
  check_expected(tx, request);
  if (request.error) return;
  try {
    for (Prepared& p : request.entries) {
      headers.push_back(p.header.at(seq + headers.size(), time));
      leaves.push_back(leaf_hash(headers.back(), p.body_sum));
    }
  } catch (const Error& e) {
    request.error = e;
    return;
  }
  for (size_t i = 0; i < headers.size(); ++i) {
    const Prepared& p = request.entries[i];
    tx.insert.bind(1, static_cast<int64_t>(seq + i)).bind(2, headers[i]).bind(3, ByteView(p.salt));
    tx.insert.bind(4, ByteView(leaves[i])).bind(5, p.body).done();
    tx.at.tree.add(leaves[i]);
    for (const std::string& stream : p.streams) ++tx.bumps[stream];
  }
  tx.at.time = time;
  request.result = {seq, time};
}

void Appender::check_expected(Transaction& tx, Request& request) {
  for (const auto& [stream, expected] : request.expected) {
    sqlite::ResetAtEnd end{tx.version};
    int64_t version = 0;
    if (stream == kWholeLedger) {
      version = static_cast<int64_t>(tx.at.tree.size());
    } else {
      version = tx.version.bind(1, stream).step() ? tx.version.integer(0) : 0;
      if (auto it = tx.bumps.find(stream); it != tx.bumps.end()) version += it->second;
    }
    if (version == static_cast<int64_t>(expected)) continue;
    request.error = Error(Code::conflict, "another command changed " + stream + " meanwhile")
                        .cause("it was decided on at version " + std::to_string(expected) +
                               ", it is at version " + std::to_string(version))
                        .next("run the same command again");
    return;
  }
}

void Appender::write_head(Transaction& tx) {
  for (const auto& [stream, by] : tx.bumps) tx.bump.bind(1, stream).bind(2, by).done();
  Bytes subtrees;
  for (const Digest32& d : tx.at.tree.subtrees()) subtrees.insert(subtrees.end(), d.begin(), d.end());
  tx.save_head.bind(1, static_cast<int64_t>(tx.at.tree.size()))
      .bind(2, tx.at.time)
      .bind(3, ByteView(subtrees))
      .done();
}

void Appender::save_checkpoint(const SavedCheckpoint& checkpoint) {
  std::lock_guard lock(db_mutex_);
  check_usable();
  try {
    Transaction& tx = *statements_;
    begin(tx);
    tx.checkpoint.bind(1, static_cast<int64_t>(checkpoint.size)).bind(2, checkpoint.note).done();
    {
      sqlite::ResetAtEnd end{tx.kept};
      // "Ignored" must mean that it was there.
      if (!tx.kept.bind(1, static_cast<int64_t>(checkpoint.size)).bind(2, checkpoint.note).step())
        throw Error(Code::ledger_damaged, "ledger.db did not take the checkpoint")
            .cause("it was written without an error, and is not there")
            .next("run: kesu ledger verify");
    }
    tx.end.done();
    written_ = true;
  } catch (const Error& e) {
    note_failure(e);
    db_->rollback();
    throw;
  }
}

void Appender::check_usable() {
  db_->last_rc = SQLITE_OK;
  if (!failed_) return;
  throw Error(Code::store_unavailable, "the ledger takes no more entries since a write failed")
      .cause(failed_->message() + ": " + failed_->cause())
      .next("remove the cause, then run the command again: opening the vault settles what is in the ledger");
}

void Appender::note_failure(const Error& error) {
  int rc = db_->last_rc & 0xff;
  if (!failed_ && (rc == SQLITE_IOERR || rc == SQLITE_FULL || rc == SQLITE_NOMEM)) failed_ = error;
}

}  // namespace kesu
