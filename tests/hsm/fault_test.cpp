// Faults that SoftHSM2 does not show by itself, through a module that adds them.
#include "provider/probe.h"

#include <gtest/gtest.h>
#include "softhsm_fixture.h"

// Read by the sanitizers where the build has them: SoftHSM2 2.6.1 loses a few bytes in each C_SignInit with
// an EC key, and only whole stacks show that they are its own.
extern "C" const char* __lsan_default_suppressions() { return "leak:libsofthsm2.so\n"; }
extern "C" const char* __asan_default_options() { return "fast_unwind_on_malloc=0"; }

namespace kesu::test {
namespace {

class Pkcs11Fault : public SoftHsm {
 protected:
  void TearDown() override {
    set("");
    SoftHsm::TearDown();
  }
  static void set(const char* fault) { setenv("KESU_SHIM", fault, 1); }
  std::string shim_uri() const {
    return std::string("pkcs11:token=t1?module-path=") + KESU_P11_SHIM + "&pin-source=file:" + pin_path();
  }
  std::unique_ptr<Provider> open_shim() {
    auto factory = provider_factory();
    factory->record_calls();
    auto provider = factory->open(shim_uri());
    return provider;
  }
};

int64_t times(const ProviderFactory& factory, std::string_view name) {
  int64_t count = 0;
  const Json calls = factory.calls();
  for (const Json& call : calls.as_array())
    if (call.str("call") == name) count += call.num("times");
  return count;
}

TEST_F(Pkcs11Fault, TheLastAttemptAtAPinIsNotSpent) {
  for (const char* flag : {"final-try", "pin-locked-flag"}) {
    set(flag);
    auto factory = provider_factory();
    factory->record_calls();
    EXPECT_EQ(code_of([&] { factory->open(shim_uri()); }), "pin-locked");
    EXPECT_EQ(times(*factory, "C_OpenSession"), 1);
    EXPECT_EQ(times(*factory, "C_Login"), 0);
  }
  set("pin-locked");
  EXPECT_EQ(code_of([&] { open_shim(); }), "pin-locked");
}

TEST_F(Pkcs11Fault, WhatATokenRejectsIsLeftOutAndRecorded) {
  auto provider = open_shim();
  set("reject:172");  // DESTROYABLE: not in the template
  EXPECT_TRUE(provider->generate(version(0x10), KeyPurpose::wrap).left_out.empty());
  set("reject:40000600");  // ALLOWED_MECHANISMS
  Birth birth = provider->generate(version(0x11), KeyPurpose::wrap);
  EXPECT_EQ(birth.left_out, std::vector<std::string>{"CKA_ALLOWED_MECHANISMS"});
  EXPECT_FALSE(birth.attributes.at("CKA_COPYABLE").as_bool());
  set("reject:171,40000600,170");
  birth = provider->generate(version(0x12), KeyPurpose::sign_ledger);
  EXPECT_EQ(birth.left_out,
            (std::vector<std::string>{"CKA_COPYABLE", "CKA_ALLOWED_MECHANISMS", "CKA_MODIFIABLE"}));
  set("reject:162");  // EXTRACTABLE is never left out
  EXPECT_EQ(code_of([&] { provider->generate(version(0x13), KeyPurpose::wrap); }), "provider-failed");
  set("");
  EXPECT_FALSE(provider->recover(version(0x13), KeyPurpose::wrap));
}

TEST_F(Pkcs11Fault, AKeyThatIsNotSensitiveIsNotUsed) {
  auto provider = open_shim();
  set("insensitive");
  Error error = error_of([&] { provider->generate(version(0x11), KeyPurpose::wrap); });
  EXPECT_EQ(error.code(), Code::provider_failed);
  EXPECT_NE(error.message().find("CKA_SENSITIVE=false"), std::string::npos);
}

TEST_F(Pkcs11Fault, AGenerationThatDoesNotSayHowItEnded) {
  auto provider = open_shim();
  set("generate-nothing");
  EXPECT_EQ(code_of([&] { provider->generate(version(0x11), KeyPurpose::wrap); }), "provider-failed");
  set("generate-unsaid");
  EXPECT_EQ(code_of([&] { provider->generate(version(0x11), KeyPurpose::wrap); }), "outcome-unknown");
  set("");
  EXPECT_TRUE(provider->recover(version(0x11), KeyPurpose::wrap));
}

TEST_F(Pkcs11Fault, ADestructionThatDoesNotSayHowItEnded) {
  auto provider = open_shim();
  KeyRef ref = provider->generate(version(0x11), KeyPurpose::wrap).ref;
  set("destroy-refused");
  Receipt receipt = provider->destroy_object(ref);
  EXPECT_FALSE(receipt.accepted);
  EXPECT_EQ(receipt.result, "CKR_TOKEN_WRITE_PROTECTED");
  set("destroy-unsaid");
  EXPECT_EQ(code_of([&] { provider->destroy_object(ref); }), "outcome-unknown");
}

TEST_F(Pkcs11Fault, TheShortFormOfGcmParametersIsFoundOut) {
  set("short-gcm");
  auto provider = open_shim();
  KeyRef ref = provider->generate(version(0x11), KeyPurpose::wrap).ref;
  WrappedKey wrapped = provider->wrap(ref, secret("abc"), as_bytes("aad"));
  set("");
  provider.reset();
  EXPECT_EQ(open()->unwrap(ref, wrapped, as_bytes("aad")).size(), 3u);  // the same thing by the long form
}

TEST_F(Pkcs11Fault, FaultsInUseAreNamedAndNeverAbsence) {
  auto provider = open_shim();
  KeyRef ref = provider->generate(version(0x11), KeyPurpose::wrap).ref;
  set("removed");
  EXPECT_EQ(code_of([&] { provider->wrap(ref, secret("x"), {}); }), "provider-unavailable");
  set("not-permitted");
  EXPECT_EQ(code_of([&] { provider->wrap(ref, secret("x"), {}); }), "provider-failed");
  set("find-fails");
  EXPECT_EQ(code_of([&] { provider->describe(ref); }), "provider-unavailable");
  Enumeration seen = provider->enumerate();
  EXPECT_FALSE(seen.complete);
  EXPECT_NE(seen.why.find("CKR_DEVICE_MEMORY"), std::string::npos);
  EXPECT_EQ(code_of([&] { provider->recover(version(0x12), KeyPurpose::wrap); }), "provider-unavailable");
}

TEST_F(Pkcs11Fault, TheRuleOverAFaultyToken) {
  auto provider = open_shim();
  ProbeRequest request;
  request.uri = shim_uri();
  request.identity = provider->identity();
  KeyRef gone = provider->generate(version(0x11), KeyPurpose::wrap).ref;
  request.control = provider->generate(version(0xcc), KeyPurpose::control).ref;
  request.keys = {gone, *request.control};
  auto factory = provider_factory();
  set("not-permitted");
  ProbeReport refused = inspect(*factory, request);
  EXPECT_EQ(refused.keys[0].answer, ProbeAnswer::refused);
  EXPECT_EQ(refused.control, ProbeAnswer::refused);
  set("");
  provider->destroy_object(gone);
  for (const char* fault : {"not-permitted", "removed", "find-fails"}) {
    set(fault);
    EXPECT_EQ(inspect(*factory, request).keys[0].answer, ProbeAnswer::unknown) << fault;
  }
  set("");
  EXPECT_EQ(inspect(*factory, request).keys[0].answer, ProbeAnswer::absent);
}

}  // namespace
}  // namespace kesu::test
