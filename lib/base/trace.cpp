// The sinks of the trace, and the form of its lines.
#include "base/trace.h"

#include <atomic>
#include <cstdio>
#include <mutex>
#include <vector>

namespace kesu {

namespace {
std::atomic<bool> listening{false};
std::mutex& lock() {
  static auto* m = new std::mutex;
  return *m;
}
std::vector<std::function<void(const std::string&)>>& sinks() {
  static auto* s = new std::vector<std::function<void(const std::string&)>>;
  return *s;
}
}  // namespace

void add_trace_sink(std::function<void(const std::string&)> sink) {
  std::lock_guard guard(lock());
  sinks().push_back(std::move(sink));
  listening = true;
}

bool tracing() { return listening; }

void trace(std::string_view provider, std::string_view call, std::initializer_list<TraceField> fields,
           std::chrono::steady_clock::duration took) {
  if (!tracing()) return;
  std::string line(provider);
  line.append(" ").append(call);
  for (const TraceField& f : fields) {
    if (f.text.empty()) continue;
    line.append(" ").append(f.name).append("=").append(f.text);
  }
  char ms[32];
  std::snprintf(ms, sizeof ms, " ms=%.3f", std::chrono::duration<double, std::milli>(took).count());
  line += ms;
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  std::lock_guard guard(lock());
  for (auto& sink : sinks()) sink(line);
}

}  // namespace kesu
