// SSH keys and signatures, held against the real ssh-keygen in both directions.
#include <gtest/gtest.h>

#include "base/error.h"
#include "crypto/sshsig.h"
#include "support/test_keys.h"
#include "support/tools.h"

namespace kesu {
namespace {

using test::run;
using test::SigningKey;
using test::TempDir;

constexpr const char* kNs = "kesu-approve-v1";

std::string text_of(const std::string& path) { return to_text(read_file(path)); }

std::string armor(ByteView blob) {
  std::string out = "-----BEGIN SSH SIGNATURE-----\n", b64 = base64(blob);
  for (size_t at = 0; at < b64.size(); at += 70) out += b64.substr(at, 70) + "\n";
  return out + "-----END SSH SIGNATURE-----\n";
}

Bytes dearmor(std::string text) {
  std::string b64;
  size_t at = text.find('\n') + 1;
  for (; text[at] != '-'; ++at)
    if (text[at] != '\n') b64 += text[at];
  return unbase64(b64).value();
}

// One key of ssh-keygen with a signature of its making over `message`.
struct Made {
  TempDir dir;
  std::string message = "statement\nline two \xE6\xB6\x88\n";
  SshPublicKey key;
  std::string sig;

  explicit Made(const std::string& kind, const std::string& options = "") : key(make(kind)) {
    const auto signing =
        run("cd " + dir.path() + " && ssh-keygen -Y sign -f k -n " + kNs + " " + options + " m");
    EXPECT_EQ(signing.status, 0) << signing.output;
    sig = text_of(dir / "m.sig");
  }
  SshPublicKey make(const std::string& kind) {
    dir.write("m", as_bytes(message));
    const auto made = run("cd " + dir.path() + " && ssh-keygen -q -N '' -C 'me@here' -f k -t " + kind);
    EXPECT_EQ(made.status, 0) << made.output;
    return SshPublicKey::parse_line(text_of(dir / "k.pub"));
  }
};

// What ssh-keygen says of the signature, with an allowed_signers line of ours.
bool openssh_accepts(const TempDir& dir, const SshPublicKey& key, std::string_view message,
                     std::string_view sig, const std::string& extra = "", std::optional<Millis> after = {}) {
  const AllowedSigner allowed{"officer@example.jp", {"kesu-request-v1", kNs}, after, {}, key};
  dir.write("allowed", as_bytes(allowed.line()));
  dir.write("check.sig", as_bytes(sig));
  dir.write("check.m", as_bytes(message));
  const auto ran = run("cd " + dir.path() + " && ssh-keygen -Y verify -f allowed -I officer@example.jp -n " +
                       kNs + " -s check.sig " + extra + " < check.m");
  return ran.status == 0;
}

class SshKinds : public testing::TestWithParam<const char*> {};

TEST_P(SshKinds, SshKeygenAndWeAgree) {
  for (const std::string hash : {"sha512", "sha256"}) {
    SCOPED_TRACE(hash);
    Made made(GetParam(), "-O hashalg=" + hash);
    const ByteView message = as_bytes(made.message);
    const auto check = verify_sshsig(message, made.sig, kNs);
    ASSERT_TRUE(check.ok) << check.reason;
    EXPECT_EQ(*check.signer, made.key);
    EXPECT_EQ(check.hash, hash == "sha256" ? HashAlg::sha256 : HashAlg::sha512);
    EXPECT_TRUE(openssh_accepts(made.dir, made.key, made.message, made.sig));
    EXPECT_EQ(made.key.line() + "\n", text_of(made.dir / "k.pub"));
    const auto list = run("ssh-keygen -l -f " + (made.dir / "k.pub"));
    EXPECT_NE(list.output.find(made.key.fingerprint() + " "), std::string::npos) << list.output;
    EXPECT_EQ(SshPublicKey::from_public_key(made.key.key, "me@here").line(), made.key.line());

    EXPECT_FALSE(verify_sshsig(as_bytes(made.message + "x"), made.sig, kNs).ok);
    EXPECT_FALSE(openssh_accepts(made.dir, made.key, made.message + "x", made.sig));
    const auto other = verify_sshsig(message, made.sig, "kesu-approve-v2");
    EXPECT_FALSE(other.ok);
    EXPECT_NE(other.reason.find("namespace"), std::string::npos);

    const Bytes blob = dearmor(made.sig);
    ASSERT_EQ(armor(blob), made.sig);
    for (size_t i = 0; i < blob.size(); ++i) {
      Bytes bad = blob;
      bad[i] ^= 0x01;
      const auto refused = verify_sshsig(message, armor(bad), kNs);
      // A byte of the key may make another valid key, but never one that verifies.
      EXPECT_FALSE(refused.ok) << "byte " << i;
      EXPECT_FALSE(refused.reason.empty());
      if (i % 31 == 0) {
        EXPECT_FALSE(openssh_accepts(made.dir, made.key, made.message, armor(bad))) << "byte " << i;
      }
    }
  }
}
INSTANTIATE_TEST_SUITE_P(
    Ssh, SshKinds, testing::Values("ed25519", "ecdsa -b 256", "ecdsa -b 384", "ecdsa -b 521", "rsa -b 3072"),
    [](const auto& kind) {
      std::string name(kind.param);
      std::erase_if(name, [](char c) { return !isalnum(static_cast<unsigned char>(c)); });
      return name;
    });

TEST(SshSig, WeakRsaIsRefused) {
  TempDir dir;
  ASSERT_EQ(run("ssh-keygen -q -N '' -t rsa -b 2048 -f " + (dir / "k")).status, 0);
  try {
    SshPublicKey::parse_line(text_of(dir / "k.pub"));
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_NE(e.message().find("2048 bits"), std::string::npos) << e.message();
  }
}

TEST(SshSig, ValidAfterIsUnderstoodInUtc) {
  Made made("ed25519");
  const Millis start = parse_utc("2026-03-01T12:00:00.000Z").value();
  auto at = [&](const char* when) {
    return openssh_accepts(made.dir, made.key, made.message, made.sig, std::string("-O verify-time=") + when,
                           start);
  };
  EXPECT_TRUE(at("20260301120001Z"));
  EXPECT_FALSE(at("20260301115959Z"));
}

// A security key of our own making: the device's part is computed here after PROTOCOL.u2f.
struct SecurityKey {
  bool ed;
  SigningKey key = ed ? SigningKey::ed25519() : SigningKey::ec(KeyKind::p256);
  static ByteWriter& put(ByteWriter& w, ByteView v) { return w.u32(static_cast<uint32_t>(v.size())).raw(v); }
  std::string type() const {
    return ed ? "sk-ssh-ed25519@openssh.com" : "sk-ecdsa-sha2-nistp256@openssh.com";
  }

