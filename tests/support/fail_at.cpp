// fail_at [--at N] [--error NAME] [--from] [--under PATH]… --report FILE -- COMMAND…: the N-th state-changing
// call of a command below one of the paths does not happen, and returns an error instead; with --from, so do
// all that come after it and could meet the same scarcity (a disk that is full stays full: nothing grows, but
// names can be removed).
//
// Counted are the calls of tracer.h that concern a file below one of the paths (all files, if none is named);
// pipes, sockets and devices never. Report, one line each: `call ORDINAL NAME TASK TARGET`, with `failed` in
// place of `call` where it was made to fail; then `exit CODE`. Own exit code: the command's, 125 when tracing
// itself failed.
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <vector>

#include "tracer.h"

namespace {
const std::map<std::string, int> kErrors = {{"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EIO", EIO},
                                            {"EMFILE", EMFILE}, {"ENFILE", ENFILE}, {"ENOMEM", ENOMEM},
                                            {"EROFS", EROFS},   {"EACCES", EACCES}, {"EFBIG", EFBIG}};
// What needs no space goes on to work where space has run out.
const std::set<std::string> kFreeing = {"unlink", "unlinkat", "rmdir",     "chmod",
                                        "fchmod", "fchmodat", "ftruncate", "truncate"};

struct Options {
  long at = 0;
  bool from = false;
  int error = ENOSPC;
  std::vector<std::string> under;
  std::string report;
};

bool below(const std::string& path, const std::vector<std::string>& roots) {
  if (!path.starts_with('/') || path.starts_with("/dev/pts/") || path == "/dev/null") return false;
  for (const std::string& root : roots)
    if (path == root || path.starts_with(root + "/")) return true;
  return roots.empty();
}

// A file that is there needs no space to be opened.
bool can_meet(const traced::Call& call, int error) {
  const std::string name = call.name;
  const bool opens = name == "open" || name == "openat" || name == "mknodat";
  return !(opens && (error == ENOSPC || error == EDQUOT) && access(call.target.c_str(), F_OK) == 0);
}

int usage() {
  std::fprintf(stderr,
               "usage: fail_at [--at N] [--error NAME] [--from] [--under PATH]… --report FILE -- COMMAND…\n");
  return 125;
}
}  // namespace

int main(int argc, char** argv) {
  Options o;
  int i = 1;
  for (; i < argc && std::strcmp(argv[i], "--") != 0; ++i) {
    const std::string word = argv[i];
    if (word == "--from") {
      o.from = true;
      continue;
    }
    if (i + 1 >= argc) return usage();
    const std::string value = argv[++i];
    if (word == "--at") o.at = std::strtol(value.c_str(), nullptr, 10);
    if (word == "--under") o.under.push_back(value);
    if (word == "--report") o.report = value;
    if (word == "--error") {
      auto known = kErrors.find(value);
      if (known == kErrors.end()) return usage();
      o.error = known->second;
    }
  }
  if (i + 1 >= argc || o.report.empty()) return usage();
  FILE* report = traced::open_report(o.report);
  long ordinal = 0;
  const int code = traced::run(argv + i + 1, [&](const traced::Call& call) {
    if (!below(call.target, o.under)) return traced::Verdict{};
    ++ordinal;
    const bool later = o.from && o.at > 0 && ordinal > o.at && !kFreeing.contains(call.name);
    const bool fails = (ordinal == o.at || later) && can_meet(call, o.error);
    std::fprintf(report, "%s %ld %s %d %s\n", fails ? "failed" : "call", ordinal, call.name, call.task,
                 call.target.c_str());
    return traced::Verdict{.error = fails ? o.error : 0};
  });
  std::fprintf(report, "exit %d\n", code);
  traced::close_report(report);
  return code;
}
