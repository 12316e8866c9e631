#include "app/clock_watch.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "app/actor.h"
#include "app/rules.h"

namespace kesu {

std::string length_text(Millis length) {
  struct Unit {
    Millis size;
    const char *one, *many;
  };
  static constexpr Unit kUnits[] = {{365 * 86'400'000LL, " year", " years"},
                                    {86'400'000, " day", " days"},
                                    {3'600'000, " h", " h"},
                                    {60'000, " min", " min"},
                                    {1000, " s", " s"}};
  Millis left = length < 0 ? 0 : length;
  std::string out;
  int shown = 0;
  for (const Unit& u : kUnits) {
    Millis n = left / u.size;
    left %= u.size;
    if (shown && !n) break;
    if (!n) continue;
    out += (shown ? " " : "") + std::to_string(n) + (n == 1 ? u.one : u.many);
    if (++shown == 2) break;
  }
  return out.empty() ? "0 s" : out;
}

ClockFinding clock_finding(const State& state, const std::string& boot_id, int64_t clock, Millis now,
                           const std::string& host) {
  const Millis behind = state.time - now;
  std::string late = "it says " + utc_text(now) + ", the last entry " + utc_text(state.time) + ": " +
                     length_text(behind) + " behind";
  if (!state.vault.boot_id.empty() && state.vault.boot_id == boot_id) {
    const Millis by = clock - state.vault.clock;
    if (std::llabs(by) > kClockSlack)
      return {"clock-jumped",
              "the clock of " + host + " was set " + (by < 0 ? "back" : "forward") + " by " +
                  length_text(std::llabs(by)) + " (" + std::to_string(std::llabs(by)) +
                  " ms) since kesu ran there last" + (behind > kClockSlack ? "; " + late : ""),
              by};
  }
  if (behind <= kClockSlack) return {};
  // While it is behind, entries bear the last one's time: a finding of that time is this occurrence's.
  for (auto& [seq, f] : state.findings)
    if (f.time == state.time && is_clock_finding(f.what)) return {};
  return {"clock-behind",
          "the clock of " + host + " is behind the ledger: " + late + " (" + std::to_string(behind) + " ms)",
          -behind};
}

bool is_clock_finding(std::string_view what) { return what == "clock-jumped" || what == "clock-behind"; }

WaitingEnd waiting_end(const State& state, const ErasureRecord& erasure) {
  WaitingEnd out{erasure.approved, ""};
  const Millis length =
      rules_in_force(state, {erasure.requested_seq, erasure.requested}).waiting_seconds * 1000;
  if (!erasure.approved || !length) return out;
  uint64_t newest = 0;
  for (auto& [seq, f] : state.findings) {
    // Entries' times never fall: what was found before the approval bears no later time.
    if (f.node != state.vault.id || !is_clock_finding(f.what) || f.time < erasure.approved) continue;
    const uint64_t n = std::stoull(seq);
    if (n < newest) continue;
    newest = n;
    out = {f.time, "entry " + seq + " (" + f.what + "): " + f.detail};
  }
  out.at += length;
  return out;
}

void refuse_clock_before(Vault& vault, Millis than, const std::string& tried) {
  Clock& clock = vault.env().clock;
  if (Millis early = than - clock.now(); early > 0 && early <= kClockPatience)
    std::this_thread::sleep_for(std::chrono::milliseconds(early + 1));
  const Millis now = clock.now();
  if (now >= than) return;
  throw Error(Code::waiting, "this host's clock is " + length_text(than - now) +
                                 " behind the ledger: this can be done from " + local_text(than + 59'999) +
                                 " on")
      .tried(tried)
      .cause("the clock says " + utc_text(now) + ", the ledger's entry " + utc_text(than) +
             ": an inspection now would seem older than what it follows, and show nothing")
      .next(
          "set the clock right if it is wrong (kesu doctor); otherwise run the same command again when it is "
          "past that time");
}

void refuse_behind_ledger(Vault& vault) {
  refuse_clock_before(vault, vault.state().time, "checking the clock before anything is destroyed");
}

void watch_clock(Vault& vault) {
  if (vault.store().read_only() || vault.state().vault.closed || vault.state().size == 0) return;
  const Json me = this_process();
  ClockFinding found;
  auto look = [&] {
    return clock_finding(vault.state(), me.str("boot_id"), me.num("clock"), vault.env().clock.now(),
                         me.str("host"));
  };
  if (look().what.empty()) return;
  vault.decide({vault.state().vault.id}, [&] {
    found = look();  // another command may have recorded it meanwhile
    if (found.what.empty()) return std::vector<Event>{};
    return std::vector<Event>{
        {.type = "finding-recorded",
         .nodes = {{.id = vault.state().vault.id}},
         .body = Json::object({{"what", found.what}, {"detail", found.detail}, {"actor", me}})}};
  });
  if (found.what.empty()) return;
  vault.env().notice(found.detail + "; recorded as a finding (kesu doctor shows the clock's state)");
}

}  // namespace kesu
