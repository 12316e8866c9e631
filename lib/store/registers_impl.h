// registers.db: rows derived from the ledger, which may be lost at any time, and may be anybody's. Not
// installed.
#pragma once
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "store/sqlite_impl.h"
#include "store/store.h"

namespace kesu {

constexpr int64_t kRegistersApplicationId = 0x6b657372;  // "kesr"

class RegisterFile {
 public:
  RegisterFile(const std::string& directory, bool writable, Millis busy_wait);
  using More = std::function<void(const Store::RowSink&)>;
  std::optional<Store::Registers> load(std::string_view without) noexcept;
  using Visit = std::function<void(std::string_view id, std::string_view json)>;
  bool visit(std::string_view kind, std::string_view prefix, const Visit& each);
  void save(const Store::Registers& changed, bool replace_all, const More& more) noexcept;
  // Of the last load() or visit(), as Store::registers_finding().
  std::optional<LedgerFinding> finding();

 private:
  using Standing = std::pair<uint64_t, std::string>;  // size and root that the file stands for
  enum class Look {
    done,
    absent,
    locked,   // by another process, all the time that we wait
    foreign,  // nothing that kesu goes by
  };
  // Opens the file for reading, and calls `use` in one snapshot of it. Sets finding_.
  Look read(const std::function<void(sqlite::Db&)>& use);
  void recreate();
  void write(const Store::Registers& changed, bool replace_all, const More& more);

  std::string path_;
  bool writable_;
  Millis busy_wait_;
  std::mutex mutex_;
  std::optional<Standing> base_;  // what this object last saw in the file
  std::optional<LedgerFinding> finding_;
};

}  // namespace kesu
