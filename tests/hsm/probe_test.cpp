// kesu-probe, a process of its own, against a real SoftHSM2: when a key is said to be absent, and when never.
#include "provider/probe.h"

#include <gtest/gtest.h>
#include "softhsm_fixture.h"

namespace kesu::test {
namespace {

class Probe : public SoftHsm {
 protected:
  void SetUp() override {
    SoftHsm::SetUp();
    auto provider = open();
    request_.uri = uri();
    request_.identity = provider->identity();
    key_ = provider->generate(version(0x11), KeyPurpose::wrap).ref;
    other_ = provider->generate(version(0x12), KeyPurpose::wrap).ref;
    pair_ = provider->generate(version(0x21), KeyPurpose::sign_certificate).ref;
    request_.control = provider->generate(version(0xcc), KeyPurpose::control).ref;
    request_.keys = {key_};
    request_.samples.push_back({"obj-1", key_.version, to_bytes(as_bytes("aad")),
                                provider->wrap(key_, secret("0123456789abcdef"), as_bytes("aad"))});
  }

  ProbeTranscript transcript(Millis timeout = 20'000) {
    return run_probe(std::string(KESU_BIN) + "/kesu-probe", request_.to_json(), timeout);
  }
  ProbeReport probe() {
    ProbeTranscript t = transcript();
    EXPECT_EQ(t.exit, 0) << t.stderr_text;
    ProbeReport judged = read_probe(t);
    if (!t.answer.is_null()) {  // what the probe said is what its record bears out
      ProbeReport said = ProbeReport::from_json(t.answer);
      for (size_t i = 0; i < said.keys.size(); ++i) {
        EXPECT_EQ(said.keys[i].answer, judged.keys[i].answer);
        EXPECT_EQ(said.keys[i].why, judged.keys[i].why);
      }
    }
    return judged;
  }
  std::string answer() { return std::string(probe_text(probe().keys.at(0).answer)); }
  void destroy(const KeyRef& ref) { EXPECT_TRUE(open()->destroy_object(ref).accepted); }

