#include "parts.h"

#include "context.h"

namespace kesu::cli {

Json parts_json(const std::vector<Skipped>& parts) {
  Json out(Json::Array{});
  for (const Skipped& p : parts)
    out.push(Json::object({{"path", name_to_json(p.path)}, {"code", code_text(p.code)}, {"why", p.why}}));
  return out;
}

std::string parts_text(const std::vector<Skipped>& parts, const std::string& word) {
  constexpr size_t kShown = 20;
  std::string out;
  for (size_t i = 0; i < parts.size() && i < kShown; ++i)
    out += "  " + word + "  " + printable(parts[i].path, false) + ": " + parts[i].why + "\n";
  if (parts.size() > kShown)
    out += "  " + word + "  and " + grouped(static_cast<int64_t>(parts.size() - kShown)) +
           " more (--json lists all)\n";
  return out;
}

void fail_alone(const std::vector<Skipped>& failed, int64_t done) {
  if (failed.size() != 1 || done != 0) return;
  Error alone(failed[0].code, failed[0].path + ": " + failed[0].why);
  if (alone.code() == Code::disk_full) alone.next("free some space there, then run the same command again");
  if (alone.code() == Code::io_failed) alone.next("remove the cause, then run the same command again");
  if (alone.code() == Code::memory_lock || alone.code() == Code::out_of_memory)
    alone.next("raise that limit (ulimit -l, ulimit -v), then run the same command again");
  throw alone;
}

}  // namespace kesu::cli
