// Faults that SoftHSM2 does not show by itself, through a module that adds them.
#include "provider/probe.h"

#include <gtest/gtest.h>
#include "shim_fixture.h"

// Read by the sanitizers where the build has them: SoftHSM2 2.6.1 loses a few bytes in each C_SignInit with
// an EC key, and only whole stacks show that they are its own.
extern "C" const char* __lsan_default_suppressions() { return "leak:libsofthsm2.so\n"; }
extern "C" const char* __asan_default_options() { return "fast_unwind_on_malloc=0"; }

namespace kesu::test {
namespace {

using Pkcs11Fault = ShimToken;

TEST_F(Pkcs11Fault, AttemptsAtAPinAreNotSpentUnasked) {
  struct Row {
    const char *flags, *code, *asked;
  };
  for (const Row& row : {Row{"+PIN_COUNT_LOW", "pin-count-low", ""},
                         Row{"+PIN_COUNT_LOW,+PIN_FINAL_TRY", "pin-count-low", "pin-count-low"},
                         Row{"+PIN_LOCKED", "pin-locked", "pin-locked"}}) {
    script(std::string("C_GetTokenInfo * flags ") + row.flags);
    auto factory = provider_factory();
    factory->record_calls();
    Error error = error_of([&] { factory->open(shim_uri()); });
    EXPECT_EQ(code_text(error.code()), row.code) << row.flags;
    EXPECT_NE(error.next(), "") << row.flags;
    EXPECT_EQ(times(*factory, "C_Login"), 0) << row.flags;
    std::string asked;
    try {
      factory->open(shim_uri() + "&x-kesu-try-pin=1");
    } catch (const Error& e) {
      asked = code_text(e.code());
    }
    EXPECT_EQ(asked, row.asked) << row.flags;
    EXPECT_EQ(times(*factory, "C_Login"), asked.empty() ? 1 : 0) << row.flags;
  }
  script("C_Login * return CKR_PIN_LOCKED");
  EXPECT_EQ(code_of([&] { open_shim(); }), "pin-locked");
  script("C_Login * return CKR_USER_PIN_NOT_INITIALIZED");
  EXPECT_EQ(code_of([&] { open_shim(); }), "pin-missing");
  script("C_Login * return CKR_PIN_EXPIRED");
  EXPECT_EQ(code_of([&] { open_shim(); }), "pin-wrong");
}

TEST_F(Pkcs11Fault, AScriptThatIsNotUnderstoodKeepsTheModuleFromLoading) {
  for (const char* line :
       {"C_Encrypt 3 explode", "C_Encrypted 3 remove", "C_Encrypt 0 remove", "C_Encrypt 3-1 remove",
        "C_Encrypt 3 return CKR_NONSENSE", "C_Encrypt 3 lie CKA_LABEL 00", "state relative",
        "C_GetAttributeValue * lie CKA_LABEL 0", "C_GetTokenInfo * flags PIN_LOCKED",
        "C_Encrypt 3 return-token 4", "C_Encrypt"}) {
    script(std::string("C_Sign 1 delay 0\n") + line);
    testing::internal::CaptureStderr();
    Error error = error_of([&] { open_shim(); });
    std::string said = testing::internal::GetCapturedStderr();
    EXPECT_EQ(error.code(), Code::module_absent) << line;
    EXPECT_NE(said.find("line 2:"), std::string::npos) << line << ": " << said;
  }
}

TEST_F(Pkcs11Fault, WhatATokenRejectsIsLeftOutAndRecorded) {
  auto provider = open_shim();
  script("C_GenerateKey * reject CKA_DESTROYABLE");  // not in the template
  EXPECT_TRUE(provider->generate(version(0x10), KeyPurpose::wrap).left_out.empty());
  script("C_GenerateKey * reject CKA_ALLOWED_MECHANISMS");
  Birth birth = provider->generate(version(0x11), KeyPurpose::wrap);
  EXPECT_EQ(birth.left_out, std::vector<std::string>{"CKA_ALLOWED_MECHANISMS"});
  EXPECT_FALSE(birth.attributes.at("CKA_COPYABLE").as_bool());
  script("C_GenerateKeyPair * reject CKA_COPYABLE,CKA_ALLOWED_MECHANISMS,CKA_MODIFIABLE");
  birth = provider->generate(version(0x12), KeyPurpose::sign_ledger);
  EXPECT_EQ(birth.left_out,
            (std::vector<std::string>{"CKA_COPYABLE", "CKA_ALLOWED_MECHANISMS", "CKA_MODIFIABLE"}));
  script("C_GenerateKey * reject CKA_EXTRACTABLE");  // never left out
  EXPECT_EQ(code_of([&] { provider->generate(version(0x13), KeyPurpose::wrap); }), "provider-failed");
  script("");
  EXPECT_FALSE(provider->recover(version(0x13), KeyPurpose::wrap));
}

TEST_F(Pkcs11Fault, AKeyThatIsNotSensitiveIsNotUsed) {
  auto provider = open_shim();
  script("C_GetAttributeValue * lie CKA_SENSITIVE false");
  Error error = error_of([&] { provider->generate(version(0x11), KeyPurpose::wrap); });
  EXPECT_EQ(error.code(), Code::provider_failed);
  EXPECT_NE(error.message().find("CKA_SENSITIVE=false"), std::string::npos);
}

TEST_F(Pkcs11Fault, AGenerationThatDoesNotSayHowItEnded) {
  auto provider = open_shim();
  script("C_GenerateKey * return CKR_FUNCTION_FAILED");
  EXPECT_EQ(code_of([&] { provider->generate(version(0x11), KeyPurpose::wrap); }), "provider-failed");
  script("C_GenerateKey * then CKR_FUNCTION_FAILED");
  EXPECT_EQ(code_of([&] { provider->generate(version(0x11), KeyPurpose::wrap); }), "outcome-unknown");
  script("");
  EXPECT_TRUE(provider->recover(version(0x11), KeyPurpose::wrap));
}

TEST_F(Pkcs11Fault, ADestructionThatDoesNotSayHowItEnded) {
  auto provider = open_shim();
  KeyRef ref = provider->generate(version(0x11), KeyPurpose::wrap).ref;
  script("C_DestroyObject * return CKR_TOKEN_WRITE_PROTECTED");
  Receipt receipt = provider->destroy_object(ref);
  EXPECT_FALSE(receipt.accepted);
  EXPECT_EQ(receipt.result, "CKR_TOKEN_WRITE_PROTECTED");
  script("C_DestroyObject * then CKR_DEVICE_ERROR");
  EXPECT_EQ(code_of([&] { provider->destroy_object(ref); }), "outcome-unknown");
}

TEST_F(Pkcs11Fault, TheShortFormOfGcmParametersIsFoundOut) {
  script("C_EncryptInit * short-gcm\nC_DecryptInit * short-gcm");
  auto provider = open_shim();
  KeyRef ref = provider->generate(version(0x11), KeyPurpose::wrap).ref;
  WrappedKey wrapped = provider->wrap(ref, secret("abc"), as_bytes("aad"));
  script("");
  provider.reset();
  EXPECT_EQ(open()->unwrap(ref, wrapped, as_bytes("aad")).size(), 3u);  // the same thing by the long form
}

TEST_F(Pkcs11Fault, FaultsInUseAreNamedAndNeverAbsence) {
  auto provider = open_shim();
  KeyRef ref = provider->generate(version(0x11), KeyPurpose::wrap).ref;
  script("C_DecryptInit * return CKR_DEVICE_REMOVED\nC_EncryptInit * return CKR_DEVICE_REMOVED");
  EXPECT_EQ(code_of([&] { provider->wrap(ref, secret("x"), {}); }), "provider-unavailable");
  script("C_EncryptInit * return CKR_KEY_FUNCTION_NOT_PERMITTED");
  EXPECT_EQ(code_of([&] { provider->wrap(ref, secret("x"), {}); }), "provider-failed");
  script("C_FindObjects * return CKR_DEVICE_MEMORY");
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
  script(
      "C_DecryptInit * return CKR_KEY_FUNCTION_NOT_PERMITTED\nC_EncryptInit * return "
      "CKR_KEY_FUNCTION_NOT_PERMITTED");
  ProbeReport refused = inspect(*factory, request);
  EXPECT_EQ(refused.keys[0].answer, ProbeAnswer::refused);
  EXPECT_EQ(refused.control, ProbeAnswer::refused);
  script("");
  provider->destroy_object(gone);
  for (const char* fault :
       {"C_DecryptInit * return CKR_KEY_FUNCTION_NOT_PERMITTED\nC_EncryptInit * return "
        "CKR_KEY_FUNCTION_NOT_PERMITTED",
        "C_DecryptInit * return CKR_DEVICE_REMOVED\nC_EncryptInit * return CKR_DEVICE_REMOVED",
        "C_FindObjects * return CKR_DEVICE_MEMORY", "C_FindObjects 3+ remove",
        "C_Login * return CKR_DEVICE_ERROR", "C_GetTokenInfo 2+ serial 0123456789abcdef"}) {
    script(fault);
    EXPECT_EQ(inspect(*factory, request).keys[0].answer, ProbeAnswer::unknown) << fault;
  }
  script("");
  EXPECT_EQ(inspect(*factory, request).keys[0].answer, ProbeAnswer::absent);
}

}  // namespace
}  // namespace kesu::test
