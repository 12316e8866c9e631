// kill_at [--at N] [--call NAME] [--under PATH] --report FILE -- COMMAND…: runs a command and kills it just
// before its N-th state-changing call; with --call and --under, the N-th of that name and below that path.
//
// The whole process tree is killed, and the N-th call does not happen (tracer.h says which calls count).
// Report, one line each: `call ORDINAL NAME TASK TARGET` (TASK counts tasks by first appearance, the command
// is 0), then `killed ORDINAL` or `exit CODE` (128 + signal when a signal ended it). Own exit code: the
// command's, 137 when killed, 125 when tracing itself failed.
#include <cstdlib>
#include <cstring>

#include "tracer.h"

int main(int argc, char** argv) {
  long at = 0;
  std::string report_path, name, under;
  int i = 1;
  for (; i < argc && std::strcmp(argv[i], "--") != 0; i += 2) {
    if (i + 1 >= argc) break;
    if (!std::strcmp(argv[i], "--at")) at = std::strtol(argv[i + 1], nullptr, 10);
    if (!std::strcmp(argv[i], "--report")) report_path = argv[i + 1];
    if (!std::strcmp(argv[i], "--call")) name = argv[i + 1];
    if (!std::strcmp(argv[i], "--under")) under = argv[i + 1];
  }
  if (i + 1 >= argc || report_path.empty()) {
    std::fprintf(
        stderr,
        "usage: kill_at [--at N] [--call NAME] [--under PATH] --report FILE -- COMMAND [ARGUMENT…]\n");
    return 125;
  }
  FILE* report = traced::open_report(report_path);
  bool killed = false;
  long met = 0;
  const int code = traced::run(argv + i + 1, [&](const traced::Call& call) {
    std::fprintf(report, "call %ld %s %d %s\n", call.ordinal, call.name, call.task, call.target.c_str());
    if ((!name.empty() && name != call.name) || !call.target.starts_with(under)) return traced::Verdict();
    killed = ++met == at;
    return traced::Verdict{.kill = killed};
  });
  if (killed)
    std::fprintf(report, "killed %ld\n", at);
  else
    std::fprintf(report, "exit %d\n", code);
  traced::close_report(report);
  return code;
}
