// Reads PINs and passphrases: files that only their owner can read, variables, descriptors, the terminal.
#include "provider/login_secret.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/files.h"

namespace kesu {

namespace {
constexpr size_t kMaxSecret = 4096;

// What the messages call it: "PIN", and the attribute of URIs that names its source.
struct Words {
  std::string what, attribute;
};
Words words_of(std::string_view what) {
  return {std::string(what), what == "PIN"     ? "pin-source"
                             : what == "key"   ? "--from"
                             : what == "share" ? "--share"
                                               : "passphrase-source"};
}

Secret first_line(std::span<const uint8_t> bytes, const Words& words, const std::string& from) {
  auto end = std::find(bytes.begin(), bytes.end(), '\n');
  size_t size = static_cast<size_t>(end - bytes.begin());
  if (size > 0 && bytes[size - 1] == '\r') --size;
  if (size == 0) throw Error(Code::pin_missing, "no " + words.what + " in " + from);
  return Secret::from(bytes.first(size));
}

// To the end, or to the first line feed where `line`: a terminal has no end.
Secret read_bytes(int fd, const Words& words, const std::string& from, bool line) {
  Secret buffer(kMaxSecret + 1);
  size_t have = 0;
  while (have < buffer.size()) {
    ssize_t got = ::read(fd, buffer.reveal().data() + have, buffer.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      throw Error(Code::pin_missing, "cannot read the " + words.what + " from " + from)
          .cause(std::strerror(errno));
    if (got == 0) break;
    have += static_cast<size_t>(got);
    if (line && buffer.reveal()[have - 1] == '\n') break;
  }
  if (have > kMaxSecret) throw Error(Code::pin_missing, from + " is too long to be a " + words.what);
  return Secret::from(buffer.reveal().first(have));
}
Secret read_all(int fd, const Words& words, const std::string& from, bool line = false) {
  Secret bytes = read_bytes(fd, words, from, line);
  return first_line(bytes.reveal(), words, from);
}

std::string file_name(const std::string& path, const Words& words) {
  return "the " + words.what + " file " + path;
}

Fd open_secret_file(const std::string& path, const Words& words) {
  // Opened first and judged by its descriptor: what is judged is what is read. Not blocking, should it be a
  // pipe.
  const std::string file = file_name(path, words);
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.ok())
    throw Error(Code::pin_missing, "cannot open " + file)
        .cause(std::strerror(errno))
        .next("make the file, or correct " + words.attribute);
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) throw file_error(errno, "looking at", path);
  if (!S_ISREG(st.st_mode))
    throw Error(Code::pin_source_unsafe, file + " is not a regular file")
        .next("name a regular file of mode 600");
  if (st.st_uid != ::geteuid() && st.st_uid != 0)
    throw Error(Code::pin_source_unsafe, file + " belongs to another user")
        .next("chown it to the user that runs kesu");
  if ((st.st_mode & 077) != 0)
    throw Error(Code::pin_source_unsafe, file + " is open to group or others")
        .cause("who reads it can use every key that it opens")
        .next("chmod 600 " + path + ", and change the " + words.what + " if others may have read it");
  return fd;
}
// N of "fd:N"; -1 for anything else.
int descriptor(const std::string& source) {
  int number = -1;
  if (!source.starts_with("fd:")) return -1;
  const char* end = source.data() + source.size();
  auto [stop, ec] = std::from_chars(source.data() + 3, end, number);
  return ec == std::errc() && stop == end && number >= 0 ? number : -1;
}

// The terminal with its echo off, and as it was again on every way out.
class Silence {
 public:
  explicit Silence(int fd) : fd_(fd) {
    if (::tcgetattr(fd_, &before_) != 0) throw file_error(errno, "looking at", "/dev/tty");
    struct termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL);
    quiet.c_lflag |= ICANON;
    if (::tcsetattr(fd_, TCSAFLUSH, &quiet) != 0) throw file_error(errno, "silencing", "/dev/tty");
  }
  ~Silence() { ::tcsetattr(fd_, TCSAFLUSH, &before_); }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

