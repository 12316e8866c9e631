// Messages to a certificate's key, opened by `openssl cms -decrypt`.
#include <gtest/gtest.h>

#include "base/error.h"
#include "crypto/cms_envelope.h"
#include "crypto/random.h"
#include "support/test_keys.h"
#include "support/tools.h"

namespace kesu {
namespace {

using test::run;
using test::TempDir;

// A key and its certificate, both made by openssl, in `dir` as NAME.key and NAME.pem.
Certificate party(const TempDir& dir, const std::string& name, const std::string& kind) {
  const auto made =
      run("cd " + dir.path() + " && openssl req -x509 -newkey " + kind + " -nodes -keyout " + name +
          ".key -out " + name + ".pem -subj '/CN=" + name + "/O=Custodians' -days 30 2>&1");
  EXPECT_EQ(made.status, 0) << made.output;
  return Certificate::parse_pem(as_text(read_file(dir / (name + ".pem")))).at(0);
}

int open_with(const TempDir& dir, const std::string& more) {
  return run("cd " + dir.path() + " && rm -f out && openssl cms -decrypt -binary -inform DER -in message " +
             more + " -out out 2>&1")
      .status;
}

TEST(Envelope, StockOpensslOpensIt) {
  TempDir dir;
  const Certificate to = party(dir, "sato", "rsa:3072");
  party(dir, "mori", "rsa:3072");
  for (HashAlg hash : {HashAlg::sha256, HashAlg::sha384}) {
    const Secret content = system_random().secret(417);
    const Bytes message = build_envelope(content, to, {AeadAlg::aes256_gcm, hash}, system_random());
    dir.write("message", message);
    ASSERT_EQ(open_with(dir, "-inkey sato.key -recip sato.pem"), 0);
    EXPECT_EQ(hex(read_file(dir / "out")), hex(content.reveal()));
    EXPECT_EQ(open_with(dir, "-inkey sato.key"), 0) << "without the certificate";
    EXPECT_NE(open_with(dir, "-inkey mori.key -recip mori.pem"), 0);
    const auto printed =
        run("cd " + dir.path() + " && openssl cms -cmsout -print -inform DER -in message -noout").output;
    const std::string name = hash == HashAlg::sha256 ? "sha256" : "sha384";
    EXPECT_NE(printed.find("rsaesOaep"), std::string::npos) << printed;
    EXPECT_NE(printed.find("aes-256-gcm"), std::string::npos) << printed;
    // Hash and MGF1, both; nothing is left at its default of SHA-1.
    EXPECT_NE(printed.find(name), printed.rfind(name)) << printed;
    EXPECT_EQ(printed.find("sha1"), std::string::npos) << printed;
    for (size_t at : {message.size() - 1, message.size() - 40}) {  // tag, ciphertext
      Bytes altered = message;
      altered[at] ^= 1;
      dir.write("message", altered);
      EXPECT_NE(open_with(dir, "-inkey sato.key -recip sato.pem"), 0) << at;
    }
  }
}

TEST(Envelope, NothingRepeats) {
  TempDir dir;
  const Certificate to = party(dir, "sato", "rsa:3072");
  const Secret content(64);
  const Bytes one = build_envelope(content, to, {}, system_random()),
              two = build_envelope(content, to, {}, system_random());
  EXPECT_EQ(one.size(), two.size());
  EXPECT_NE(hex(ByteView(one).last(80)), hex(ByteView(two).last(80)));
}

TEST(Envelope, OtherKeysAreRefused) {
  TempDir dir;
  const Secret content(64);
  for (const char* kind :
       {"ec -pkeyopt ec_paramgen_curve:P-384", "ed25519", "rsa-pss -pkeyopt rsa_keygen_bits:3072"}) {
    SCOPED_TRACE(kind);
    const Certificate to = party(dir, "other", kind);
    EXPECT_THROW(build_envelope(content, to, {}, system_random()), Error);
  }
  const Certificate rsa = party(dir, "sato", "rsa:3072");
  EXPECT_THROW(build_envelope(content, rsa, {AeadAlg::chacha20_poly1305, HashAlg::sha256}, system_random()),
               Error);
}

}  // namespace
}  // namespace kesu