  Bytes blob() const {
    ByteWriter w;
    put(w, as_bytes(type()));
    if (!ed) put(w, as_bytes("nistp256"));
    put(w, key.public_key().raw());
    put(w, as_bytes("ssh:kesu"));
    return std::move(w).bytes();
  }
  std::string sign(std::string_view message, uint8_t flags) const {
    ByteWriter inner;
    inner.raw(as_bytes("SSHSIG"));
    put(inner, as_bytes(kNs));
    put(inner, {});
    put(inner, as_bytes("sha512"));
    put(inner, hash(HashAlg::sha512, as_bytes(message)));
    ByteWriter device;
    device.raw(sha256(as_bytes("ssh:kesu"))).u8(flags).u32(41).raw(sha256(inner.bytes()));
    ByteWriter value, sig, out;
    if (ed) {
      value.raw(key.sign(SigAlg::ed25519, device.bytes()));
    } else {
      const Bytes raw =
          ecdsa_der_to_raw(KeyKind::p256, key.sign(SigAlg::ecdsa_sha256, device.bytes())).value();
      for (size_t half : {0, 32}) {
        ByteView v = ByteView(raw).subspan(half, 32);
        while (v[0] == 0) v = v.subspan(1);
        value.u32(static_cast<uint32_t>(v.size() + (v[0] >= 0x80)));
        if (v[0] >= 0x80) value.u8(0);
        value.raw(v);
      }
    }
    put(sig, as_bytes(type()));
    put(sig, value.bytes());
    sig.u8(flags).u32(41);
    out.raw(as_bytes("SSHSIG")).u32(1);
    put(out, blob());
    put(out, as_bytes(kNs));
    put(out, {});
    put(out, as_bytes("sha512"));
    put(out, sig.bytes());
    return armor(out.bytes());
  }
};

TEST(SshSig, SecurityKeys) {
  TempDir dir;
  const std::string message = "approve";
  for (bool ed : {true, false}) {
    const SecurityKey sk{ed};
    const SshPublicKey key = SshPublicKey::from_blob(sk.blob(), "token");
    EXPECT_TRUE(key.is_security_key());
    EXPECT_EQ(key.application, "ssh:kesu");
    EXPECT_EQ(SshPublicKey::parse_line(key.line()), key);
    for (uint8_t flags : {uint8_t{0x01}, uint8_t{0x05}, uint8_t{0x00}}) {
      const std::string sig = sk.sign(message, flags);
      const auto check = verify_sshsig(as_bytes(message), sig, kNs);
      ASSERT_TRUE(check.ok) << check.reason;
      EXPECT_EQ(check.user_present, (flags & 1) != 0);
      EXPECT_EQ(check.user_verified, (flags & 4) != 0);
      EXPECT_TRUE(openssh_accepts(dir, key, message, sig));
    }
    const Bytes blob = dearmor(sk.sign(message, 0x01));
    for (size_t i = 0; i < blob.size(); ++i) {
      Bytes bad = blob;
      bad[i] ^= 0x04;
      EXPECT_FALSE(verify_sshsig(as_bytes(message), armor(bad), kNs).ok) << i;
      if (i % 29 == 0) {
        EXPECT_FALSE(openssh_accepts(dir, key, message, armor(bad))) << i;
      }
    }
  }
}

TEST(SshSig, ArmorIsStrict) {
  Made made("ed25519");
  const std::string& good = made.sig;
  auto refused = [&](const std::string& text, std::string_view word) {
    const auto check = verify_sshsig(as_bytes(made.message), text, kNs);
    EXPECT_FALSE(check.ok) << text;
    EXPECT_NE(check.reason.find(word), std::string::npos) << check.reason;
  };
  EXPECT_TRUE(verify_sshsig(as_bytes(made.message), good.substr(0, good.size() - 1), kNs).ok);
  refused("", "armor");
  refused(good.substr(1), "begin");
  refused(good + "\n", "end");
  refused(good + "x", "end");
  refused(good.substr(0, 40), "end");
  std::string crlf;
  for (char c : good) crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
  refused(crlf, "begin");
  refused(std::string(good).insert(60, "\n\n"), "empty line");
  refused(std::string(good).insert(60, " "), "base64");
  refused(std::string(good).insert(60, std::string(kMaxSshSig, 'A')), "16,384");
  Bytes blob = dearmor(good);
  blob.push_back(0);
  refused(armor(blob), "too many");
  for (size_t n = 0; n + 1 < blob.size(); ++n) refused(armor(ByteView(blob).first(n)), "");
}

TEST(SshSig, FieldsAreNamed) {
  Made made("ed25519");
  const Bytes blob = dearmor(made.sig);
  auto reason = [&](size_t at, uint8_t x) {
    Bytes bad = blob;
    bad[at] ^= x;
    return verify_sshsig(as_bytes(made.message), armor(bad), kNs).reason;
  };
  EXPECT_NE(reason(0, 1).find("magic"), std::string::npos);
  EXPECT_NE(reason(9, 2).find("version"), std::string::npos);
  EXPECT_NE(reason(12, 0x40).find("public key"), std::string::npos);
  EXPECT_NE(reason(18, 1).find("type"), std::string::npos);
}

TEST(SshSig, LinesAreStrict) {
  Made made("ed25519");
  const std::string good = made.key.line();
  for (const std::string& line :
       {std::string(), good.substr(4), "no-touch " + good, std::string("ssh-rsa") + good.substr(11),
        good.substr(0, 40), std::string("ssh-ed25519"), good + "\t", good + "\n\n",
        std::string("ssh-dss AAAA")})
    EXPECT_THROW(SshPublicKey::parse_line(line), Error) << line;
  EXPECT_EQ(SshPublicKey::parse_line(good).comment, "me@here");
  for (const char* name : {"", "a b", "a,b", "*", "!a", "a\"", "#x"})
    EXPECT_THROW((AllowedSigner{name, {}, {}, {}, made.key}).line(), Error) << name;
  EXPECT_THROW((AllowedSigner{"a", {"b c"}, {}, {}, made.key}).line(), Error);
  EXPECT_EQ((AllowedSigner{"a", {}, {}, {}, made.key}).line(), "a " + good + "\n");
  EXPECT_EQ(
      (AllowedSigner{"a", {"x", "y"}, 0, 1000, made.key}).line(),
      "a namespaces=\"x,y\",valid-after=\"19700101000000Z\",valid-before=\"19700101000001Z\" " + good + "\n");
}

}  // namespace
}  // namespace kesu