  ProbeRequest request_;
  KeyRef key_, other_, pair_;
};

TEST_F(Probe, UsableBeforeAbsentAfter) {
  ProbeReport before = probe();
  EXPECT_TRUE(before.same_place);
  EXPECT_EQ(before.control, ProbeAnswer::usable);
  EXPECT_EQ(before.keys.at(0).answer, ProbeAnswer::usable);
  EXPECT_EQ(before.keys.at(0).found, 1);
  EXPECT_EQ(before.keys.at(0).canary, "opened");
  EXPECT_EQ(before.samples.at(0).answer, "opened");
  EXPECT_EQ(before.enumeration->objects.size(), 5u);
  destroy(key_);
  ProbeReport after = probe();
  EXPECT_EQ(after.keys.at(0).answer, ProbeAnswer::absent) << after.keys.at(0).why;
  EXPECT_EQ(after.keys.at(0).found, 0);
  EXPECT_EQ(after.keys.at(0).by.size(), 2u);  // the other and the control key were tried
  EXPECT_EQ(after.samples.at(0).answer, "failed");
  EXPECT_EQ(after.samples.at(0).by.size(), 2u);
  EXPECT_EQ(after.enumeration->objects.size(), 4u);
  EXPECT_EQ(after.error_code, "");
  EXPECT_EQ(after.program, "kesu-probe 0.1.0");
  EXPECT_NE(after.pid, getpid());
  EXPECT_EQ(after.environment, std::vector<std::string>{"SOFTHSM2_CONF"});
  EXPECT_LE(after.started, after.ended);
}

TEST_F(Probe, NothingInTheTranscriptIsSecret) {
  std::string text = transcript().to_json().canonical();
  EXPECT_EQ(text.find(kPin), std::string::npos);
  EXPECT_EQ(text.find(hex(as_bytes("0123456789abcdef"))), std::string::npos);
  EXPECT_EQ(ProbeTranscript::from_json(parse_json(text, "transcript")).to_json().canonical(), text);
}

TEST_F(Probe, WithoutAControlKeyNothingIsAbsent) {
  destroy(key_);
  request_.control.reset();
  EXPECT_EQ(answer(), "unknown");
}

TEST_F(Probe, AControlKeyThatIsGoneOrSwappedProvesNothing) {
  destroy(key_);
  auto provider = open();
  Raw raw;
  raw.destroy(CKO_SECRET_KEY, request_.control->label);
  EXPECT_EQ(answer(), "unknown");
  raw.make_aes(request_.control->label, request_.control->id);
  EXPECT_EQ(answer(), "unknown");
}

TEST_F(Probe, WithoutTryingTheOthersNothingIsAbsent) {
  request_.try_remaining = false;
  EXPECT_EQ(answer(), "usable");
  destroy(key_);
  ProbeReport report = probe();
  EXPECT_EQ(report.keys.at(0).answer, ProbeAnswer::unknown);
  EXPECT_EQ(report.samples.at(0).answer, "not-tried");
}

TEST_F(Probe, AKeySwappedUnderItsNameIsUnknown) {
  auto provider = open();
  Raw raw;
  raw.destroy(CKO_SECRET_KEY, key_.label);
  raw.make_aes(key_.label, key_.id);
  ProbeReport report = probe();
  EXPECT_EQ(report.keys.at(0).answer, ProbeAnswer::unknown);
  EXPECT_EQ(report.keys.at(0).canary, "failed");
  EXPECT_NE(report.keys.at(0).why.find("another object"), std::string::npos);
  // Its label alone, or its id alone, on something else.
  raw.destroy(CKO_SECRET_KEY, key_.label);
  CK_OBJECT_HANDLE labelled = raw.make_aes(key_.label, {1});
  EXPECT_EQ(answer(), "unknown");
  raw.f->C_DestroyObject(raw.session, labelled);
  CK_OBJECT_HANDLE numbered = raw.make_aes("else", key_.id);
  EXPECT_EQ(answer(), "unknown");
  raw.f->C_DestroyObject(raw.session, numbered);
  EXPECT_EQ(answer(), "absent");
}

TEST_F(Probe, ARelabelledOrCopiedKeyIsUsable) {
  auto provider = open();
  Raw raw;
  VersionRef loose = version(0x31);
  CK_OBJECT_HANDLE original = raw.make_aes(object_label(loose), object_id(loose));
  KeyRef ref = provider->recover(loose, KeyPurpose::wrap)->ref;
  request_.keys = {ref};
  request_.samples.clear();
  std::string hidden = "nothing to see";
  Bytes id{9, 9};
  CK_ATTRIBUTE rename[] = {{CKA_LABEL, hidden.data(), hidden.size()}, {CKA_ID, id.data(), id.size()}};
  CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
  ASSERT_EQ(raw.f->C_CopyObject(raw.session, original, rename, 2, &copy), CKR_OK);
  EXPECT_EQ(answer(), "usable");
  destroy(ref);
  ProbeReport report = probe();
  EXPECT_EQ(report.keys.at(0).answer, ProbeAnswer::usable);
  EXPECT_NE(report.keys.at(0).why.find("relabelled"), std::string::npos);
  EXPECT_NE(report.keys.at(0).why.find(hidden), std::string::npos);

  // Even where the copy does not let itself be tried, its check value betrays it.
  CK_BBOOL no = CK_FALSE;
  CK_ATTRIBUTE mute[] = {
      {CKA_DECRYPT, &no, 1}, {CKA_ENCRYPT, &no, 1}, {CKA_WRAP, &no, 1}, {CKA_DERIVE, &no, 1}};
  ASSERT_EQ(raw.f->C_SetAttributeValue(raw.session, copy, mute, std::size(mute)), CKR_OK);
  report = probe();
  EXPECT_EQ(report.keys.at(0).answer, ProbeAnswer::unknown);
  EXPECT_NE(report.keys.at(0).why.find("check value"), std::string::npos);
  // And without check values what cannot be tried stays a doubt.
  request_.keys[0].check_value.clear();
  EXPECT_EQ(answer(), "unknown");
  ASSERT_EQ(raw.f->C_DestroyObject(raw.session, copy), CKR_OK);
  EXPECT_EQ(answer(), "absent");
}

// Every use that a token may leave to a key shows it, if there is any way to what its cipher makes of a
// block.
class Twin : public Probe {
 protected:
  struct Found {
    ProbeKey key;
    ProbeSampleResult sample;
    bool left_nothing = false;
  };
  // The key of the plan is known, its twin stands under another name, and the key itself is destroyed.
  Found find_twin(std::initializer_list<CK_ATTRIBUTE_TYPE> may,
                  std::vector<CK_MECHANISM_TYPE> mechanisms = {}, bool another = false) {
    auto provider = open();
    Raw raw;
    VersionRef loose = version(0x31);
    Bytes value(32, 0x5a), other(32, 0xa5);
    raw.bring_aes(object_label(loose), object_id(loose), value, {CKA_ENCRYPT, CKA_DECRYPT});
    KeyRef ref = provider->recover(loose, KeyPurpose::wrap)->ref;
    request_.keys = {ref};
    request_.samples = {{"obj-1", loose, to_bytes(as_bytes("aad")),
                         provider->wrap(ref, secret("0123456789abcdef0123456789abcdef"), as_bytes("aad"))}};
    destroy(ref);
    raw.bring_aes("twin", {7}, another ? other : value, may, std::move(mechanisms));
    ProbeReport report = probe();
    EXPECT_TRUE(report.error_code.empty()) << report.error_message;
    Found out{report.keys.at(0), report.samples.at(0), report.enumeration && report.enumeration->complete};
    raw.destroy(CKO_SECRET_KEY, "twin");
    return out;
  }
  // The last trial of the twin.
  static const Trial& told(const std::vector<Trial>& by) {
    const Trial* out = &by.at(0);
    for (const Trial& trial : by)
      if (trial.object.label == "twin") out = &trial;
    return *out;
  }
};

TEST_F(Twin, IsFoundByWhateverItMayDo) {
  struct Case {
    const char* name;
    std::initializer_list<CK_ATTRIBUTE_TYPE> may;
    std::vector<CK_MECHANISM_TYPE> mechanisms;
    const char *mechanism, *call;
  };
  const Case cases[] = {
      {"decrypt", {CKA_DECRYPT}, {}, "CKM_AES_GCM", "C_Decrypt"},
      {"encrypt", {CKA_ENCRYPT}, {}, "CKM_AES_GCM", "C_Encrypt"},
      {"encrypt, ECB", {CKA_ENCRYPT}, {CKM_AES_ECB}, "CKM_AES_ECB", "C_Encrypt"},
      {"encrypt, CTR", {CKA_ENCRYPT}, {CKM_AES_CTR}, "CKM_AES_CTR", "C_Encrypt"},
      {"decrypt, CTR", {CKA_DECRYPT}, {CKM_AES_CTR}, "CKM_AES_CTR", "C_Decrypt"},
      {"encrypt, CBC", {CKA_ENCRYPT}, {CKM_AES_CBC}, "CKM_AES_CBC", "C_Encrypt"},
      {"derive", {CKA_DERIVE}, {}, "CKM_AES_ECB_ENCRYPT_DATA", "C_DeriveKey"},
      {"wrap", {CKA_WRAP}, {}, "CKM_AES_CBC", "C_WrapKey"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    Found twin = find_twin(one.may, one.mechanisms);
    EXPECT_EQ(twin.key.answer, ProbeAnswer::usable) << twin.key.why;
    EXPECT_NE(twin.key.why.find("relabelled"), std::string::npos) << twin.key.why;
    EXPECT_EQ(twin.sample.answer, "opened");
    const Trial& trial = told(twin.key.by);
    EXPECT_EQ(trial.mechanism, one.mechanism);
    EXPECT_EQ(trial.result.substr(0, trial.result.find(':')), one.call) << trial.result;
    EXPECT_TRUE(twin.left_nothing);  // the objects of the trials are gone again

    // Another key with the same uses is as definitely not the one.
    Found another = find_twin(one.may, one.mechanisms, true);
    EXPECT_EQ(another.key.answer, ProbeAnswer::absent) << another.key.why;
    EXPECT_EQ(told(another.key.by).outcome, TrialOutcome::failed) << told(another.key.by).result;
    EXPECT_EQ(another.sample.answer, "failed");
  }
}

TEST_F(Twin, ThatNothingReachesIsADoubtOrExcludedByItsCheckValue) {
  struct Case {
    const char* name;
    std::initializer_list<CK_ATTRIBUTE_TYPE> may;
    std::vector<CK_MECHANISM_TYPE> mechanisms;
  };
  const Case cases[] = {{"nothing", {}, {}},
                        {"unwrap", {CKA_UNWRAP}, {}},  // not by AES-GCM here
                        {"sign", {CKA_SIGN}, {}},
                        {"decrypt, ECB", {CKA_DECRYPT}, {CKM_AES_ECB}},
                        {"decrypt, CBC", {CKA_DECRYPT}, {CKM_AES_CBC}}};
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    Found twin = find_twin(one.may, one.mechanisms);
    EXPECT_EQ(twin.key.answer, ProbeAnswer::unknown) << twin.key.why;
    EXPECT_EQ(twin.sample.answer, "not-tried");
    Found another = find_twin(one.may, one.mechanisms, true);
    EXPECT_EQ(another.key.answer, ProbeAnswer::absent) << another.key.why;
  }
}

TEST_F(Probe, AKeyThatMayDoNothingIsRefused) {
  auto provider = open();
  Raw raw;
  VersionRef loose = version(0x31);
  CK_OBJECT_HANDLE key = raw.make_aes(object_label(loose), object_id(loose));
  request_.keys = {provider->recover(loose, KeyPurpose::wrap)->ref};
  CK_BBOOL no = CK_FALSE;
  for (CK_ATTRIBUTE_TYPE use : {CKA_DECRYPT, CKA_ENCRYPT, CKA_DERIVE, CKA_WRAP, CKA_UNWRAP}) {
    EXPECT_EQ(answer(), "usable") << use;
    CK_ATTRIBUTE mute[] = {{use, &no, 1}};
    ASSERT_EQ(raw.f->C_SetAttributeValue(raw.session, key, mute, 1), CKR_OK);
    if (use == CKA_WRAP) break;
  }
  EXPECT_EQ(answer(), "refused");
}

TEST_F(Probe, SaysWhatTheTokenSaysOfSessions) {
  EXPECT_FALSE(probe().token_sessions.has_value());  // SoftHSM2 says that it does not know
  EXPECT_TRUE(transcript().answer.at("token_sessions").is_null());
  request_.uri.replace(request_.uri.find(kModule), std::string(kModule).size(), KESU_P11_SHIM);
  std::ofstream(dir_ + "/softhsm2.conf.shim") << "C_GetTokenInfo * sessions 3 2\n";
  EXPECT_EQ(probe().token_sessions, (TokenSessions{3, 2}));
}

TEST_F(Probe, SigningKeys) {
  request_.keys = {pair_};
  EXPECT_EQ(answer(), "usable");
  KeyRef wrong = pair_;
  wrong.public_key = open()->generate(version(0x22), KeyPurpose::sign_certificate).ref.public_key;
  request_.keys = {wrong};
  EXPECT_EQ(answer(), "unknown");
  request_.keys = {pair_};
  {
    auto provider = open();
    Raw().destroy(CKO_PRIVATE_KEY, pair_.label);
    EXPECT_EQ(answer(), "unknown");  // its public half still carries the name
    Raw().destroy(CKO_PUBLIC_KEY, pair_.label);
  }
  EXPECT_EQ(answer(), "absent");
}

TEST_F(Probe, ATokenThatIsNotThereIsUnknown) {
  destroy(key_);
  std::filesystem::rename(dir_ + "/tokens", dir_ + "/elsewhere");
  ProbeReport report = probe();
  EXPECT_EQ(report.keys.at(0).answer, ProbeAnswer::unknown);
  EXPECT_EQ(report.error_code, "provider-unavailable");
  std::filesystem::create_directory(dir_ + "/tokens");
  report = probe();
  EXPECT_EQ(report.keys.at(0).answer, ProbeAnswer::unknown);
  EXPECT_EQ(report.error_code, "token-absent");
  // Another token of the same name has no such key, and says nothing about it.
  add_token("t1");
  report = probe();
  EXPECT_EQ(report.keys.at(0).answer, ProbeAnswer::unknown);
  EXPECT_FALSE(report.same_place);
}

TEST_F(Probe, ALoginThatFailsIsUnknown) {
  destroy(key_);
  write_pin("wrong");
  ProbeReport report = probe();
  EXPECT_EQ(report.keys.at(0).answer, ProbeAnswer::unknown);
  EXPECT_EQ(report.error_code, "pin-wrong");
  int64_t logins = 0;
  for (const Json& call : report.calls.as_array())
    if (call.str("call") == "C_Login") logins += call.num("times");
  EXPECT_EQ(logins, 1);
  request_.uri = "pkcs11:token=t1?module-path=/nonexistent.so";
  EXPECT_EQ(probe().error_code, "module-absent");
}

TEST_F(Probe, ADirectoryCopiedBackRevivesTheKeyAndTheProbeSeesIt) {
  std::filesystem::copy(dir_ + "/tokens", dir_ + "/backup", std::filesystem::copy_options::recursive);
  destroy(key_);
  EXPECT_EQ(answer(), "absent");
  std::filesystem::remove_all(dir_ + "/tokens");
  std::filesystem::rename(dir_ + "/backup", dir_ + "/tokens");
  EXPECT_EQ(answer(), "usable");
}

TEST_F(Probe, ABadRequestEndsWithTwo) {
  std::string program = std::string(KESU_BIN) + "/kesu-probe";
  Json request = request_.to_json();
  request.set("surprise", 1);
  ProbeTranscript t = run_probe(program, request, 20'000);
  EXPECT_EQ(t.exit, 2);
  EXPECT_TRUE(t.answer.is_null());
  EXPECT_NE(t.stderr_text.find("surprise"), std::string::npos);
  EXPECT_EQ(run_probe(program, Json::array({}), 20'000).exit, 2);
}

}  // namespace
}  // namespace kesu::test
