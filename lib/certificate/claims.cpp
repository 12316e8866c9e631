// Reads the built-in tables once and evaluates them.
#include "certificate/claims.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/json.h"
#include "certificate/tables_impl.h"
#include "crypto/hash.h"

namespace kesu {

namespace {

constexpr std::pair<Level, std::string_view> kLevels[] = {{Level::absent, "absent"},
                                                          {Level::asserted, "asserted"},
                                                          {Level::recorded, "recorded"},
                                                          {Level::attested, "attested"},
                                                          {Level::proven, "proven"}};

Level level_member(const Json& value) {
  auto level = parse_level(value.as_string());
  if (!level) throw Error(Code::failed, "built-in table: no level " + value.as_string());
  return *level;
}

std::vector<std::string> texts(const Json& array) {
  std::vector<std::string> out;
  for (const Json& item : array.as_array()) out.push_back(item.as_string());
  return out;
}

struct Tables {
  int64_t claims_version = 0, profiles_version = 0;
  std::vector<ClaimDefinition> claims;
  std::vector<Premise> premises;
  std::set<std::string> conditions;
  std::vector<Profile> profiles;
};

void read_claims(Tables& out) {
  Json doc = parse_json(embedded_claims, "docs/spec/claims.json");
  out.claims_version = doc.num("version");
  for (const auto& [id, text] : doc.at("premises").as_object()) out.premises.push_back({id, bilingual(text)});
  for (const Json& item : doc.at("claims").as_array()) {
    ClaimDefinition claim{item.str("id"), bilingual(item.at("title")), {}};
    for (const Json& row : item.at("rows").as_array()) {
      claim.rows.push_back({texts(row.at("when")), level_member(row.at("level")), texts(row.at("premises")),
                            bilingual(row.at("says"))});
      out.conditions.insert(claim.rows.back().when.begin(), claim.rows.back().when.end());
    }
    if (claim.rows.empty() || !claim.rows.back().when.empty() || claim.rows.back().level != Level::absent)
      throw Error(Code::failed, "built-in table: the last row of " + claim.id + " is not absent");
    out.claims.push_back(std::move(claim));
  }
}

void read_profiles(Tables& out) {
  Json doc = parse_json(embedded_profiles, "docs/spec/profiles.json");
  out.profiles_version = doc.num("version");
  for (const char* name : {"low", "standard", "high"}) {
    const Json& item = doc.at("profiles").at(name);
    Profile p{name,
              item.num("quorum"),
              item.num("waiting_seconds"),
              item.num("witness_quorum"),
              item.flag("timestamp"),
              item.flag("bind_payload"),
              item.flag("restart"),
              item.flag("signed_commands"),
              {}};
    for (const ClaimDefinition& claim : out.claims)
      p.least.emplace_back(claim.id, level_member(item.at("claims").at(claim.id)));
    out.profiles.push_back(std::move(p));
  }
}

const Tables& tables() {
  static const Tables all = [] {
    Tables out;
    read_claims(out);
    read_profiles(out);
    return out;
  }();
  return all;
}

}  // namespace

BilingualText bilingual(const Json& value) { return {value.str("en"), value.str("ja")}; }

std::string_view level_text(Level level) {
  for (const auto& [value, text] : kLevels)
    if (value == level) return text;
  return "";
}

std::optional<Level> parse_level(std::string_view text) {
  for (const auto& [value, name] : kLevels)
    if (name == text) return value;
  return std::nullopt;
}

const std::vector<ClaimDefinition>& claim_definitions() { return tables().claims; }
const std::vector<Premise>& premise_definitions() { return tables().premises; }
const std::set<std::string>& known_conditions() { return tables().conditions; }

const ClaimDefinition& claim_definition(std::string_view id) {
  for (const ClaimDefinition& claim : tables().claims)
    if (claim.id == id) return claim;
  throw Error(Code::bad_input, "no claim \"" + std::string(id) + "\"");
}

const ClaimRow& evaluate_claim(const ClaimDefinition& claim, const std::set<std::string>& conditions) {
  for (const ClaimRow& row : claim.rows)
    if (std::all_of(row.when.begin(), row.when.end(), [&](const auto& c) { return conditions.contains(c); }))
      return row;
  return claim.rows.back();
}

const Profile* find_profile(std::string_view name) {
  for (const Profile& p : tables().profiles)
    if (p.name == name) return &p;
  return nullptr;
}

std::vector<std::string> profile_names() {
  std::vector<std::string> out;
  for (const Profile& p : tables().profiles) out.push_back(p.name);
  return out;
}

std::string profiles_digest() { return hex(sha256(as_bytes(embedded_profiles))); }
bool known_profiles_digest(std::string_view digest) {
  // Before `restart`, and before `signed_commands` was in the table.
  constexpr std::string_view kFirst = "882f2f35a0c5492fc87118f008a22666acc35b447aefa5c98e919a7e0b302eae";
  constexpr std::string_view kSecond = "dd9f1940a0d15b400a3ee48d8b3112219faa5e7cd56c576bf91ad22ac7075c07";
  return digest == profiles_digest() || digest == kFirst || digest == kSecond;
}

int64_t claims_version() { return tables().claims_version; }
int64_t profiles_version() { return tables().profiles_version; }

}  // namespace kesu
