// The contract of the provider port (docs/spec/provider-port.md), one test for each method and promise, on
// every provider there is.
#include "beside.h"

#include <set>

#include "crypto/hash.h"
#include "crypto/sign.h"

namespace kesu::test {
namespace {

constexpr std::string_view kAad = "the slot";

INSTANTIATE_TEST_SUITE_P(Every, Contract, testing::ValuesIn(kProviders),
                         [](const auto& row) { return row.param.name; });

TEST_P(Contract, IsTheSamePlaceOverTwoOpensAndTwoMayBeOpen) {
  auto first = open(), second = open();
  ProviderIdentity a = first->identity(), b = second->identity();
  EXPECT_TRUE(a.same_place(b));
  EXPECT_EQ(ProviderIdentity::from_json(a.to_json()).to_json(), b.to_json());
  EXPECT_FALSE(a.kind.empty());
  EXPECT_FALSE(a.serial.empty());
  Capabilities can = first->capabilities();
  EXPECT_EQ(Capabilities::from_json(can.to_json()).to_json(), second->capabilities().to_json());
  EXPECT_TRUE(can.destroys == "immediate" || can.destroys == "scheduled") << can.destroys;
  KeyRef ref = first->generate(version(1), KeyPurpose::wrap).ref;
  WrappedKey wrapped = first->wrap(ref, secret("0123456789abcdef"), as_bytes(kAad));
  EXPECT_EQ(to_bytes(second->unwrap(ref, wrapped, as_bytes(kAad)).reveal()),
            to_bytes(as_bytes("0123456789abcdef")));
}

TEST_P(Contract, EveryPurposeIsBornUnderItsNameOnce) {
  auto provider = open();
  Capabilities can = provider->capabilities();
  uint8_t mark = 0x10;
  for (KeyPurpose purpose :
       {KeyPurpose::wrap, KeyPurpose::control, KeyPurpose::sign_ledger, KeyPurpose::sign_certificate}) {
    SCOPED_TRACE(purpose_text(purpose));
    VersionRef v = version(++mark, 258);
    bool may = purpose == KeyPurpose::sign_ledger        ? can.sign_ed25519
               : purpose == KeyPurpose::sign_certificate ? can.sign_ecdsa_p384
                                                         : can.wrap_aes256_gcm;
    if (!able(may, [&] { provider->generate(v, purpose); })) continue;
    Birth birth = provider->generate(v, purpose);
    const KeyRef& ref = birth.ref;
    bool signs = purpose == KeyPurpose::sign_ledger || purpose == KeyPurpose::sign_certificate;
    EXPECT_EQ(ref.version, v);
    EXPECT_EQ(ref.purpose, purpose);
    EXPECT_EQ(ref.label, object_label(v));
    EXPECT_EQ(ref.id, object_id(v));
    EXPECT_EQ(ref.canary.has_value(), !signs);
    EXPECT_EQ(ref.public_key.empty(), !signs);
    EXPECT_EQ(KeyRef::from_json(ref.to_json()).to_json(), ref.to_json());
    EXPECT_EQ(Birth::from_json(birth.to_json()).to_json(), birth.to_json());
    // The flags that keep it inside, as the provider itself gives them.
    EXPECT_EQ(birth.attributes.flag("CKA_SENSITIVE"), GetParam().sensitive);
    EXPECT_EQ(birth.attributes.flag("CKA_EXTRACTABLE"), !GetParam().sensitive);
    EXPECT_TRUE(birth.attributes.flag("CKA_TOKEN"));
    EXPECT_EQ(provider->describe(ref), birth.attributes);
    EXPECT_EQ(code_of([&] { provider->generate(v, purpose); }), "already-exists");
    ObjectSeen seen = seen_of(ref, provider->enumerate());
    EXPECT_EQ(seen.object_class, signs ? "CKO_PRIVATE_KEY" : "CKO_SECRET_KEY");
    EXPECT_EQ(seen.check_value, ref.check_value);
  }
}

TEST_P(Contract, RecoversWhatIsThereAndNothingWhereNothingIs) {
  auto provider = open();
  EXPECT_FALSE(provider->recover(version(1), KeyPurpose::wrap).has_value());
  KeyRef ref = provider->generate(version(1), KeyPurpose::wrap).ref;
  auto again = open()->recover(version(1), KeyPurpose::wrap);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->ref.label, ref.label);
  EXPECT_EQ(again->ref.check_value, ref.check_value);
  EXPECT_NE(again->ref.canary->nonce, ref.canary->nonce);  // a canary of its own, and the same key
  WrappedKey wrapped = provider->wrap(ref, secret("0123456789abcdef"), as_bytes(kAad));
  EXPECT_EQ(provider->unwrap(again->ref, wrapped, as_bytes(kAad)).size(), 16u);
}

TEST_P(Contract, UnwrapsWhatItWrappedAndNothingElse) {
  auto provider = open();
  KeyRef ref = provider->generate(version(1), KeyPurpose::wrap).ref;
  KeyRef other = provider->generate(version(2), KeyPurpose::wrap).ref;
  for (size_t size : {1u, 16u, 32u, 64u}) {
    Bytes key(size, 0x5a);
    WrappedKey a = provider->wrap(ref, Secret::from(key), as_bytes(kAad));
    WrappedKey b = provider->wrap(ref, Secret::from(key), as_bytes(kAad));
    EXPECT_EQ(a.nonce.size(), 12u);
    EXPECT_EQ(a.blob.size(), size + 16);
    EXPECT_NE(a.nonce, b.nonce);
    EXPECT_NE(a.blob, b.blob);
    EXPECT_EQ(to_bytes(open()->unwrap(ref, a, as_bytes(kAad)).reveal()), key);
  }
  const WrappedKey good = provider->wrap(ref, secret("0123456789abcdef"), as_bytes(kAad));
  auto damaged = [&](const std::function<void(WrappedKey&)>& change, std::string_view aad = kAad) {
    WrappedKey bad = good;
    change(bad);
    return code_of([&] { provider->unwrap(ref, bad, as_bytes(aad)); });
  };
  EXPECT_EQ(damaged([](WrappedKey&) {}, "another"), "sealed-damaged");
  EXPECT_EQ(damaged([](WrappedKey& w) { w.nonce[0] ^= 1; }), "sealed-damaged");
  EXPECT_EQ(damaged([](WrappedKey& w) { w.nonce.pop_back(); }), "sealed-damaged");
  EXPECT_EQ(damaged([](WrappedKey& w) { w.blob[0] ^= 1; }), "sealed-damaged");
  EXPECT_EQ(damaged([](WrappedKey& w) { w.blob.back() ^= 1; }), "sealed-damaged");
  EXPECT_EQ(damaged([](WrappedKey& w) { w.blob.pop_back(); }), "sealed-damaged");
  EXPECT_EQ(damaged([](WrappedKey& w) { w.blob.resize(16); }), "sealed-damaged");
  EXPECT_EQ(damaged([](WrappedKey& w) { w.blob.clear(); }), "sealed-damaged");
  EXPECT_EQ(code_of([&] { provider->unwrap(other, good, as_bytes(kAad)); }), "sealed-damaged");
  EXPECT_EQ(code_of([&] { provider->wrap(ref, Secret(), as_bytes(kAad)); }), "bad-input");
  // After all that the key still works.
  EXPECT_EQ(provider->unwrap(ref, good, as_bytes(kAad)).size(), 16u);
}

TEST_P(Contract, TheFirstUseOpensTheCanary) {
  KeyRef ref = open()->generate(version(1), KeyPurpose::wrap).ref;
  KeyRef swapped = ref;
  swapped.canary->digest[0] ^= 1;
  EXPECT_EQ(code_of([&] { open()->wrap(swapped, secret("k"), as_bytes(kAad)); }), "key-mismatch");
  swapped = ref;
  swapped.canary->ciphertext[0] ^= 1;
  EXPECT_EQ(code_of([&] { open()->wrap(swapped, secret("k"), as_bytes(kAad)); }), "key-mismatch");
  swapped = ref;
  swapped.check_value = "000000";
  if (!ref.check_value.empty()) {
    EXPECT_EQ(code_of([&] { open()->describe(swapped); }), "key-mismatch");
  }
}

TEST_P(Contract, SignsForItsPurposeOnly) {
  auto provider = open();
  Capabilities can = provider->capabilities();
  KeyRef wrap = provider->generate(version(1), KeyPurpose::wrap).ref;
  EXPECT_EQ(code_of([&] { provider->sign(wrap, as_bytes("m")); }), "mechanism-absent");
  if (can.sign_ed25519) {
    KeyRef ref = provider->generate(version(2), KeyPurpose::sign_ledger).ref;
    Bytes signature = provider->sign(ref, as_bytes("a message"));
    EXPECT_EQ(signature.size(), 64u);
    PublicKey known = PublicKey::from_spki(ref.public_key);
    EXPECT_TRUE(verify(known, SigAlg::ed25519, as_bytes("a message"), signature));
    EXPECT_FALSE(verify(known, SigAlg::ed25519, as_bytes("another"), signature));
    EXPECT_EQ(code_of([&] { provider->wrap(ref, secret("k"), as_bytes(kAad)); }), "mechanism-absent");
  }
  if (can.sign_ecdsa_p384) {
    KeyRef ref = provider->generate(version(3), KeyPurpose::sign_certificate).ref;
    auto raw = provider->sign(ref, hash(HashAlg::sha384, as_bytes("a message")));
    EXPECT_EQ(raw.size(), 96u);
    auto der = ecdsa_raw_to_der(KeyKind::p384, raw);
    ASSERT_TRUE(der.has_value());
    EXPECT_TRUE(
        verify(PublicKey::from_spki(ref.public_key), SigAlg::ecdsa_sha384, as_bytes("a message"), *der));
    EXPECT_EQ(code_of([&] { provider->sign(ref, Bytes(47)); }), "bad-input");
    KeyRef wrong = ref;
    wrong.public_key = provider->generate(version(4), KeyPurpose::sign_certificate).ref.public_key;
    EXPECT_EQ(code_of([&] { open()->sign(wrong, Bytes(48)); }), "key-mismatch");
  }
}

TEST_P(Contract, WhatIsNotThereIsAbsent) {
  auto provider = open();
  KeyRef ref = provider->generate(version(1), KeyPurpose::wrap).ref;
  KeyRef none = ref;
  none.version = version(9);
  none.label = object_label(none.version);
  none.id = object_id(none.version);
  EXPECT_EQ(code_of([&] { provider->describe(none); }), "object-absent");
  EXPECT_EQ(code_of([&] { provider->wrap(none, secret("k"), as_bytes(kAad)); }), "object-absent");
  EXPECT_EQ(code_of([&] { provider->destroy_object(none); }), "object-absent");
  KeyRef half = ref;
  half.id = none.id;
  EXPECT_EQ(code_of([&] { provider->describe(half); }), "key-mismatch");
}

TEST_P(Contract, TriesEveryKeyAndSaysWhichOpens) {
  auto provider = open();
  KeyRef ref = provider->generate(version(1), KeyPurpose::wrap).ref;
  KeyRef other = provider->generate(version(2), KeyPurpose::control).ref;
  WrappedKey canary{WrapAlg::aes256_gcm, ref.canary->nonce, ref.canary->ciphertext};
  auto by = provider->try_keys(canary, as_bytes(kCanaryAad), nullptr);
  ASSERT_EQ(by.size(), 2u);
  for (const Trial& trial : by) {
    bool is = trial.object.label == ref.label;
    EXPECT_EQ(trial.outcome, is ? TrialOutcome::opened : TrialOutcome::failed) << trial.result;
    EXPECT_EQ(trial.digest.has_value(), is);
    if (is) {
      EXPECT_EQ(trial.digest, ref.canary->digest);
    }
    EXPECT_EQ(Trial::from_json(trial.to_json()).to_json(), trial.to_json());
    EXPECT_EQ(trial.object, seen_of(is ? ref : other, provider->enumerate()));
  }
  EXPECT_EQ(provider->try_keys(canary, as_bytes(kCanaryAad), &other).size(), 1u);
  for (const Trial& trial : provider->try_keys(canary, as_bytes("another"), nullptr))
    EXPECT_EQ(trial.outcome, TrialOutcome::failed);
}

TEST_P(Contract, DestroysTheOneAndGivesAReceipt) {
  auto provider = open();
  KeyRef ref = provider->generate(version(1), KeyPurpose::wrap).ref;
  KeyRef other = provider->generate(version(2), KeyPurpose::wrap).ref;
  KeyRef wrong = ref;
  wrong.canary->digest[0] ^= 1;
  EXPECT_EQ(code_of([&] { provider->destroy_object(wrong); }), "key-mismatch");
  EXPECT_EQ(provider->enumerate().objects.size(), 2u);  // it stands
  WrappedKey wrapped = provider->wrap(ref, secret("0123456789abcdef"), as_bytes(kAad));
  Receipt receipt = provider->destroy_object(ref);
  EXPECT_TRUE(receipt.accepted) << receipt.result;
  EXPECT_FALSE(receipt.call.empty());
  EXPECT_GT(receipt.at, 0);
  EXPECT_FALSE(receipt.before.is_null());
  EXPECT_EQ(Receipt::from_json(receipt.to_json()).to_json(), receipt.to_json());
  if (provider->capabilities().destroys != "immediate") return;
  EXPECT_EQ(code_of([&] { provider->describe(ref); }), "object-absent");
  EXPECT_EQ(code_of([&] { provider->unwrap(ref, wrapped, as_bytes(kAad)); }), "object-absent");
  auto later = open();
  EXPECT_EQ(code_of([&] { later->unwrap(ref, wrapped, as_bytes(kAad)); }), "object-absent");
  EXPECT_EQ(code_of([&] { later->destroy_object(ref); }), "object-absent");
  EXPECT_FALSE(later->recover(version(1), KeyPurpose::wrap).has_value());
  for (const Trial& trial : later->try_keys(wrapped, as_bytes(kAad), nullptr))
    EXPECT_EQ(trial.outcome, TrialOutcome::failed);
  Enumeration all = later->enumerate();
  EXPECT_TRUE(all.complete) << all.why;
  EXPECT_EQ(all.objects.size(), 1u);
  EXPECT_EQ(seen_of(other, all).label, other.label);
}

TEST_P(Contract, ImportsWhereItSaysSo) {
  auto provider = open();
  Bytes bytes(32);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(0x80 + 5 * i);
  Secret key = Secret::from(bytes);
  if (!able(provider->capabilities().imports, [&] { provider->import_key(version(1), key); })) return;
  EXPECT_EQ(code_of([&] { provider->import_key(version(1), Secret::from(Bytes(31))); }), "bad-input");
  Birth birth = provider->import_key(version(1), key);
  EXPECT_EQ(birth.ref.label, object_label(version(1)));
  EXPECT_EQ(code_of([&] { provider->import_key(version(1), key); }), "already-exists");
  WrappedKey wrapped = provider->wrap(birth.ref, secret("0123456789abcdef"), as_bytes(kAad));
  auto trials = provider->try_keys(wrapped, as_bytes(kAad), nullptr);
  auto all = provider->enumerate();
  Json attributes = provider->describe(birth.ref);
  Receipt receipt = provider->destroy_object(birth.ref);
  // Nothing that the port gives shows the key, in hexadecimal or in its own bytes.
  std::string said = birth.to_json().canonical() + all.to_json().canonical() + attributes.canonical() +
                     receipt.to_json().canonical() + provider->identity().to_json().canonical();
  for (const Trial& trial : trials) said += trial.to_json().canonical();
  EXPECT_EQ(said.find(hex(bytes)), std::string::npos);
  EXPECT_EQ(said.find(hex(std::span<const uint8_t>(bytes).first(8))), std::string::npos);
  EXPECT_EQ(said.find(as_text(std::span<const uint8_t>(bytes).first(8))), std::string::npos);
  EXPECT_EQ(said.find(hex(as_bytes("0123456789abcdef"))), std::string::npos);
}

TEST_P(Contract, AdoptsWhereItSaysSo) {
  auto provider = open();
  KeyRef ref = provider->generate(version(1), KeyPurpose::wrap).ref;
  if (!able(provider->capabilities().adopts, [&] { provider->adopt(version(2), {ref.label, {}}); })) return;
  Birth adopted = provider->adopt(version(2), {ref.label, {}});
  EXPECT_EQ(adopted.ref.label, ref.label);
  EXPECT_EQ(adopted.ref.version, version(2));
  EXPECT_EQ(provider->enumerate().objects.size(), 1u);  // nothing was made
  WrappedKey wrapped = provider->wrap(ref, secret("0123456789abcdef"), as_bytes(kAad));
  EXPECT_EQ(provider->unwrap(adopted.ref, wrapped, as_bytes(kAad)).size(), 16u);
  EXPECT_EQ(code_of([&] { provider->adopt(version(3), {"nobody", {}}); }), "object-absent");
}

TEST_P(Contract, HasContainerGenerationsWhereItSaysSo) {
  auto provider = open();
  bool rekeys = provider->capabilities().rekeys;
  EXPECT_EQ(provider->container().has_value(), rekeys);
  write_file_durable(dir_ + "/next", as_bytes("another horse, battery staple 4712\n"), 0600);
  if (!able(rekeys, [&] { provider->rekey("file:" + dir_ + "/next"); })) return;
  KeyRef ref = provider->generate(version(1), KeyPurpose::wrap).ref;
  WrappedKey wrapped = provider->wrap(ref, secret("0123456789abcdef"), as_bytes(kAad));
  Container before = *provider->container();
  Container after = provider->rekey("file:" + dir_ + "/next");
  EXPECT_EQ(after.generation, before.generation + 1);
  EXPECT_EQ(after.place, before.place);
  EXPECT_EQ(provider->unwrap(ref, wrapped, as_bytes(kAad)).size(), 16u);
  EXPECT_EQ(code_of([&] { open(); }), "pin-wrong");  // with the passphrase of before
}

TEST_P(Contract, ListsManyKeys) {
  auto provider = open();
  const uint32_t many = GetParam().many;
  std::set<std::string> labels;
  for (uint32_t n = 1; n <= many; ++n)
    labels.insert(provider->generate(version(1, n), KeyPurpose::wrap).ref.label);
  Enumeration all = open()->enumerate();
  EXPECT_TRUE(all.complete) << all.why;
  std::set<std::string> seen;
  for (const ObjectSeen& object : all.objects) seen.insert(object.label);
  EXPECT_EQ(seen, labels);
}

}  // namespace
}  // namespace kesu::test
