// One object through descriptors: from standard input, to standard output.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "app/lanes.h"
#include "app/opening_impl.h"
#include "app/settle.h"
#include "base/below.h"
#include "base/crew.h"
#include "base/file_times.h"
#include "base/interrupt.h"
#include "base/stream_out.h"
#include "seal/opening_file.h"

namespace kesu {

namespace {
size_t read_some(int fd, std::span<uint8_t> out) {
  for (;;) {
    check_interrupted();
    pollfd wait{fd, POLLIN, 0};  // a pipe may stay silent for ever
    const int ready = ::poll(&wait, 1, 100);
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t n = ::read(fd, out.data(), out.size());
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EINTR) throw file_error(errno, "read", "the sealed file");
  }
}

// A file of which the region was read already: what is opened is what was recorded.
SealedInput held_to(const Bytes& region, int fd) {
  SealedInput in = file_input(fd);
  in.read = [&region, rest = std::move(in.read)](uint64_t offset, std::span<uint8_t> out) {
    if (offset < region.size()) {
      const size_t n = std::min<uint64_t>(out.size(), region.size() - offset);
      std::memcpy(out.data(), region.data() + offset, n);
      offset += n;
      out = out.subspan(n);
    }
    if (!out.empty()) rest(offset, out);
  };
  return in;
}

// Where the plaintext goes: standard output, or a file that gets its name when all of it has authenticated.
class Target {
 public:
  Target(const std::string& out, const ObjectId& object, const OpenOptions& options)
      : out_(out), object_(object), options_(options) {}
  void begin(const Metadata& m) {
    if (m.kind != "file")
      throw Error(Code::bad_input, "that object is a tree manifest, not a file")
          .next("kesu open DIR -o OUT restores a tree");
    if (out_ == "-") return;
    make_directories(out_);
    place_.emplace(out_);
    std::string leaf;
    const int directory = place_->directory_of(safe_relative_path(m.name), leaf, true);
    shown_ = path_join(out_, m.name);
    final_ = "/proc/self/fd/" + std::to_string(directory) + "/" + leaf;
    if (!options_.force && exists(final_)) throw there();
    const std::string temp = opening_path(dir_name(final_), object_);
    temp_.emplace(open_temporary(temp, path_join(dir_name(shown_), base_name(temp))));
  }
  void write(ByteView bytes) {
    check_interrupted();
    if (out_ == "-") return write_to_reader(STDOUT_FILENO, bytes, "standard output");
    // Zeros are left out as where a file is opened (docs/spec/sealed-object.md, "Files"): holes.
    constexpr uint64_t kBlock = 64u << 10;
    while (!bytes.empty()) {
      const ByteView piece = bytes.first(std::min<uint64_t>(bytes.size(), kBlock - at_ % kBlock));
      const bool zeros = std::all_of(piece.begin(), piece.end(), [](uint8_t b) { return b == 0; });
      if (!zeros && stands_ != at_ && ::lseek(temp_->fd(), static_cast<off_t>(at_), SEEK_SET) < 0)
        throw file_error(errno, "write", shown_);
      if (!zeros) write_all(temp_->fd(), piece, shown_);
      at_ += piece.size();
      if (!zeros) stands_ = at_;
      bytes = bytes.subspan(piece.size());
    }
  }
  // What of its mode and time the file system refused; the bytes are what somebody wants back.
  std::optional<Skipped> end(const Metadata& m) {
    if (out_ == "-") return std::nullopt;
    std::optional<Skipped> refused;
    const auto set = [&](int why, const char* doing) {
      if (why == 0) return;
      const Error e = file_error(why, doing, shown_);
      if (why != EPERM && why != EOPNOTSUPP && why != ENOSYS && why != EINVAL && why != ERANGE) throw e;
      refused = Skipped{shown_, in_words(e), e.code()};
    };
    if (::ftruncate(temp_->fd(), static_cast<off_t>(at_)) != 0)  // the end may be a hole
      throw file_error(errno, "set the size of", shown_);
    set(::fchmod(temp_->fd(), m.mode & 0777) == 0 ? 0 : errno, "set the mode of");
    set(set_mtime(temp_->fd(), nullptr, m.mtime.seconds, m.mtime.nanos), "set the time of");
    if (::fsync(temp_->fd()) != 0) throw file_error(errno, "make durable", shown_);
    if (!same_file(temp_->fd(), temp_->path()))
      throw Error(Code::conflict, "another process took away the file under work").cause(shown_);
    try {
      publish(temp_->path(), final_, options_.force);
    } catch (const Error& e) {
      if (e.code() == Code::already_exists) throw there();
      throw;
    }
    temp_->keep();
    sync_directory(dir_name(final_));
    return refused;
  }

