// Reading ledger.db: entries in pages, leaves, streams, checkpoints, and the whole of it unchecked. Not
// installed.
#pragma once
#include <memory>
#include <mutex>

#include "store/sqlite_impl.h"
#include "store/store.h"

namespace kesu {

// Throws ledger_damaged naming the entry when `raw` is not a whole entry, vault_newer for one of a newer
// version. The body is built where `wants` is empty or says yes.
StoredEntry checked_entry(const RawEntry& raw, const std::function<bool(const Header&)>& wants = nullptr);

class LedgerReader {
 public:
  explicit LedgerReader(std::unique_ptr<sqlite::Db> db);
  ~LedgerReader();

  TreeHead head();
  uint64_t stream_version(std::string_view stream);
  void read(uint64_t from, uint64_t to, const std::function<bool(const StoredEntry&)>& each,
            const std::function<bool(const Header&)>& wants);
  std::vector<Digest32> leaves(uint64_t from, uint64_t to);
  std::vector<SavedCheckpoint> checkpoints();

 private:
  struct Statements;
  std::vector<RawEntry> page(uint64_t from, uint64_t to);

  std::mutex mutex_;
  std::unique_ptr<sqlite::Db> db_;
  std::unique_ptr<Statements> statements_;
};

void read_raw_state(sqlite::Db& db, const std::function<void(const RawState&)>& state,
                    const std::function<void(const RawRow&)>& each,
                    const std::function<void(const RawStream&)>& stream);

}  // namespace kesu
