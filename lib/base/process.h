// Running another program: no shell, only the environment and the descriptors that are named.
#pragma once
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace kesu {

struct ProgramResult {
  int exit = -1;  // exit code; 128 + signal when killed by one; 127 when it could not be started
  bool timed_out = false;
  Bytes out;
  std::string err;  // bounded to 64 KiB
};

struct ProgramRequest {
  std::vector<std::string> argv = {};         // argv[0] is looked up in PATH unless it holds a slash
  std::vector<std::string> environment = {};  // "NAME=value", the whole of it
  Bytes input = {};
  Millis timeout = 60'000;
  size_t max_output = 64u << 20;  // more kills it; exit is then 128 + SIGKILL
  bool inherit_terminal_input =
      false;  // stdin is the caller's: for programs that ask a person (ssh-keygen, agents)
};

// Throws io_failed when no process can be made. The child gets no other descriptors than 0, 1, 2, and dies
// when this process does.
ProgramResult run_program(const ProgramRequest& request);
// The caller's own environment, for programs that act in the person's name.
std::vector<std::string> whole_environment();

}  // namespace kesu
