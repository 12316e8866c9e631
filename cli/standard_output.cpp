#include "standard_output.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>

namespace kesu::cli {

StandardOutput::StandardOutput() : before_(std::cout.rdbuf(this)) {
  setp(buffer_.data(), buffer_.data() + buffer_.size());
}

StandardOutput::~StandardOutput() {
  write();
  std::cout.rdbuf(before_);
}

void StandardOutput::write() {
  for (const char* at = pbase(); at != pptr() && !error_;) {
    const ssize_t n = ::write(STDOUT_FILENO, at, static_cast<size_t>(pptr() - at));
    if (n > 0)
      at += n;
    else if (n == 0)
      error_ = EIO;
    else if (errno != EINTR)
      error_ = errno;
  }
  setp(buffer_.data(), buffer_.data() + buffer_.size());
}

// What comes after an error is taken, and goes nowhere: the command itself comes to its end.
StandardOutput::int_type StandardOutput::overflow(int_type c) {
  write();
  if (!traits_type::eq_int_type(c, traits_type::eof())) sputc(traits_type::to_char_type(c));
  return traits_type::not_eof(c);
}

int StandardOutput::sync() {
  write();
  return 0;
}

int StandardOutput::end(int exit) {
  write();
  if (!error_ || error_ == EPIPE || error_ == EBADF) return exit;
  std::fprintf(stderr, "kesu: not all of the output could be written: %s\n", std::strerror(error_));
  std::fprintf(stderr, "  next   what the command did is done; see to standard output, then ask again\n");
  return exit ? exit : 1;
}

}  // namespace kesu::cli
