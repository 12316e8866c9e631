// Runs a command and decides at each of its state-changing system calls: let it happen, fail it, or kill
// everything.
//
// Calls are counted over the command and everything it starts (threads, child processes) in the order in
// which they happen. `strace -e inject=…:when=N` cannot do this: it counts per thread, so the calls of a
// second thread hide behind those of the first, and a hit in a child touches only the child. Here a seccomp
// filter stops the command only at calls that change a file or a directory; everything else runs at full
// speed.
//
// Counted: writes to descriptors other than 1 and 2, truncation, syncs, opens that create or truncate,
// renames, links, unlinks, mkdir, rmdir, chmod.
#pragma once
#include <cstdio>
#include <functional>
#include <string>

namespace traced {

enum class Match { always, data_descriptor, creating_flags };

struct Watched {
  long number;
  const char* name;
  Match match;
  int argument;  // index of the descriptor, of the open flags, or of the path to report
};

struct Call {
  long ordinal;        // from 1
  const char* name;    // "openat"
  int task;            // tasks in the order of their appearance; the command is 0
  std::string target;  // path, or what a descriptor stands for ("pipe:[17]")
};

// Nothing: the call happens. `error`: it does not, and returns this errno. `kill`: it does not, and the whole
// process tree dies.
struct Verdict {
  bool kill = false;
  int error = 0;
};
using Decide = std::function<Verdict(const Call&)>;

// The command's exit code (128 + signal when a signal ended it), 137 when killed here. The process ends with
// 125 when tracing itself fails.
int run(char** command, const Decide& decide);

FILE* open_report(const std::string& path);
void close_report(FILE* report);

}  // namespace traced
