#include "keys/state.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace kesu {
namespace {

constexpr KeyState kAll[] = {KeyState::intended,       KeyState::absent,
                             KeyState::pre_activation, KeyState::active,
                             KeyState::suspended,      KeyState::deactivated,
                             KeyState::compromised,    KeyState::destroying,
                             KeyState::destroyed,      KeyState::destroyed_compromised};

// Every cell, against a table written from the standard's figure and not from the code.
TEST(KeyState, TransitionTableCellByCell) {
  const std::map<std::string, std::set<std::string>> allowed = {
      {"intended", {"absent", "pre-activation", "active"}},
      {"absent", {}},
      {"pre-activation", {"active", "compromised", "destroying"}},
      {"active", {"suspended", "deactivated", "compromised", "destroying"}},
      {"suspended", {"active", "deactivated", "compromised", "destroying"}},
      {"deactivated", {"compromised", "destroying"}},
      {"compromised", {"destroying"}},
      {"destroying",
       {"destroyed", "destroyed-compromised", "pre-activation", "active", "suspended", "deactivated",
        "compromised"}},
      {"destroyed", {"destroyed-compromised"}},
      {"destroyed-compromised", {}}};
  for (KeyState from : kAll)
    for (KeyState to : kAll)
      EXPECT_EQ(may_move(from, to),
                allowed.at(std::string(state_text(from))).contains(std::string(state_text(to))))
          << state_text(from) << " -> " << state_text(to);
}

TEST(KeyState, WhoMayProtectAndProcess) {
  for (KeyState s : kAll) {
    EXPECT_EQ(may_protect(s), s == KeyState::active) << state_text(s);
    EXPECT_EQ(may_process(s), s == KeyState::active || s == KeyState::deactivated) << state_text(s);
    EXPECT_EQ(parse_key_state(state_text(s)), s);
  }
  EXPECT_FALSE(parse_key_state("gone"));
}

}  // namespace
}  // namespace kesu
