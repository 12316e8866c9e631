// An issuer who holds every key and does not keep the rules: what the reader notices, and which claims fall.
#include <gtest/gtest.h>

#include "erasure/hold_statement.h"
#include "vault_double.h"

namespace kesu::test {
namespace {

VerifyReport issued(TestVault& v) {
  BundleFiles files = v.bundle(false);
  return verify_bundle(files, v.trust(), TestVault::low());
}

void expect_below(const VerifyReport& r, const char* claim, Level least) {
  EXPECT_LT(level_of(r, claim), least) << claim << "\n" << shown(r);
  EXPECT_NE(r.verdict, Verdict::complete) << shown(r);
}

void place(TestVault& v, const std::string& hold, const std::string& subject) {
  v.append("hold-placed", {{.id = hold, .is = "placed", .of = subject}}, {},
           Json::object({{"case", "2026-118"}, {"reason", "suit"}, {"operator", v.officers[0].id.str()}}));
}

// With the consent of the officer of this name; "": of nobody.
void release(TestVault& v, const std::string& hold, const std::string& subject, const std::string& detail,
             const std::string& by) {
  Json approvals((Json::Array()));
  for (const Officer& o : v.officers) {
    if (o.name != by) continue;
    const HoldStatement s{v.vault, v.organisation, *HoldId::parse(hold), subject,
                          detail,  "2026-118",     "case closed",        v.now,
                          o.id,    o.name};
    approvals.push(
        Json::object({{"operator", o.id.str()},
                      {"statement", v.put_blob(s.text())},
                      {"signature", v.put_blob(ssh_sign(o.key, s.text(), std::string(kHoldNamespace)))}}));
  }
  v.append("hold-released", {{.id = hold, .is = "released"}}, {},
           Json::object(
               {{"reason", "case closed"}, {"operator", v.officers[0].id.str()}, {"approvals", approvals}}));
}

struct Forgery {
  const char* name;
  std::function<void(TestVault&)> set_up;
  const char* named;  // in an error; "" when only the claim falls
};
class Approvals : public testing::TestWithParam<Forgery> {};

TEST_P(Approvals, DoNotCount) {
  TestVault v;
  GetParam().set_up(v);
  VerifyReport r = issued(v);
  expect_below(r, "authorised", Level::asserted);
  EXPECT_TRUE(!*GetParam().named || names_part(r, GetParam().named)) << shown(r);
}

using Edit = std::function<void(Statement&, std::string&, const SigningKey*&)>;
std::function<void(TestVault&)> edit(const char* action, Edit change) {
  return [=](TestVault& v) {
    v.edit_statement = [=](Statement& s, std::string& ns, const SigningKey*& key) {
      if (s.action == action) change(s, ns, key);
    };
  };
}

INSTANTIATE_TEST_SUITE_P(
    All, Approvals,
    testing::Values(
        Forgery{"OtherPlan", edit("approve", [](Statement& s, auto&, auto&) { s.plan = std::string(64, '0'); }), "another plan"},
        Forgery{"OtherAction", edit("approve", [](Statement& s, auto&, auto&) { s.action = "reject"; }), "its action is reject"},
        Forgery{"OtherErasure", edit("approve", [](Statement& s, auto&, auto&) { s.erasure = system_random().id<ErasureId>(); }), "another erasure"},
        Forgery{"OtherVault", edit("approve", [](Statement& s, auto&, auto&) { s.vault = system_random().id<VaultId>(); }), "another vault"},
        Forgery{"OtherName", edit("approve", [](Statement& s, auto&, auto&) { s.name = "Someone"; }), "the name is not that of"},
        Forgery{"OtherSummary", edit("approve", [](Statement& s, auto&, auto&) { s.summary = {"Nothing is destroyed: a drill"}; }), "its summary"},
        Forgery{"SummaryOfTheRequest", edit("request", [](Statement& s, auto&, auto&) { s.summary.pop_back(); }), "its summary"},
        Forgery{"ForEver", edit("approve", [](Statement& s, auto&, auto&) { s.expires += 31LL * 86400000; }), "31 days"},
        Forgery{"OtherNamespace", edit("approve", [](Statement&, std::string& ns, auto&) { ns = "kesu-request-v1"; }), "approvals/approve."},
        Forgery{"Expired", edit("approve", [](Statement& s, auto&, auto&) { s.expires = 1; }), "had expired when the erasure ran"},
        Forgery{"OtherKey", [](TestVault& v) {
                  v.edit_statement = [&v](Statement& s, std::string&, const SigningKey*& key) {
                    if (s.action == "approve") key = &v.officer("Tanaka").key;
                  };
                }, "another key"},
        Forgery{"RequestOfOtherPlan", edit("request", [](Statement& s, auto&, auto&) { s.plan = std::string(64, '0'); }), "approvals/request."},
        Forgery{"RequesterApproves", [](TestVault& v) { v.requester = "Suzuki", v.approvers = {"Suzuki"}; }, "requested it"},
        Forgery{"NoApproval", [](TestVault& v) { v.approvers = {}; }, ""},
        Forgery{"TooFew", [](TestVault& v) { v.quorum = 2; }, ""},
        Forgery{"OnePersonTwice", [](TestVault& v) { v.quorum = 2, v.approvers = {"Sato", "Sato"}; }, ""},
        Forgery{"WrongRole", [](TestVault& v) { v.approvers = {"Tanaka"}, v.requester = "Suzuki"; }, "does not have the role"},
        Forgery{"Unenrolled", [](TestVault& v) {
                  v.at["after-genesis"] = [&v] { v.officers.push_back({"Mallory", "", {"approver"}}); };
                  v.approvers = {"Mallory"};
                }, "is not enrolled"},
        Forgery{"EnrolledLater", [](TestVault& v) {
                  v.at["after-genesis"] = [&v] {
                    v.officers.push_back({"Mallory", "", {"approver"}});
                    const Officer& o = v.officers.back();
                    v.append("operator-enrolled", {{.id = o.id.str(), .is = "enrolled"}}, {},
                             Json::object({{"name", o.name}, {"title", o.title}, {"roles", texts(o.roles)}, {"public_key", o.line()},
                                           {"fingerprint", SshPublicKey::parse_line(o.line()).fingerprint()}}));
                  };
                  v.approvers = {"Mallory"};
                }, "not an officer of the genesis statement"},
        Forgery{"RevokedBefore", [](TestVault& v) {
                  v.at["after-genesis"] = [&v] { v.append("operator-revoked", {{.id = v.officer("Sato").id.str(), .is = "revoked"}}); };
                }, "was revoked"},
        Forgery{"RevokedBeforeTheRun", [](TestVault& v) {
                  v.at["before-start"] = [&v] { v.append("operator-revoked", {{.id = v.officer("Sato").id.str(), .is = "revoked"}}); };
                }, "was revoked"},
        Forgery{"NotWaited", [](TestVault& v) { v.waiting = 3600; }, ""},
        Forgery{"UnderHold", [](TestVault& v) {
                  v.at["before-request"] = [&v] { v.append("hold-placed", {{.id = system_random().id<HoldId>().str(), .is = "placed", .of = v.dataset.str()}}); };
                }, ""},
        Forgery{"HoldReleasedInBetween", [](TestVault& v) {
                  std::string hold = system_random().id<HoldId>().str();
                  v.at["before-request"] = [&v, hold] { place(v, hold, v.wrap.str()); };
                  v.at["before-start"] = [&v, hold] { release(v, hold, v.wrap.str(), "loans.1", "Sato"); };
                }, ""},
        Forgery{"Rejected", [](TestVault& v) {
                  v.at["before-start"] = [&v] { v.append("erasure-rejected", {{.id = v.erasure.str(), .is = "rejected"}}); };
                }, ""},
        Forgery{"GenesisUnsigned", [](TestVault& v) {
                  v.edit_event = [&v](Event& e) {
                    if (e.type != "genesis") return;
                    Json list((Json::Array()));
                    for (const Officer& o : v.officers)
                      list.push(Json::object({{"operator", o.id.str()}, {"signature", v.put_blob(ssh_sign(v.officers[0].key, "something else", kGenesisNamespace))}}));
                    e.body.set("signatures", list);
                  };
                }, "approvals/genesis."}),
    [](const auto& item) { return std::string(item.param.name); });

// Released by an approver it is none; by somebody without the role, or by nobody, it goes on.
TEST(Forged, AHoldReleasedBeforeTheRequestIsNone) {
  for (const char* by : {"Sato", "Tanaka", ""}) {
    TestVault v;
    v.at["after-seal"] = [&v, by] {
      std::string hold = system_random().id<HoldId>().str();
      place(v, hold, v.dataset.str());
      release(v, hold, v.dataset.str(), "loans-2019", by);
    };
    VerifyReport r = issued(v);
    const bool released = by == std::string_view("Sato");
    EXPECT_EQ(r.verdict, released ? Verdict::complete : Verdict::incomplete) << shown(r);
    EXPECT_EQ(level_of(r, "authorised"), released ? Level::proven : Level::absent) << shown(r);
  }
}

// Asked before anything is destroyed, by the reader's own rules: what would be missing then is missing for
// ever.
TEST(Forged, ARehearsalFindsTheHold) {
  struct Case {
    const char *placed, *released, *by;
    bool good;
  };
  for (const Case& c : {Case{"after-seal", "before-request", "Sato", true}, Case{"", "", "", true},
                        Case{"after-seal", "before-request", "Tanaka", false},
                        Case{"after-seal", "before-request", "", false}, Case{"after-seal", "", "", false},
                        Case{"after-seal", "before-start", "Sato", false}}) {
    TestVault v;
    const std::string hold = system_random().id<HoldId>().str();
    const auto at = [&](const std::string& moment, const std::function<void()>& what) {
      if (moment.empty()) return;
      v.at[moment] = [what, before = v.at[moment]] {
        if (before) before();
        what();
      };
    };
    at(c.placed, [&] { place(v, hold, v.dataset.str()); });
    at(c.released, [&] { release(v, hold, v.dataset.str(), "loans-2019", c.by); });
    std::string said = "not asked";
    at("before-start", [&] {
      said = "";
      try {
        rehearse_bundle(v, v.erasure.str(),
                        NoteKey::make("bank.example/kesu/" + v.vault.str(), v.ledger_key.public_key()).vkey(),
                        v.checkpoint());
      } catch (const Error& e) {
        EXPECT_EQ(e.code(), Code::held) << e.message() << e.cause();
        said = e.cause();
      }
    });
    v.live();
    EXPECT_EQ(said.empty(), c.good) << c.placed << " " << c.released << " " << c.by << ": " << said;
    EXPECT_TRUE(c.good || said.find(hold.substr(0, 12)) != std::string::npos) << said;
  }
}

TEST(Forged, WaitingLongEnoughCounts) {
  TestVault v;
  v.waiting = 3600;
  v.at["before-start"] = [&v] { v.now += 3600 * 1000; };
  VerifyReport r = issued(v);
  EXPECT_EQ(level_of(r, "authorised"), Level::proven) << shown(r);
}

// What the clock's finding says, and how long after it the destruction was.
VerifyReport with_clock_finding(const char* moment, Json body, Millis after, int64_t waiting = 3600,
                                bool strip = false) {
  TestVault v;
  v.waiting = waiting;
  uint64_t entry = 0;
  if (std::string(moment) != "before-start") v.at["before-start"] = [&v] { v.now += 3600 * 1000; };
  v.at[moment] = [&v, &entry, body, after] {
    v.now += 4 * 3600 * 1000;
    entry = v.size();
    v.append("finding-recorded", {{.id = v.vault.str()}}, {}, body);
    v.now += after;
  };
  BundleFiles files = v.bundle(false);
  if (strip) {
    std::string kept, text(as_text(files.at("ledger/bodies.jsonl")));
    for (size_t at = 0, end = 0; at < text.size(); at = end) {
      end = text.find('\n', at) + 1;
      std::string line = text.substr(at, end - at);
      if (line.find("\"seq\":" + std::to_string(entry) + "}") == std::string::npos) kept += line;
    }
    EXPECT_LT(kept.size(), text.size());
    files.at("ledger/bodies.jsonl") = to_bytes(as_bytes(kept));
  }
  return verify_bundle(files, v.trust(), TestVault::low());
}

std::string authorised_detail(const VerifyReport& r) {
  for (const ClaimResult& c : r.claims)
    if (c.id == "authorised") return c.detail;
  return "";
}

Json clock_says(const char* what) {
  return Json::object({{"what", what}, {"detail", "the clock of a host was set forward by 4 h"}});
}

TEST(Forged, AClockThatWasSetForwardIsNoWaiting) {
  for (const char* what : {"clock-jumped", "clock-behind"}) {
    VerifyReport r = with_clock_finding("before-start", clock_says(what), 3599 * 1000);
    expect_below(r, "authorised", Level::asserted);
    EXPECT_EQ(r.verdict, Verdict::incomplete) << shown(r);
    EXPECT_NE(authorised_detail(r).find(std::string(" (") + what + "), after which it did not pass"),
              std::string::npos)
        << shown(r);
  }
}

TEST(Forged, WaitedAnewAfterTheClockWasSetCounts) {
  VerifyReport r = with_clock_finding("before-start", clock_says("clock-jumped"), 3600 * 1000);
  EXPECT_EQ(level_of(r, "authorised"), Level::proven) << shown(r);
  EXPECT_NE(authorised_detail(r).find("counted from entry "), std::string::npos) << shown(r);
  EXPECT_NE(authorised_detail(r).find(" (clock-jumped)"), std::string::npos) << shown(r);
}

TEST(Forged, WhatIsFoundOutsideTheWaitingPeriodOrIsNotTheClocksChangesNothing) {
  for (const VerifyReport& r : {with_clock_finding("before-request", clock_says("clock-jumped"), 0),
                                with_clock_finding("after-destroy", clock_says("clock-jumped"), 0),
                                with_clock_finding("before-start", clock_says("audit-note"), 0),
                                with_clock_finding("before-start", clock_says("clock-jumped"), 0, 0)}) {
    EXPECT_EQ(level_of(r, "authorised"), Level::proven) << shown(r);
    EXPECT_NE(authorised_detail(r).find("waiting period"), std::string::npos) << shown(r);
    EXPECT_EQ(authorised_detail(r).find("counted from"), std::string::npos) << shown(r);
  }
}

TEST(Forged, AFindingAboutTheVaultThatIsNotShownIsTakenForTheClocks) {
  VerifyReport r = with_clock_finding("before-start", clock_says("audit-note"), 0, 3600, true);
  expect_below(r, "authorised", Level::asserted);
  EXPECT_NE(authorised_detail(r).find("a finding that is not shown"), std::string::npos) << shown(r);
}

TEST(Forged, ALevelRaisedIsNoticed) {
  for (const ClaimDefinition& claim : claim_definitions()) {
    TestVault v;
    v.edit_certificate = [&](Json& certificate) {
      for (Json& c : certificate.as_object().at("claims").as_array()) {
        Level level = *parse_level(c.str("level"));
        if (c.str("id") == claim.id && level != Level::proven) c.set("level", "proven");
      }
    };
    VerifyReport r = issued(v);
    if (level_of(r, claim.id) == Level::proven) continue;
    EXPECT_EQ(r.verdict, Verdict::invalid) << claim.id;
    EXPECT_TRUE(names_part(r, "claims: " + claim.id + " says proven")) << shown(r);
  }
}

TEST(Forged, ALevelLoweredIsTheIssuersRight) {
  TestVault v;
  v.edit_certificate = [](Json& certificate) {
    Json& scope = certificate.as_object().at("claims").as_array()[0];
    scope.set("level", "asserted");
  };
  VerifyReport r = issued(v);
  EXPECT_EQ(r.verdict, Verdict::complete) << shown(r);
}

TEST(Forged, NoWordOfALoweredClaimIsTheIssuersOwn) {
  auto edited = [](std::function<void(Json&)> change) {
    TestVault v;
    v.edit_certificate = [&](Json& certificate) {
      Json& scope = certificate.as_object().at("claims").as_array()[0];
      scope.set("level", "asserted");
      change(scope);
    };
    return issued(v);
  };
  auto nothing = [](Json& c) { c.set("rests_on", Json(Json::Array())).set("detail", ""); };
  EXPECT_EQ(edited(nothing).verdict, Verdict::complete);
  const std::vector<std::pair<const char*, std::function<void(Json&)>>> changes = {
      {"detail", [](Json& c) { c.set("detail", "certified by the ministry"); }},
      {"rests_on", [](Json& c) { c.set("rests_on", texts({"an audit"})); }},
      {"premises", [](Json& c) { c.set("premises", Json(Json::Array())); }},
      {"level", [](Json& c) { c.set("level", "recorded"); }},  // no row of scope gives it
      {"note", [](Json& c) { c.set("note", "x"); }}};
  for (const auto& [member, change] : changes) {
    VerifyReport r = edited(change);
    EXPECT_EQ(r.verdict, Verdict::invalid) << member << shown(r);
    EXPECT_TRUE(names_part(r, std::string("claims: scope: ") + member)) << member << shown(r);
  }
}

TEST(Forged, AKillSetSmallerThanTheGraphsIsNoticed) {
  TestVault v;
  VersionRef other{system_random().id<KeyId>(), 1};
  v.at["after-seal"] = [&] {
    v.make_key(other, KeyPurpose::wrap, "loans", nullptr);
    std::string batch = v.entries().at(v.find("seal-done")).header.nodes[0].id;
    v.append("rewrap-intended", {{.id = batch, .n = 2}}, {{other.str(), batch}});
    v.append("rewrap-done", {{.id = batch, .n = 2}});
  };
  v.edit_plan = [&](Json& plan) {
    for (const char* member : {"key_versions", "order"}) {
      Json kept((Json::Array()));
      for (const Json& item : plan.at(member).as_array())
        if (item.str("version") != other.str()) kept.push(item);
      plan.set(member, kept);
    }
  };
  VerifyReport r = issued(v);
  EXPECT_EQ(r.verdict, Verdict::invalid);
  EXPECT_TRUE(names_part(r, other.str() + " reaches the data and is not in the plan")) << shown(r);
  expect_below(r, "exclusivity", Level::asserted);
  expect_below(r, "destroyed", Level::asserted);
}

TEST(Forged, DestroyingDataThatWasToBeKeptIsNoticed) {
  for (bool erased_before : {false, true}) {
    TestVault v;
    DatasetId other = system_random().id<DatasetId>();
    BatchId batch = system_random().id<BatchId>();
    v.at["after-seal"] = [&] {
      v.append("dataset-added", {{.id = other.str(), .is = "open"}}, {}, Json::object({{"name", "kept"}}));
      v.append("seal-intended", {{.id = batch.str(), .is = "intended", .of = other.str(), .n = 1}},
               {{v.wrap.str(), batch.str()}});
      if (erased_before)
        v.append("dataset-erased", {{.id = other.str(),
                                     .is = "erased",
                                     .of = system_random().id<ErasureId>().str(),
                                     .n = 1,
                                     .b = 1,
                                     .d = std::string(64, '0')}});
    };
    VerifyReport r = issued(v);
    if (erased_before) {
      EXPECT_EQ(r.verdict, Verdict::complete) << shown(r);
      continue;
    }
    EXPECT_EQ(r.verdict, Verdict::incomplete) << shown(r);
    expect_below(r, "scope", Level::asserted);
    expect_below(r, "authorised", Level::asserted);
    EXPECT_TRUE(std::any_of(r.limits.begin(), r.limits.end(), [&](const Limit& l) {
      return l.id == "other-data-lost" && l.text.en.find(other.str()) != std::string::npos;
    })) << shown(r);
  }
}

TEST(Forged, BatchesThatWereGivenUpAreListed) {
  TestVault v;
  BatchId batch = system_random().id<BatchId>();
  VersionRef other{system_random().id<KeyId>(), 1};
  v.at["after-seal"] = [&] {
    v.make_key(other, KeyPurpose::wrap, "loans", nullptr);
    v.append("seal-intended", {{.id = batch.str(), .is = "intended", .of = v.dataset.str(), .n = 7}},
             {{other.str(), batch.str()}});
    v.append("seal-abandoned", {{.id = batch.str(), .is = "abandoned", .of = v.dataset.str()}});
  };
  BundleFiles files = v.bundle(false);
  VerifyReport r = verify_bundle(files, v.trust(), TestVault::low());
  EXPECT_EQ(r.verdict, Verdict::complete) << shown(r);
  Json set = parse_json(as_text(files.at("certificate.json")), "certificate").at("datasets").as_array()[0];
  EXPECT_EQ(set.at("abandoned"), Json::array({Json::object({{"batch", batch.str()}, {"n", 7}})}));
  EXPECT_TRUE(std::any_of(r.limits.begin(), r.limits.end(), [](const Limit& l) {
    return l.id == "abandoned-batches" && l.text.en.find("of 7 objects") != std::string::npos;
  })) << shown(r);
  // Its key is of the kill set: the plan names it, and it died.
  EXPECT_NE(to_text(files.at("plan.json")).find(other.str()), std::string::npos);
}

TEST(Forged, TwoVersionsThatBothDieAreFine) {
  TestVault v;
  VersionRef other{system_random().id<KeyId>(), 1};
  v.at["after-seal"] = [&] {
    v.make_key(other, KeyPurpose::wrap, "loans", nullptr);
    std::string batch = v.entries().at(v.find("seal-done")).header.nodes[0].id;
    v.append("rewrap-intended", {{.id = batch, .n = 2}}, {{other.str(), batch}});
  };
  VerifyReport r = issued(v);
  EXPECT_EQ(r.verdict, Verdict::complete) << shown(r);
}

TEST(Forged, AVersionThatReachesTheDataAfterwardsLives) {
  TestVault v;
  VersionRef other{system_random().id<KeyId>(), 1};
  v.at["after-inspect"] = [&] {
    v.make_key(other, KeyPurpose::wrap, "loans", nullptr);
    std::string batch = v.entries().at(v.find("seal-done")).header.nodes[0].id;
    v.append("rewrap-intended", {{.id = batch, .n = 2}}, {{other.str(), batch}});
  };
  VerifyReport r = issued(v);
  EXPECT_TRUE(names_part(r, other.str())) << shown(r);
  expect_below(r, "exclusivity", Level::asserted);
}

TEST(Forged, ALivingProcessReachesTheData) {
  TestVault v;
  ProcessId process = system_random().id<ProcessId>();
  v.at["after-inspect"] = [&] {
    v.append("process-started", {{.id = process.str(), .is = "alive", .t = v.now + 3600000}},
             {{process.str(), v.dataset.str()}});
  };
  VerifyReport r = issued(v);
  EXPECT_EQ(r.verdict, Verdict::incomplete) << shown(r);
  expect_below(r, "exclusivity", Level::asserted);
}

TEST(Forged, AnOpenCopyIsNoticed) {
  TestVault v;
  CopyId copy = system_random().id<CopyId>();
  v.at["after-inspect"] = [&] {
    v.append("copy-registered", {{.id = copy.str(), .is = "open"}}, {{copy.str(), v.wrap.str()}},
             Json::object({{"kind", "backup"}}));
  };
  VerifyReport r = issued(v);
  expect_below(r, "copies", Level::asserted);
  expect_below(r, "exclusivity", Level::asserted);
  EXPECT_TRUE(names_part(r, "copies")) << shown(r);
}

TEST(Forged, CopiesThatEndedWithADocumentAreRecorded) {
  for (bool documented : {true, false}) {
    TestVault v;
    CopyId copy = system_random().id<CopyId>();
    v.at["after-seal"] = [&] {
      v.append("copy-registered", {{.id = copy.str(), .is = "open"}}, {{copy.str(), v.wrap.str()}},
               Json::object({{"kind", "backup"}, {"custodian", "Suzuki"}}));
      Json body = Json::object({{"how", "shredded"}});
      if (documented) body.set("document", v.put_blob("a record of shredding"));
      v.append("copy-ended", {{.id = copy.str(), .is = "ended"}}, {}, body);
    };
    VerifyReport r = issued(v);
    EXPECT_EQ(r.verdict, Verdict::complete) << shown(r);
    EXPECT_EQ(level_of(r, "copies"), documented ? Level::recorded : Level::asserted);
  }
}

TEST(Forged, ACompromiseOrAFindingIsNeverComplete) {
  for (const char* type : {"key-state-changed", "finding-recorded"}) {
    TestVault v;
    v.at["after-seal"] = [&] {
      NodeMention node;
      node.id = v.wrap.str();
      if (std::string(type) == "key-state-changed") node.is = "compromised";
      v.append(type, {node});
    };
    VerifyReport r = issued(v);
    expect_below(r, "uncompromised", Level::asserted);
    EXPECT_EQ(r.verdict, Verdict::incomplete) << shown(r);
  }
}

TEST(Forged, WhatComesBetweenTheCheckpointsCounts) {
  TestVault v;
  v.at["before-b"] = [&] {
    v.append("key-state-changed", {{.id = v.wrap.str(), .is = "destroyed-compromised"}});
  };
  VerifyReport r = issued(v);
  EXPECT_EQ(r.verdict, Verdict::invalid) << shown(r);
  EXPECT_TRUE(names_part(r, "uncompromised says proven")) << shown(r);
  TestVault honest;
  honest.at["before-b"] = [&] {
    honest.append("key-state-changed", {{.id = honest.wrap.str(), .is = "destroyed-compromised"}});
  };
  EXPECT_THROW(honest.bundle(), Error);
}

TEST(Forged, AWithdrawnCertificateSaysSo) {
  TestVault v;
  v.at["before-b"] = [&] {
    v.append("certificate-withdrawn", {{.id = v.certificate.str(), .is = "withdrawn"}});
  };
  VerifyReport r = issued(v);
  EXPECT_TRUE(r.withdrawn);
  EXPECT_EQ(r.verdict, Verdict::incomplete) << shown(r);
}

TEST(Forged, ADestroyedVersionCannotComeBack) {
  TestVault v;
  v.at["after-destroy"] = [&] { v.append("key-state-changed", {{.id = v.wrap.str(), .is = "active"}}); };
  VerifyReport r = issued(v);
  EXPECT_EQ(r.verdict, Verdict::invalid);
  EXPECT_TRUE(names_part(r, "cannot become active")) << shown(r);
}

TEST(Forged, WhatStopsTheIssuerIsNamedAndNotWhatDoesNotCount) {
  auto expired_and_compromised = [](TestVault& v) {
    edit("approve", [](Statement& s, auto&, auto&) { s.expires = 1; })(v);
    v.at["before-b"] = [&v] {
      v.append("key-state-changed", {{.id = v.wrap.str(), .is = "destroyed-compromised"}});
    };
  };
  TestVault v;
  expired_and_compromised(v);
  try {
    v.bundle();
    FAIL() << "nobody would accept it";
  } catch (const Error& e) {
    EXPECT_NE(e.cause().find("uncompromised says proven"), std::string::npos) << e.cause();
  }
  // The report says both, and which of them it is.
  TestVault again;
  expired_and_compromised(again);
  const VerifyReport r = issued(again);
  EXPECT_EQ(r.verdict, Verdict::invalid);
  ASSERT_FALSE(r.errors.empty());
  EXPECT_FALSE(r.errors.front().hard) << shown(r);
  EXPECT_TRUE(names_part(r, "had expired when the erasure ran")) << shown(r);
  EXPECT_NE(first_error(r).find("uncompromised says proven"), std::string::npos) << first_error(r);
}

TEST(Forged, TheIssuerRefusesWhatAReaderWould) {
  TestVault v;
  v.edit_plan = [](Json& plan) { plan.set("order", Json(Json::Array())); };
  EXPECT_THROW(v.bundle(), Error);
}

}  // namespace
}  // namespace kesu::test
