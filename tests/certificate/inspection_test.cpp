// What the transcripts must show before anything is called gone; objects; trust; profiles.
#include <gtest/gtest.h>

#include "vault_double.h"

namespace kesu::test {
namespace {

VerifyReport issued(TestVault& v) {
  BundleFiles files = v.bundle(false);
  return verify_bundle(files, v.trust(), TestVault::low());
}

ObjectSeen secret(const KeyRef& ref) {
  return {"CKO_SECRET_KEY", "CKK_AES", ref.label, ref.id, ref.check_value};
}

struct Doubt {
  const char* name;
  std::function<void(ProbeReport&, const TestVault&)> change;
};
class After : public testing::TestWithParam<Doubt> {};

TEST_P(After, DoubtIsNeverGone) {
  TestVault v;
  v.edit_probe = [&](ProbeReport& r, const std::string& when) {
    if (when == "after") GetParam().change(r, v);
  };
  VerifyReport r = issued(v);
  EXPECT_LT(level_of(r, "verified-gone"), Level::recorded) << shown(r);
  EXPECT_EQ(r.verdict, Verdict::incomplete) << shown(r);
}

INSTANTIATE_TEST_SUITE_P(
    All, After,
    testing::Values(
        Doubt{"ControlSilent", [](ProbeReport& r, const TestVault&) { r.control = ProbeAnswer::unknown; }},
        Doubt{"EnumerationCutShort",
              [](ProbeReport& r, const TestVault&) { r.enumeration->complete = false; }},
        Doubt{"NoEnumeration", [](ProbeReport& r, const TestVault&) { r.enumeration.reset(); }},
        Doubt{"OtherToken", [](ProbeReport& r, const TestVault&) { r.identity->serial = "other"; }},
        Doubt{"OtherPlace", [](ProbeReport& r, const TestVault&) { r.same_place = false; }},
        Doubt{"StillThere",
              [](ProbeReport& r, const TestVault& v) {
                r.enumeration->objects.push_back(secret(v.refs.at(v.wrap.str())));
              }},
        Doubt{"Relabelled",
              [](ProbeReport& r, const TestVault& v) {
                ObjectSeen o = secret(v.refs.at(v.wrap.str()));
                o.label = "another";
                o.id = {1};
                r.enumeration->objects.push_back(o);
                r.keys[0].by.push_back({o, TrialOutcome::opened, "CKM_AES_GCM", "CKR_OK",
                                        v.refs.at(v.wrap.str()).canary->digest});
              }},
        Doubt{"SampleOpens",
              [](ProbeReport& r, const TestVault&) { r.samples[0].by[0].outcome = TrialOutcome::opened; }},
        Doubt{"SampleNotTried", [](ProbeReport& r, const TestVault&) { r.samples[0].by.clear(); }},
        Doubt{"TooEarly", [](ProbeReport& r, const TestVault&) { r.started = r.ended = 1000; }},
        Doubt{"Failed",
              [](ProbeReport& r, const TestVault&) {
                r.error_code = "session-lost";
                r.error_message = "lost";
              }}),
    [](const auto& item) { return std::string(item.param.name); });

TEST(Inspection, WhatOthersRemovedIsALimit) {
  TestVault v;
  v.edit_probe = [](ProbeReport& r, const std::string& when) {
    if (when == "before") r.enumeration->objects.push_back({"CKO_DATA", "", "somebody's", {}, ""});
  };
  VerifyReport r = issued(v);
  EXPECT_EQ(r.verdict, Verdict::complete) << shown(r);
  bool said = false;
  for (const Limit& l : r.limits)
    said = said || (l.id == "removed-by-others" && l.text.en.find("somebody's") != std::string::npos);
  EXPECT_TRUE(said) << shown(r);
}

TEST(Inspection, ALostReceiptIsSettledByAnInspection) {
  TestVault v;
  v.lose_receipt = true;
  VerifyReport r = issued(v);
  EXPECT_EQ(r.verdict, Verdict::complete) << shown(r);
  EXPECT_EQ(level_of(r, "destroyed"), Level::recorded);
  EXPECT_NE(shown(r).find("1 receipt lost and settled"), std::string::npos) << shown(r);

  TestVault unsettled;
  unsettled.lose_receipt = true;
  unsettled.edit_event = [](Event& e) {
    if (e.type == "destroy-done") e.body = Json::object({{"receipt", Json()}, {"receipt_lost", true}});
  };
  r = issued(unsettled);
  EXPECT_EQ(level_of(r, "destroyed"), Level::asserted) << shown(r);
}

TEST(Inspection, ABirthThatDoesNotShowTheKeyInsideIsNoOrigin) {
  for (const char* type : {"key-created", "destroy-intended"}) {
    TestVault v;
    v.edit_event = [&](Event& e) {
      if (e.type != type || e.nodes[0].id != v.wrap.str()) return;
      if (e.type == "destroy-intended") {
        Json attributes = e.body.at("attributes");
        e.body.set("attributes", attributes.set("CKA_EXTRACTABLE", true));
        return;
      }
      Json birth = parse_json(as_text(v.blob(e.body.str("birth"))), "birth");
      Json attributes = birth.at("attributes");
      attributes.set("CKA_LOCAL", false);
      birth.set("attributes", attributes);
      e.body.set("birth", v.put_blob(birth.canonical()));
    };
    VerifyReport r = issued(v);
    EXPECT_EQ(level_of(r, "key-origin"), Level::absent) << type << shown(r);
    EXPECT_EQ(r.verdict, Verdict::incomplete);
  }
}

TEST(Algorithms, WhatIsNotListedOrTooShortIsNotProven) {
  for (const char* name : {"AES-128-GCM", "DES", "unheard-of"}) {
    TestVault v;
    v.edit_event = [&](Event& e) {
      if (e.type == "seal-done") e.body.set("content_algorithm", name);
    };
    VerifyReport r = issued(v);
    EXPECT_EQ(level_of(r, "algorithms"), Level::absent) << name << shown(r);
  }
}

SealedInput input_of(const Bytes& file) {
  return {file.size(), [&file](uint64_t offset, std::span<uint8_t> out) {
            std::copy_n(file.begin() + static_cast<long>(offset), out.size(), out.begin());
          }};
}

TEST(Objects, AreCoveredWholeOrNotAtAll) {
  TestVault v;
  BundleFiles files = v.bundle();
  auto result = [&](const Bytes& file) {
    VerifyOptions options = TestVault::low();
    options.objects.push_back({"f.kesu", input_of(file)});
    return verify_bundle(files, v.trust(), options);
  };
  for (const Bytes& file : v.objects) {
    VerifyReport r = result(file);
    EXPECT_EQ(r.verdict, Verdict::complete) << shown(r);
    EXPECT_EQ(r.objects.at(0).result, Coverage::covered);
    EXPECT_EQ(r.objects.at(0).name, "loans-2019");
  }
  Bytes altered = v.objects[0];
  altered.back() ^= 1;
  VerifyReport r = result(altered);
  EXPECT_EQ(r.objects.at(0).result, Coverage::not_covered);
  EXPECT_EQ(exit_of(r), Exit::incomplete);
  TestVault other;
  other.live();
  EXPECT_EQ(result(other.objects[0]).objects.at(0).result, Coverage::not_covered);
  Bytes text = to_bytes(as_bytes("no sealed object"));
  EXPECT_EQ(result(text).objects.at(0).result, Coverage::cannot_say);
  Bytes cut(v.objects[0].begin(), v.objects[0].begin() + 2000);
  EXPECT_EQ(result(cut).objects.at(0).result, Coverage::cannot_say);
}

// The slots are outside the leaf: one that names a key that lives opens an object that "is covered".
TEST(Objects, WhoseSlotNamesAKeyThatLivesAreNotCovered) {
  TestVault v;
  VersionRef living{system_random().id<KeyId>(), 1};
  v.at["after-seal"] = [&] { v.make_key(living, KeyPurpose::wrap, "other", nullptr); };
  BundleFiles files = v.bundle();
  auto with_slot = [&](const VersionRef& version, size_t spoilt = kSlotBytes) {
    Bytes file = v.objects[0];
    Slot slot = *parse_region(ByteView(file).first(kRegionBytes)).slots[0];
    slot.generation = 2;
    slot.version = version;
    auto bytes = slot_bytes(slot);
    if (spoilt < bytes.size()) bytes[spoilt] ^= 1;
    std::copy(bytes.begin(), bytes.end(), file.begin() + 2048);
    VerifyOptions options = TestVault::low();
    options.objects.push_back({"f.kesu", input_of(file)});
    return verify_bundle(files, v.trust(), options);
  };
  for (const VersionRef& version : {VersionRef{system_random().id<KeyId>(), 1}, living, v.control}) {
    VerifyReport r = with_slot(version);
    EXPECT_EQ(r.objects.at(0).result, Coverage::not_covered) << shown(r);
    EXPECT_NE(r.objects.at(0).why.find(version.str()), std::string::npos) << r.objects.at(0).why;
    EXPECT_TRUE(r.objects.at(0).dataset.empty());
    EXPECT_EQ(exit_of(r), Exit::incomplete);
  }
  EXPECT_EQ(with_slot(v.wrap).objects.at(0).result, Coverage::covered);
  VerifyReport torn = with_slot(v.wrap, 100);
  EXPECT_EQ(torn.objects.at(0).result, Coverage::cannot_say) << shown(torn);
  EXPECT_NE(torn.objects.at(0).why.find("torn"), std::string::npos);
}

TEST(Objects, WithoutABoundPayloadOnlyTheHeaderIsCovered) {
  TestVault v;
  v.bind_payload = false;
  BundleFiles files = v.bundle();
  VerifyOptions options = TestVault::low();
  options.objects.push_back({"f.kesu", input_of(v.objects[0])});
  VerifyReport r = verify_bundle(files, v.trust(), options);
  EXPECT_EQ(r.objects.at(0).result, Coverage::header_covered) << shown(r);
  EXPECT_EQ(to_json(r).at("objects").as_array()[0].str("result"), "header-covered");
}

TEST(Reader, ItsTrustAndItsBarDecide) {
  TestVault v;
  v.history = "none";
  BundleFiles files = v.bundle();
  EXPECT_EQ(level_of(verify_bundle(files, v.trust(), TestVault::low()), "plaintext-history"),
            Level::asserted);
  EXPECT_EQ(verify_bundle(files, {}, TestVault::low()).verdict, Verdict::incomplete);
  EXPECT_EQ(verify_bundle(files, v.trust(), {.required_profile = "low"}).verdict,
            Verdict::incomplete);  // TEST GRADE
  EXPECT_EQ(
      verify_bundle(files, v.trust(), {.required_profile = "standard", .allow_test_grade = true}).verdict,
      Verdict::incomplete);
  EXPECT_EQ(verify_bundle(files, v.trust(), {.required_profile = "high", .allow_test_grade = true}).verdict,
            Verdict::incomplete);
  EXPECT_THROW(verify_bundle(files, v.trust(), {.required_profile = "none"}), Error);
  for (int part = 0; part < 3; ++part) {
    TrustAnchors trust = v.trust();
    if (part == 0) trust.signers.clear();
    if (part == 1) trust.logs.clear();
    if (part == 2) trust.officers.clear();
    VerifyReport r = verify_bundle(files, trust, TestVault::low());
    EXPECT_EQ(r.verdict, Verdict::incomplete);
    EXPECT_EQ(r.shortfalls.size(), 1u) << shown(r);
    EXPECT_EQ(exit_of(r), Exit::incomplete);
  }
  TrustAnchors as_ca = v.trust();
  as_ca.signers.clear();
  as_ca.signer_cas.push_back(v.certificate_der);
  EXPECT_EQ(verify_bundle(files, as_ca, TestVault::low()).verdict, Verdict::complete);
}

TEST(Reader, ARestartIsShownByTheStartsOfTheMachineAlone) {
  struct Case {
    const char *destroyed, *inspected;
    bool shown;
  };
  for (const Case& c : {Case{"boot-1", "boot-2", true}, Case{"boot-1", "boot-1", false},
                        Case{"", "boot-2", false}, Case{"boot-1", "", false}}) {
    TestVault v;
    v.edit_event = [&](Event& e) {
      if (e.type == "destroy-intended" && *c.destroyed)
        e.body.set("actor", Json::object({{"boot_id", c.destroyed}}));
    };
    v.edit_probe = [&](ProbeReport& report, const std::string& when) {
      if (when == "after") report.boot_id = c.inspected;
    };
    BundleFiles files = v.bundle();
    auto asks = [&](const char* profile) {
      VerifyReport r =
          verify_bundle(files, v.trust(), {.required_profile = profile, .allow_test_grade = true});
      EXPECT_NE(r.verdict, Verdict::invalid) << shown(r);
      return std::any_of(r.shortfalls.begin(), r.shortfalls.end(),
                         [](const std::string& s) { return s.starts_with("no restart of the machine"); });
    };
    EXPECT_EQ(asks("high"), !c.shown) << c.destroyed << " " << c.inspected;
    EXPECT_FALSE(asks("standard"));
  }
}

TEST(Reader, WitnessesWhomItTrustsAttestTheLedger) {
  TestVault v;
  BundleFiles files = v.bundle();
  SigningKey witness = SigningKey::ed25519();
  NoteKey key = NoteKey::make("witness.example", witness.public_key(), NoteKeyType::cosignature_v1);
  Note note = Note::parse(as_text(files["ledger/checkpoint-b"]));
  note.signatures.push_back(cosign_note(note.text, key, 1795252400, witness.signer()));
  files["ledger/checkpoint-b"] = to_bytes(as_bytes(note.str()));
  TrustAnchors trust = v.trust();
  EXPECT_EQ(level_of(verify_bundle(files, trust, TestVault::low()), "logged"), Level::asserted);
  trust.witnesses.push_back(key);
  VerifyReport r = verify_bundle(files, trust, TestVault::low());
  EXPECT_EQ(level_of(r, "logged"), Level::attested) << shown(r);
  EXPECT_EQ(r.verdict, Verdict::complete) << shown(r);
  trust.witness_quorum = 2;
  EXPECT_EQ(level_of(verify_bundle(files, trust, TestVault::low()), "logged"), Level::asserted);
  trust.witnesses.push_back(key);  // the same twice is one
  EXPECT_EQ(level_of(verify_bundle(files, trust, TestVault::low()), "logged"), Level::asserted);
}

TEST(Trust, WhatABundleProposesIsATrustFile) {
  TestVault v;
  BundleFiles files = v.bundle();
  std::string text = propose_trust(files);
  TrustAnchors trust = parse_trust(text, [](const std::string&) { return Bytes(); });
  EXPECT_EQ(verify_bundle(files, trust, TestVault::low()).verdict, Verdict::complete) << text;
  files.erase("trust/signer.pem");
  EXPECT_NE(propose_trust(files).find("# trust/signer.pem: is missing"), std::string::npos);
  auto allowed = [&](const std::string& path) {
    EXPECT_EQ(path, "who");
    return files.at("approvals/allowed_signers");
  };
  EXPECT_EQ(parse_trust("# comment\n\n  officers who\n", allowed).officers.size(), 3u);
}

TEST(Trust, AProposalSteersNoTerminalAndBeginsNoLine) {
  TestVault v;
  v.officers[0].name = v.requester =
      "Tanaka\nofficer " + SshPublicKey::from_public_key(SigningKey::ed25519().public_key(), "x").line();
  BundleFiles files = v.bundle(false);
  std::string text = propose_trust(files);
  for (size_t at = 0, end; at < text.size(); at = end + 1) {
    end = text.find('\n', at);
    std::string line = text.substr(at, end - at);
    EXPECT_TRUE(line.starts_with("# ") || line.starts_with("signer sha256:") || line.starts_with("log "))
        << line;
    for (unsigned char c : line) EXPECT_GE(c, 0x20) << line;
  }
  EXPECT_NE(text.find("control character"), std::string::npos) << text;
  EXPECT_EQ(verify_bundle(files, v.trust(), TestVault::low()).verdict, Verdict::invalid);
}

TEST(Trust, OptionsOfAllowedSignersCount) {
  TestVault v;
  BundleFiles files = v.bundle();
  auto verdict = [&](const std::string& options) {
    std::string lines;
    for (const Officer& o : v.officers)
      lines += o.name + " " + (options.empty() ? "" : options + " ") + o.line() + "\n";
    TrustAnchors trust = v.trust();
    trust.officers =
        parse_trust("officers who\n", [&](const std::string&) { return to_bytes(as_bytes(lines)); }).officers;
    return verify_bundle(files, trust, TestVault::low()).verdict;
  };
  std::string before = "valid-before=\"20200101Z\"",
              within = "valid-after=\"20200101Z\",valid-before=\"99990101000000Z\"";
  for (const std::string& good :
       {std::string(), std::string("namespaces=\"kesu-request-v1,kesu-approve-v1\""),
        std::string("NameSpaces=\"git,kesu-*-v?\""), within})
    EXPECT_EQ(verdict(good), Verdict::complete) << good;
  for (const std::string& bad :
       {std::string("namespaces=\"git\""), std::string("namespaces=\"kesu-request-v1\""),
        std::string("namespaces=\"*,!kesu-approve-v1\""), before, std::string("valid-after=\"99990101Z\""),
        within + ",namespaces=\"file\""})
    EXPECT_EQ(verdict(bad), Verdict::incomplete) << bad;
  for (auto& [bad, named] : std::vector<std::pair<std::string, std::string>>{
           {"cert-authority", "cert-authority"},
           {"cert-authority,namespaces=\"git\"", "cert-authority"},
           {"no-touch-required", "no-touch-required"},
           {"namespaces=git", "namespaces"},
           {"namespaces=\"\"", "empty"},
           {"valid-before=\"20271231\"", "UTC"},
           {"valid-before=\"20271331Z\"", "YYYYMMDD"},
           {"namespaces=\"a\",namespaces=\"b\"", "twice"},
           {"namespaces=\"a", "quote"},
           {"namespaces=\"a\",", "comma"}}) {
    try {
      verdict(bad);
      ADD_FAILURE() << bad;
    } catch (const Error& e) {
      EXPECT_NE(e.message().find(named), std::string::npos) << e.message();
      EXPECT_NE(e.message().find("line 1"), std::string::npos) << e.message();
    }
  }
}

TEST(Trust, LinesThatAreWrongAreNamed) {
  auto none = [](const std::string&) { return Bytes(); };
  for (const char* line : {"signer sha256:00", "signer abc", "log x", "witness x", "quorum 0", "quorum many",
                           "officer ssh-dss AAAA", "trusted yes", "signer-ca missing"}) {
    try {
      parse_trust(std::string("# first\n") + line + "\n", none);
      ADD_FAILURE() << line;
    } catch (const Error& e) {
      EXPECT_NE(e.message().find("line 2"), std::string::npos) << e.message();
    }
  }
}

}  // namespace
}  // namespace kesu::test
