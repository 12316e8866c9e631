// Use cases that move key versions between states, and the one place that asks whether a version may be used
// now: its state and its cryptoperiod (docs/spec/keys.md; SP 800-57 Pt 1 Rev. 5 §5.3, §7).
#pragma once
#include <string>
#include <vector>

#include "app/vault.h"
#include "keys/state.h"

namespace kesu {

// May `version` wrap or sign now? Errors: state_refused; period_over when its originator-usage period has
// ended (next: kesu key rotate).
void refuse_to_protect(Vault& vault, const VersionRecord& version);
// May it open what it wrapped, for this end? Errors: state_refused; period_over when its recipient-usage
// period has ended (next: kesu rewrap, or an exception). Re-wrapping, erasing and inspecting do not ask for
// the period.
void refuse_to_process(Vault& vault, const VersionRecord& version, ProcessFor why);

// A key, or one version of it, as people write it: `loans`, `loans.2`, an identifier or its first digits,
// with or without `.2`; `number` is what --version said, 0 for nothing. Errors: not_found,
// identifier_ambiguous, usage when both are given and differ.
struct KeyWord {
  std::string key;      // `key-…`
  uint32_t number = 0;  // 0: none was named
};
KeyWord find_key_word(Vault& vault, const std::string& text, uint32_t number = 0);
// "loans.2", as people know it.
std::string version_name(const State& state, const VersionRecord& version);
// What to type so that the key has an active version again.
std::string how_to_activate(const State& state, const KeyRecord& key);
// What to type so that a suspended version opens again what it sealed.
std::string how_to_end_suspension(const State& state, const VersionRecord& version);
// Everything that a decision on one version of this key rests on: all its versions, and the vault, whose
// stream moves when an erasure is requested.
std::vector<std::string> key_streams(const State& state, const KeyRecord& key);

enum class KeyAct { activate, suspend, resume, deactivate, compromise };
struct StateOrder {
  KeyWord which;
  KeyAct act = KeyAct::activate;
  bool all_versions = false;  // of a compromise: every version that is not yet marked
  std::string reason;
  Millis occurred = 0;  // of a compromise: when it happened, as far as known
};
// The versions that the order means, decided on the state as it is. Errors: usage where several could be
// meant; state_refused, saying what is possible.
std::vector<std::string> versions_meant(const State& state, const StateOrder& order);
// One append: a key-state-changed for each version moved; activating one deactivates the one that is active.
// Returns the versions that the order meant. Errors: as versions_meant; frozen (an erasure holds the key;
// never for a compromise); period_over (resume); bad_input (`occurred` in the future); usage (no reason).
std::vector<std::string> change_state(Vault& vault, const StateOrder& order);

// A point in time as people type it: `2026-11-21T09:12:00.000Z` (with less precision, too), or a day of the
// local time zone, which stands for its begin, or with `end_of_day` for its end. Throws bad_input.
Millis read_time(const std::string& text, bool end_of_day);

}  // namespace kesu
