#include "keys/state.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace kesu {

namespace {
using S = KeyState;
constexpr std::pair<S, std::string_view> kTexts[] = {
    {S::intended, "intended"},
    {S::absent, "absent"},
    {S::pre_activation, "pre-activation"},
    {S::active, "active"},
    {S::suspended, "suspended"},
    {S::deactivated, "deactivated"},
    {S::compromised, "compromised"},
    {S::destroying, "destroying"},
    {S::destroyed, "destroyed"},
    {S::destroyed_compromised, "destroyed-compromised"},
};

constexpr std::pair<S, S> kMoves[] = {
    {S::intended, S::pre_activation},
    {S::intended, S::active},
    {S::intended, S::absent},
    {S::pre_activation, S::destroying},
    {S::pre_activation, S::compromised},
    {S::pre_activation, S::active},  // 2, 3, 4
    {S::active, S::destroying},
    {S::active, S::compromised},
    {S::active, S::suspended},
    {S::active, S::deactivated},  // 5–8
    {S::suspended, S::destroying},
    {S::suspended, S::active},
    {S::suspended, S::compromised},
    {S::suspended, S::deactivated},  // 9–12
    {S::deactivated, S::compromised},
    {S::deactivated, S::destroying},  // 13, 14
    {S::compromised, S::destroying},  // 15
    {S::destroying, S::destroyed},
    {S::destroying, S::destroyed_compromised},
    // The provider shows that the object is still there: back to what it was.
    {S::destroying, S::pre_activation},
    {S::destroying, S::active},
    {S::destroying, S::suspended},
    {S::destroying, S::deactivated},
    {S::destroying, S::compromised},
    {S::destroyed, S::destroyed_compromised},
};
}  // namespace

std::string_view state_text(KeyState state) {
  for (auto& [s, text] : kTexts)
    if (s == state) return text;
  return "unknown";
}

std::optional<KeyState> parse_key_state(std::string_view text) {
  for (auto& [s, t] : kTexts)
    if (t == text) return s;
  return std::nullopt;
}

bool may_move(KeyState from, KeyState to) {
  return std::find(std::begin(kMoves), std::end(kMoves), std::pair(from, to)) != std::end(kMoves);
}
std::vector<KeyState> moves_from(KeyState from) {
  std::vector<KeyState> out;
  for (auto& [state, text] : kTexts)
    if (may_move(from, state)) out.push_back(state);
  return out;
}

bool may_protect(KeyState s, UsagePhase phase) { return s == S::active && phase == UsagePhase::originating; }

bool may_process(KeyState s, UsagePhase phase, ProcessFor why) {
  bool in_time = phase != UsagePhase::over;
  switch (why) {
    case ProcessFor::opening:
      return in_time && (s == S::active || s == S::deactivated);
    case ProcessFor::accepted:
      return in_time && (s == S::active || s == S::deactivated || s == S::compromised);
    // Whose period is over must be moved away from, and may be destroyed: the period does not hinder either.
    case ProcessFor::moving:
      return s == S::active || s == S::deactivated || s == S::compromised;
    case ProcessFor::erasing:
      return s == S::active || s == S::suspended || s == S::deactivated || s == S::compromised;
  }
  return false;
}

bool may_protect(KeyState s) { return may_protect(s, UsagePhase::originating); }
bool may_process(KeyState s) { return may_process(s, UsagePhase::originating, ProcessFor::opening); }
bool may_exist(KeyState s) { return s != S::absent && s != S::destroyed && s != S::destroyed_compromised; }

}  // namespace kesu
