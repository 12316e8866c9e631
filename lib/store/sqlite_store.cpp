// The store of a vault on one machine: ledger.db through an appender and a reader, files, registers.
#include <sys/stat.h>

#include "base/files.h"
#include "store/appender_impl.h"
#include "store/ledger_file_impl.h"
#include "store/reader_impl.h"
#include "store/registers_impl.h"
#include "store/store.h"
#include "store/vault_files_impl.h"

namespace kesu {

namespace {

class SqliteStore final : public Store {
 public:
  SqliteStore(const std::string& directory, Clock& clock, Random& random, const StoreOptions& options)
      : directory_(directory),
        ledger_(directory, options),
        files_(directory),
        registers_(directory, ledger_.writable(), options.busy_wait) {
    try {
      reader_ = std::make_unique<LedgerReader>(ledger_.connect_reading());
      if (ledger_.writable())
        appender_ = std::make_unique<Appender>(ledger_.connect_writing(), clock, random);
    } catch (const Error&) {
      if (ledger_.version() > kStoreVersion) throw newer_vault(ledger_.version());  // its tables are others
      if (auto problems = schema_problems(); !problems.empty()) throw foreign_schema(ledger_path(), problems);
      throw;
    }
  }

  AppendResult append(std::vector<Event> events, const StreamVersions& expected) override {
    require_writable();
    return appender_->append(std::move(events), expected);
  }
  uint64_t stream_version(std::string_view stream) override { return reader_->stream_version(stream); }
  uint64_t size() override { return reader_->head().size(); }
  TreeHead head() override { return reader_->head(); }
  void read(uint64_t from, uint64_t to, const std::function<bool(const StoredEntry&)>& each,
            const std::function<bool(const Header&)>& wants) override {
    reader_->read(from, to, each, wants);
  }
  StoredEntry entry(uint64_t seq) override {
    std::optional<StoredEntry> found;
    auto take = [&](const StoredEntry& e) {
      found = e;
      return false;
    };
    reader_->read(seq, seq + 1, take, nullptr);
    if (!found) throw Error(Code::not_found, "the ledger has no entry " + std::to_string(seq));
    return std::move(*found);
  }
  std::vector<Digest32> leaves(uint64_t size) override { return reader_->leaves(0, size); }
  std::vector<Digest32> leaves(uint64_t from, uint64_t to) override { return reader_->leaves(from, to); }

  void save_checkpoint(const SavedCheckpoint& checkpoint) override {
    require_writable();
    appender_->save_checkpoint(checkpoint);
  }
  std::vector<SavedCheckpoint> checkpoints() override { return reader_->checkpoints(); }
  void read_raw(const std::function<void(const RawState&)>& state,
                const std::function<void(const RawRow&)>& each,
                const std::function<void(const RawStream&)>& stream) override {
    read_raw_state(*ledger_.connect_reading(), state, each, stream);
  }

  std::string put_blob(ByteView content) override {
    require_writable();
    return files_.put_blob(content);
  }
  Bytes blob(std::string_view digest) override { return files_.blob(digest); }
  bool has_blob(std::string_view digest) override { return files_.has_blob(digest); }
  std::vector<std::string> blobs() override { return files_.blobs(); }

  std::string put_segment(std::string_view dataset, std::string_view batch, ByteView content) override {
    require_writable();
    return files_.put_segment(dataset, batch, content);
  }
  Bytes segment(std::string_view dataset, std::string_view batch) override {
    return files_.segment(dataset, batch);
  }
  bool has_segment(std::string_view dataset, std::string_view batch) override {
    return files_.has_segment(dataset, batch);
  }
  std::vector<std::pair<std::string, std::string>> segments() override { return files_.segments(); }

  std::optional<Registers> load_registers(std::string_view without) override {
    return registers_.load(without);
  }
  bool more_registers(std::string_view kind, std::string_view prefix,
                      const std::function<void(std::string_view id, std::string_view json)>& each) override {
    return registers_.visit(kind, prefix, each);
  }
  std::optional<LedgerFinding> registers_finding() override { return registers_.finding(); }
  void save_registers(const Registers& changed, bool replace_all,
                      const std::function<void(const RowSink&)>& more) override {
    registers_.save(changed, replace_all, more);
  }

  std::string database_problem() override {
    try {
      auto db = ledger_.connect_reading();
      sqlite::Statement check(*db, "PRAGMA quick_check(1)");
      std::string said = check.step() ? std::string(check.text(0)) : "no answer";
      if (said != "ok") return said;
      said.clear();
      for (const std::string& p : ledger_schema_problems(*db)) said += (said.empty() ? "" : "; ") + p;
      return said;
    } catch (const Error& e) {
      return e.message() + (e.cause().empty() ? "" : ": " + e.cause());
    }
  }

  bool read_only() const override { return !appender_; }
  const std::string& directory() const override { return directory_; }

 private:
  std::string ledger_path() const { return path_join(directory_, "ledger.db"); }
  // Asked after something failed: what cannot be looked at is no problem of the tables.
  std::vector<std::string> schema_problems() {
    try {
      return ledger_schema_problems(*ledger_.connect_reading());
    } catch (const Error&) {
      return {};
    }
  }
  void require_writable() const {
    if (appender_) return;
    if (ledger_.version() > kStoreVersion) throw newer_vault(ledger_.version());
    throw Error(Code::read_only, "the vault in " + directory_ + " is open for reading only")
        .cause("its files may not be written: a medium mounted for reading, or another user's")
        .next("mount it for writing, or run it as the vault's owner");
  }

  std::string directory_;
  LedgerFile ledger_;  // before the connections: it removes a private copy after they are closed
  VaultFiles files_;
  RegisterFile registers_;
  // Closed last: the log beside ledger.db goes into it then, which a connection for reading cannot do.
  std::unique_ptr<Appender> appender_;
  std::unique_ptr<LedgerReader> reader_;
};

}  // namespace

std::string sqlite_library() { return sqlite3_libversion(); }

std::unique_ptr<Store> open_sqlite_store(const std::string& directory, Clock& clock, Random& random,
                                         const StoreOptions& options) {
  std::string at = absolute_path(directory);
  if (!options.allow_network) refuse_network_filesystem(at);
  if (options.create) {
    bool made = !exists(at);
    make_directories(at, 0700);
    if (made) sync_directory(dir_name(at));
    ::chmod(at.c_str(), 0700);
    VaultFiles(at).make_directories();
    create_ledger_file(path_join(at, "ledger.db"), options.busy_wait);
  }
  return std::make_unique<SqliteStore>(at, clock, random, options);
}

}  // namespace kesu
