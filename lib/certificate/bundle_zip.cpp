// A bundle as one zip file (PKWARE APPNOTE 6.3.10, the oldest subset): written in one way only, and read only
// when it is what that way writes.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <functional>

#include "base/error.h"
#include "base/files.h"
#include "certificate/bundle.h"
#include "certificate/bundle_impl.h"

namespace kesu {

using namespace bundle_place;

namespace {

constexpr size_t kLocal = 30, kCentral = 46;  // bytes of the records without names
constexpr size_t kMaxName = 200;              // longer than any path that a bundle may have

struct Member {
  std::string name;
  uint32_t crc = 0, size = 0, at = 0;  // at: of its local record
};

// Zip's numbers are little-endian.
class Record {
 public:
  Record& u16(uint32_t v) { return byte(v).byte(v >> 8); }
  Record& u32(uint32_t v) { return u16(v).u16(v >> 16); }
  Record& text(std::string_view s) {
    out_.insert(out_.end(), s.begin(), s.end());
    return *this;
  }
  const Bytes& bytes() const { return out_; }

 private:
  Record& byte(uint32_t v) {
    out_.push_back(static_cast<uint8_t>(v));
    return *this;
  }
  Bytes out_;
};

// Version needed 1.0, no flags, stored, 1980-01-01 00:00:00, CRC-32, size twice, name's length, no extras.
void common(Record& r, const Member& m) {
  r.u16(10).u16(0).u16(0).u16(0).u16(0x21);
  r.u32(m.crc).u32(m.size).u32(m.size).u16(static_cast<uint32_t>(m.name.size())).u16(0);
}

Bytes local_record(const Member& m) {
  Record r;
  r.u32(0x04034b50);
  common(r, m);
  return r.text(m.name).bytes();
}

// The central directory and its end. Made by MS-DOS and without attributes: whoever unpacks uses his own.
Bytes central_records(const std::vector<Member>& members, uint32_t at) {
  Record r;
  for (const Member& m : members) {
    r.u32(0x02014b50).u16(10);
    common(r, m);
    r.u16(0).u16(0).u16(0).u32(0).u32(m.at).text(m.name);  // comment, disk, attributes
  }
  auto length = static_cast<uint32_t>(r.bytes().size());
  auto n = static_cast<uint32_t>(members.size());
  return r.u32(0x06054b50).u16(0).u16(0).u16(n).u16(n).u32(length).u32(at).u16(0).bytes();
}

uint32_t crc_of(ByteView content) {
  return static_cast<uint32_t>(crc32_z(crc32_z(0, nullptr, 0), content.data(), content.size()));
}

// All of them in order; every size fits 32 bits, since the limits are below that.
void write_zip(const BundleFiles& files, const std::function<void(ByteView)>& put) {
  size_t bytes = 0;
  for (const auto& [name, content] : files) {
    if (std::string why = bundle_name_problem(name); !why.empty()) throw refused(shown(name), "is " + why);
    if (content.size() > kMaxBundleFile || content.size() > kMaxBundleBytes - bytes)
      throw refused(name, "is larger than a bundle may be");
    bytes += content.size();
  }
  if (files.size() > kMaxBundleFiles) throw refused("it", "has more files than a bundle may have");
  std::vector<Member> members;
  uint32_t at = 0;
  for (const auto& [name, content] : files) {
    Member m{name, crc_of(content), static_cast<uint32_t>(content.size()), at};
    Bytes head = local_record(m);
    put(head);
    put(content);
    at += static_cast<uint32_t>(head.size() + content.size());
    members.push_back(std::move(m));
  }
  put(central_records(members, at));
}

// Reads exactly what it is asked for, never past the end that it knows.
class Input {
 public:
  Input(size_t size, std::function<void(uint8_t*, size_t)> read) : left_(size), read_(std::move(read)) {}
  size_t left() const { return left_; }
  uint32_t at() const { return static_cast<uint32_t>(at_); }
  Bytes take(size_t n, const std::string& what) {
    if (n > left_) throw refused(what, "is cut off");
    Bytes out(n);
    read_(out.data(), n);
    left_ -= n;
    at_ += n;
    return out;
  }

