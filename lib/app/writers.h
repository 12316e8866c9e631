// Whether somebody still writes to a file that is about to be removed.
#pragma once

namespace kesu {

// A lease for reading (fcntl(2), F_SETLEASE), which the kernel gives only while no process has the file open
// or mapped for writing; until it is given back, opening it for writing waits. SIGIO, which says that
// somebody waits, is ignored from the first one on, in the whole process.
class NoWriters {
 public:
  // `fd` is open for reading only, borrowed. Throws Error conflict where somebody has it open for writing. Of
  // a file whose owner this process is not, and on file systems without leases, nothing can be told.
  explicit NoWriters(int fd);
  ~NoWriters();
  NoWriters(const NoWriters&) = delete;
  NoWriters& operator=(const NoWriters&) = delete;

 private:
  const int fd_;
  bool held_ = false;
};

}  // namespace kesu
