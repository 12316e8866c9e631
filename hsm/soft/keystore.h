// One open keystore file: what it holds, one durable append for a new key, a whole new file for a key less.
#pragma once
#include <sys/stat.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "hsm/soft/format.h"

namespace kesu::soft {

// flock on <path>.lock: shared for reading, exclusive for writing. A reader that finds no lock file, or may
// not open it, goes without: it sees the file before or after a rename, and a record that is being written
// not at all.
class FileLock {
 public:
  enum class Use { read, write };
  FileLock(const std::string& path, Use use);

 private:
  Fd fd_;
};

class Keystore {
 public:
  // Makes the file, empty, with a fresh identifier: durable when it returns. Errors: already_exists,
  // policy_refused (a passphrase of less than 12 bytes), disk_full, io_failed.
  static void create(const std::string& path, const Secret& passphrase, uint32_t iterations, Random& random);
  // The header, not authenticated; nullopt where there is no file. Errors: container_damaged,
  // pin_source_unsafe (open to others, of another user, a symbolic link, more names than one),
  // provider_unavailable.
  static std::optional<Header> look(const std::string& path);
  // Throws policy_refused.
  static void demand_strong(const Secret& passphrase);

  // `kek`: derive() of the passphrase with this very header. Errors: token_absent (no file), pin_wrong,
  // container_damaged, and those of look().
  Keystore(std::string path, Secret kek, Random& random);

  // The same file under the same KEK, for another thread. Errors: as refresh().
  std::unique_ptr<Keystore> another();

  const std::string& path() const { return path_; }
  const Header& header() const { return header_; }
  const std::vector<Entry>& entries() const { return entries_; }
  std::optional<size_t> by_label(const std::string& label) const;
  std::optional<size_t> by_id(const Bytes& id) const;
  Secret key(size_t position);

  // Reads what others changed; true when anything did. Errors: session_lost when the file was re-keyed
  // meanwhile, container_old when an older generation stands there now, token_absent, container_damaged.
  bool refresh();
  // Errors: already_exists (label or id), disk_full and io_failed (nothing was added), outcome_unknown.
  size_t append(const Entry& entry, const Secret& key);
  // The file anew without this entry, under a fresh container key, put into its place by rename. Errors:
  // disk_full, io_failed (nothing changed), outcome_unknown.
  void remove(size_t position);
  // The same, whole, under a fresh salt and this passphrase. The KEK of the new generation.
  Secret rekey(const Secret& passphrase);

 private:
  struct Stamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = -1;
    int64_t modified = 0, changed = 0;
    bool operator==(const Stamp&) const = default;
  };
  static Stamp stamp_of(const struct stat& st);
  static Fd open_checked(const std::string& path, int flags, struct stat& st);
  bool reload();  // under a lock
  void index(size_t position);
  void rewrite(Header header, const Secret& kek, std::optional<size_t> without);

  std::string path_;
  Secret kek_;
  Random& random_;
  Header header_;
  std::optional<Sealer> sealer_;
  Bytes blocks_;  // the sealed records, as they stand in the file
  std::vector<Entry> entries_;
  std::map<std::string, size_t> labels_;
  std::map<Bytes, size_t> ids_;
  Stamp stamp_;
};

}  // namespace kesu::soft
