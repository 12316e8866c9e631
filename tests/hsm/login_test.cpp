// URIs, PINs, tokens and modules: everything before the first key.
#include <gtest/gtest.h>

#include <sys/stat.h>

#include "hsm/pkcs11/uri.h"
#include "softhsm_fixture.h"

namespace kesu::test {
namespace {

using Pkcs11Login = SoftHsm;

int64_t logins(const ProviderFactory& factory) {
  int64_t count = 0;
  const Json calls = factory.calls();
  for (const Json& call : calls.as_array())
    if (call.str("call") == "C_Login") count += call.num("times");
  return count;
}

TEST(Pkcs11Uri, ReadsWhatItKnows) {
  auto uri = p11::Uri::parse(
      "pkcs11:token=My%20token;serial=0A;manufacturer=M;model=X?module-path=/lib/m.so&pin-source=file:///"
      "p%C3%a4th/pin");
  EXPECT_EQ(uri.token, "My token");
  EXPECT_EQ(uri.serial, "0A");
  EXPECT_EQ(uri.manufacturer, "M");
  EXPECT_EQ(uri.model, "X");
  EXPECT_EQ(uri.module_path, "/lib/m.so");
  EXPECT_EQ(uri.pin_source, "file:/p\xc3\xa4th/pin");
  EXPECT_EQ(p11::Uri::parse("pkcs11:?module-path=/m&pin-source=/pin").pin_source, "file:/pin");
  EXPECT_EQ(p11::Uri::parse("pkcs11:?module-path=/m&pin-source=env:X").pin_source, "env:X");
  EXPECT_EQ(p11::Uri::parse("pkcs11:?module-path=/m&pin-source=prompt").pin_source, "prompt");
  EXPECT_EQ(p11::Uri::parse("pkcs11:?module-path=/m").pin_source, "");
}

TEST(Pkcs11Uri, RefusesTheRestByName) {
  auto why = [](const std::string& text) {
    Error error = error_of([&] { p11::Uri::parse(text); });
    EXPECT_EQ(error.code(), Code::bad_input) << text;
    return error.message();
  };
  EXPECT_NE(why("pkcs12:token=x").find("pkcs11:"), std::string::npos);
  EXPECT_NE(why("pkcs11:object=x?module-path=/m").find("'object'"), std::string::npos);
  EXPECT_NE(why("pkcs11:token=x?module-path=/m&x-vendor=1").find("'x-vendor'"), std::string::npos);
  EXPECT_NE(why("pkcs11:token=x;token=y?module-path=/m").find("twice"), std::string::npos);
  EXPECT_NE(why("pkcs11:token=%zz?module-path=/m").find("'token'"), std::string::npos);
  EXPECT_NE(why("pkcs11:token=%4?module-path=/m").find("'token'"), std::string::npos);
  EXPECT_NE(why("pkcs11:token=%00?module-path=/m").find("control"), std::string::npos);
  EXPECT_NE(why("pkcs11:token=%ff?module-path=/m").find("UTF-8"), std::string::npos);
  EXPECT_NE(why("pkcs11:token=a b?module-path=/m").find("percent"), std::string::npos);
  EXPECT_NE(why("pkcs11:token?module-path=/m").find("name=value"), std::string::npos);
  EXPECT_NE(why("pkcs11:token=x").find("module-path"), std::string::npos);
  EXPECT_NE(why("pkcs11:token=x?module-path=m.so").find("absolute"), std::string::npos);
  EXPECT_NE(why("pkcs11:token=x?module-path=/m&module-name=m").find("module-name"), std::string::npos);
  EXPECT_NE(why("pkcs11:token=x?module-path=/m&pin-source=pin").find("pin-source"), std::string::npos);
  EXPECT_NE(why("pkcs11:token=x?module-path=/m&pin-source=file://host/pin").find("pin-source"),
            std::string::npos);
  // The PIN itself is in no message.
  for (const char* text : {"pkcs11:token=x?module-path=/m&pin-value=geheim",
                           "pkcs11:token=x?module-path=/m&geheim", "pkcs11:token=x?pin-value=geheim%zz"})
    EXPECT_EQ(why(text).find("geheim"), std::string::npos);
  EXPECT_NE(why("pkcs11:token=x?module-path=/m&pin-value=geheim").find("pin-value"), std::string::npos);
}

TEST_F(Pkcs11Login, AnUnknownSchemeNamesTheKnownOnes) {
  Error error = error_of([] { provider_factory()->open("kmip://host"); });
  EXPECT_EQ(error.code(), Code::bad_input);
  EXPECT_NE(error.cause().find("pkcs11:"), std::string::npos);
  EXPECT_EQ(provider_schemes(), (std::vector<std::string>{"pkcs11:", "soft:"}));
}

TEST_F(Pkcs11Login, AWrongPinIsTriedExactlyOnce) {
  write_pin("wrong");
  auto factory = provider_factory();
  factory->record_calls();
  Error first = error_of([&] { factory->open(uri()); });
  EXPECT_EQ(first.code(), Code::pin_wrong);
  EXPECT_NE(first.tried().find("once"), std::string::npos);
  EXPECT_NE(first.cause().find("may lock"), std::string::npos);
  EXPECT_EQ(logins(*factory), 1);
  EXPECT_EQ(code_of([&] { factory->open(uri()); }), "pin-wrong");
  EXPECT_EQ(code_of([&] { provider_factory()->open(uri()); }), "pin-wrong");
  EXPECT_EQ(logins(*factory), 1);
  // Corrected: SoftHSM2 counts the wrong one, so the next attempt is a person's decision. It clears the
  // count.
  write_pin(kPin);
  EXPECT_EQ(code_of([&] { factory->open(uri()); }), "pin-count-low");
  EXPECT_EQ(logins(*factory), 1);
  EXPECT_EQ(factory->open(uri() + "&x-kesu-try-pin=1")->identity().label, "t1");
  EXPECT_EQ(factory->open(uri())->identity().label, "t1");
}

TEST_F(Pkcs11Login, APinFileMustBeClosedToOthers) {
  for (unsigned mode : {0640u, 0604u, 0660u, 0777u, 0610u}) {
    ASSERT_EQ(chmod(pin_path().c_str(), mode), 0);
    auto factory = provider_factory();
    factory->record_calls();
    Error error = error_of([&] { factory->open(uri()); });
    EXPECT_EQ(error.code(), Code::pin_source_unsafe) << std::oct << mode;
    EXPECT_NE(error.next().find("chmod 600 " + pin_path()), std::string::npos);
    EXPECT_EQ(logins(*factory), 0);
  }
  ASSERT_EQ(chmod(pin_path().c_str(), 0400), 0);
  EXPECT_NO_THROW(open());
  std::filesystem::remove(pin_path());
  EXPECT_EQ(code_of([&] { open(); }), "pin-missing");
  std::filesystem::create_directory(pin_path());
  EXPECT_EQ(code_of([&] { open(); }), "pin-source-unsafe");
}

TEST_F(Pkcs11Login, APinMayComeFromAVariableOrADescriptor) {
  std::string base = "pkcs11:token=t1?module-path=" + std::string(kModule) + "&pin-source=";
  setenv("KESU_TEST_PIN", kPin, 1);
  EXPECT_NO_THROW(provider_factory()->open(base + "env:KESU_TEST_PIN"));
  unsetenv("KESU_TEST_PIN");
  EXPECT_EQ(code_of([&] { provider_factory()->open(base + "env:KESU_TEST_PIN"); }), "pin-missing");
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_GT(write(ends[1], "correct-pin-4711\r\nmore", 22), 0);
  close(ends[1]);
  EXPECT_NO_THROW(provider_factory()->open(base + "fd:" + std::to_string(ends[0])));
  close(ends[0]);
  EXPECT_EQ(code_of([&] { provider_factory()->open(base + "fd:" + std::to_string(ends[0])); }),
            "pin-missing");
  EXPECT_EQ(code_of([&] { provider_factory()->open(base + "fd:x"); }), "bad-input");
  std::string none = "pkcs11:token=t1?module-path=" + std::string(kModule);
  EXPECT_EQ(code_of([&] { provider_factory()->open(none); }), "pin-missing");
}

TEST_F(Pkcs11Login, TwoTokensOfOneNameAreAmbiguous) {
  std::string serial = open()->identity().serial;
  add_token("t1");
  Error error = error_of([&] { open(); });
  EXPECT_EQ(error.code(), Code::token_ambiguous);
  EXPECT_NE(error.cause().find("serial=" + serial), std::string::npos);
  auto one = provider_factory()->open("pkcs11:token=t1;serial=" + serial + "?module-path=" + kModule +
                                      "&pin-source=file:" + pin_path());
  EXPECT_EQ(one->identity().serial, serial);
}

TEST_F(Pkcs11Login, ATokenThatIsNotThereIsSaidToBeSo) {
  Error error = error_of([&] { provider_factory()->open(uri("other")); });
  EXPECT_EQ(error.code(), Code::token_absent);
  EXPECT_NE(error.cause().find("token=t1"), std::string::npos);
  for (const auto& entry : std::filesystem::directory_iterator(dir_ + "/tokens"))
    std::filesystem::remove_all(entry.path());
  EXPECT_EQ(code_of([&] { open(); }), "token-absent");
  std::filesystem::remove_all(dir_ + "/tokens");
  EXPECT_EQ(code_of([&] { open(); }), "provider-unavailable");
}

TEST_F(Pkcs11Login, AModuleThatIsNotThereOrIsNone) {
  auto open_module = [&](const std::string& path) {
    return code_of([&] {
      provider_factory()->open("pkcs11:token=t1?module-path=" + path + "&pin-source=" + pin_path());
    });
  };
  EXPECT_EQ(open_module("/nonexistent/module.so"), "module-absent");
  EXPECT_EQ(open_module(dir_ + "/softhsm2.conf"), "module-absent");
  EXPECT_EQ(open_module("/usr/lib/x86_64-linux-gnu/libz.so.1"), "module-absent");
}

TEST_F(Pkcs11Login, ProvidersOfOneProcessShareTheModuleAndEndAlone) {
  auto first = open();
  KeyRef ref = first->generate(version(0x11), KeyPurpose::wrap).ref;
  auto second = open();
  WrappedKey wrapped = first->wrap(ref, secret("abc"), {});
  first.reset();
  EXPECT_EQ(second->unwrap(ref, wrapped, {}).size(), 3u);
  second.reset();
  auto third = open();  // initialised anew
  EXPECT_EQ(third->unwrap(ref, wrapped, {}).size(), 3u);
}

}  // namespace
}  // namespace kesu::test
