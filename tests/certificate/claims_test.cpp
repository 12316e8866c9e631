// The table of claims: one vector per row at least, and every row is hit.
#include "certificate/claims.h"

#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "certificate/grade.h"
#include "crypto/hash.h"

namespace kesu {
namespace {

std::string vectors() { return std::string(KESU_VECTORS) + "/claims"; }

TEST(Claims, EveryRowHasAVectorAndEveryVectorHolds) {
  std::set<std::string> files;
  for (const std::string& name : list_directory(vectors())) files.insert(name);
  for (const ClaimDefinition& claim : claim_definitions()) {
    ASSERT_TRUE(files.erase(claim.id + ".json")) << claim.id << ": no vectors";
    Json doc = parse_json(as_text(read_file(vectors() + "/" + claim.id + ".json")), "vectors");
    EXPECT_EQ(doc.str("claim"), claim.id);
    std::set<size_t> hit;
    for (const Json& item : doc.at("cases").as_array()) {
      std::set<std::string> conditions;
      for (const Json& c : item.at("conditions").as_array()) conditions.insert(c.as_string());
      const ClaimRow& row = evaluate_claim(claim, conditions);
      size_t index = static_cast<size_t>(&row - claim.rows.data());
      EXPECT_EQ(static_cast<int64_t>(index), item.num("row")) << claim.id << " " << item.canonical();
      EXPECT_EQ(level_text(row.level), item.str("level")) << claim.id << " " << item.canonical();
      Json premises((Json::Array()));
      for (const std::string& p : row.premises) premises.push(p);
      EXPECT_EQ(premises, item.at("premises")) << claim.id << " " << item.canonical();
      hit.insert(index);
    }
    EXPECT_EQ(hit.size(), claim.rows.size()) << claim.id << ": a row without a vector";
  }
  EXPECT_TRUE(files.empty()) << "vectors of no claim: " << *files.begin();
}

TEST(Claims, TheSixteenInOrder) {
  std::vector<std::string> ids;
  for (const ClaimDefinition& c : claim_definitions()) ids.push_back(c.id);
  EXPECT_EQ(ids, (std::vector<std::string>{"scope", "plaintext-history", "sealed-before-placed", "algorithms",
                                           "key-origin", "uncompromised", "exclusivity", "copies",
                                           "destroyed", "irreversible", "verified-gone", "authorised",
                                           "logged", "dated", "residue", "validated"}));
  EXPECT_EQ(premise_definitions().size(), 5u);
}

TEST(Claims, NothingIsAboveAssertedWithoutAllHeadersButADate) {
  std::set<std::string> all = known_conditions();
  all.erase("headers-complete");
  for (const ClaimDefinition& claim : claim_definitions()) {
    if (claim.id == "dated") continue;
    EXPECT_LE(evaluate_claim(claim, all).level, Level::asserted) << claim.id;
  }
}

TEST(Claims, MoreEvidenceNeverLowersALevel) {
  const auto& conditions = known_conditions();
  for (const ClaimDefinition& claim : claim_definitions())
    for (const ClaimRow& row : claim.rows)
      for (const std::string& extra : conditions) {
        std::set<std::string> with(row.when.begin(), row.when.end());
        with.insert(extra);
        EXPECT_GE(evaluate_claim(claim, with).level, row.level) << claim.id << " with " << extra;
      }
}

TEST(Claims, EveryConditionIsInTheSpecification) {
  std::string page = to_text(read_file(std::string(KESU_SOURCE) + "/docs/spec/certificate.md"));
  for (const std::string& condition : known_conditions())
    EXPECT_NE(page.find("`" + condition + "`"), std::string::npos) << condition;
}

TEST(Claims, PremisesOfRowsAreDefinedAndBothLanguagesAreThere) {
  std::set<std::string> premises;
  for (const Premise& p : premise_definitions()) {
    premises.insert(p.id);
    EXPECT_FALSE(p.text.en.empty() || p.text.ja.empty()) << p.id;
  }
  for (const ClaimDefinition& claim : claim_definitions())
    for (const ClaimRow& row : claim.rows) {
      EXPECT_FALSE(row.says.en.empty() || row.says.ja.empty()) << claim.id;
      for (const std::string& p : row.premises) EXPECT_TRUE(premises.contains(p)) << claim.id << " " << p;
    }
}

TEST(Profiles, RiseFromLowToHigh) {
  const Profile *low = find_profile("low"), *standard = find_profile("standard"),
                *high = find_profile("high");
  ASSERT_TRUE(low && standard && high);
  EXPECT_EQ(find_profile("none"), nullptr);
  for (size_t i = 0; i < low->least.size(); ++i) {
    EXPECT_LE(low->least[i].second, standard->least[i].second) << low->least[i].first;
    EXPECT_LE(standard->least[i].second, high->least[i].second) << low->least[i].first;
  }
  EXPECT_LE(low->quorum, standard->quorum);
  EXPECT_LT(standard->waiting_seconds, high->waiting_seconds);
  EXPECT_EQ(profiles_digest(), hex(sha256(read_file(std::string(KESU_SOURCE) + "/docs/spec/profiles.json"))));
}

TEST(Profiles, NoneAsksForALevelThatNoRowGives) {
  for (const std::string& name : profile_names())
    for (const auto& [id, least] : find_profile(name)->least) {
      Level best = Level::absent;
      for (const ClaimRow& row : claim_definition(id).rows) best = std::max(best, row.level);
      EXPECT_LE(least, best) << name << " " << id;
    }
}

TEST(Grade, SoftwareTokensAndUnknownModulesAreTestGrade) {
  ProviderIdentity soft;
  soft.kind = "pkcs11";
  soft.manufacturer = "SoftHSM project";
  soft.model = "SoftHSM v2";
  ProviderGrade grade = grade_provider(soft);
  EXPECT_TRUE(grade.test);
  EXPECT_NE(grade.reason.find("SoftHSM"), std::string::npos);
  soft.manufacturer = "Nobody";
  soft.model = "X";
  ProviderGrade other = grade_provider(soft);
  EXPECT_TRUE(other.test);
  EXPECT_NE(other.reason.find("no validation certificate"), std::string::npos);
  auto limits = limits_for({"pkcs11"});
  EXPECT_GT(limits.size(), limits_for({}).size());
}

}  // namespace
}  // namespace kesu
