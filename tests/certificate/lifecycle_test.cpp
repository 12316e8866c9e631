// Keys with a past: destroyed before the erasure, imported, adopted, in software, re-wrapped away from, under
// exceptions. What the reader makes of each, and of forgeries.
#include <gtest/gtest.h>

#include "certificate/gzip_impl.h"
#include "certificate/issue.h"
#include "vault_double.h"

namespace kesu::test {
namespace {

VerifyReport issued(TestVault& v) {
  BundleFiles files = v.bundle(false);
  return verify_bundle(files, v.trust(), TestVault::low());
}

std::string detail_of(const VerifyReport& r, std::string_view claim) {
  for (const ClaimResult& c : r.claims)
    if (c.id == claim) return c.detail;
  return "";
}

VersionRef fresh() { return {system_random().id<KeyId>(), 1}; }

TEST(DestroyedEarlier, TheVerdictIsThatOfAnErasureWithout) {
  for (bool samples : {true, false}) {
    TestVault v;
    VersionRef older = fresh();
    v.sample_older = samples;
    v.at["after-seal"] = [&] { v.rewrap_and_destroy(older); };
    BundleFiles files = v.bundle();
    VerifyReport r = verify_bundle(files, v.trust(), TestVault::low());
    EXPECT_EQ(r.verdict, Verdict::complete) << shown(r);
    EXPECT_TRUE(r.errors.empty()) << shown(r);
    EXPECT_EQ(level_of(r, "verified-gone"), Level::recorded);
    EXPECT_NE(detail_of(r, "verified-gone").find("loans.1 was destroyed before this erasure, and inspected"),
              std::string::npos)
        << shown(r);
    Json document = parse_json(as_text(files.at("certificate.json")), "certificate");
    bool cited = false;
    for (const Json& key : document.at("keys").as_array())
      if (key.str("version") == older.str())
        cited = files.contains("evidence/" + key.at("inspection").str("before")) &&
                files.contains("evidence/" + key.at("inspection").str("after"));
    EXPECT_TRUE(cited) << document.at("keys").canonical();
  }
}

struct Forgery {
  const char* name;
  std::function<void(TestVault&, Event&)> edit;
  const char* why;
};
class KeyInspected : public testing::TestWithParam<Forgery> {};

TEST_P(KeyInspected, ThatDoesNotBearItOutShowsNothing) {
  TestVault v;
  VersionRef older = fresh();
  v.edit_inspected = [&](Event& e) { GetParam().edit(v, e); };
  v.at["after-seal"] = [&] { v.rewrap_and_destroy(older); };
  VerifyReport r = issued(v);
  EXPECT_NE(r.verdict, Verdict::complete) << shown(r);
  EXPECT_EQ(level_of(r, "verified-gone"), Level::absent) << shown(r);
  EXPECT_EQ(level_of(r, "irreversible"), Level::absent) << shown(r);
  EXPECT_NE(detail_of(r, "verified-gone").find(GetParam().why), std::string::npos) << shown(r);
}

// The transcript, changed and kept under its new digest.
std::string altered(TestVault& v, const std::string& digest, const std::function<void(Json&)>& change) {
  Json transcript = parse_json(as_text(v.blob(digest)), "transcript");
  change(transcript);
  return v.put_blob(transcript.canonical());
}
std::function<void(TestVault&, Event&)> after(std::function<void(Json& transcript)> change) {
  return [=](TestVault& v, Event& e) { e.body.set("after", altered(v, e.body.str("after"), change)); };
}
Json& answer(Json& transcript) { return transcript.as_object().at("answer"); }

INSTANTIATE_TEST_SUITE_P(
    All, KeyInspected,
    testing::Values(
        Forgery{"Dropped", [](TestVault&, Event& e) { e.type.clear(); },
                "no inspection of it is in the bundle"},
        Forgery{"Swapped",
                [](TestVault&, Event& e) {
                  std::string before = e.body.str("before"), after = e.body.str("after");
                  e.body.set("before", after).set("after", before);
                },
                "found it usable"},
        Forgery{"OfAnotherVersion",
                [](TestVault& v, Event& e) {
                  KeyRef other = v.refs.at(v.wrap.str());
                  auto of_other = [&](Json& tr) {
                    tr.as_object().at("request").set("keys", Json::array({other.to_json()}));
                    answer(tr).as_object().at("keys").as_array()[0].set("version", v.wrap.str());
                  };
                  e.body.set("before", altered(v, e.body.str("before"), of_other));
                  e.body.set("after", altered(v, e.body.str("after"), of_other));
                },
                "do not show it usable before and absent after"},
        Forgery{"OfAnotherToken",
                after([](Json& tr) { answer(tr).as_object().at("identity").set("serial", "other"); }),
                "did not see the whole of the same place"},
        Forgery{"NotTheSamePlace", after([](Json& tr) { answer(tr).set("same_place", false); }),
                "did not see the whole of the same place"},
        Forgery{"CutShort", after([](Json& tr) {
                  answer(tr).as_object().at("enumeration").set("complete", false).set("why", "cut");
                }),
                "did not see the whole of the same place"},
        Forgery{"ControlDead", after([](Json& tr) { answer(tr).set("control", "unknown"); }),
                "living control"},
        Forgery{"AnswerAltered", [](TestVault&, Event& e) { e.body.set("answer", "unknown"); },
                "answered unknown"},
        Forgery{"SaysAbsentWhereTheRecordSaysUnknown", after([](Json& tr) {
                  // The trials are gone: nothing excludes that another label holds the key.
                  answer(tr).as_object().at("keys").as_array()[0].set("by", Json(Json::Array()));
                }),
                "living control"},
        Forgery{"OtherProvider",
                [](TestVault&, Event& e) { e.body.set("provider", system_random().id<ProviderId>().str()); },
                "another provider"},
        Forgery{
            "TooEarly", after([](Json& tr) {
              answer(tr).set("started", "2001-01-01T00:00:00.000Z").set("ended", "2001-01-01T00:00:01.000Z");
            }),
            "before and after its destruction"},
        Forgery{"AfterMissing",
                [](TestVault& v, Event& e) {
                  v.edit_files = [digest = e.body.str("after")](BundleFiles& files) {
                    files.erase("evidence/" + digest);
                  };
                },
                "a transcript of its inspection is missing"}),
    [](const auto& item) { return std::string(item.param.name); });

TEST(DestroyedEarlier, ATranscriptWithAnotherContentIsForged) {
  TestVault v;
  v.edit_inspected = [&](Event& e) {
    v.edit_files = [digest = e.body.str("after")](BundleFiles& files) {
      files.at("evidence/" + digest).back() ^= 1;
    };
  };
  v.at["after-seal"] = [&] { v.rewrap_and_destroy(fresh()); };
  EXPECT_EQ(issued(v).verdict, Verdict::invalid);
}

TEST(DestroyedEarlier, TheInspectionThatTheDestructionNamedIsTheOneThatCounts) {
  for (bool same : {true, false}) {
    TestVault v;
    v.name_before = [&](const std::string& digest) {
      return same ? digest : v.put_blob("another inspection");
    };
    v.at["after-seal"] = [&] { v.rewrap_and_destroy(fresh()); };
    VerifyReport r = issued(v);
    EXPECT_EQ(r.verdict == Verdict::complete, same) << shown(r);
    EXPECT_EQ(level_of(r, "verified-gone"), same ? Level::recorded : Level::absent) << shown(r);
  }
}

TEST(DestroyedEarlier, ALaterLookThatFindsItUndoesTheFirst) {
  TestVault v;
  v.edit_inspected = [&](Event& e) {
    v.at["before-request"] = [&v, e]() {
      Json again = e.body;
      std::string before = again.str("before");
      v.append("key-inspected", e.nodes, {}, again.set("after", before).set("answer", "usable"));
      v.append("key-inspected", e.nodes, {}, e.body);  // and a third that says absent again
    };
  };
  v.at["after-seal"] = [&] { v.rewrap_and_destroy(fresh()); };
  VerifyReport r = issued(v);
  EXPECT_EQ(level_of(r, "verified-gone"), Level::absent) << shown(r);
  EXPECT_NE(detail_of(r, "verified-gone").find("found it usable"), std::string::npos) << shown(r);
}

TEST(DestroyedEarlier, OneThatIsSeenAgainDuringTheErasureIsNotGone) {
  for (const char* when : {"before", "after"}) {
    TestVault v;
    VersionRef older = fresh();
    v.at["after-seal"] = [&] { v.rewrap_and_destroy(older); };
    v.edit_probe = [&](ProbeReport& r, const std::string& now) {
      if (now != when) return;
      const KeyRef& ref = v.refs.at(older.str());
      ObjectSeen o{"CKO_SECRET_KEY", "CKK_AES", ref.label, ref.id, ref.check_value};
      r.enumeration->objects.push_back(o);
      for (ProbeKey& key : r.keys)
        key.by.push_back({o, TrialOutcome::failed, "CKM_AES_GCM", "CKR_GENERAL_ERROR", {}});
    };
    VerifyReport r = issued(v);
    EXPECT_EQ(level_of(r, "verified-gone"), Level::absent) << when << shown(r);
  }
}

TEST(DestroyedEarlier, ItsSlotThatStillOpensASampleIsNotDead) {
  for (const char* when : {"before", "after"}) {
    TestVault v;
    VersionRef older = fresh();
    v.at["after-seal"] = [&] { v.rewrap_and_destroy(older); };
    v.edit_probe = [&](ProbeReport& r, const std::string& now) {
      if (now != when) return;
      for (ProbeSampleResult& s : r.samples)
        if (s.answer == "failed" && !s.by.empty()) {
          s.by[0].outcome = TrialOutcome::opened;
          s.answer = "opened";
          break;
        }
    };
    VerifyReport r = issued(v);
    EXPECT_LT(level_of(r, "verified-gone"), Level::recorded) << when << shown(r);
    EXPECT_NE(r.verdict, Verdict::complete);
  }
}

TEST(DestroyedEarlier, WithoutItsReceiptOrItsEndTheDestructionIsLess) {
  TestVault v;
  VersionRef older = fresh();
  v.edit_event = [&](Event& e) {
    if (e.type == "destroy-done" && e.nodes[0].id == older.str())
      e.body = Json::object({{"receipt", Json()}, {"receipt_lost", true}});
  };
  v.at["after-seal"] = [&] { v.rewrap_and_destroy(older); };
  EXPECT_EQ(level_of(issued(v), "destroyed"), Level::asserted);
}

// Everything in the graph comes from headers: without one the tree is another.
TEST(Rewrap, AHeaderLeftOutBreaksTheRoot) {
  for (const char* type : {"rewrap-intended", "key-inspected", "key-intended"}) {
    TestVault v;
    v.at["after-seal"] = [&] { v.rewrap_and_destroy(fresh()); };
    v.at["before-b"] = [] {};
    BundleFiles files = v.bundle();
    std::string text = gunzip(files.at("ledger/headers.gz"), 64 << 20), kept;
    bool dropped = false;
    for (size_t at = 0, end; at < text.size(); at = end + 1) {
      end = text.find('\n', at);
      std::string line = text.substr(at, end - at + 1);
      if (!dropped && line.find("\"type\":\"" + std::string(type) + "\"") != std::string::npos)
        dropped = true;
      else
        kept += line;
    }
    ASSERT_TRUE(dropped) << type;
    files["ledger/headers.gz"] = gzip(kept);
    VerifyReport r = verify_bundle(files, v.trust(), TestVault::low());
    EXPECT_NE(r.verdict, Verdict::complete) << type;
    for (const ClaimResult& c : r.claims) EXPECT_LE(c.level, Level::asserted) << type << " " << c.id;
  }
}

TEST(Issue, InventoriesThatWerePutAwayComeBackAsTheyWere) {
  TestVault v;
  BundleFiles files = v.bundle();
  const BundleFiles whole = files;
  const InventoryOrder order = put_away_inventory(files);
  ASSERT_FALSE(order.empty());
  for (const auto& [dataset, batches] : order) {
    EXPECT_TRUE(files.at("inventory/" + dataset + ".leaves").empty());
    EXPECT_FALSE(batches.empty());
  }
  EXPECT_NE(files, whole);
  bring_inventory(files, v, order);
  EXPECT_EQ(files, whole);
}

TEST(Issue, HeadersArePackedPieceByPiece) {
  std::string text;
  GzipWriter writer;
  for (int i = 0; i < 5000; ++i) {
    const std::string line = std::to_string(i * i) + "\n";
    writer.add(line);
    text += line;
  }
  const Bytes packed = writer.finish();
  EXPECT_EQ(gunzip(packed, text.size()), text);
  EXPECT_EQ(packed, gzip(text));
  EXPECT_EQ(GzipWriter(false).finish(), gzip("", false));
}

TEST(Rewrap, EveryVersionThatEverWasASlotMustDie) {
  TestVault v;
  VersionRef middle = fresh(), dataset_only = fresh();
  v.at["after-seal"] = [&] {
    v.make_key(middle, KeyPurpose::wrap, "loans", nullptr);
    v.make_key(dataset_only, KeyPurpose::wrap, "loans", nullptr);
    std::string batch = v.entries().at(v.find("seal-done")).header.nodes[0].id;
    v.append("rewrap-intended", {{.id = batch, .n = 2}}, {{middle.str(), batch}});
    v.append("dataset-key-rewrapped", {{.id = v.dataset_key.str()}},
             {{dataset_only.str(), v.dataset_key.str()}},
             Json::object({{"version", dataset_only.str()},
                           {"wrapped", Json::object({{"algorithm", 1}, {"nonce", ""}, {"blob", ""}})}}));
  };
  BundleFiles files = v.bundle();
  VerifyReport r = verify_bundle(files, v.trust(), TestVault::low());
  EXPECT_EQ(r.verdict, Verdict::complete) << shown(r);
  std::string plan = to_text(files.at("plan.json"));
  EXPECT_NE(plan.find(middle.str()), std::string::npos);
  EXPECT_NE(plan.find(dataset_only.str()), std::string::npos);
}

TEST(Rewrap, ItsAlgorithmIsJudged) {
  for (const char* type : {"rewrap-done", "dataset-key-rewrapped"}) {
    for (const char* algorithm : {"AES-256-GCM", "DES", ""}) {
      TestVault v;
      v.at["after-seal"] = [&] {
        std::string batch = v.entries().at(v.find("seal-done")).header.nodes[0].id;
        if (std::string(type) == "rewrap-done")
          v.append(type, {{.id = batch, .n = 2}}, {},
                   Json::object({{"version", v.wrap.str()}, {"wrap_algorithm", algorithm}}));
        else
          v.append(type, {{.id = v.dataset_key.str()}}, {{v.wrap.str(), v.dataset_key.str()}},
                   Json::object(
                       {{"version", v.wrap.str()}, {"wrapped", Json::object({{"algorithm", algorithm}})}}));
      };
      VerifyReport r = issued(v);
      bool good = std::string(algorithm) == "AES-256-GCM";
      EXPECT_EQ(level_of(r, "algorithms"), good ? Level::proven : Level::absent)
          << type << algorithm << shown(r);
    }
  }
}

// The copy that an import came from, and its end.
void import_copy(TestVault& v, const VersionRef& version, bool end,
                 const std::string& kind = "import-origin") {
  std::string copy = system_random().id<CopyId>().str();
  v.append("copy-registered", {{.id = copy, .is = "open"}}, {{copy, version.str()}},
           Json::object({{"kind", kind}, {"place", "old vault"}, {"custodian", "Suzuki"}}));
  if (end) v.append("copy-ended", {{.id = copy, .is = "ended"}}, {}, Json::object({{"how", "shredded"}}));
}

TEST(Origin, WhatWasBroughtInIsAssertedWhateverItsAttributesSay) {
  for (const char* origin : {"imported", "adopted", "from the moon"})
    for (const char* said_by : {"key-intended", "key-created", "both"}) {
      TestVault v;
      v.edit_event = [&](Event& e) {
        bool about = e.type == "key-intended" || e.type == "key-created";
        if (about && e.nodes[0].id == v.wrap.str() && (e.type == said_by || std::string(said_by) == "both"))
          e.body.set("origin", origin);
      };
      v.at["after-seal"] = [&] {
        if (std::string(origin) != "adopted") import_copy(v, v.wrap, true);
      };
      BundleFiles files = v.bundle();
      VerifyReport r = verify_bundle(files, v.trust(), TestVault::low());
      EXPECT_EQ(level_of(r, "key-origin"), Level::asserted) << origin << said_by << shown(r);
      EXPECT_EQ(r.verdict, Verdict::incomplete);
      EXPECT_NE(detail_of(r, "key-origin").find(std::string("loans.1 was ") + origin), std::string::npos);
      Json key = parse_json(as_text(files.at("certificate.json")), "c").at("keys").as_array()[0];
      EXPECT_EQ(key.str_or("origin", ""), origin);
      EXPECT_EQ(level_of(r, "copies"), Level::asserted) << shown(r);
      EXPECT_NE(render_report(r, true).find("外部から持ち込まれた"), std::string::npos);
    }
}

TEST(Origin, AnImportWhosePlaceOfOriginIsOpenOrUnnamedHasACopy) {
  for (int which : {0, 1, 2, 3}) {
    TestVault v;
    v.edit_event = [&](Event& e) {
      if (e.type == "key-created" && e.nodes[0].id == v.wrap.str()) e.body.set("origin", "imported");
    };
    v.at["after-seal"] = [&] {
      if (which == 1) import_copy(v, v.wrap, false);
      if (which == 2) import_copy(v, v.wrap, true, "backup");  // another copy ended; the origin did not
      if (which == 3) import_copy(v, v.control, true);         // of another key
    };
    VerifyReport r = issued(v);
    EXPECT_EQ(level_of(r, "copies"), Level::absent) << which << shown(r);
  }
}

// A bundle that does not show where a key came from says less of it, not more.
TEST(Origin, LeavingOutTheEntryThatSaysItDoesNotHelp) {
  for (const char* type : {"key-intended", "key-created"}) {
    TestVault v;
    v.edit_event = [&](Event& e) {
      if (e.type == type && e.nodes[0].id == v.wrap.str()) e.body.set("origin", "imported");
    };
    v.at["after-seal"] = [&] { import_copy(v, v.wrap, true); };
    BundleFiles files = v.bundle();
    std::string text = to_text(files.at("ledger/bodies.jsonl")), kept;
    for (size_t at = 0, end; at < text.size(); at = end + 1) {
      end = text.find('\n', at);
      std::string line = text.substr(at, end - at + 1);
      bool of_wrap = line.find("\"origin\":\"imported\"") != std::string::npos;
      if (!of_wrap) kept += line;
    }
    ASSERT_NE(text, kept);
    files["ledger/bodies.jsonl"] = to_bytes(as_bytes(kept));
    VerifyReport r = verify_bundle(files, v.trust(), TestVault::low());
    EXPECT_EQ(level_of(r, "key-origin"), Level::absent) << type << shown(r);
    EXPECT_NE(r.verdict, Verdict::complete);
  }
}

TEST(Origin, AnIssuerCannotRaiseIt) {
  TestVault v;
  v.edit_event = [&](Event& e) {
    if (e.type == "key-intended" && e.nodes[0].id == v.wrap.str()) e.body.set("origin", "adopted");
  };
  v.edit_certificate = [](Json& certificate) {
    for (Json& c : certificate.as_object().at("claims").as_array())
      if (c.str("id") == "key-origin") c.set("level", "recorded");
  };
  VerifyReport r = issued(v);
  EXPECT_EQ(r.verdict, Verdict::invalid);
  EXPECT_TRUE(names_part(r, "key-origin says recorded")) << shown(r);
}

TEST(Soft, IsAssertedAndNeverComplete) {
  TestVault v;
  v.token.kind = "soft";
  VerifyReport r = issued(v);
  EXPECT_EQ(level_of(r, "key-origin"), Level::asserted) << shown(r);
  EXPECT_EQ(r.verdict, Verdict::incomplete);
  ASSERT_EQ(r.shortfalls.size(), 1u) << shown(r);
  EXPECT_EQ(r.shortfalls[0], "key-origin is asserted; profile low asks for recorded");
  EXPECT_NE(detail_of(r, "key-origin").find("software keystore and could leave with its file"),
            std::string::npos);
  EXPECT_NE(render_report(r, true).find("ソフトウェア鍵ストア"), std::string::npos);
}

TEST(Soft, AnOldGenerationOfItsFileThatIsOpenReachesTheData) {
  for (bool ended : {false, true}) {
    TestVault v;
    v.token.kind = "soft";
    v.at["after-seal"] = [&] { import_copy(v, v.wrap, ended, "keystore-file"); };
    VerifyReport r = issued(v);
    EXPECT_EQ(level_of(r, "exclusivity"), ended ? Level::proven : Level::absent) << shown(r);
    EXPECT_EQ(level_of(r, "copies"), ended ? Level::asserted : Level::absent) << shown(r);
  }
}

TEST(Soft, AProviderThatIsNotShownIsNotTakenForHardware) {
  TestVault v;
  v.token.kind = "soft";
  BundleFiles files = v.bundle();
  std::string text = to_text(files.at("ledger/bodies.jsonl")), kept;
  for (size_t at = 0, end; at < text.size(); at = end + 1) {
    end = text.find('\n', at);
    std::string line = text.substr(at, end - at + 1);
    if (line.find("\"capabilities\"") == std::string::npos) kept += line;
  }
  ASSERT_NE(text, kept);
  files["ledger/bodies.jsonl"] = to_bytes(as_bytes(kept));
  VerifyReport r = verify_bundle(files, v.trust(), TestVault::low());
  EXPECT_EQ(level_of(r, "key-origin"), Level::absent) << shown(r);
}

TEST(Exceptions, AreDisclosedAndLiftNothing) {
  TestVault v;
  v.at["after-seal"] = [&] {
    v.append("exception-recorded", {{.id = v.vault.str()}}, {},
             Json::object({{"what", "algorithm"},
                           {"subject", v.vault.str()},
                           {"detail", "AES-128-GCM"},
                           {"until", "2030-12-31T00:00:00.000Z"},
                           {"reason", "old archive"},
                           {"operator", v.officer("Sato").id.str()},
                           {"statement", std::string(64, '0')},
                           {"signature", std::string(64, '0')}}));
    v.append("exception-recorded", {{.id = v.control.str()}}, {}, Json::object({{"what", "elsewhere"}}));
  };
  v.edit_event = [](Event& e) {
    if (e.type == "seal-done") e.body.set("content_algorithm", "AES-128-GCM");
  };
  BundleFiles files = v.bundle();
  VerifyReport r = verify_bundle(files, v.trust(), TestVault::low());
  EXPECT_EQ(level_of(r, "algorithms"), Level::absent) << shown(r);
  EXPECT_NE(detail_of(r, "algorithms").find("by recorded exception only"), std::string::npos);
  ASSERT_EQ(r.exceptions.size(), 1u);
  EXPECT_EQ(r.exceptions[0].approver, "Sato");
  EXPECT_NE(shown(r).find("old archive (approved by Sato)"), std::string::npos) << shown(r);
  Json list = parse_json(as_text(files.at("certificate.json")), "c").at("exceptions");
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list, to_json(r).at("exceptions"));
}

TEST(Exceptions, CannotBeLeftOutOfTheCertificateOrTheBundle) {
  auto with = [](std::function<void(TestVault&)> set_up) {
    TestVault v;
    v.at["after-seal"] = [&] {
      v.append("exception-recorded", {{.id = v.wrap.str()}}, {},
               Json::object({{"what", "originator-period"},
                             {"subject", v.wrap.str()},
                             {"until", Json()},
                             {"reason", "x"}}));
    };
    set_up(v);
    return issued(v);
  };
  EXPECT_EQ(with([](TestVault&) {}).verdict, Verdict::complete);
  VerifyReport hidden = with(
      [](TestVault& v) { v.edit_certificate = [](Json& c) { c.set("exceptions", Json(Json::Array())); }; });
  EXPECT_EQ(hidden.verdict, Verdict::invalid);
  // A certificate of the first tables has no such member; the reader shows them all the same.
  VerifyReport older = with([](TestVault& v) {
    v.edit_certificate = [](Json& c) {
      c.as_object().at("tables").set("claims", 1);
      c.as_object().erase("exceptions");
      for (const char* later : {"evidence_chain", "contact", "method", "verification"})
        c.as_object().erase(later);
      for (Json& dataset : c.as_object().at("datasets").as_array())
        for (const char* later : {"service", "contact", "asset", "destination"})
          dataset.as_object().erase(later);
      for (Json& person : c.as_object().at("people").as_array())
        for (const char* later : {"contact", "place"}) person.as_object().erase(later);
    };
  });
  EXPECT_EQ(older.verdict, Verdict::complete) << shown(older);
  EXPECT_EQ(older.exceptions.size(), 1u);
  // Without the body it is still said that there is one.
  VerifyReport closed = with([](TestVault& v) { v.edit_files = [](BundleFiles&) {}; });
  EXPECT_EQ(closed.exceptions.size(), 1u);
}

TEST(Tables, NewerThanTheReadersAreRefused) {
  for (const char* table : {"claims", "profiles", "providers"})
    for (int64_t version : {int64_t{0}, int64_t{99}}) {
      TestVault v;
      v.edit_certificate = [&](Json& c) { c.as_object().at("tables").set(table, version); };
      VerifyReport r = issued(v);
      EXPECT_EQ(r.verdict, Verdict::invalid) << table << version;
      EXPECT_TRUE(names_part(r, "tables")) << shown(r);
    }
}

TEST(EvidenceChain, NamesEachOfficersKeyAndIsWeakestFirst) {
  TestVault v;
  BundleFiles files = v.bundle();
  VerifyReport r = verify_bundle(files, v.trust(), TestVault::low());
  std::set<std::string> parts;
  int bits = 0;
  for (const EvidenceLink& l : r.evidence_chain) {
    EXPECT_GE(l.verdict.strength_bits, bits) << l.part.part;
    bits = l.verdict.strength_bits;
    parts.insert(l.part.part);
  }
  for (const char* part : {"ledger tree", "checkpoint signatures", "certificate signature", "request, Tanaka",
                           "approve, Sato", "genesis, Suzuki", "transcripts, receipts, births"})
    EXPECT_TRUE(parts.contains(part)) << part;
  Json chain = parse_json(as_text(files.at("certificate.json")), "c").at("evidence_chain");
  EXPECT_EQ(chain, to_json(r).at("evidence_chain"));
  EXPECT_NE(shown(r).find("evidence rests on, weakest first"), std::string::npos);

  TestVault forged;
  forged.edit_certificate = [](Json& c) {
    c.as_object().at("evidence_chain").as_array()[0].set("strength_bits", 512);
  };
  EXPECT_EQ(issued(forged).verdict, Verdict::invalid);
}

TEST(EvidenceChain, JudgesKeysByTheirRealKindAndSize) {
  auto bits = [](const std::string& algorithm) {
    return judge_evidence({{"officer", algorithm, policy::Purpose::signature}})[0].verdict.strength_bits;
  };
  EXPECT_EQ(bits("RSASSA-PKCS1-v1_5-SHA512:bits=2048"), 112);
  EXPECT_EQ(bits("RSASSA-PKCS1-v1_5-SHA512:bits=3072"), 128);
  EXPECT_EQ(bits("RSASSA-PKCS1-v1_5-SHA512:bits=1024"), 0);
  EXPECT_EQ(bits("ECDSA-P384"), 192);
  auto links = judge_evidence({{"a", "ECDSA-P384", policy::Purpose::signature},
                               {"b", "RSASSA-PKCS1-v1_5-SHA512:bits=2048", policy::Purpose::signature},
                               {"c", "Ed25519", policy::Purpose::signature}});
  EXPECT_EQ(links[0].part.part, "b");
  EXPECT_EQ(links[2].part.part, "a");
  EXPECT_NE(evidence_text(links, "").find("bits=2048, 112 bits"), std::string::npos)
      << evidence_text(links, "");
}

}  // namespace
}  // namespace kesu::test
