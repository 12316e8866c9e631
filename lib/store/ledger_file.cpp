// Creating ledger.db, and opening it: for writing, for reading beside a writer, or from a medium nobody can
// write.
#include "store/ledger_file_impl.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <thread>
#include <utility>

#include "base/files.h"

namespace kesu {

using sqlite::Access;
using sqlite::Db;

namespace {

// `body` stands last: reading the columns before it does not walk the pages that a long body overflows into.
constexpr const char* kSchema = R"(
CREATE TABLE entries(seq INTEGER PRIMARY KEY, header TEXT NOT NULL, salt BLOB NOT NULL, leaf BLOB NOT NULL,
                     body TEXT NOT NULL);
CREATE TABLE streams(id TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE head(one INTEGER PRIMARY KEY CHECK(one = 1), size INTEGER NOT NULL, time INTEGER NOT NULL,
                  subtrees BLOB NOT NULL);
CREATE TABLE checkpoints(id INTEGER PRIMARY KEY, size INTEGER NOT NULL, note TEXT NOT NULL, UNIQUE(size, note));
INSERT INTO head VALUES(1, 0, 0, x'');
)";

bool may_write(const std::string& path) { return ::access(path.c_str(), W_OK) == 0; }

uint64_t size_of(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 ? static_cast<uint64_t>(st.st_size) : 0;
}

// SQLite maps <file>-shm, 32 KiB, and makes sure of one byte of each page of memory: where blocks are smaller
// than that, the system finds out that there is no room for the rest when it is touched, and ends the process
// (SIGBUS). So there is asked for room before, and it is taken when the file is there.
constexpr uint64_t kShared = 32 << 10;

bool small_blocks(const std::string& path, struct statvfs& fs) {
  return may_write(dir_name(path)) && ::statvfs(path.c_str(), &fs) == 0 &&
         fs.f_frsize < static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

uint64_t room_in(const std::string& shared) {
  struct stat st {};
  return ::stat(shared.c_str(), &st) == 0 ? static_cast<uint64_t>(st.st_blocks) * 512 : 0;
}

void ask_for_room(const std::string& path) {
  struct statvfs fs {};
  if (!small_blocks(path, fs)) return;
  const std::string shared = path + "-shm";
  const uint64_t free = fs.f_bavail * fs.f_frsize, has = room_in(shared);
  // What the file has may be given up and taken again; where its blocks are is said in a block, too.
  if (free + has < kShared + (has ? 0 : 4 * fs.f_frsize)) throw file_error(ENOSPC, "make room for", shared);
}

// Whether writing what is mapped takes new blocks, as on btrfs, and few are left: SQLite writes there to
// read, too.
bool may_end_by_mapping(const std::string& path) {
  constexpr uint64_t kFew = 4 << 20;
  struct statfs fs {};
  return ::statfs(path.c_str(), &fs) == 0 && static_cast<uint32_t>(fs.f_type) == BTRFS_SUPER_MAGIC &&
         fs.f_bavail * static_cast<uint64_t>(fs.f_bsize) < kFew;
}

// SQLite makes <file>-wal and <file>-shm where they are not there; of what hinders that, it tells only that
// they are not there. As it makes them: with the ledger's own rights, for its owner. Without opening them:
// its locks go with the first descriptor that is closed.
void make_beside(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) return;
  for (const char* suffix : {"-wal", "-shm"}) {
    const std::string file = path + suffix;
    if (::mknod(file.c_str(), S_IFREG | (st.st_mode & 0777), 0) == 0) {
      if (::geteuid() == 0 && ::lchown(file.c_str(), st.st_uid, st.st_gid) != 0)
        throw file_error(errno, "give to its owner", file);
    } else if (errno == ENOSPC || errno == EDQUOT || errno == EIO) {
      throw file_error(errno, "create", file);
    }
  }
}

void take_room(const std::string& path) {
  struct statvfs fs {};
  const std::string shared = path + "-shm";
  if (!small_blocks(path, fs) || !exists(shared) || room_in(shared) >= kShared) return;
  // Never closed: SQLite's locks on the file would go with the first of its descriptors that is.
  static std::mutex mutex;
  static std::vector<int> kept;
  const int fd = ::open(shared.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return;
  {
    std::lock_guard lock(mutex);
    kept.push_back(fd);
  }
  if (::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, kShared) != 0 && (errno == ENOSPC || errno == EDQUOT))
    throw file_error(errno, "make room for", shared);
}

// SQLite opens lazily; this is the first look at the file.
void touch(Db& db) { db.pragma("SELECT count(*) FROM sqlite_master"); }

void fill_new_file(const std::string& path, Millis busy_wait) {
  Db db(path, Access::write, busy_wait);
  db.run("PRAGMA journal_mode=WAL");
  db.run("PRAGMA synchronous=FULL");
  db.run("BEGIN IMMEDIATE");
  db.run(("PRAGMA application_id=" + std::to_string(kLedgerApplicationId)).c_str());
  db.run(("PRAGMA user_version=" + std::to_string(kStoreVersion)).c_str());
  db.run(kSchema);
  db.run("COMMIT");
}

}  // namespace

std::vector<std::string> ledger_schema_problems(Db& db) {
  const int64_t version = db.pragma("PRAGMA user_version");
  if (version > kStoreVersion) return {};
  std::vector<std::string> out = sqlite::schema_differences(db, kSchema);
  if (version != kStoreVersion) out.push_back("its user_version is " + std::to_string(version));
  return out;
}

Error foreign_schema(const std::string& path, const std::vector<std::string>& problems) {
  std::string all;
  for (const std::string& p : problems) all += (all.empty() ? "" : "; ") + p;
  return Error(Code::ledger_damaged, "the tables of " + path + " are not those that kesu makes")
      .cause(all)
      .next("run: kesu ledger verify; put back what was changed, or restore the vault from a backup");
}

void create_ledger_file(const std::string& path, Millis busy_wait) {
  auto there = Error(Code::already_exists, "there is a vault already: " + path)
                   .next("open it, or choose another directory");
  if (exists(path)) throw there;
  std::string temp = path + ".new" + std::to_string(::getpid());
  auto clear = [&] {
    for (const char* suffix : {"", "-wal", "-shm"}) remove_file(temp + suffix);
  };
  clear();
  try {
    {
      Fd fd(::open(temp.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
      if (!fd.ok()) throw file_error(errno, "create", temp);
    }
    fill_new_file(temp, busy_wait);
    Fd fd(::open(temp.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd.ok() || ::fsync(fd.get()) != 0) throw file_error(errno, "make durable", temp);
    // A link, not a rename: of two that create at once, one must lose.
    if (::link(temp.c_str(), path.c_str()) != 0) {
      if (errno == EEXIST) throw there;
      throw file_error(errno, "put into place", path);
    }
  } catch (...) {
    clear();
    throw;
  }
  clear();
  sync_directory(dir_name(path));
}

Error newer_vault(int64_t version) {
  return Error(Code::vault_newer, "this vault was written by a newer kesu")
      .cause("its ledger.db is of version " + std::to_string(version) + "; this program writes version " +
             std::to_string(kStoreVersion))
      .next("use a newer kesu; this one only reads here");
}

LedgerFile::LedgerFile(const std::string& directory, const StoreOptions& options)
    : path_(path_join(directory, "ledger.db")), busy_wait_(options.busy_wait) {
  if (!exists(path_))
    throw Error(Code::vault_absent, "there is no vault in " + directory)
        .next("name another directory, or make a vault with: kesu init");
  bool directory_writable = may_write(directory) && may_write(path_);
  if (options.read_only || !directory_writable) choose_reading(directory_writable);
  check_identity();
}

LedgerFile::~LedgerFile() {
  std::error_code ignored;
  if (!copy_.empty()) std::filesystem::remove_all(copy_, ignored);
}

void LedgerFile::choose_reading(bool directory_writable) {
  access_ = Access::read;
  if (directory_writable) return read_where_writable();
  // SQLite's plain reading needs -shm beside the file, which cannot be made here. Reading the file as
  // immutable leaves out what only the -wal has: entries that are committed. So that is for a ledger without
  // one.
  std::string wal = path_ + "-wal";
  if (exists(wal)) {
    try {
      Db db(path_, Access::read, busy_wait_);
      touch(db);
      return;
    } catch (const Error& e) {
      if (e.code() == Code::store_busy || e.code() == Code::ledger_damaged) throw;
    }
    if (size_of(wal) > 0) return copy_aside();
  }
  access_ = Access::immutable;
}

// To read, SQLite needs room on the disk, too, for -wal and -shm. A ledger is to be read most when its disk
// is full: then from a copy elsewhere, made while nobody has the ledger open, so that it is of one moment.
void LedgerFile::read_where_writable() {
  bool without_looking = may_end_by_mapping(path_);
  for (Millis waited = 0;;) {
    std::optional<Error> full;
    if (!without_looking && !(full = try_reading())) return;
    Fd lock(::open(path_.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    struct flock all {};  // what SQLite locks in a database
    all.l_type = F_WRLCK;
    all.l_whence = SEEK_SET;
    all.l_start = 0x40000000;
    all.l_len = 512;
    if (lock.ok() && ::fcntl(lock.get(), F_OFD_SETLK, &all) == 0) return copy_aside();
    lock = Fd();
    if (std::exchange(without_looking, false)) continue;  // what another process has mapped, it has written
    if (waited >= busy_wait_) throw *full;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    waited += 20;
  }
}

// What a full disk says to reading in place; another error is said again by whoever reads.
std::optional<Error> LedgerFile::try_reading() {
  try {
    ask_for_room(path_);
    looked_ = std::make_unique<Db>(path_, Access::read, busy_wait_);
    touch(*looked_);
    return std::nullopt;
  } catch (const Error& e) {
    looked_.reset();
    if (e.code() == Code::disk_full) return e;
  }
  try {
    make_beside(path_);  // SQLite says only that they are not there
  } catch (const Error& e) {
    if (e.code() == Code::disk_full) return e;
  }
  return std::nullopt;
}

void LedgerFile::copy_aside() {
  const char* base = std::getenv("TMPDIR");
  std::optional<Error> failure;
  // Memory, where the directory for temporary files is as full.
  for (const std::string parent : {base && *base ? base : "/tmp", "/dev/shm"}) {
    std::string place = path_join(parent, "kesu-XXXXXX");
    const std::string doing = "copy, for reading, to " + parent + " the file";
    if (!::mkdtemp(place.data())) {
      if (!failure) failure = file_error(errno, doing, path_);
      continue;
    }
    const std::string to = path_join(place, "ledger.db");
    std::error_code failed;
    for (const char* suffix : {"", "-wal"}) {
      if (*suffix && !exists(path_ + suffix)) continue;
      std::filesystem::copy_file(path_ + suffix, to + suffix, failed);
      if (failed) break;
      ::chmod((to + suffix).c_str(), 0600);
    }
    if (!failed) {
      copy_ = place;
      path_ = to;
      return;
    }
    if (!failure) failure = file_error(failed.value(), doing, path_);
    std::error_code ignored;
    std::filesystem::remove_all(place, ignored);
  }
  throw *failure;
}

void LedgerFile::check_identity() {
  if (access_ != Access::immutable) ask_for_room(path_);
  if (access_ == Access::write) make_beside(path_);
  if (!looked_) looked_ = std::make_unique<Db>(path_, access_, busy_wait_);
  int64_t application = looked_->pragma("PRAGMA application_id");
  if (application != kLedgerApplicationId)
    throw Error(Code::ledger_damaged, path_ + " is not a ledger of kesu")
        .cause("its application_id is " + std::to_string(application))
        .next("restore the vault from a backup");
  version_ = looked_->pragma("PRAGMA user_version");
  if (version_ <= kStoreVersion || access_ != Access::write) return;
  access_ = Access::read;
  looked_.reset();
}

std::unique_ptr<Db> LedgerFile::connect_writing() {
  ask_for_room(path_);
  make_beside(path_);
  auto db = looked_ ? std::move(looked_) : std::make_unique<Db>(path_, Access::write, busy_wait_);
  // Before anything is written: what is not kesu's might answer, count or refuse otherwise than the code
  // thinks.
  if (auto problems = ledger_schema_problems(*db); !problems.empty()) throw foreign_schema(path_, problems);
  db->run("PRAGMA journal_mode=WAL");
  touch(*db);
  take_room(path_);
  db->run("PRAGMA synchronous=FULL");
  return db;
}

std::unique_ptr<Db> LedgerFile::connect_reading() {
  if (access_ != Access::immutable) ask_for_room(path_);
  auto db = looked_ && access_ != Access::write
                ? std::move(looked_)
                : std::make_unique<Db>(path_, access_ == Access::write ? Access::read : access_, busy_wait_);
  touch(*db);
  if (access_ != Access::immutable) take_room(path_);
  return db;
}

}  // namespace kesu
