// Keys that a token has already, and keys that were made elsewhere: taken only where they are what a wrap key
// must be.
#include <gtest/gtest.h>

#include <functional>

#include "shim_fixture.h"

namespace kesu::test {
namespace {

using Adopt = ShimToken;

// A key made past kesu; `change` may alter the template.
void make(Raw& raw, const std::string& label, Bytes id, CK_ATTRIBUTE_TYPE odd = 0, bool value = false,
          CK_ULONG size = 32) {
  std::vector<std::pair<CK_ATTRIBUTE_TYPE, CK_BBOOL>> flags = {
      {CKA_TOKEN, CK_TRUE},        {CKA_PRIVATE, CK_TRUE}, {CKA_SENSITIVE, CK_TRUE},
      {CKA_EXTRACTABLE, CK_FALSE}, {CKA_ENCRYPT, CK_TRUE}, {CKA_DECRYPT, CK_TRUE}};
  std::vector<CK_ATTRIBUTE> what;
  for (auto& [type, flag] : flags) {
    if (type == odd) flag = value ? CK_TRUE : CK_FALSE;
    what.push_back({type, &flag, 1});
  }
  what.push_back({CKA_VALUE_LEN, &size, sizeof size});
  what.push_back({CKA_LABEL, const_cast<char*>(label.data()), label.size()});
  what.push_back({CKA_ID, id.data(), id.size()});
  CK_MECHANISM how{CKM_AES_KEY_GEN, nullptr, 0};
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
  ASSERT_EQ(raw.f->C_GenerateKey(raw.session, &how, what.data(), what.size(), &key), CKR_OK);
}

TEST_F(Adopt, TakesAKeyAsItIsAndChangesNothing) {
  auto provider = open_shim();
  EXPECT_TRUE(provider->capabilities().adopts);
  Raw raw;
  make(raw, "db-master", {1, 2});
  make(raw, "other", {3});
  Birth birth = provider->adopt(version(0x11), {"db-master", {}});
  EXPECT_EQ(birth.ref.label, "db-master");
  EXPECT_EQ(birth.ref.id, (Bytes{1, 2}));
  EXPECT_EQ(birth.ref.version.str(), version(0x11).str());
  EXPECT_EQ(birth.ref.check_value.size(), 6u);
  EXPECT_EQ(birth.attributes.str("CKA_LABEL"), "db-master");
  // Weaker than a key of kesu's own, and said.
  EXPECT_NE(std::find(birth.left_out.begin(), birth.left_out.end(), "CKA_MODIFIABLE"), birth.left_out.end());
  EXPECT_EQ(std::find(birth.left_out.begin(), birth.left_out.end(), "CKA_LABEL"), birth.left_out.end());
  Birth again = provider->adopt(version(0x11), {"", {1, 2}});
  EXPECT_EQ(again.attributes, birth.attributes);
  EXPECT_NE(again.ref.canary->digest, birth.ref.canary->digest);
  WrappedKey wrapped = provider->wrap(birth.ref, secret("abc"), {});
  EXPECT_EQ(open()->unwrap(KeyRef::from_json(again.ref.to_json()), wrapped, {}).size(), 3u);
  EXPECT_TRUE(provider->destroy_object(birth.ref).accepted);
  EXPECT_EQ(code_of([&] { provider->describe(birth.ref); }), "object-absent");
  EXPECT_TRUE(provider->adopt(version(0x12), {"other", {3}}).ref.canary.has_value());
}

TEST_F(Adopt, RefusesWhatIsNoWrapKeyNamingTheAttribute) {
  auto provider = open_shim();
  Raw raw;
  struct Row {
    const char* label;
    CK_ATTRIBUTE_TYPE odd;
    bool value;
    CK_ULONG size;
    const char* named;
  };
  for (const Row& row :
       {Row{"a", 0, false, 16, "CKA_VALUE_LEN=16"}, Row{"b", CKA_ENCRYPT, false, 32, "CKA_ENCRYPT=false"},
        Row{"c", CKA_DECRYPT, false, 32, "CKA_DECRYPT=false"},
        Row{"d", CKA_SENSITIVE, false, 32, "CKA_SENSITIVE=false"},
        Row{"e", CKA_EXTRACTABLE, true, 32, "CKA_EXTRACTABLE=true"},
        Row{"f", CKA_TOKEN, false, 32, "CKA_TOKEN=false"}}) {
    make(raw, row.label, {9}, row.odd, row.value, row.size);
    Error error = error_of([&] { provider->adopt(version(0x11), {row.label, {}}); });
    EXPECT_EQ(error.code(), Code::policy_refused) << row.label;
    EXPECT_NE(error.message().find(row.named), std::string::npos) << error.message();
  }
  ASSERT_EQ(run(tool("--keygen --key-type generic:32 --label loose")), 0);
  EXPECT_NE(error_of([&] {
              provider->adopt(version(0x11), {"loose", {}});
            })
                .message()
                .find("CKA_KEY_TYPE=CKK_GENERIC_SECRET"),
            std::string::npos);
}

TEST_F(Adopt, ExactlyOneKeyMustFit) {
  auto provider = open_shim();
  Raw raw;
  EXPECT_EQ(code_of([&] { provider->adopt(version(0x11), {"twin", {}}); }), "object-absent");
  EXPECT_EQ(code_of([&] { provider->adopt(version(0x11), {"", {}}); }), "bad-input");
  make(raw, "twin", {1});
  make(raw, "twin", {2});
  Error error = error_of([&] { provider->adopt(version(0x11), {"twin", {}}); });
  EXPECT_EQ(error.code(), Code::object_ambiguous);
  EXPECT_NE(error.cause().find("id 01"), std::string::npos);
  EXPECT_NE(error.cause().find("id 02"), std::string::npos);
  EXPECT_EQ(provider->adopt(version(0x11), {"twin", {2}}).ref.id, Bytes{2});
}

TEST_F(Adopt, ImportsAKeyThatThenStaysInside) {
  auto provider = open_shim();
  Bytes known(32, 0x5a);
  Birth birth = provider->import_key(version(0x11), Secret::from(known));
  EXPECT_EQ(birth.ref.label, object_label(version(0x11)));
  EXPECT_TRUE(birth.attributes.at("CKA_SENSITIVE").as_bool());
  EXPECT_FALSE(birth.attributes.at("CKA_EXTRACTABLE").as_bool());
  EXPECT_FALSE(birth.attributes.at("CKA_LOCAL").as_bool());
  EXPECT_FALSE(birth.attributes.at("CKA_NEVER_EXTRACTABLE").as_bool());
  EXPECT_FALSE(birth.attributes.has("CKA_VALUE"));
  EXPECT_TRUE(birth.left_out.empty()) << birth.left_out.front();
  // The same bytes are the same key.
  WrappedKey wrapped = provider->wrap(birth.ref, secret("abc"), {});
  KeyRef twin = provider->import_key(version(0x12), Secret::from(known)).ref;
  EXPECT_EQ(provider->unwrap(twin, wrapped, {}).size(), 3u);
  KeyRef other = provider->import_key(version(0x13), Secret(32)).ref;
  EXPECT_EQ(code_of([&] { provider->unwrap(other, wrapped, {}); }), "sealed-damaged");
  EXPECT_EQ(code_of([&] { provider->import_key(version(0x11), Secret(32)); }), "already-exists");
  EXPECT_EQ(code_of([&] { provider->import_key(version(0x14), Secret(16)); }), "bad-input");
  EXPECT_TRUE(provider->destroy_object(birth.ref).accepted);
}

TEST_F(Adopt, WhatATokenDoesToAnImportIsRecordedOrRefused) {
  auto provider = open_shim();
  script("C_CreateObject * reject CKA_COPYABLE");
  EXPECT_EQ(provider->import_key(version(0x11), Secret(32)).left_out,
            std::vector<std::string>{"CKA_COPYABLE"});
  script("C_CreateObject * reject CKA_SENSITIVE");
  EXPECT_EQ(code_of([&] { provider->import_key(version(0x12), Secret(32)); }), "provider-failed");
  script("C_GetAttributeValue * lie CKA_LOCAL true");
  Error error = error_of([&] { provider->import_key(version(0x13), Secret(32)); });
  EXPECT_EQ(error.code(), Code::provider_failed);
  EXPECT_NE(error.message().find("CKA_LOCAL=true"), std::string::npos);
  script("C_CreateObject * then CKR_FUNCTION_FAILED");
  EXPECT_EQ(code_of([&] { provider->import_key(version(0x14), Secret(32)); }), "outcome-unknown");
  script("");
  EXPECT_TRUE(provider->recover(version(0x14), KeyPurpose::wrap));
}

TEST_F(Adopt, TheUriOfAnObject) {
  auto [token, what] =
      parse_object_uri("pkcs11:serial=0A;token=My%20token;object=db%3bmaster;id=%00%ff;type=secret-key");
  EXPECT_EQ(what.label, "db;master");
  EXPECT_EQ(what.id, (Bytes{0x00, 0xff}));
  EXPECT_EQ(token, parse_object_uri("pkcs11:token=My%20token;object=x;serial=0A").first);
  EXPECT_NE(token, parse_object_uri("pkcs11:token=My%20token;object=x").first);
  ProviderIdentity identity = open()->identity();
  EXPECT_TRUE(object_uri_fits(parse_object_uri("pkcs11:token=t1;object=x").first, identity));
  EXPECT_TRUE(object_uri_fits(parse_object_uri("pkcs11:object=x").first, identity));
  EXPECT_TRUE(
      object_uri_fits(parse_object_uri("pkcs11:serial=" + identity.serial + ";id=%01").first, identity));
  EXPECT_FALSE(object_uri_fits(parse_object_uri("pkcs11:token=t2;object=x").first, identity));
  EXPECT_FALSE(object_uri_fits(token, identity));
  for (const char* bad : {"pkcs11:token=t1", "soft:/x;object=y", "pkcs11:object=x?module-path=/m",
                          "pkcs11:object=x;type=public", "pkcs11:object=%00", "pkcs11:object=%ff",
                          "pkcs11:object=x;slot-id=1", "pkcs11:id=%0"})
    EXPECT_EQ(code_of([&] { parse_object_uri(bad); }), "bad-input") << bad;
  Error pin = error_of([] { parse_object_uri("pkcs11:object=x?pin-value=geheim"); });
  EXPECT_NE(pin.message().find("pin-value"), std::string::npos);
  EXPECT_EQ(pin.message().find("geheim"), std::string::npos);
}

}  // namespace
}  // namespace kesu::test
