// JSON forms of the port's values: they come back as they went, and nothing unknown slips in.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "provider/probe.h"

namespace kesu {
namespace {

VersionRef version(uint8_t mark) {
  std::array<uint8_t, 16> bytes{};
  bytes.fill(mark);
  return {KeyId(bytes), 258};
}

KeyRef full_ref() {
  KeyRef ref;
  ref.version = version(0x1a);
  ref.purpose = KeyPurpose::control;
  ref.label = object_label(ref.version);
  ref.id = object_id(ref.version);
  ref.check_value = "0a0b0c";
  ref.canary = Canary{"CKM_AES_GCM", Bytes(12, 1), Bytes(48, 2), Digest32{3}};
  ref.public_key = {4, 5};
  return ref;
}

ProbeRequest full_request() {
  ProbeRequest request;
  request.uri = "pkcs11:token=t1?module-path=/m.so";
  request.identity.kind = "pkcs11";
  request.identity.serial = "01";
  request.keys = {full_ref()};
  request.control = full_ref();
  request.samples = {{"obj-1", version(2), {1}, {WrapAlg::aes256_gcm, Bytes(12, 6), Bytes(80, 7)}}};
  return request;
}

Code code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  return Code::failed;
}

// Every member removed, and one added, must be refused.
template <class T>
void expect_strict(const Json& good) {
  EXPECT_EQ(T::from_json(good).to_json(), good);
  for (const auto& [name, member] : good.as_object()) {
    Json less = good;
    less.as_object().erase(name);
    if (name == "token_sessions")  // which probes before it did not say
      EXPECT_EQ(T::from_json(less).to_json(), less);
    else
      EXPECT_EQ(code_of([&] { T::from_json(less); }), Code::bad_input) << "without " << name;
    Json wrong = good;
    wrong.set(name, member.is_int() ? Json("text") : Json(-1));
    constexpr std::string_view kAnyKind[] = {"attributes", "before", "calls", "answer", "request", "exit"};
    if (std::find(std::begin(kAnyKind), std::end(kAnyKind), name) != std::end(kAnyKind)) continue;
    EXPECT_EQ(code_of([&] { T::from_json(wrong); }), Code::bad_input) << "wrong kind of " << name;
  }
  Json more = good;
  more.set("surprise", true);
  EXPECT_EQ(code_of([&] { T::from_json(more); }), Code::bad_input);
}

TEST(ProviderPort, LabelsAndIdentifiers) {
  EXPECT_EQ(object_label(version(0x1a)),
            "kesu:key-" + std::string("1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a") + ".258");
  EXPECT_EQ(hex(object_id(version(0x1a))), "1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a00000102");
  for (KeyPurpose p :
       {KeyPurpose::wrap, KeyPurpose::sign_ledger, KeyPurpose::sign_certificate, KeyPurpose::control})
    EXPECT_EQ(parse_purpose(purpose_text(p)), p);
  for (ProbeAnswer a : {ProbeAnswer::usable, ProbeAnswer::refused, ProbeAnswer::absent, ProbeAnswer::unknown})
    EXPECT_EQ(parse_probe(probe_text(a)), a);
  EXPECT_FALSE(parse_purpose("Wrap"));
  EXPECT_FALSE(parse_probe(""));
}

TEST(ProviderPort, JsonIsStrictBothWays) {
  ObjectSeen seen{"CKO_SECRET_KEY", "CKK_AES", "label", {1, 2}, "aabbcc"};
  Trial trial{seen, TrialOutcome::opened, "CKM_AES_GCM", "C_Decrypt: CKR_OK", Digest32{9}};
  expect_strict<ProviderIdentity>(full_request().identity.to_json());
  expect_strict<Capabilities>(
      Capabilities{true, true, false, true, false, true, false, true, "immediate", {"CKM_AES_GCM"}}
          .to_json());
  expect_strict<Canary>(full_ref().canary->to_json());
  expect_strict<KeyRef>(full_ref().to_json());
  expect_strict<Birth>(Birth{full_ref(), Json::object({{"CKA_TOKEN", true}}), {"CKA_COPYABLE"}}.to_json());
  expect_strict<Receipt>(
      Receipt{"C_DestroyObject", "CKR_OK", true, 1'700'000'000'000, 1'700'000'000'001, Json()}.to_json());
  expect_strict<ObjectSeen>(seen.to_json());
  expect_strict<Trial>(trial.to_json());
  expect_strict<Enumeration>(Enumeration{false, "why", {seen}}.to_json());
  expect_strict<ProbeRequest>(full_request().to_json());
  ProbeReport report;
  report.identity = full_request().identity;
  report.enumeration = Enumeration{true, "", {seen}};
  report.keys.push_back({version(1), ProbeAnswer::usable, "why", 1, "opened", {trial}});
  report.samples.push_back({"obj-1", "failed", {trial}});
  report.error_code = "pin-wrong";
  expect_strict<ProbeReport>(report.to_json());
  report.token_sessions = TokenSessions{3, 2};
  EXPECT_EQ(report.to_json().at("token_sessions").canonical(), R"({"rw_sessions":2,"sessions":3})");
  expect_strict<ProbeReport>(report.to_json());
  ProbeTranscript transcript{full_request().to_json(), report.to_json(), 0, "", false};
  expect_strict<ProbeTranscript>(transcript.to_json());
}

TEST(ProviderPort, BadHexAndNamesAreRefused) {
  Json ref = full_ref().to_json();
  for (const char* member : {"id", "check_value", "public_key"}) {
    Json bad = ref;
    bad.set(member, "0G");
    EXPECT_EQ(code_of([&] { KeyRef::from_json(bad); }), Code::bad_input) << member;
  }
  ref.set("purpose", "unwrap");
  EXPECT_EQ(code_of([&] { KeyRef::from_json(ref); }), Code::bad_input);
  Json request = full_request().to_json();
  request.set("v", 2);
  EXPECT_EQ(code_of([&] { ProbeRequest::from_json(request); }), Code::bad_input);
}

TEST(ProviderPort, OnlyKindSerialAndManufacturerMakeAPlace) {
  ProviderIdentity a = full_request().identity, b = a;
  b.label = "renamed";
  b.module_sha256 = "another build";
  EXPECT_TRUE(a.same_place(b));
  b.serial = "02";
  EXPECT_FALSE(a.same_place(b));
}

}  // namespace
}  // namespace kesu
