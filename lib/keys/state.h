// Key states and the only transition table: NIST SP 800-57 Part 1 Rev. 5 §7, and KMIP's
// destroyed-compromised. Pure.
#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "keys/period.h"

namespace kesu {

enum class KeyState {
  intended,  // the provider was or will be asked to make it; not yet seen
  absent,    // intended, and shown never to have come to be
  pre_activation,
  active,
  suspended,
  deactivated,
  compromised,
  destroying,  // destruction was ordered; its outcome is not recorded yet
  destroyed,
  destroyed_compromised,
};
std::string_view state_text(KeyState state);  // "pre-activation", …
std::optional<KeyState> parse_key_state(std::string_view text);

// SP 800-57 Pt 1 Rev. 5 §7.3, transitions 1 to 15; destroyed → destroyed-compromised from KMIP 2.1 §4.57 (a
// compromise found after destruction). Steps through `intended` and `destroying` are kesu's own brackets.
bool may_move(KeyState from, KeyState to);
// Where may_move leads, in the order of KeyState.
std::vector<KeyState> moves_from(KeyState from);

// What a version is asked to open something for.
enum class ProcessFor {
  opening,   // data, for somebody
  accepted,  // the same, of a compromised version: a person said why (open --accept-compromised)
  moving,    // data keys, to wrap them anew under another version
  erasing,   // samples and the inventory, for the inspection before its destruction
};
// §7.2, cell by cell (docs/spec/keys.md has the table): may the version protect (wrap, sign) in this state,
// at this point of its cryptoperiod? May it process (unwrap) for this end?
bool may_protect(KeyState state, UsagePhase phase);
bool may_process(KeyState state, UsagePhase phase, ProcessFor why);
// By the state alone: the widest that the other two allow for ordinary use.
bool may_protect(KeyState state);
bool may_process(KeyState state);
// The provider object may still exist.
bool may_exist(KeyState state);

}  // namespace kesu
