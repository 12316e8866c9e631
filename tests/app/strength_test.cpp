// The chain of a dataset over the years: what it is worth, until when, and when its data must be sealed anew.
#include "app/strength.h"

#include <gtest/gtest.h>

#include "base/clock.h"

namespace kesu {
namespace {

std::string hex_id(const char* prefix, char digit) { return std::string(prefix) + std::string(32, digit); }

// One dataset of 3 + 4 objects under loans.1 in a token; every test changes what it is about.
struct World {
  State state;
  std::string v1 = hex_id("key-", '1') + ".1", v2 = hex_id("key-", '1') + ".2", prv = hex_id("prv-", '2'),
              ds = hex_id("ds-", '3'), b1 = hex_id("bat-", '4'), b2 = hex_id("bat-", '5'),
              dsk = hex_id("dsk-", '6');

  World() {
    ProviderRecord& p = state.providers[prv];
    p.id = prv;
    p.name = "bank";
    p.identity.kind = "pkcs11";
    KeyRecord& k = state.keys[hex_id("key-", '1')];
    k.id = hex_id("key-", '1');
    k.name = "loans";
    add_version(v1, "active");
    DatasetRecord& d = state.datasets[ds];
    d.id = ds;
    d.name = "loans-2019";
    d.key = k.id;
    d.state = "open";
    d.settings = Json::object({{"content_algorithm", "AES-256-GCM"}, {"unreadable_until", "open-ended"}});
    DatasetKeyRecord key;
    key.id = dsk;
    key.version = v1;
    key.wrapped.algorithm = WrapAlg::aes256_gcm;
    d.keys.push_back(key);
    for (auto [id, n] : {std::pair{b1, 3}, std::pair{b2, 4}}) {
      BatchRecord b;
      b.id = id;
      b.state = "sealed";
      b.version = v1;
      b.dataset_key = dsk;
      b.content_algorithm = b.wrap_algorithm = "AES-256-GCM";
      b.n = n;
      b.reached_by = {v1};
      d.batches.add(b);
    }
  }
  void add_version(const std::string& id, const std::string& is) {
    VersionRecord v;
    v.id = id;
    v.state = is;
    v.provider = prv;
    state.keys[hex_id("key-", '1')].versions.push_back(v);
  }
  void change(const std::string& batch, const std::function<void(BatchRecord&)>& how) {
    BatchRecord b = *dataset().batches.find(batch);
    how(b);
    dataset().batches.replace(b);
  }
  void change_all(const std::function<void(BatchRecord&)>& how) { change(b1, how), change(b2, how); }
  DatasetRecord& dataset() { return state.datasets.at(ds); }
  void sealed_with(const std::string& algorithm, const std::string& until) {
    change_all([&](BatchRecord& b) { b.content_algorithm = algorithm; });
    dataset().settings.set("content_algorithm", algorithm).set("unreadable_until", until);
  }
  ResealDue due(int year) { return reseal_due(state, dataset(), year); }
  DatasetStrength strength(int year) { return StrengthJudge(state, year).strength(dataset()); }
};

TEST(Strength, AllOfAes256IsGoodForEver) {
  World w;
  for (int year : {2026, 2030, 2031, 2041, 2051}) {
    DatasetStrength s = w.strength(year);
    EXPECT_GE(s.bits, 192) << s.weakest;
    EXPECT_TRUE(s.holds && s.may_seal) << year;
    EXPECT_EQ(s.horizon, policy::kNoLimit);
    EXPECT_FALSE(w.due(year).due) << year;
    EXPECT_TRUE(s.findings.empty()) << s.findings.front();
  }
  EXPECT_TRUE(strength_json(w.strength(2026)).at("until").is_null());
}

TEST(Strength, TheWeakestLinkIsNamed) {
  World w;
  w.sealed_with("AES-128-GCM", "2045");
  DatasetStrength s = w.strength(2026);
  EXPECT_EQ(s.bits, 128);
  EXPECT_EQ(s.weakest, "payload AES-128-GCM");
  EXPECT_EQ(s.horizon, 2050);
  EXPECT_TRUE(s.holds);
  std::set<std::string> parts;
  for (const StrengthLink& l : s.links) parts.insert(l.part);
  EXPECT_EQ(parts, (std::set<std::string>{"payload", "wrap", "dataset-key", "random"}));
  EXPECT_EQ(s.links[1].name, "wrap AES-256-GCM under loans.1");
}

TEST(Reseal, Aes128IsDueWhenItsPeriodEnds) {
  World w;
  w.sealed_with("AES-128-GCM", "2040");
  for (int year : {2026, 2030, 2031, 2040, 2041, 2050, 2051, 2060}) EXPECT_FALSE(w.due(year).due) << year;
  EXPECT_TRUE(w.strength(2050).may_seal);
  EXPECT_FALSE(w.strength(2051).may_seal) << "no new objects from 2051, reading what is there still";
  ResealDue due = w.due(2061);
  ASSERT_TRUE(due.due);
  EXPECT_EQ(due.objects, 7);
  ASSERT_EQ(due.reasons.size(), 1u);
  EXPECT_NE(due.reasons[0].find("the time of AES-128-GCM is over"), std::string::npos) << due.reasons[0];
  EXPECT_EQ(reseal_json(due).num("objects"), 7);
}

TEST(Reseal, WhatIsTooWeakForTheWantedEndIsDueAtOnce) {
  World w;
  w.sealed_with("AES-128-GCM", "open-ended");
  ResealDue due = w.due(2026);
  EXPECT_TRUE(due.due);
  EXPECT_NE(due.reasons.at(0).find("does not keep them unreadable without an end year"), std::string::npos);
  w.sealed_with("AES-128-GCM", "2055");
  EXPECT_NE(w.due(2026).reasons.at(0).find("unreadable until 2055"), std::string::npos);
  // Only the batches that have it, each counted once.
  w.sealed_with("AES-256-GCM", "open-ended");
  w.change(w.b1, [](BatchRecord& b) { b.content_algorithm = "AES-128-GCM"; });
  EXPECT_EQ(w.due(2026).objects, 3);
  EXPECT_EQ(w.strength(2026).bits, 128);
  w.change(w.b1, [](BatchRecord& b) { b.state = "abandoned"; });
  EXPECT_FALSE(w.due(2026).due);
}

TEST(Reseal, CamelliaHasTheSameYearsAsAes) {
  World w;
  w.sealed_with("Camellia-256-GCM", "open-ended");
  for (int year : {2026, 2041, 2061}) EXPECT_FALSE(w.due(year).due) << year;
  w.sealed_with("Camellia-128-GCM", "2045");
  EXPECT_FALSE(w.due(2045).due);
  EXPECT_TRUE(w.due(2061).due);
}

TEST(Reseal, AnUnknownAlgorithmIsDueAndWorthNothing) {
  World w;
  for (auto& [member, value] : {std::pair{"payload", "unheard-of"}, std::pair{"wrap", "homemade"}}) {
    World one;
    one.change(one.b1, [&](BatchRecord& b) {
      (std::string(member) == "wrap" ? b.wrap_algorithm : b.content_algorithm) = value;
    });
    EXPECT_TRUE(one.due(2026).due) << member;
    EXPECT_EQ(one.due(2026).objects, 3);
    DatasetStrength s = one.strength(2026);
    EXPECT_EQ(s.bits, 0);
    EXPECT_FALSE(s.holds);
    EXPECT_NE(s.weakest.find(value), std::string::npos) << s.weakest;
  }
}

TEST(Reseal, ACompromiseIsNotClearedByAnotherWrap) {
  World w;
  w.state.version(w.v1)->state = "compromised";
  w.state.version(w.v1)->compromised = 1;
  w.add_version(w.v2, "active");
  w.change_all([&](BatchRecord& b) {  // all re-wrapped
    b.on = {{w.v2, {{0, b.n - 1}}}};
    b.reached_by.push_back(w.v2);
  });
  ResealDue due = w.due(2026);
  EXPECT_TRUE(due.due);
  EXPECT_EQ(due.objects, 7);
  EXPECT_NE(due.reasons.at(0).find("loans.1, which was compromised"), std::string::npos);
  w.state.version(w.v1)->state = "destroyed-compromised";
  EXPECT_TRUE(w.due(2026).due);
  w.dataset().state = "erased";
  EXPECT_FALSE(w.due(2026).due);
}

// It was a slot for a while and is one no longer: that it ever led there is what counts.
TEST(Reseal, AVersionInBetweenThatWasCompromisedCounts) {
  World w;
  w.add_version(w.v2, "compromised");
  w.state.version(w.v2)->compromised = 1;
  w.change(w.b2, [&](BatchRecord& b) { b.reached_by.push_back(w.v2); });
  ResealDue due = w.due(2026);
  EXPECT_EQ(due.objects, 4);
  World names;
  names.add_version(names.v2, "compromised");
  names.state.version(names.v2)->compromised = 1;
  DatasetKeyRecord again = names.dataset().keys[0];
  again.version = names.v2;
  names.dataset().keys.push_back(again);
  EXPECT_EQ(names.due(2026).objects, 7);
  EXPECT_NE(names.due(2026).reasons.at(0).find("the key of their names"), std::string::npos);
  World elsewhere;
  elsewhere.add_version(elsewhere.v2, "compromised");
  elsewhere.state.version(elsewhere.v2)->compromised = 1;
  EXPECT_FALSE(elsewhere.due(2026).due);
}

TEST(Strength, ASoftwareKeystoreIsPartOfTheChain) {
  World w;
  w.state.providers[w.prv].identity.kind = "soft";
  DatasetStrength s = w.strength(2026);
  int keystore = 0;
  for (const StrengthLink& l : s.links) keystore += l.part == "keystore";
  EXPECT_EQ(keystore, 2);
  EXPECT_TRUE(s.holds) << s.weakest;
  EXPECT_NE(s.findings.at(0).find("passphrase"), std::string::npos);
  CopyRecord& c = w.state.copies[hex_id("cpy-", '7')];
  c.id = hex_id("cpy-", '7');
  c.state = "open";
  c.kind = "keystore-file";
  c.versions = {w.v1};
  bool copy = false;
  for (const StrengthLink& l : w.strength(2026).links) copy = copy || l.part == "copy";
  EXPECT_TRUE(copy);
}

TEST(Strength, WhatWasImportedOrCopiedIsAFinding) {
  World w;
  w.state.version(w.v1)->origin = "imported";
  CopyRecord& c = w.state.copies[hex_id("cpy-", '7')];
  c.id = hex_id("cpy-", '7');
  c.state = "open";
  c.kind = "paper";
  c.versions = {w.v1};
  std::string all;
  for (const std::string& f : w.strength(2026).findings) all += f + "\n";
  EXPECT_NE(all.find("loans.1 was imported"), std::string::npos) << all;
  EXPECT_NE(all.find("(paper, ) is open"), std::string::npos) << all;
}

TEST(Strength, NewUseIsJudgedUntilTheEndOfTheOriginatorPeriod) {
  World w;
  w.sealed_with("AES-128-GCM", "2049");
  VersionRecord* v = w.state.version(w.v1);
  v->activated = *parse_utc("2048-01-01T00:00:00.000Z");
  v->originator = int64_t{5} * 366 * 86400;
  DatasetStrength s = w.strength(2048);
  EXPECT_EQ(s.end_of_use, 2053);
  EXPECT_TRUE(s.holds);
  EXPECT_FALSE(s.may_seal);
  ASSERT_EQ(s.findings.size(), 1u);
  EXPECT_NE(s.findings[0].find("not until the end of use in 2053"), std::string::npos) << s.findings[0];
}

}  // namespace
}  // namespace kesu
