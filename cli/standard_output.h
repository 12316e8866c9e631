// Standard output, of which it is known whether all of it left. A result that a full disk swallowed must not
// look like success.
#pragma once
#include <array>
#include <streambuf>

namespace kesu::cli {

class StandardOutput : private std::streambuf {
 public:
  StandardOutput();  // from here on std::cout writes through it
  ~StandardOutput() override;
  // Writes what is left. `exit` as it is when all was taken, or nobody is there to take it (a reader that
  // went away, a descriptor that was closed); else the reason goes to standard error, and 0 becomes 1.
  int end(int exit);

 private:
  int_type overflow(int_type c) override;
  int sync() override;
  void write();

  std::array<char, 1 << 15> buffer_;
  std::streambuf* before_;
  int error_ = 0;  // errno of the first write that failed; nothing is written after it
};

}  // namespace kesu::cli
