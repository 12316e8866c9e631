// The PKCS #11 provider against a real SoftHSM2: births, use, and what goes wrong with keys.
#include "crypto/hash.h"

#include <gtest/gtest.h>
#include "crypto/sign.h"
#include "softhsm_fixture.h"

namespace kesu::test {
namespace {

using Pkcs11 = SoftHsm;

TEST_F(Pkcs11, SaysWhoItIsAndWhatItCanDo) {
  auto provider = open();
  ProviderIdentity who = provider->identity();
  EXPECT_EQ(who.kind, "pkcs11");
  EXPECT_EQ(who.label, "t1");
  EXPECT_EQ(who.serial.size(), 16u);
  EXPECT_EQ(who.manufacturer, "SoftHSM project");
  EXPECT_EQ(who.model, "SoftHSM v2");
  EXPECT_EQ(who.library_version, "2.6");
  EXPECT_EQ(who.module_sha256, hex(sha256(ByteView(read_file(who.module_path)))));
  EXPECT_TRUE(ProviderIdentity::from_json(who.to_json()).same_place(who));
  Capabilities can = provider->capabilities();
  EXPECT_TRUE(can.wrap_aes256_gcm && can.sign_ed25519 && can.sign_ecdsa_p384 && can.enumerates_all);
  EXPECT_FALSE(can.disables);
  EXPECT_EQ(can.destroys, "immediate");
  EXPECT_NE(std::find(can.mechanisms.begin(), can.mechanisms.end(), "CKM_AES_GCM"), can.mechanisms.end());
}

TEST_F(Pkcs11, AWrapKeyIsBornInsideAndCannotLeave) {
  auto provider = open();
  Birth birth = provider->generate(version(0x11), KeyPurpose::wrap);
  EXPECT_TRUE(birth.left_out.empty()) << birth.left_out.front();
  const Json& a = birth.attributes;
  EXPECT_EQ(a.str("CKA_CLASS"), "CKO_SECRET_KEY");
  EXPECT_EQ(a.str("CKA_KEY_TYPE"), "CKK_AES");
  EXPECT_EQ(a.num("CKA_VALUE_LEN"), 32);
  EXPECT_EQ(a.str("CKA_LABEL"), "kesu:" + version(0x11).str());
  EXPECT_EQ(a.str("CKA_ID"), std::string(32, '1') + "00000001");
  for (const char* name : {"CKA_TOKEN", "CKA_PRIVATE", "CKA_SENSITIVE", "CKA_ALWAYS_SENSITIVE",
                           "CKA_NEVER_EXTRACTABLE", "CKA_LOCAL", "CKA_ENCRYPT", "CKA_DECRYPT"})
    EXPECT_TRUE(a.at(name).as_bool()) << name;
  for (const char* name : {"CKA_EXTRACTABLE", "CKA_MODIFIABLE", "CKA_COPYABLE", "CKA_DERIVE", "CKA_SIGN",
                           "CKA_VERIFY", "CKA_WRAP", "CKA_UNWRAP"})
    EXPECT_FALSE(a.at(name).as_bool()) << name;
  EXPECT_EQ(a.at("CKA_ALLOWED_MECHANISMS"), Json::array({"CKM_AES_GCM"}));
  EXPECT_EQ(a.str("CKA_KEY_GEN_MECHANISM"), "CKM_AES_KEY_GEN");
  EXPECT_FALSE(a.has("CKA_VALUE"));
  EXPECT_EQ(a.str("CKA_CHECK_VALUE"), birth.ref.check_value);
  EXPECT_EQ(birth.ref.check_value.size(), 6u);
  ASSERT_TRUE(birth.ref.canary);
  EXPECT_EQ(birth.ref.canary->ciphertext.size(), 48u);
  EXPECT_EQ(provider->describe(birth.ref), a);
  EXPECT_EQ(Birth::from_json(birth.to_json()).to_json(), birth.to_json());
  // The one allowed mechanism: ECB would answer with the key's own check value.
  Raw raw;
  CK_MECHANISM ecb{CKM_AES_ECB, nullptr, 0};
  EXPECT_NE(raw.f->C_EncryptInit(raw.session, &ecb, raw.find(CKO_SECRET_KEY, birth.ref.label).front()),
            CKR_OK);
}

TEST_F(Pkcs11, WrapsAndUnwrapsOverALaterLogin) {
  KeyRef ref;
  WrappedKey wrapped, second;
  {
    auto provider = open();
    ref = provider->generate(version(0x11), KeyPurpose::wrap).ref;
    wrapped = provider->wrap(ref, secret("0123456789abcdef0123456789abcdef"), as_bytes("aad"));
    second = provider->wrap(ref, secret("0123456789abcdef0123456789abcdef"), as_bytes("aad"));
  }
  EXPECT_EQ(wrapped.blob.size(), 48u);
  EXPECT_NE(wrapped.nonce, second.nonce);
  auto provider = open();
  ref = KeyRef::from_json(ref.to_json());
  Secret opened = provider->unwrap(ref, wrapped, as_bytes("aad"));
  EXPECT_EQ(as_text(opened.reveal()), "0123456789abcdef0123456789abcdef");

  EXPECT_EQ(code_of([&] { provider->unwrap(ref, wrapped, as_bytes("other")); }), "sealed-damaged");
  for (size_t at : {size_t{0}, size_t{31}, size_t{32}, size_t{47}}) {
    WrappedKey altered = wrapped;
    altered.blob[at] ^= 1;
    EXPECT_EQ(code_of([&] { provider->unwrap(ref, altered, as_bytes("aad")); }), "sealed-damaged") << at;
  }
  WrappedKey cut = wrapped;
  cut.blob.resize(16);
  EXPECT_EQ(code_of([&] { provider->unwrap(ref, cut, as_bytes("aad")); }), "sealed-damaged");
  // The session is fit for use after failures.
  EXPECT_EQ(provider->unwrap(ref, wrapped, as_bytes("aad")).size(), 32u);
}

TEST_F(Pkcs11, SignsWithBothKindsOfPairs) {
  auto provider = open();
  Birth ledger = provider->generate(version(0x21), KeyPurpose::sign_ledger);
  Birth certificate = provider->generate(version(0x22), KeyPurpose::sign_certificate);
  for (const Birth* birth : {&ledger, &certificate}) {
    EXPECT_TRUE(birth->left_out.empty()) << birth->left_out.front();
    EXPECT_TRUE(birth->attributes.at("CKA_SENSITIVE").as_bool());
    EXPECT_FALSE(birth->attributes.at("CKA_EXTRACTABLE").as_bool());
    EXPECT_EQ(birth->attributes.at("public").str("CKA_CLASS"), "CKO_PUBLIC_KEY");
    EXPECT_FALSE(birth->ref.canary);
  }
  Bytes message = to_bytes(as_bytes("a message"));
  Bytes signature = provider->sign(ledger.ref, message);
  EXPECT_TRUE(verify(PublicKey::from_spki(ledger.ref.public_key), SigAlg::ed25519, message, signature));
  Bytes raw = provider->sign(certificate.ref, hash(HashAlg::sha384, message));
  ASSERT_EQ(raw.size(), 96u);
  auto der = ecdsa_raw_to_der(KeyKind::p384, raw);
  ASSERT_TRUE(der);
  EXPECT_TRUE(verify(PublicKey::from_spki(certificate.ref.public_key), SigAlg::ecdsa_sha384, message, *der));
  EXPECT_EQ(code_of([&] { provider->sign(certificate.ref, message); }), "bad-input");
  EXPECT_EQ(code_of([&] { provider->wrap(ledger.ref, secret("x"), {}); }), "mechanism-absent");

  // The other pair's public key in the reference: a swapped key.
  KeyRef wrong = ledger.ref;
  wrong.public_key = provider->generate(version(0x23), KeyPurpose::sign_ledger).ref.public_key;
  EXPECT_EQ(code_of([&] { provider->sign(wrong, message); }), "key-mismatch");
}

TEST_F(Pkcs11, ALabelServesOnce) {
  auto provider = open();
  provider->generate(version(0x11), KeyPurpose::wrap);
  EXPECT_EQ(code_of([&] { provider->generate(version(0x11), KeyPurpose::wrap); }), "already-exists");
  EXPECT_EQ(code_of([&] { provider->generate(version(0x11), KeyPurpose::sign_ledger); }), "already-exists");
}

TEST_F(Pkcs11, AKeyDestroyedElsewhereIsNotFound) {
  KeyRef ref;
  {
    auto provider = open();
    ref = provider->generate(version(0x11), KeyPurpose::wrap).ref;
    provider->generate(version(0x12), KeyPurpose::wrap);
  }
  auto provider = open();
  ASSERT_EQ(run(tool("--delete-object --type secrkey --label " + ref.label)), 0);
  Error error = error_of([&] { provider->wrap(ref, secret("x"), {}); });
  EXPECT_EQ(error.code(), Code::object_absent);
  EXPECT_NE(error.message().find("not found"), std::string::npos);
  EXPECT_EQ(error.message().find("destroyed"), std::string::npos);
  EXPECT_EQ(code_of([&] { provider->describe(ref); }), "object-absent");
}

TEST_F(Pkcs11, AKeyDestroyedWhileItsHandleIsHeldIsLookedForAnew) {
  auto provider = open();
  KeyRef ref = provider->generate(version(0x11), KeyPurpose::wrap).ref;
  Raw().destroy(CKO_SECRET_KEY, ref.label);
  Error error = error_of([&] { provider->wrap(ref, secret("x"), {}); });
  EXPECT_EQ(error.code(), Code::object_absent);
  EXPECT_EQ(error.message().find("destroyed"), std::string::npos);
}

TEST_F(Pkcs11, AnotherKeyUnderTheSameLabelAndIdIsRefused) {
  auto provider = open();
  KeyRef ref = provider->generate(version(0x11), KeyPurpose::wrap).ref;
  Raw raw;
  raw.destroy(CKO_SECRET_KEY, ref.label);
  raw.make_aes(ref.label, ref.id);
  auto fresh = open();
  EXPECT_EQ(code_of([&] { fresh->wrap(ref, secret("x"), {}); }), "key-mismatch");  // by its check value
  KeyRef no_check = ref;
  no_check.check_value.clear();
  Error error = error_of([&] { fresh->wrap(no_check, secret("x"), {}); });  // by its canary
  EXPECT_EQ(error.code(), Code::key_mismatch);
  EXPECT_EQ(error.tried(), "opening its canary");
  EXPECT_EQ(code_of([&] { fresh->destroy_object(no_check); }), "key-mismatch");
  EXPECT_EQ(raw.find(CKO_SECRET_KEY, ref.label).size(), 1u);
  raw.make_aes(ref.label, ref.id);
  EXPECT_EQ(code_of([&] { fresh->describe(ref); }), "object-ambiguous");
}

TEST_F(Pkcs11, ALabelOrAnIdAloneIsNotTheKey) {
  auto provider = open();
  KeyRef ref = provider->generate(version(0x11), KeyPurpose::wrap).ref;
  Raw raw;
  raw.destroy(CKO_SECRET_KEY, ref.label);
  CK_OBJECT_HANDLE other = raw.make_aes(ref.label, {1, 2, 3});
  auto fresh = open();
  EXPECT_EQ(code_of([&] { fresh->describe(ref); }), "key-mismatch");
  raw.f->C_DestroyObject(raw.session, other);
  raw.make_aes("else", ref.id);
  EXPECT_EQ(code_of([&] { fresh->describe(ref); }), "key-mismatch");
}

TEST_F(Pkcs11, RecoversWhatAnInterruptedGenerationLeft) {
  auto provider = open();
  EXPECT_FALSE(provider->recover(version(0x11), KeyPurpose::wrap));
  Birth wrap = provider->generate(version(0x11), KeyPurpose::wrap);
  Birth sign = provider->generate(version(0x21), KeyPurpose::sign_ledger);
  auto later = open();  // the births were lost with the process
  auto found = later->recover(version(0x11), KeyPurpose::wrap);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->attributes, wrap.attributes);
  EXPECT_EQ(found->ref.check_value, wrap.ref.check_value);
  EXPECT_NE(found->ref.canary->digest, wrap.ref.canary->digest);
  EXPECT_TRUE(found->left_out.empty()) << found->left_out.front();
  WrappedKey wrapped = later->wrap(found->ref, secret("abc"), {});
  EXPECT_EQ(provider->unwrap(wrap.ref, wrapped, {}).size(), 3u);
  EXPECT_EQ(later->recover(version(0x21), KeyPurpose::sign_ledger)->ref.public_key, sign.ref.public_key);

