// From evidence to level: the one function, as data (docs/spec/claims.json, docs/spec/profiles.json). Pure.
#pragma once
#include <compare>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace kesu {

// Weakest first (docs/spec/certificate.md, "From evidence to level").
enum class Level { absent, asserted, recorded, attested, proven };
std::string_view level_text(Level level);
std::optional<Level> parse_level(std::string_view text);

struct BilingualText {
  std::string en, ja;
};
struct Premise {
  std::string id;
  BilingualText text;
};
struct ClaimRow {
  std::vector<std::string> when;  // all must hold
  Level level = Level::absent;
  std::vector<std::string> premises;
  BilingualText says;
};
struct ClaimDefinition {
  std::string id;
  BilingualText title;
  std::vector<ClaimRow> rows;  // the first whose conditions hold counts; the last has none
};

// In the order of the table.
const std::vector<ClaimDefinition>& claim_definitions();
const std::vector<Premise>& premise_definitions();
// Throws Error bad_input when there is no such claim.
const ClaimDefinition& claim_definition(std::string_view id);
// Every condition that some row names.
const std::set<std::string>& known_conditions();

// The row that decides; it stays valid for the life of the program.
const ClaimRow& evaluate_claim(const ClaimDefinition& claim, const std::set<std::string>& conditions);

struct Profile {
  std::string name;  // low, standard, high
  int64_t quorum = 1;
  int64_t waiting_seconds = 0;
  int64_t witness_quorum = 0;
  bool timestamp = false, bind_payload = false;
  bool restart = false;  // of the host, between the last destruction and the inspection after
  bool signed_commands = false;
  std::vector<std::pair<std::string, Level>> least;  // per claim, in the order of the table
};
// nullptr when there is no profile of that name.
const Profile* find_profile(std::string_view name);
std::vector<std::string> profile_names();
// SHA-256 of docs/spec/profiles.json, hex: what plans name.
std::string profiles_digest();
// Is it that, or of an earlier table that says the same of everything but `restart` and `signed_commands`?
bool known_profiles_digest(std::string_view digest);

// Versions of the built-in tables.
int64_t claims_version();
int64_t profiles_version();
int64_t providers_version();

}  // namespace kesu
