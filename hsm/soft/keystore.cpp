// Reading, appending to and rewriting a keystore file, so that a kill at any moment leaves the old or the
// new.
#include "hsm/soft/keystore.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <regex>

#include "base/error.h"
#include "hsm/soft/uri.h"

namespace kesu::soft {

namespace {
constexpr size_t kLeastPassphrase = 12;
constexpr size_t kMostBytes = kBlock * ((size_t{1} << 20) + 1);  // a million keys

Block block_at(ByteView bytes, size_t number) { return Block(bytes.data() + number * kBlock, kBlock); }

bool all_zero(Block block) {
  return std::all_of(block.begin(), block.end(), [](uint8_t b) { return b == 0; });
}

Bytes read_whole(int fd, const std::string& path, size_t most) {
  Bytes out(most);
  size_t have = 0;
  while (have < most) {
    const ssize_t got = ::pread(fd, out.data() + have, most - have, static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw file_error(errno, "read", path);
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  out.resize(have);
  return out;
}

// Temporary files of rewritings that a kill ended, <name>.tmp<pid>.<n>: they hold keys, so they do not stay.
// Only under the exclusive lock, so that none is somebody's who still writes.
void sweep(const std::string& path) {
  static const std::regex kTail("\\.tmp[0-9]+\\.[0-9]+");
  const std::string name = base_name(path), directory = dir_name(path);
  for (const std::string& other : list_directory(directory))
    if (other.starts_with(name) && std::regex_match(other.substr(name.size()), kTail))
      remove_file(path_join(directory, other));
}

Error absent(const std::string& path) {
  return Error(Code::token_absent, "there is no keystore " + path)
      .tried("opening it")
      .cause("nothing is known about its keys from this")
      .next("put the file back, or correct the path in the provider's URI");
}
}  // namespace

FileLock::FileLock(const std::string& path, Use use) {
  const std::string name = path + ".lock";
  const int make = use == Use::write ? O_CREAT : 0;  // looking at a place leaves nothing there
  fd_ = Fd(::open(name.c_str(), O_RDONLY | make | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd_.ok()) {
    if (use == Use::read) return;
    throw file_error(errno, "open", name);
  }
  while (::flock(fd_.get(), use == Use::read ? LOCK_SH : LOCK_EX) != 0)
    if (errno != EINTR) throw file_error(errno, "lock", name);
}

void Keystore::demand_strong(const Secret& passphrase) {
  if (passphrase.size() >= kLeastPassphrase) return;
  throw Error(Code::policy_refused,
              "the passphrase of a keystore has at least " + std::to_string(kLeastPassphrase) + " bytes")
      .cause("it is all that keeps a copy of the file closed")
      .next("openssl rand -base64 24 makes one");
}

void Keystore::create(const std::string& path, const Secret& passphrase, uint32_t iterations,
                      Random& random) {
  demand_strong(passphrase);
  Header header;
  random.fill(header.id);
  random.fill(header.salt);
  header.iterations = iterations;
  wrap_container_key(header, derive(passphrase, header), random.secret(32), random);
  FileLock lock(path, FileLock::Use::write);
  sweep(path);
  // Renamed, not linked: killed in between, it would have two names.
  if (exists(path)) throw Error(Code::already_exists, path + " is already there").next("choose another name");
  write_file_durable(path, header.bytes(), 0600, true);
}

Keystore::Stamp Keystore::stamp_of(const struct stat& st) {
  auto nanoseconds = [](const timespec& t) { return t.tv_sec * int64_t{1'000'000'000} + t.tv_nsec; };
  return {st.st_dev, st.st_ino, st.st_size, nanoseconds(st.st_mtim), nanoseconds(st.st_ctim)};
}

// What is judged is what is read: by the descriptor, not by the name.
Fd Keystore::open_checked(const std::string& path, int flags, struct stat& st) {
  Fd fd(::open(path.c_str(), flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.ok()) {
    // What is renamed over a link leaves the file behind it as it was, with every key that was destroyed
    // since.
    if (errno == ELOOP)
      throw Error(Code::pin_source_unsafe, "the keystore " + path + " is a symbolic link")
          .next("name the file itself, in [provider.NAME] uri of kesu.toml");
    if (errno == ENOENT || errno == ENOTDIR) throw absent(path);
    throw Error(Code::provider_unavailable, "the keystore " + path + " cannot be opened")
        .tried("opening it")
        .cause(std::strerror(errno))
        .next("give it to the user that runs kesu (mode 600); nothing is known about its keys from this");
  }
  if (::fstat(fd.get(), &st) != 0) throw file_error(errno, "look at", path);
  if (!S_ISREG(st.st_mode))
    throw Error(Code::provider_unavailable, "the keystore " + path + " is not a regular file");
  if (st.st_nlink > 1)
    throw Error(Code::pin_source_unsafe,
                "the keystore " + path + " has " + std::to_string(st.st_nlink) + " names")
        .cause("the other name keeps the file as it is now, when a key is destroyed here")
        .next("find it (find / -samefile " + path + ") and remove it: it is a copy of all keys");
  if (st.st_uid != ::geteuid() && st.st_uid != 0)
    throw Error(Code::pin_source_unsafe, "the keystore " + path + " belongs to another user")
        .next("chown it to the user that runs kesu");
  if ((st.st_mode & 077) != 0)
    throw Error(Code::pin_source_unsafe, "the keystore " + path + " is open to group or others")
        .cause("who has a copy of it needs only the passphrase to have its keys")
        .next("chmod 600 " + path +
              "; if others may have copied it: kesu provider rekey, and kesu key rotate");
  return fd;
}

std::optional<Header> Keystore::look(const std::string& path) {
  FileLock lock(path, FileLock::Use::read);
  struct stat st {};
  try {
    Fd fd = open_checked(path, O_RDONLY, st);
    return Header::parse(read_whole(fd.get(), path, kBlock), path);
  } catch (const Error& error) {
    if (error.code() == Code::token_absent) return std::nullopt;
    throw;
  }
}

Keystore::Keystore(std::string path, Secret kek, Random& random)
    : path_(std::move(path)), kek_(std::move(kek)), random_(random) {
  FileLock lock(path_, FileLock::Use::read);
  reload();
}

std::unique_ptr<Keystore> Keystore::another() {
  refresh();
  return std::make_unique<Keystore>(path_, Secret::from(kek_.reveal()), random_);
}

std::optional<size_t> Keystore::by_label(const std::string& label) const {
  auto it = labels_.find(label);
  return it == labels_.end() ? std::nullopt : std::optional(it->second);
}
std::optional<size_t> Keystore::by_id(const Bytes& id) const {
  auto it = ids_.find(id);
  return it == ids_.end() ? std::nullopt : std::optional(it->second);
}

Secret Keystore::key(size_t position) {
  Secret out;
  sealer_->open(position, block_at(blocks_, position), path_, &out);
  return out;
}

void Keystore::index(size_t position) {
  const Entry& entry = entries_[position];
  if (!labels_.emplace(entry.label, position).second || !ids_.emplace(entry.id, position).second)
    throw damaged(path_, "record " + std::to_string(position),
                  "its label or id stands in another record, too");
}

bool Keystore::refresh() {
  struct stat st {};
  if (::stat(path_.c_str(), &st) == 0 && stamp_of(st) == stamp_ && (st.st_mode & 077) == 0) return false;
  FileLock lock(path_, FileLock::Use::read);
  return reload();
}

bool Keystore::reload() {
  struct stat st {};
  Fd fd = open_checked(path_, O_RDONLY, st);
  if (stamp_of(st) == stamp_) return false;
  if (static_cast<size_t>(st.st_size) > kMostBytes)
    throw damaged(path_, "size", "it is longer than a keystore can be");
  const Bytes file = read_whole(fd.get(), path_, static_cast<size_t>(st.st_size));
  Header header = Header::parse(file, path_);
  const bool again = sealer_.has_value();
  if (again && header.id != header_.id)
    throw Error(Code::token_changed, "another keystore stands at " + path_ + " now")
        .cause("its identifier is " + hex(header.id) + ", it was " + hex(header_.id));
  if (again && header.generation < header_.generation)
    throw Error(Code::container_old, "an older generation of the keystore stands at " + path_ + " now")
        .cause("generation " + std::to_string(header.generation) + ", it was " +
               std::to_string(header_.generation))
        .next("put the newer file back; see kesu status");
  if (again && header.salt != header_.salt)
    throw Error(Code::session_lost, "the keystore " + path_ + " was re-keyed by another process")
        .next("run the command again: it logs in with the new passphrase");
  // Under the same container key, what was read before stands unless it differs.
  size_t known = 0;
  if (again && header.nonce == header_.nonce && header.wrapped == header_.wrapped &&
      file.size() >= kBlock + blocks_.size() &&
      std::equal(blocks_.begin(), blocks_.end(), file.begin() + kBlock))
    known = entries_.size();
  std::optional<Sealer> sealer;
  if (known == 0) {
    auto container_key = unwrap_container_key(header, kek_);
    if (!container_key)
      throw Error(Code::pin_wrong, "the passphrase does not open the keystore " + path_)
          .tried("unwrapping its container key")
          .cause(
              "the tag does not agree: another passphrase, or a header that was altered together with its "
              "checksum")
          .next("correct the passphrase source; the file does not lock, and nothing was changed");
    sealer.emplace(header, *container_key);
  }
  size_t count = file.size() / kBlock - 1;                    // an incomplete last record never came to be
  if (count > 0 && all_zero(block_at(file, count))) --count;  // nor one whose sector was never written
  std::vector<Entry> fresh;
  for (size_t i = known; i < count; ++i)
    fresh.push_back((sealer ? *sealer : *sealer_).open(i, block_at(file, i + 1), path_));

  if (sealer) {
    sealer_ = std::move(sealer);
    entries_.clear(), labels_.clear(), ids_.clear();
  }
  header_ = header;
  for (Entry& entry : fresh) {
    entries_.push_back(std::move(entry));
    index(entries_.size() - 1);
  }
  blocks_.assign(file.begin() + kBlock, file.begin() + static_cast<std::ptrdiff_t>(kBlock * (count + 1)));
  stamp_ = stamp_of(st);
  return true;
}

size_t Keystore::append(const Entry& entry, const Secret& key) {
  FileLock lock(path_, FileLock::Use::write);
  reload();
  if (by_label(entry.label) || by_id(entry.id))
    throw Error(Code::already_exists, "the keystore already has a key " + entry.label)
        .next("an interrupted run left it; the next command asks the keystore what it is");
  const size_t position = entries_.size();
  const Bytes record = sealer_->seal(position, entry, key, random_);
  const off_t at = static_cast<off_t>(kBlock * (position + 1));
  struct stat st {};
  Fd fd = open_checked(path_, O_WRONLY, st);
  if (stamp_of(st) != stamp_)
    throw Error(Code::conflict, "the keystore " + path_ + " was replaced meanwhile")
        .next("run the command again");
  size_t written = 0;
  while (written < record.size()) {
    const ssize_t n = ::pwrite(fd.get(), record.data() + written, record.size() - written,
                               at + static_cast<off_t>(written));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int why = errno;
      [[maybe_unused]] int cut = ::ftruncate(fd.get(), at);  // an incomplete record is ignored anyway
      throw file_error(why, "append to", path_);
    }
    written += static_cast<size_t>(n);
  }
  if (::fdatasync(fd.get()) != 0)
    throw Error(Code::outcome_unknown,
                "whether the keystore " + path_ + " holds " + entry.label + " is not known")
        .tried("making the new record durable")
        .cause(std::strerror(errno))
        .next("run the command again: it asks the keystore first");
  if (::fstat(fd.get(), &st) != 0) throw file_error(errno, "look at", path_);
  blocks_.insert(blocks_.end(), record.begin(), record.end());
  entries_.push_back(entry);
  index(position);
  stamp_ = stamp_of(st);
  return position;
}

void Keystore::rewrite(Header header, const Secret& kek, std::optional<size_t> without) {
  sweep(path_);
  Secret container_key = random_.secret(32);
  ++header.revision;
  wrap_container_key(header, kek, container_key, random_);
  Sealer fresh(header, container_key);
  Bytes out = header.bytes();
  out.reserve(kBlock * (entries_.size() + 1));
  uint64_t position = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (i == without) continue;
    const Bytes record = fresh.seal(position++, entries_[i], key(i), random_);
    out.insert(out.end(), record.begin(), record.end());
  }
  try {
    write_file_durable(path_, out, 0600, true);
  } catch (const Error& error) {
    struct stat st {};
    if (::stat(path_.c_str(), &st) == 0 && st.st_ino == stamp_.inode && st.st_dev == stamp_.device) throw;
    throw Error(Code::outcome_unknown,
                "whether the new keystore " + path_ + " stays in its place is not known")
        .tried("making the renaming durable")
        .cause(error.message())
        .next("run `kesu status`: an inspection of the keystore settles it");
  }
}

void Keystore::remove(size_t position) {
  FileLock lock(path_, FileLock::Use::write);
  const Entry doomed = entries_.at(position);
  reload();  // positions move when somebody else removed one
  auto now = by_label(doomed.label);
  if (!now || entries_[*now].id != doomed.id)
    throw Error(Code::object_absent, doomed.label + " was not found in the keystore " + path_)
        .next("another process removed it; whether the key still exists only an inspection can say");
  rewrite(header_, kek_, now);
  reload();
}

Secret Keystore::rekey(const Secret& passphrase) {
  demand_strong(passphrase);
  FileLock lock(path_, FileLock::Use::write);
  reload();
  Header header = header_;
  ++header.generation;
  random_.fill(header.salt);
  Secret kek = derive(passphrase, header);
  rewrite(header, kek, std::nullopt);
  header_.salt = header.salt;  // ours: reload() must not take it for another process's
  kek_ = Secret::from(kek.reveal());
  sealer_.reset();
  reload();
  return kek;
}

}  // namespace kesu::soft
