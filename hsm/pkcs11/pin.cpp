// Where a PIN comes from: a file that only its owner can read, a variable, or a descriptor.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "hsm/pkcs11/uri.h"

namespace kesu::p11 {

namespace {
constexpr size_t kMaxPin = 4096;

Secret first_line(std::span<const uint8_t> bytes, const std::string& from) {
  auto end = std::find(bytes.begin(), bytes.end(), '\n');
  size_t size = static_cast<size_t>(end - bytes.begin());
  if (size > 0 && bytes[size - 1] == '\r') --size;
  if (size == 0) throw Error(Code::pin_missing, "no PIN in " + from);
  return Secret::from(bytes.first(size));
}

Secret read_all(int fd, const std::string& from) {
  Secret buffer(kMaxPin + 1);
  size_t have = 0;
  while (have < buffer.size()) {
    ssize_t got = ::read(fd, buffer.reveal().data() + have, buffer.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      throw Error(Code::pin_missing, "cannot read the PIN from " + from).cause(std::strerror(errno));
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  if (have > kMaxPin) throw Error(Code::pin_missing, from + " is too long to be a PIN");
  return first_line(buffer.reveal().first(have), from);
}

Secret read_file_pin(const std::string& path) {
  // Opened first and judged by its descriptor: what is judged is what is read. Not blocking, should it be a
  // pipe.
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.ok())
    throw Error(Code::pin_missing, "cannot open the PIN file " + path)
        .cause(std::strerror(errno))
        .next("make the file, or correct pin-source in the URI");
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) throw file_error(errno, "looking at", path);
  if (!S_ISREG(st.st_mode))
    throw Error(Code::pin_source_unsafe, "the PIN file " + path + " is not a regular file")
        .next("name a regular file of mode 600");
  if (st.st_uid != ::geteuid() && st.st_uid != 0)
    throw Error(Code::pin_source_unsafe, "the PIN file " + path + " belongs to another user")
        .next("chown it to the user that runs kesu");
  if ((st.st_mode & 077) != 0)
    throw Error(Code::pin_source_unsafe, "the PIN file " + path + " is open to group or others")
        .cause("who reads it can use every key of the token")
        .next("chmod 600 " + path + ", and change the PIN if others may have read it");
  return read_all(fd.get(), "the PIN file " + path);
}
}  // namespace

Secret read_pin(const std::string& pin_source) {
  if (pin_source.empty())
    throw Error(Code::pin_missing, "the URI does not say where the PIN is")
        .next("add pin-source=file:/path to its query (a file of mode 600)");
  if (pin_source.starts_with("file:")) return read_file_pin(pin_source.substr(5));
  if (pin_source.starts_with("env:")) {
    std::string name = pin_source.substr(4);
    const char* value = std::getenv(name.c_str());
    if (value == nullptr)
      throw Error(Code::pin_missing, "the environment has no variable " + name + " with the PIN");
    size_t size = std::strlen(value);
    if (size > kMaxPin) throw Error(Code::pin_missing, "the variable " + name + " is too long to be a PIN");
    return first_line({reinterpret_cast<const uint8_t*>(value), size}, "the variable " + name);
  }
  int number = -1;
  const char* begin = pin_source.data() + 3;
  const char* end = pin_source.data() + pin_source.size();
  auto [stop, ec] = std::from_chars(begin, end, number);
  if (!pin_source.starts_with("fd:") || ec != std::errc() || stop != end || number < 0)
    throw Error(Code::bad_input, "pin-source is none of file:/path, env:NAME, fd:N");
  return read_all(number, "descriptor " + std::to_string(number));
}

std::string pin_source_stamp(const std::string& pin_source) {
  struct stat st {};
  if (!pin_source.starts_with("file:") || ::stat(pin_source.c_str() + 5, &st) != 0) return pin_source;
  auto part = [](auto number) { return " " + std::to_string(number); };
  return pin_source + part(st.st_dev) + part(st.st_ino) + part(st.st_size) + part(st.st_ctim.tv_sec) +
         part(st.st_ctim.tv_nsec);
}

}  // namespace kesu::p11
