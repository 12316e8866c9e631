// Running another program: no shell, only the environment and the descriptors that are named.
#pragma once
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace kesu {

struct ProgramResult {
  int exit = -1;   // exit code; 128 + signal when killed by one; 127 when it could not be started
  int signal = 0;  // that ended it
  bool timed_out = false, too_long = false;  // it was killed, since it took too long or wrote too much
  Bytes out;
  std::string err;  // the first `max_err` bytes of it
};

struct ProgramRequest {
  std::vector<std::string> argv = {};         // argv[0] is looked up in PATH unless it holds a slash
  std::vector<std::string> environment = {};  // "NAME=value"
  // Names of the caller's own variables that it gets besides. Their values are not copied: one may be a PIN.
  std::vector<std::string> pass = {};
  Bytes input = {};
  Millis timeout = 60'000;
  size_t max_output = 64u << 20;  // more kills it
  size_t max_err = 65536;         // more is read and left out
};

// Returns when the program has ended. Throws io_failed when no process can be made. The child gets no other
// descriptors than 0, 1, 2, default signals, and dies when this process does.
ProgramResult run_program(const ProgramRequest& request);
// The caller's own environment, for programs that act in the person's name.
std::vector<std::string> whole_environment();

}  // namespace kesu
