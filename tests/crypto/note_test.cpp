// Signed notes: a published example, round trips, and refusal of everything that is not exactly a note.
#include <gtest/gtest.h>

#include "base/error.h"
#include "crypto/note.h"
#include "support/test_keys.h"

namespace kesu {
namespace {

using test::SigningKey;

// The example of the Go package golang.org/x/mod/sumdb/note, whose format C2SP signed-note fixes.
constexpr const char* kGoKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
constexpr const char* kGoNote =
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\xE2\x80\x94 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

TEST(Note, PublishedExample) {
  const NoteKey key = NoteKey::parse(kGoKey);
  EXPECT_EQ(key.vkey(), kGoKey);
  EXPECT_EQ(key.id(), 0xc74f20a3u);
  const Note note = Note::parse(kGoNote);
  EXPECT_EQ(note.str(), kGoNote);
  EXPECT_EQ(verify_note(note, key), NoteVerdict::good);
  Note other = note;
  other.text[0] = 'i';
  EXPECT_EQ(verify_note(other, key), NoteVerdict::bad);
}

struct Keys {
  SigningKey log = SigningKey::ed25519(), witness = SigningKey::ed25519();
  NoteKey log_key = NoteKey::make("example.co.jp/kesu/vlt-1", log.public_key());
  NoteKey witness_key =
      NoteKey::make("witness.example/w1", witness.public_key(), NoteKeyType::cosignature_v1);
  std::string text = "example.co.jp/kesu/vlt-1\n42\nAAAA\n";
};

TEST(Note, SignedAndCosigned) {
  Keys k;
  Note note{k.text, {sign_note(k.text, k.log_key, k.log.signer())}};
  EXPECT_EQ(verify_note(note, k.witness_key), NoteVerdict::absent);
  note.signatures.push_back(cosign_note(k.text, k.witness_key, 1700000000, k.witness.signer()));
  const Note back = Note::parse(note.str());
  EXPECT_EQ(back.text, k.text);
  EXPECT_EQ(back.signatures, note.signatures);
  uint64_t time = 0;
  EXPECT_EQ(verify_note(back, k.log_key), NoteVerdict::good);
  EXPECT_EQ(verify_note(back, k.witness_key, &time), NoteVerdict::good);
  EXPECT_EQ(time, 1700000000u);
  for (size_t s = 0; s < 2; ++s)
    for (size_t i = 0; i < note.signatures[s].signature.size(); ++i) {
      Note bad = note;
      bad.signatures[s].signature[i] ^= 1;
      EXPECT_EQ(verify_note(bad, s ? k.witness_key : k.log_key), NoteVerdict::bad) << s << " " << i;
      EXPECT_EQ(verify_note(bad, s ? k.log_key : k.witness_key), NoteVerdict::good);
    }
}

// Fixed by its definition: message "cosignature/v1\ntime N\n" ‖ text, signature = time ‖ Ed25519.
TEST(Note, CosignatureMessageIsAsSpecified) {
  Keys k;
  const Bytes sig = k.witness.sign(SigAlg::ed25519, as_bytes("cosignature/v1\ntime 7\n" + k.text));
  const Note note{k.text, {{k.witness_key.name, k.witness_key.id(), ByteWriter().u64(7).raw(sig).bytes()}}};
  uint64_t time = 0;
  EXPECT_EQ(verify_note(note, k.witness_key, &time), NoteVerdict::good);
  EXPECT_EQ(time, 7u);
}

TEST(Note, AWrongKeyIsNoticedWhenSigning) {
  Keys k;
  EXPECT_THROW(sign_note(k.text, k.log_key, k.witness.signer()), Error);
  EXPECT_THROW(sign_note("no line feed", k.log_key, k.log.signer()), Error);
  EXPECT_THROW(sign_note("tab\t\n", k.log_key, k.log.signer()), Error);
  EXPECT_THROW(sign_note(k.text, k.witness_key, k.witness.signer()), Error);
  EXPECT_THROW(cosign_note(k.text, k.log_key, 1, k.log.signer()), Error);
}

TEST(Note, RefusesWhatIsNoNote) {
  const std::string good = kGoNote;
  const size_t dash = good.find("\xE2\x80\x94");
  auto with = [&](size_t at, size_t count, std::string_view text) {
    return std::string(good).replace(at, count, text);
  };
  for (const std::string& text :
       {std::string(), std::string("\n"), std::string("\n\n"), good.substr(0, dash),
        good.substr(0, good.size() - 1), good + "\n", with(dash - 1, 1, ""), with(dash, 3, "-"),
        with(dash + 4, 12, "Peter+Neuman"), with(dash + 4, 12, ""), with(dash + 4, 12, "Peter\xE3\x80\x80"),
        with(good.size() - 2, 1, ""), with(3, 1, "\x01"), with(3, 1, "\xC0\x80"), with(3, 1, "\r"),
        with(good.size() - 1, 1, " \n"), with(dash + 17, 61, "")})
    EXPECT_THROW(Note::parse(text), Error) << text;
  std::string many = good;
  for (int i = 0; i < 99; ++i) many += good.substr(dash);
  EXPECT_EQ(Note::parse(many).signatures.size(), 100u);
  EXPECT_EQ(verify_note(Note::parse(many), NoteKey::parse(kGoKey)), NoteVerdict::good);
  EXPECT_THROW(Note::parse(many + good.substr(dash)), Error);
  EXPECT_THROW(Note::parse(std::string(kMaxNote, 'a') + good), Error);
}

TEST(Note, RefusesWhatIsNoVerifierKey) {
  const std::string good = kGoKey;
  for (const std::string& key :
       {std::string(), std::string("PeterNeumann"), good.substr(12), "X" + good, good + "A",
        good.substr(0, 40), std::string("PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"),
        std::string("PeterNeumann+c74f20a3+AhpcWQcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"),
        std::string("Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")})
    EXPECT_THROW(NoteKey::parse(key), Error) << key;
  EXPECT_THROW(NoteKey::make("a", SigningKey::ec(KeyKind::p256).public_key()), Error);
  EXPECT_TRUE(is_note_name("例.jp/kesu"));
  EXPECT_FALSE(is_note_name("例　jp"));
}

}  // namespace
}  // namespace kesu
