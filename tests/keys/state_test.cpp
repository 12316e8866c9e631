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

// SP 800-57 Pt 1 Rev. 5 §7.2 and docs/spec/keys.md, cell by cell: state × where in the period × for what.
TEST(KeyState, WhoMayProtectAndProcess) {
  using enum UsagePhase;
  using enum ProcessFor;
  struct Row {
    const char* state;
    const char* protects;                             // phases: o(riginating), r(eceiving), (o)v(er)
    const char *opens, *accepted, *moving, *erasing;  // likewise
  };
  constexpr Row kTable[] = {
      {"intended", "", "", "", "", ""},
      {"absent", "", "", "", "", ""},
      {"pre-activation", "", "", "", "", ""},
      {"active", "o", "or", "or", "orv", "orv"},
      {"suspended", "", "", "", "", "orv"},
      {"deactivated", "", "or", "or", "orv", "orv"},
      {"compromised", "", "", "or", "orv", "orv"},
      {"destroying", "", "", "", "", ""},
      {"destroyed", "", "", "", "", ""},
      {"destroyed-compromised", "", "", "", "", ""},
  };
  int rows = 0;
  for (const Row& row : kTable) {
    auto state = parse_key_state(row.state);
    ASSERT_TRUE(state);
    ++rows;
    for (auto [phase, letter] : {std::pair(originating, 'o'), {receiving, 'r'}, {over, 'v'}}) {
      auto has = [&, l = letter](const char* cell) {
        return std::string_view(cell).find(l) != std::string_view::npos;
      };
      EXPECT_EQ(may_protect(*state, phase), has(row.protects)) << row.state << letter;
      EXPECT_EQ(may_process(*state, phase, opening), has(row.opens)) << row.state << letter;
      EXPECT_EQ(may_process(*state, phase, accepted), has(row.accepted)) << row.state << letter;
      EXPECT_EQ(may_process(*state, phase, moving), has(row.moving)) << row.state << letter;
      EXPECT_EQ(may_process(*state, phase, erasing), has(row.erasing)) << row.state << letter;
    }
    EXPECT_EQ(may_protect(*state), row.protects[0] != 0) << row.state;
    EXPECT_EQ(may_process(*state), row.opens[0] != 0) << row.state;
    EXPECT_EQ(state_text(*state), row.state);
  }
  EXPECT_EQ(rows, static_cast<int>(std::size(kAll)));
  EXPECT_FALSE(parse_key_state("gone"));
}

TEST(KeyState, MovesAreListedInOrder) {
  EXPECT_EQ(moves_from(KeyState::suspended), (std::vector{KeyState::active, KeyState::deactivated,
                                                          KeyState::compromised, KeyState::destroying}));
  EXPECT_TRUE(moves_from(KeyState::destroyed_compromised).empty());
}

}  // namespace
}  // namespace kesu