 private:
  int fd_;
  struct termios before_ {};
};

Secret ask(const Words& words, const std::string& question) {
  Fd tty(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!tty.ok())
    throw Error(Code::pin_missing, "there is no terminal to ask for the " + words.what)
        .tried("/dev/tty")
        .cause(std::strerror(errno))
        .next("name another source in the URI: " + words.attribute +
              "=file:/path (mode 600), env:NAME or fd:N");
  Silence silence(tty.get());  // before the question: what is typed after it is not shown and not thrown away
  write_all(tty.get(), as_bytes(question + ": "), "/dev/tty");
  Secret out = read_all(tty.get(), words, "the terminal", true);
  write_all(tty.get(), as_bytes("\n"), "/dev/tty");
  return out;
}
}  // namespace

Secret read_login_secret(const std::string& source, std::string_view what, const std::string& of) {
  const Words words = words_of(what);
  if (source.empty())
    throw Error(Code::pin_missing, "the URI does not say where the " + words.what + " is")
        .next("add " + words.attribute + "=file:/path to its query (a file of mode 600)");
  if (source == "prompt") return ask(words, words.what + (of.empty() ? "" : " of " + of));
  if (source.starts_with("file:")) {
    const std::string path = source.substr(5);
    return read_all(open_secret_file(path, words).get(), words, file_name(path, words));
  }
  if (source.starts_with("env:")) {
    std::string name = source.substr(4);
    const char* value = std::getenv(name.c_str());
    if (value == nullptr)
      throw Error(Code::pin_missing, "the environment has no variable " + name + " with the " + words.what);
    size_t size = std::strlen(value);
    if (size > kMaxSecret)
      throw Error(Code::pin_missing, "the variable " + name + " is too long to be a " + words.what);
    return first_line({reinterpret_cast<const uint8_t*>(value), size}, words, "the variable " + name);
  }
  int number = descriptor(source);
  if (number < 0)
    throw Error(Code::bad_input, words.attribute + " is none of file:/path, env:NAME, fd:N, prompt");
  return read_all(number, words, "descriptor " + std::to_string(number));
}

Secret read_secret_bytes(const std::string& source, std::string_view what) {
  const Words words = words_of(what);
  if (source.starts_with("file:")) {
    const std::string path = source.substr(5);
    return read_bytes(open_secret_file(path, words).get(), words, file_name(path, words), false);
  }
  int number = descriptor(source);
  if (number < 0)
    throw Error(Code::bad_input, words.attribute + " is none of file:/path, env:NAME, fd:N, prompt");
  return read_bytes(number, words, "descriptor " + std::to_string(number), false);
}

Secret read_new_login_secret(const std::string& source, std::string_view what, const std::string& of) {
  if (source != "prompt") return read_login_secret(source, what, of);
  const Words words = words_of(what);
  const std::string whose = words.what + (of.empty() ? "" : " of " + of);
  Secret first = ask(words, "new " + whose), second = ask(words, "once more");
  auto a = first.reveal(), b = second.reveal();
  if (!std::equal(a.begin(), a.end(), b.begin(), b.end()))
    throw Error(Code::not_confirmed, "the two do not agree").tried("asking for the " + whose + " twice");
  return first;
}

std::string login_source(std::string_view text) {
  if (text.starts_with("env:") || text.starts_with("fd:") || text == "prompt") return std::string(text);
  if (text.starts_with("file:")) text.remove_prefix(5);
  if (text.starts_with("//")) text.remove_prefix(2);
  return text.starts_with("/") ? "file:" + std::string(text) : std::string();
}

std::string login_source_stamp(const std::string& source) {
  struct stat st {};
  if (!source.starts_with("file:") || ::stat(source.c_str() + 5, &st) != 0) return source;
  auto part = [](auto number) { return " " + std::to_string(number); };
  return source + part(st.st_dev) + part(st.st_ino) + part(st.st_size) + part(st.st_ctim.tv_sec) +
         part(st.st_ctim.tv_nsec);
}

}  // namespace kesu
