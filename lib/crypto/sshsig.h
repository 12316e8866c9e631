// SSH public keys (RFC 4253, 5656, 8709, OpenSSH's PROTOCOL.u2f) and SSH signatures over files (OpenSSH's
// PROTOCOL.sshsig): what officers approve with, made by ssh-keygen -Y sign, checked here and by ssh-keygen -Y
// verify.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/sign.h"

namespace kesu {

inline constexpr size_t kMaxSshSig = 16384;     // bytes of an armored signature
inline constexpr size_t kMaxSshKeyLine = 8192;  // bytes of a public key line
inline constexpr int kMinSshRsaBits = 3072;

enum class SshKeyType { ed25519, ecdsa_p256, ecdsa_p384, ecdsa_p521, rsa, sk_ed25519, sk_ecdsa_p256 };
std::string_view ssh_type_name(SshKeyType type);  // "ssh-ed25519", "sk-ssh-ed25519@openssh.com", …

struct SshPublicKey {
  SshKeyType type;
  Bytes blob;               // the key in SSH's wire form; its identity
  PublicKey key;            // the same as the kind of key that it is
  std::string application;  // sk- keys: "ssh:…"
  std::string comment;

  // "type base64 [comment]", without a line feed or with one at the end. Only the types above, RSA from 3,072
  // bits. Throws Error bad_input naming the field.
  static SshPublicKey parse_line(std::string_view line);
  static SshPublicKey from_blob(ByteView blob, std::string_view comment = {});
  // Ed25519, ECDSA and RSA keys in SSH's form.
  static SshPublicKey from_public_key(const PublicKey& key, std::string_view comment = {});

  bool is_security_key() const { return type == SshKeyType::sk_ed25519 || type == SshKeyType::sk_ecdsa_p256; }
  std::string line() const;         // "type base64 comment", no line feed
  std::string fingerprint() const;  // "SHA256:" and base64 without padding, as ssh-keygen -l prints it
  bool operator==(const SshPublicKey& other) const { return blob == other.blob; }
};

// A parsed SSHSIG, not verified.
struct SshSignature {
  SshPublicKey signer;
  std::string namespace_;
  HashAlg hash = HashAlg::sha512;  // sha256 or sha512
  std::string algorithm;           // of the signature: "ssh-ed25519", "rsa-sha2-512", …
  Bytes signature;                 // as verify() takes it: ECDSA as DER
  uint8_t sk_flags = 0;            // security keys: bit 0 user present, bit 2 user verified
  uint32_t sk_counter = 0;
};

// Strict and bounded: exact armor with line feeds, canonical base64, version 1, nothing reserved, nothing
// behind the end. Throws Error bad_input naming the field.
SshSignature parse_sshsig(std::string_view armored);

struct SshSigCheck {
  bool ok = false;
  std::string reason;                  // why not, for a person
  std::optional<SshPublicKey> signer;  // set once the signature could be read
  HashAlg hash = HashAlg::sha512;
  bool user_present = false;   // of security keys only: touched …
  bool user_verified = false;  // … and unlocked by PIN or finger
};

// Whether `armored` is a good signature over `message` in exactly this namespace. Who the signer is, and may
// do, is the caller's question. Never throws for what `armored` holds.
SshSigCheck verify_sshsig(ByteView message, std::string_view armored, std::string_view namespace_);

// One line of an allowed_signers file (ssh-keygen(1), ALLOWED SIGNERS), times in UTC to the second, with a
// line feed.
struct AllowedSigner {
  std::string principal;
  std::vector<std::string> namespaces;  // empty: all
  std::optional<Millis> valid_after, valid_before;
  SshPublicKey key;

  // Throws Error bad_input when a name has a space, quote, comma or pattern character, or is empty.
  std::string line() const;
};

}  // namespace kesu