 private:
  // What a killed run left is taken over; one that another process works on is not.
  static Temporary open_temporary(const std::string& path, const std::string& shown) try {
    return create_opening(path);
  } catch (const Error& e) {
    if (e.code() == Code::conflict) throw Error(e.code(), e.message()).cause(shown + " is in use");
    throw;
  }
  Error there() const {
    return Error(Code::already_exists, shown_ + " is already there")
        .next("choose another place, or --force replaces it");
  }
  const std::string out_;
  const ObjectId object_;
  const OpenOptions& options_;
  std::optional<Below> place_;
  std::string final_, shown_;
  uint64_t at_ = 0, stands_ = 0;   // bytes that came; where the descriptor stands
  std::optional<Temporary> temp_;  // after place_, by whose descriptor it is unlinked
};
}  // namespace

OpenResult open_stream_file(Vault& vault, const std::string& source, const std::string& out,
                            const OpenOptions& options) {
  settle(vault);
  Fd file;
  if (source != "-") {
    file = Fd(::open(source.c_str(), O_RDONLY | O_NOCTTY | O_CLOEXEC));
    if (!file.ok()) throw file_error(errno, "open", source);
    struct stat st {};
    if (::fstat(file.get(), &st) == 0 && S_ISDIR(st.st_mode))
      throw Error(Code::usage, source + " is a directory; one file goes to standard output")
          .next("kesu open " + source + " -o OUT");
  }
  const int from = file.ok() ? file.get() : STDIN_FILENO;
  // What is recorded before the first byte leaves stands in the region.
  Bytes region(kRegionBytes);
  size_t have = 0;
  while (have < region.size()) {
    const size_t n = read_some(from, std::span(region).subspan(have));
    if (n == 0) break;
    have += n;
  }
  region.resize(have);
  Candidate c;
  c.path = source;
  describe(c, parse_region(region));
  const std::string dataset = c.header.dataset.str();
  readable(vault, vault.state(), c);

  KeyHolder holder(vault, dataset, "open");
  Crew crew;
  Lanes lanes(vault, 1);
  lanes.allow_all(vault.state().datasets.at(dataset), purpose_of(options));
  record_opening(vault, holder.id(), dataset, {c}, options);
  readable(vault, vault.state(), c);
  size_t given = 0;
  const Source bytes = [&](std::span<uint8_t> to) -> size_t {
    if (given == region.size()) return read_some(from, to);
    const size_t n = std::min(to.size(), region.size() - given);
    std::memcpy(to.data(), region.data() + given, n);
    given += n;
    return n;
  };
  Target target(out == "-" ? out : absolute_path(out), c.header.object, options);
  const UnwrapKey unwrap = [&](const Slot& slot, ByteView aad) { return lanes.unwrap(0, slot, aad); };
  const auto begin = [&](const Metadata& m) { target.begin(m); };
  const auto sink = [&](ByteView plain) { target.write(plain); };
  const OpenedObject opened = file.ok() && file_facts(from).regular
                                  ? open_object(held_to(region, from), unwrap, begin, sink, &crew)
                                  : open_stream(bytes, unwrap, begin, sink, &crew);
  OpenResult result;
  if (auto refused = target.end(opened.metadata)) result.failed.push_back(std::move(*refused));
  holder.end("returned");
  result.opened = 1;
  result.bytes = static_cast<int64_t>(opened.plain_bytes);
  return result;
}

}  // namespace kesu
