// Parsers of what others hand over, fed random alterations of good input: no crash, and only the errors they
// promise.
#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "crypto/cms.h"
#include "crypto/note.h"
#include "crypto/random.h"
#include "crypto/sshsig.h"
#include "support/test_keys.h"

namespace kesu {
namespace {

using test::SigningKey;

// One to four edits: set, insert, remove, double, cut.
Bytes edited(Bytes data, std::mt19937& rng) {
  const auto below = [&](size_t n) { return n ? std::uniform_int_distribution<size_t>(0, n - 1)(rng) : 0; };
  const auto at = [&] { return data.begin() + static_cast<long>(below(data.size())); };
  for (size_t edits = 1 + below(4); edits && !data.empty(); --edits) {
    switch (below(6)) {
      case 0:
        *at() = static_cast<uint8_t>(below(256));
        break;
      case 1:
        *at() ^= static_cast<uint8_t>(1u << below(8));
        break;
      case 2:
        data.insert(at(), static_cast<uint8_t>(below(256)));
        break;
      case 3:
        data.erase(at());
        break;
      case 4: {
        constexpr uint8_t kEdges[] = {0x00, 0x7F, 0x80, 0x81, 0x82, 0x84, 0xFF, 0x30, 0x31, 0xA0};
        *at() = kEdges[below(std::size(kEdges))];
        break;
      }
      default:
        data.resize(below(data.size()) + 1);
    }
  }
  return data;
}

// Runs `parse`, which may throw bad_input and nothing else.
template <class Parse>
void survives(const Bytes& good, Parse parse, int rounds) {
  std::mt19937 rng(20261121);
  for (int i = 0; i < rounds; ++i) {
    const Bytes bad = edited(good, rng);
    try {
      parse(bad);
    } catch (const Error& e) {
      ASSERT_EQ(e.code(), Code::bad_input) << e.message() << " for " << hex(bad);
    }
  }
}

TEST(Hostile, Keys) {
  for (const SigningKey& key :
       {SigningKey::ed25519(), SigningKey::ec(KeyKind::p384), SigningKey::rsa(3072)}) {
    const PublicKey pub = key.public_key();
    survives(
        pub.spki(), [](const Bytes& b) { PublicKey::from_spki(b); }, 3000);
    const SshPublicKey ssh = SshPublicKey::from_public_key(pub, "comment");
    survives(
        ssh.blob, [](const Bytes& b) { SshPublicKey::from_blob(b); }, 3000);
    survives(
        to_bytes(as_bytes(ssh.line())), [](const Bytes& b) { SshPublicKey::parse_line(as_text(b)); }, 3000);
    survives(
        pub.raw(), [&](const Bytes& b) { PublicKey::from_pkcs11_point(pub.kind(), b); }, 300);
  }
}

TEST(Hostile, EcdsaSignatures) {
  const Bytes der = SigningKey::ec(KeyKind::p384).sign_digest(Bytes(48, 1));
  survives(
      der,
      [](const Bytes& b) {
        if (const auto raw = ecdsa_der_to_raw(KeyKind::p384, b)) {
          EXPECT_EQ(ecdsa_raw_to_der(KeyKind::p384, *raw), b);
        }
      },
      5000);
}

TEST(Hostile, Notes) {
  const SigningKey key = SigningKey::ed25519();
  const NoteKey note_key = NoteKey::make("例.jp/kesu", key.public_key());
  const std::string text = "例.jp/kesu\n1\nAAAA\n";
  const Note note{text, {sign_note(text, note_key, key.signer())}};
  const std::string whole = note.str();
  survives(
      to_bytes(as_bytes(whole)),
      [&](const Bytes& b) {
        const Note read = Note::parse(as_text(b));
        EXPECT_EQ(read.str(), as_text(b)) << "one form only";
        EXPECT_EQ(verify_note(read, note_key) == NoteVerdict::good,
                  read.text == text && read.signatures == note.signatures);
      },
      5000);
  survives(
      to_bytes(as_bytes(note_key.vkey())),
      [](const Bytes& b) { EXPECT_EQ(NoteKey::parse(as_text(b)).vkey(), as_text(b)); }, 5000);
}

TEST(Hostile, CmsAndCertificates) {
  const SigningKey key = SigningKey::ec(KeyKind::p256);
  const Bytes cert = build_self_signed({"例", "例社", "JP"}, key.public_key(), 1'700'000'000'000,
                                       1'900'000'000'000, system_random(), key.signer());
  const Bytes content(10, 'x');
  const Bytes cms = build_detached_cades(content, cert, {}, 1'800'000'000'000, key.signer());
  const Bytes stamped = add_signature_timestamp(cms, cms);
  survives(
      cert, [](const Bytes& b) { EXPECT_EQ(Certificate::parse(b).der, b); }, 5000);
  survives(
      cms, [&](const Bytes& b) { EXPECT_TRUE(!verify_detached(content, b).ok || b == cms); }, 10000);
  survives(
      stamped, [&](const Bytes& b) { (void)verify_detached(content, b); }, 5000);
  survives(
      stamped, [&](const Bytes& b) { add_signature_timestamp(b, cms); }, 5000);
}

}  // namespace
}  // namespace kesu
