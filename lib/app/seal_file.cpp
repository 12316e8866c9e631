#include "app/seal_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "base/interrupt.h"
#include "base/stream_out.h"

namespace kesu {

std::string text_of(const Error& e) { return e.message() + (e.cause().empty() ? "" : ": " + e.cause()); }

// A provider or disk at fault ends the batch; a source or a place at fault is that file's own affair.
bool ends_all(const Error& e) {
  switch (e.code()) {
    case Code::interrupted:
    case Code::disk_full:
    case Code::key_mismatch:
    case Code::token_changed:
    case Code::pin_missing:
    case Code::pin_source_unsafe:
      return true;
    default:
      return e.exit() == Exit::unavailable;
  }
}

SealSource source_of(const std::string& top, const TreeFile& file) {
  SealSource out;
  out.path = tree_path(top, file.name);
  out.file = file;
  out.top = top;
  return out;
}

bool called_by_object(const SealTarget& t, const SealSource& s) {
  return t.opaque || s.is_manifest() || too_long_for_ending(s.file.name);
}

std::string place_of(const SealTarget& t, const SealSource& s, const ObjectId& object) {
  if (t.out == "-") return "";
  std::string out;
  out.reserve(t.out.size() + s.file.name.size() + 64);
  out = t.out;
  if (out.back() != '/') out += '/';
  if (t.opaque) return out.append(file_name_of(object));
  if (s.is_manifest())
    return out.append(s.file.name).append("/").append(kManifestName).append(file_name_of(object));
  if (too_long_for_ending(s.file.name)) {
    const size_t slash = s.file.name.rfind('/');
    return out.append(s.file.name, 0, slash == std::string::npos ? 0 : slash + 1)
        .append(file_name_of(object));
  }
  return out.append(s.file.name).append(kSealedEnding);
}

Error sealed_over(const std::string& place) {
  return Error(Code::already_exists, place + " holds another content of that name")
      .cause("sealing over it would destroy the only ciphertext of the older content")
      .next("--replace does that; or choose another -o DIR");
}

std::optional<ObjectHeader> header_of(const Fd& fd, uint64_t& size) {
  if (!fd.ok()) return std::nullopt;
  try {
    const SealedInput in = file_input(fd.get());
    size = in.size;
    std::array<uint8_t, kImmutableBytes> first;
    if (in.size < first.size()) return std::nullopt;
    in.read(0, first);
    return parse_object_header(first);
  } catch (const Error&) {
    return std::nullopt;
  }
}

bool equals_source(const std::string& place, int source, uint64_t size, const UnwrapKey& unwrap) {
  uint64_t at = 0;
  return equals_source(
      place,
      [&](std::span<uint8_t> out) {
        for (;;) {
          const ssize_t n = ::pread(source, out.data(), out.size(), static_cast<off_t>(at));
          if (n < 0 && errno == EINTR) continue;
          if (n < 0) throw file_error(errno, "read", "the source of " + place);
          at += static_cast<uint64_t>(n);
          return static_cast<size_t>(n);
        }
      },
      size, unwrap);
}

bool equals_source(const std::string& place, const Source& source, uint64_t size, const UnwrapKey& unwrap) {
  const Fd sealed(open_path(place, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (!sealed.ok()) {  // nothing there, or no file: anything else tells nothing about what is there
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENXIO) return false;
    throw file_error(errno, "open", place);
  }
  bool same = true;
  uint64_t at = 0;
  Bytes buffer;
  try {
    open_object(
        file_input(sealed.get()), unwrap, [](const Metadata&) {},
        [&](ByteView chunk) {
          check_interrupted();
          buffer.resize(chunk.size());
          size_t got = 0;
          for (size_t n = 1; same && n && got < buffer.size(); got += n)
            n = source(std::span(buffer).subspan(got));
          same = same && got == chunk.size() && std::equal(chunk.begin(), chunk.end(), buffer.begin());
          at += chunk.size();
        });
  } catch (const Error& e) {
    if (e.code() != Code::sealed_damaged) throw;
    same = false;
  }
  wipe(buffer);
  return same && at == size;
}

FileSealer::FileSealer(const SealTarget& target, Lanes& lanes, unsigned lane, Random& random,
                       Progress& progress)
    : target_(target), lanes_(lanes), lane_(lane), random_(random), progress_(progress) {
  if (target.out == "-") return;
  below_.emplace(target.out);
  const auto id = place_id(below_->directory(""));
  if (!id) throw file_error(errno, "look at", target.out);
  out_ = *id;
  mark_ = place_mark(below_->directory(""));
}

namespace {
// What stands under a name; nullopt: nothing. Anything but a sealed object of this dataset is in the way.
std::optional<ObjectId> object_under(int directory, const std::string& leaf, const std::string& place,
                                     const SealTarget& target) {
  struct stat st {};
  if (::fstatat(directory, leaf.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return std::nullopt;
    throw file_error(errno, "look at", place);
  }
  Fd fd(::openat(directory, leaf.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd.ok())
    throw Error(Code::already_exists, place + " is in the way")
        .cause("it cannot be read as a sealed object")
        .next("choose another -o DIR");
  std::optional<ObjectHeader> header;
  try {
    header = inspect_object(file_input(fd.get())).region.header;
  } catch (const Error&) {
  }
  if (!header || header->vault != target.vault || header->dataset != target.dataset)
    throw Error(Code::already_exists, place + " is in the way")
        .cause("it is no object of this dataset")
        .next("choose another -o DIR, or move that file away");
  return header->object;
}

Error sealed_meanwhile(const std::string& place) {
  return Error(Code::conflict, place + " holds an object that this command did not find in the inventory")
      .cause("another process sealed there meanwhile, or it was put there")
      .next("the same command again; if it stays: kesu inventory check shows what it is");
}
}  // namespace

int FileSealer::directory_of(const std::string& place, std::string& leaf) {
  const int directory = below_->directory_of(
      std::string_view(place).substr(target_.out == "/" ? 1 : target_.out.size() + 1), leaf, true);
  const std::string path = dir_name(place);
  if (path == directory_) return directory;
  const auto id = place_id(directory);
  if (!id) throw file_error(errno, "look at", path);
  if (id->device != out_.device || !id->same_mount(out_))
    throw Error(Code::policy_refused, "another file system is mounted at or above " + path)
        .cause("what is sealed by one command lies on one file system, which is made durable as a whole")
        .next("name that directory as -o");
  directory_ = path;
  return directory;
}

namespace {
// Standard input is read from where it stands, also where it is a regular file.
bool is_stdin(const SealSource& s) { return s.top.empty() && !s.manifest; }

SealedFile seal_to_stdout(SealRequest request, int source_fd, bool from_here, const WrapKey& wrap,
                          Random& random, Crew& crew) {
  const auto sink = [](ByteView bytes) { write_to_reader(STDOUT_FILENO, bytes, "standard output"); };
  FdSource source(source_fd, &crew, from_here);
  SealedFile out;
  out.source = source.facts();
  if (!from_here) {
    out.object = seal_file_stream(request, source_fd, sink, wrap, random, crew);
    source.check();
    return out;
  }
  request.metadata.mode = out.source.mode;
  request.metadata.mtime = out.source.mtime;
  out.object = seal_stream(request, std::ref(source), sink, wrap, random, &crew);
  return out;
}
}  // namespace

SealRequest FileSealer::request_of(const SealSource& s, const ObjectId& object,
                                   const VersionRef& version) const {
  SealRequest request{.vault = target_.vault,
                      .dataset = target_.dataset,
                      .object = object,
                      .version = version,
                      .algorithm = target_.algorithm,
                      .chunk = target_.chunk,
                      .bind_payload = target_.bind_payload,
                      .metadata = {},
                      .bytes_done = &progress_.bytes,
                      .fingerprint_key = fingerprint_key_};
  request.metadata.kind = s.kind;
  request.metadata.name = s.file.name;
  return request;
}

At FileSealer::place_for(const SealSource& s, const std::string& place, SealedPart& part) {
  std::string leaf;
  const int directory = directory_of(place, leaf);
  part.over = object_under(directory, leaf, place, target_);
  if (part.over && !target_.replace) throw sealed_over(place);
  // And only what the inventory has there.
  if (part.over && part.over != s.over) throw sealed_meanwhile(place);
  return {directory, dir_name(place), nameless_ && !part.over};
}

void FileSealer::describe(const SealSource& s, const std::string& place, SealedFile&& sealed,
                          SealedPart& out) {
  out.part = sealed.part;
  out.file = std::move(sealed.file);
  SegmentObject& o = out.object;
  o.object = sealed.object.header.object;
  o.leaf = sealed.object.leaf;
  o.name = s.file.name;
  o.place = place;
  o.bytes = sealed.object.plain_bytes;
  o.mode = sealed.source.mode;
  o.mtime = sealed.source.mtime;
  o.ctime = sealed.source.ctime;
  o.inode = s.file.inode;
  o.salt = random_.bytes(16);
  out.sealed_bytes = static_cast<int64_t>(sealed.object.sealed_bytes);
  out.total_seconds = sealed.object.total_seconds;
  out.binding_seconds = sealed.object.hash_seconds;
  out.print_seconds = sealed.object.print_seconds;
  out.prints = std::move(sealed.object.fingerprints);
}

SealedPart FileSealer::seal(const SealSource& s, const Metadata& metadata, const Source& bytes,
                            const ObjectId& object, const VersionRef& version, Crew& crew) {
  SealRequest request = request_of(s, object, version);
  request.metadata = metadata;
  const std::string place = place_of(target_, s, object);
  SealedPart out;
  const At at = place_for(s, place, out);
  SealedFile sealed = seal_source_to(
      request, bytes, at,
      [&](const Secret& key, ByteView aad) { return lanes_.wrap_later(lane_, version, key, aad, s.path); },
      random_, &crew);
  sealed.source.ctime = s.file.ctime;
  describe(s, place, std::move(sealed), out);
  return out;
}

Fd FileSealer::open_part(const SealedPart& part) {
  std::string leaf;
  const int directory = directory_of(part.object.place, leaf);
  Fd fd(::openat(directory, part.part.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.ok()) throw file_error(errno, "open", "the part of " + part.object.place);
  return fd;
}

SealedPart FileSealer::seal(const SealSource& s, int fd, const ObjectId& object, const VersionRef& version,
                            Crew& crew) {
  SealRequest request = request_of(s, object, version);
  SealedPart out;
  SealedFile sealed;
  const std::string place = place_of(target_, s, object);
  if (place.empty()) {
    // What has left cannot be taken back: its wrap is proven first.
    const WrapKey wrap = [&](const Secret& key, ByteView aad) {
      return lanes_.wrap(lane_, version, key, aad, s.path);
    };
    sealed = seal_to_stdout(request, fd, is_stdin(s), wrap, random_, crew);
  } else {
    const WrapKey wrap = [&](const Secret& key, ByteView aad) {
      return lanes_.wrap_later(lane_, version, key, aad, s.path);
    };
    const At at = place_for(s, place, out);
    if (s.manifest) {
      request.metadata.mode = 0600;
      request.metadata.size = s.manifest->bytes();
      request.metadata.mtime = s.file.mtime;
      sealed = seal_source_to(request, s.manifest->source(), at, wrap, random_);
    } else if (is_stdin(s) && file_facts(fd).regular) {
      FdSource source(fd, &crew, true);
      request.metadata.mode = source.facts().mode;
      request.metadata.mtime = source.facts().mtime;
      sealed = seal_source_to(request, std::ref(source), at, wrap, random_);
    } else {
      sealed = seal_file_to(request, fd, at, wrap, random_, crew);
    }
  }
  describe(s, place, std::move(sealed), out);
  return out;
}

void FileSealer::publish(SealedPart& part) {
  const std::string& place = part.object.place;
  if (const Fd file = std::move(part.file); file.ok()) {
    std::string leaf;
    const int directory = directory_of(place, leaf);
    return kesu::publish({directory, dir_name(place)}, file, part.object.object, leaf);
  }
  if (part.part.empty()) return;
  bool ours = true;  // what bears the part's name
  try {
    std::string leaf;
    const int directory = directory_of(place, leaf);
    const At at{directory, dir_name(place)};
    if (!part.over) return kesu::publish(at, part.part, leaf, false);
    // The two change places, so that what is taken away is what was looked at.
    const auto exchange = [&] {
      return ::renameat2(directory, part.part.c_str(), directory, leaf.c_str(), RENAME_EXCHANGE) == 0;
    };
    if (!exchange()) {
      if (errno != EINVAL && errno != ENOSYS && errno != ENOENT)
        throw file_error(errno, "rename into place", place);
      if (object_under(directory, leaf, place, target_) != part.over) throw sealed_meanwhile(place);
      return kesu::publish(at, part.part, leaf, true);
    }
    ours = false;
    std::optional<ObjectId> was;
    try {
      was = object_under(directory, part.part, place, target_);
    } catch (const Error&) {  // nothing of ours: back with it
    }
    if (was != part.over) {
      if (!exchange()) throw file_error(errno, "put back", place);
      ours = true;
      throw sealed_meanwhile(place);
    }
    ::unlinkat(directory, part.part.c_str(), 0);
  } catch (const Error&) {
    if (ours) discard(part);
    throw;
  }
}

void FileSealer::discard(SealedPart& part) noexcept {
  part.file = Fd();
  try {
    std::string leaf;
    if (!part.part.empty()) ::unlinkat(directory_of(part.object.place, leaf), part.part.c_str(), 0);
  } catch (const Error&) {  // its directory is gone, and so is it
  }
}

}  // namespace kesu