  // A key that something else made under the label shows in what differs from the template.
  Raw raw;
  raw.make_aes(object_label(version(0x31)), object_id(version(0x31)));
  auto strange = later->recover(version(0x31), KeyPurpose::wrap);
  ASSERT_TRUE(strange);
  EXPECT_NE(std::find(strange->left_out.begin(), strange->left_out.end(), "CKA_MODIFIABLE"),
            strange->left_out.end());
  raw.make_aes(object_label(version(0x31)), object_id(version(0x31)));
  EXPECT_EQ(code_of([&] { later->recover(version(0x31), KeyPurpose::wrap); }), "object-ambiguous");
}

TEST_F(Pkcs11, HalfAPairIsNoKeyOrSaidToBeHalf) {
  auto provider = open();
  Birth first = provider->generate(version(0x21), KeyPurpose::sign_certificate);
  Birth second = provider->generate(version(0x22), KeyPurpose::sign_certificate);
  Raw raw;
  raw.destroy(CKO_PRIVATE_KEY, first.ref.label);
  raw.destroy(CKO_PUBLIC_KEY, second.ref.label);
  EXPECT_FALSE(provider->recover(version(0x21), KeyPurpose::sign_certificate));
  EXPECT_EQ(code_of([&] { provider->recover(version(0x22), KeyPurpose::sign_certificate); }),
            "provider-failed");
}

TEST_F(Pkcs11, AnExtractableKeyIsRefused) {
  auto provider = open();
  Raw raw;
  CK_BBOOL yes = CK_TRUE;
  CK_ULONG size = 32;
  std::string label = object_label(version(0x11));
  Bytes id = object_id(version(0x11));
  CK_ATTRIBUTE what[] = {{CKA_TOKEN, &yes, 1},
                         {CKA_SENSITIVE, &yes, 1},
                         {CKA_EXTRACTABLE, &yes, 1},
                         {CKA_VALUE_LEN, &size, sizeof size},
                         {CKA_LABEL, label.data(), label.size()},
                         {CKA_ID, id.data(), id.size()}};
  CK_MECHANISM how{CKM_AES_KEY_GEN, nullptr, 0};
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
  ASSERT_EQ(raw.f->C_GenerateKey(raw.session, &how, what, std::size(what), &key), CKR_OK);
  Error error = error_of([&] { provider->recover(version(0x11), KeyPurpose::wrap); });
  EXPECT_EQ(error.code(), Code::provider_failed);
  EXPECT_NE(error.message().find("CKA_EXTRACTABLE=true"), std::string::npos);
}

TEST_F(Pkcs11, EnumeratesEverything) {
  auto provider = open();
  Enumeration empty = provider->enumerate();
  EXPECT_TRUE(empty.complete);
  EXPECT_TRUE(empty.objects.empty());
  KeyRef wrap = provider->generate(version(0x11), KeyPurpose::wrap).ref;
  provider->generate(version(0x21), KeyPurpose::sign_ledger);
  Enumeration all = provider->enumerate();
  ASSERT_EQ(all.objects.size(), 3u);
  EXPECT_EQ(Enumeration::from_json(all.to_json()).objects, all.objects);
  ObjectSeen expected{"CKO_SECRET_KEY", "CKK_AES", wrap.label, wrap.id, wrap.check_value};
  EXPECT_NE(std::find(all.objects.begin(), all.objects.end(), expected), all.objects.end());
}

TEST_F(Pkcs11, DestroysExactlyOneAndGivesAReceipt) {
  auto provider = open();
  KeyRef gone = provider->generate(version(0x11), KeyPurpose::wrap).ref;
  KeyRef kept = provider->generate(version(0x12), KeyPurpose::wrap).ref;
  KeyRef pair = provider->generate(version(0x21), KeyPurpose::sign_certificate).ref;
  Millis before = SystemClock().now();
  Json attributes = provider->describe(gone);
  Receipt receipt = provider->destroy_object(gone);
  EXPECT_TRUE(receipt.accepted);
  EXPECT_EQ(receipt.call, "C_DestroyObject");
  EXPECT_EQ(receipt.result, "CKR_OK");
  EXPECT_EQ(receipt.before, attributes);
  EXPECT_GE(receipt.at, before);
  EXPECT_FALSE(receipt.irreversible_at);
  EXPECT_EQ(Receipt::from_json(receipt.to_json()).to_json(), receipt.to_json());
  EXPECT_EQ(code_of([&] { provider->wrap(gone, secret("x"), {}); }), "object-absent");
  EXPECT_EQ(code_of([&] { provider->destroy_object(gone); }), "object-absent");
  EXPECT_EQ(provider->enumerate().objects.size(), 3u);
  EXPECT_EQ(provider->destroy_object(pair).result, "CKR_OK; public key: CKR_OK");
  EXPECT_EQ(provider->enumerate().objects.size(), 1u);
  EXPECT_EQ(provider->wrap(kept, secret("x"), {}).blob.size(), 17u);
}

TEST_F(Pkcs11, AnObjectThatMayNotBeDestroyedGivesARefusal) {
  auto provider = open();
  Birth birth = provider->generate(version(0x11), KeyPurpose::wrap);
  Raw raw;
  raw.destroy(CKO_SECRET_KEY, birth.ref.label);
  CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  CK_ULONG size = 32;
  std::string label = birth.ref.label;
  Bytes id = birth.ref.id;
  CK_ATTRIBUTE what[] = {{CKA_TOKEN, &yes, 1},
                         {CKA_PRIVATE, &yes, 1},
                         {CKA_SENSITIVE, &yes, 1},
                         {CKA_EXTRACTABLE, &no, 1},
                         {CKA_DESTROYABLE, &no, 1},
                         {CKA_VALUE_LEN, &size, sizeof size},
                         {CKA_LABEL, label.data(), label.size()},
                         {CKA_ID, id.data(), id.size()}};
  CK_MECHANISM how{CKM_AES_KEY_GEN, nullptr, 0};
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
  ASSERT_EQ(raw.f->C_GenerateKey(raw.session, &how, what, std::size(what), &key), CKR_OK);
  KeyRef ref = provider->recover(version(0x11), KeyPurpose::wrap)->ref;
  Receipt receipt = provider->destroy_object(ref);
  EXPECT_FALSE(receipt.accepted);
  EXPECT_EQ(receipt.result, "CKR_ACTION_PROHIBITED");
  EXPECT_NO_THROW(provider->describe(ref));
}

}  // namespace
}  // namespace kesu::test