 private:
  size_t left_, at_ = 0;
  std::function<void(uint8_t*, size_t)> read_;
};

uint32_t number(const Bytes& b, size_t at, size_t bytes) {
  uint32_t out = 0;
  for (size_t i = bytes; i-- > 0;) out = out << 8 | b[at + i];
  return out;
}

// What of a local record is not as the writer writes it, in words; empty when all is.
std::string record_problem(const Bytes& is, const Bytes& should) {
  static constexpr struct {
    size_t at, bytes;
    const char* what;
  } kFields[] = {{4, 2, "asks for another version than 1.0"},
                 {8, 2, "is compressed: members are stored"},
                 {10, 2, "has a time"},
                 {12, 2, "has another date than 1980-01-01"},
                 {22, 4, "has two different sizes"},
                 {28, 2, "has extra fields"}};
  uint32_t flags = number(is, 6, 2);
  if (flags & 1) return "is encrypted";
  if (flags & 8) return "has a data descriptor";
  if (flags) return "has flags set";
  for (const auto& f : kFields)
    if (!std::equal(is.begin() + f.at, is.begin() + f.at + f.bytes, should.begin() + f.at)) return f.what;
  return is == should ? "" : "is not as a bundle is written";
}

// The file's local record and its content. `n`: how many came before, for errors about what has no name yet.
void read_member(Input& in, const Bytes& start, BundleFiles& files, std::vector<Member>& members,
                 size_t& bytes) {
  std::string nth = "member " + std::to_string(members.size() + 1) + " of the zip file";
  Member m;
  m.at = in.at() - 4;
  Bytes head = start, rest = in.take(kLocal - 4, nth);
  head.insert(head.end(), rest.begin(), rest.end());
  size_t length = number(head, 26, 2);
  if (length == 0 || length > kMaxName)
    throw refused(nth, "has a name of " + std::to_string(length) + " bytes");
  m.name = to_text(in.take(length, nth));
  if (std::string why = bundle_name_problem(m.name); !why.empty()) throw refused(shown(m.name), "is " + why);
  if (files.contains(m.name)) throw refused(m.name, "stands in the zip file twice");
  if (!members.empty() && m.name < members.back().name)
    throw refused(m.name, "stands in the zip file in the wrong place: members are sorted");
  m.crc = number(head, 14, 4);
  m.size = number(head, 18, 4);
  Bytes should = local_record(m);
  should.resize(kLocal);
  if (std::string why = record_problem(head, should); !why.empty()) throw refused(m.name, why);
  if (m.size > kMaxBundleFile)
    throw refused(m.name, "is larger than " + std::to_string(kMaxBundleFile) + " bytes");
  if (m.size > kMaxBundleBytes - bytes) throw refused(m.name, "makes the bundle larger than it may be");
  if (files.size() >= kMaxBundleFiles) throw refused(m.name, "is one file too many");
  Bytes content = in.take(m.size, m.name);
  if (crc_of(content) != m.crc) throw refused(m.name, "does not have the CRC-32 that the zip file says");
  bytes += content.size();
  files.emplace(m.name, std::move(content));
  members.push_back(std::move(m));
}

BundleFiles parse(Input in) {
  BundleFiles files;
  std::vector<Member> members;
  size_t bytes = 0;
  for (;;) {
    Bytes start = in.take(4, "the zip file");
    uint32_t signature = number(start, 0, 4);
    if (signature == 0x04034b50) {
      read_member(in, start, files, members, bytes);
      continue;
    }
    if (members.empty() && signature != 0x06054b50) throw refused("it", "is not a zip file");
    // All that may follow is known by now.
    Bytes should = central_records(members, in.at() - 4);
    if (in.left() + 4 != should.size()) {
      bool more = in.left() + 4 > should.size();
      throw refused("the zip file's central directory",
                    more ? "is longer than its members need: something stands there, or after the end, that "
                           "a bundle does not have"
                         : "is cut off, or leaves members out");
    }
    Bytes rest = in.take(in.left(), "the zip file's central directory");
    auto differs = std::mismatch(rest.begin(), rest.end(), should.begin() + 4);
    if (!std::equal(start.begin(), start.end(), should.begin()) || differs.first != rest.end()) {
      size_t at = 0, offset = static_cast<size_t>(differs.first - rest.begin()) + 4;
      for (const Member& m : members) {
        at += kCentral + m.name.size();
        if (offset < at)
          throw refused(m.name, "is described differently in the zip file's central directory");
      }
      throw refused("the end of the zip file's central directory", "is not as a bundle is written");
    }
    return files;
  }
}

}  // namespace

BundleFiles parse_bundle_zip(ByteView zip) {
  size_t at = 0;
  return parse(Input(zip.size(), [&](uint8_t* out, size_t n) {
    std::copy_n(zip.begin() + at, n, out);
    at += n;
  }));
}

BundleFiles read_bundle_zip(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fd.ok()) throw file_error(errno, "open the bundle", path);
  struct stat st {};
  if (fstat(fd.get(), &st) != 0) throw file_error(errno, "look at", path);
  if (!S_ISREG(st.st_mode)) throw refused("it", "is neither a directory nor a zip file");
  return parse(Input(static_cast<size_t>(st.st_size), [&](uint8_t* out, size_t n) {
    while (n > 0) {
      ssize_t got = read(fd.get(), out, n);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw file_error(errno, "read", path);
      if (got == 0) throw refused("the zip file", "became shorter while it was read");
      out += got;
      n -= static_cast<size_t>(got);
    }
  }));
}

void write_bundle_zip(const std::string& path, const BundleFiles& files) {
  std::string target = new_target(path), part = part_of(target);
  try {
    Fd fd(open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!fd.ok()) throw file_error(errno, "create", part);
    write_zip(files, [&](ByteView piece) { write_all(fd.get(), piece, part); });
    if (fsync(fd.get()) != 0) throw file_error(errno, "make durable", part);
    fd.close();
    settle(part, target);
  } catch (...) {
    remove_quietly(part);
    throw;
  }
}

BundleFiles read_bundle(const std::string& path) {
  struct stat st {};
  if (stat(path.c_str(), &st) == 0 && !S_ISDIR(st.st_mode)) return read_bundle_zip(path);
  return read_bundle_directory(path);
}

void write_bundle(const std::string& path, const BundleFiles& files) {
  if (path.ends_with(".zip"))
    write_bundle_zip(path, files);
  else
    write_bundle_directory(path, files);
}

}  // namespace kesu
