// SSH public keys, SSHSIG, and lines of allowed_signers files.
#include "crypto/sshsig.h"

#include <algorithm>

#include "base/error.h"

namespace kesu {

namespace {
constexpr std::string_view kBegin = "-----BEGIN SSH SIGNATURE-----\n";
constexpr std::string_view kEnd = "-----END SSH SIGNATURE-----";
constexpr std::string_view kMagic = "SSHSIG";

struct TypeRow {
  SshKeyType type;
  std::string_view name;
  KeyKind kind;
  std::string_view curve;  // in the blob of ECDSA keys
};
constexpr TypeRow kTypes[] = {
    {SshKeyType::ed25519, "ssh-ed25519", KeyKind::ed25519, ""},
    {SshKeyType::ecdsa_p256, "ecdsa-sha2-nistp256", KeyKind::p256, "nistp256"},
    {SshKeyType::ecdsa_p384, "ecdsa-sha2-nistp384", KeyKind::p384, "nistp384"},
    {SshKeyType::ecdsa_p521, "ecdsa-sha2-nistp521", KeyKind::p521, "nistp521"},
    {SshKeyType::rsa, "ssh-rsa", KeyKind::rsa, ""},
    {SshKeyType::sk_ed25519, "sk-ssh-ed25519@openssh.com", KeyKind::ed25519, ""},
    {SshKeyType::sk_ecdsa_p256, "sk-ecdsa-sha2-nistp256@openssh.com", KeyKind::p256, "nistp256"},
};
const TypeRow& row(SshKeyType type) { return kTypes[static_cast<size_t>(type)]; }

// Reads SSH's wire form; each failure names the field.
class Wire {
 public:
  Wire(ByteView in, std::string_view what) : reader_(in), what_(what) {}

  [[noreturn]] void bad(std::string_view field, std::string_view why) const {
    throw Error(Code::bad_input, std::string(what_) + ": " + std::string(field) + " " + std::string(why));
  }
  ByteView string(std::string_view field) {
    const uint32_t size = reader_.u32();
    if (reader_.failed() || size > reader_.left()) bad(field, "runs past the end");
    return reader_.raw(size);
  }
  // A positive integer in its shortest form (RFC 4251 §5).
  ByteView mpint(std::string_view field) {
    ByteView v = string(field);
    if (v.empty() || v[0] >= 0x80) bad(field, "is not positive");
    if (v[0] == 0) {
      if (v.size() == 1 || v[1] < 0x80) bad(field, "is not in its shortest form");
      v = v.subspan(1);
    }
    return v;
  }
  uint8_t u8(std::string_view field) { return number(reader_.u8(), field); }
  uint32_t u32(std::string_view field) { return number(reader_.u32(), field); }
  ByteView raw(size_t count, std::string_view field) {
    if (count > reader_.left()) bad(field, "runs past the end");
    return reader_.raw(count);
  }
  void end(std::string_view field) const {
    if (reader_.left()) bad(field, "is followed by " + std::to_string(reader_.left()) + " bytes too many");
  }

 private:
  template <class T>
  T number(T value, std::string_view field) const {
    if (reader_.failed()) bad(field, "runs past the end");
    return value;
  }
  ByteReader reader_;
  std::string_view what_;
};

ByteWriter& put(ByteWriter& out, ByteView v) { return out.u32(static_cast<uint32_t>(v.size())).raw(v); }

ByteWriter& put_mpint(ByteWriter& out, ByteView v) {
  while (!v.empty() && v[0] == 0) v = v.subspan(1);
  if (v.empty() || v[0] < 0x80) return put(out, v);
  return out.u32(static_cast<uint32_t>(v.size() + 1)).u8(0).raw(v);
}

// r and s as mpints, brought to DER.
Bytes read_ecdsa(ByteView blob, KeyKind curve) {
  Wire wire(blob, "SSH signature");
  const size_t field = curve == KeyKind::p256 ? 32 : curve == KeyKind::p384 ? 48 : 66;
  ByteWriter raw;
  for (std::string_view name : {"r", "s"}) {
    const ByteView v = wire.mpint(name);
    if (v.size() > field) wire.bad(name, "is too long for the curve");
    raw.zeros(field - v.size()).raw(v);
  }
  wire.end("s");
  return ecdsa_raw_to_der(curve, raw.bytes()).value();
}

void read_signature(SshSignature& out, ByteView blob) {
  const SshKeyType type = out.signer.type;
  Wire wire(blob, "SSH signature");
  out.algorithm = to_text(wire.string("signature algorithm"));
  const bool fitting = type == SshKeyType::rsa
                           ? out.algorithm == "rsa-sha2-256" || out.algorithm == "rsa-sha2-512"
                           : out.algorithm == ssh_type_name(type);
  if (!fitting)
    wire.bad("signature algorithm", "does not fit a key of type " + std::string(ssh_type_name(type)));
  const ByteView value = wire.string("signature value");
  switch (row(type).kind) {
    case KeyKind::ed25519:
      if (value.size() != 64) wire.bad("signature value", "is not 64 bytes");
      out.signature = to_bytes(value);
      break;
    case KeyKind::rsa:
      if (value.size() != static_cast<size_t>(out.signer.key.bits() + 7) / 8)
        wire.bad("signature value", "is not as long as the modulus");
      out.signature = to_bytes(value);
      break;
    default:
      out.signature = read_ecdsa(value, row(type).kind);
  }
  if (out.signer.is_security_key()) {
    out.sk_flags = wire.u8("security key's flags");
    out.sk_counter = wire.u32("security key's counter");
  }
  wire.end("signature");
}

SigAlg algorithm_of(const SshSignature& sig) {
  switch (sig.signer.key.kind()) {
    case KeyKind::ed25519:
      return SigAlg::ed25519;
    case KeyKind::p256:
      return SigAlg::ecdsa_sha256;
    case KeyKind::p384:
      return SigAlg::ecdsa_sha384;
    case KeyKind::p521:
      return SigAlg::ecdsa_sha512;
    case KeyKind::rsa:
      break;
  }
  return sig.algorithm == "rsa-sha2-256" ? SigAlg::rsa_pkcs1_sha256 : SigAlg::rsa_pkcs1_sha512;
}

std::string_view hash_label(HashAlg alg) { return alg == HashAlg::sha256 ? "sha256" : "sha512"; }

// What the signature is over: PROTOCOL.sshsig §2, and for security keys what the device adds to it.
Bytes signed_bytes(const SshSignature& sig, ByteView message) {
  ByteWriter out;
  out.raw(as_bytes(kMagic));
  put(out, as_bytes(sig.namespace_));
  put(out, {});
  put(out, as_bytes(hash_label(sig.hash)));
  put(out, hash(sig.hash, message));
  if (!sig.signer.is_security_key()) return std::move(out).bytes();
  return ByteWriter()
      .raw(sha256(as_bytes(sig.signer.application)))
      .u8(sig.sk_flags)
      .u32(sig.sk_counter)
      .raw(sha256(out.bytes()))
      .bytes();
}

// These texts are shown to people: no control characters, which a terminal would obey.
bool printable(std::string_view text) {
  return is_utf8(text) && std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

bool plain_name(std::string_view name) {
  return !name.empty() && is_utf8(name) && name.front() != '#' &&
         std::ranges::none_of(name, [](unsigned char c) {
           return c <= 0x20 || c == 0x7F ||
                  std::string_view("\",*?!\\").find(static_cast<char>(c)) != std::string_view::npos;
         });
}

// "20261121091200Z"
std::string ssh_time(Millis t) {
  std::string digits;
  for (char c : utc_text(t).substr(0, 19))
    if (c >= '0' && c <= '9') digits += c;
  return digits + "Z";
}
}  // namespace

std::string_view ssh_type_name(SshKeyType type) { return row(type).name; }

SshPublicKey SshPublicKey::from_blob(ByteView blob, std::string_view comment) {
  Wire wire(blob, "SSH public key");
  if (blob.size() > kMaxSshKeyLine) wire.bad("blob", "is too long");
  const std::string_view name = as_text(wire.string("type"));
  const auto type = std::ranges::find(kTypes, name, &TypeRow::name);
  if (type == std::end(kTypes)) wire.bad("type", "is not one of those that are accepted");
  auto read_key = [&] {
    if (type->kind == KeyKind::ed25519) return PublicKey::from_ed25519(wire.string("key"));
    if (type->kind == KeyKind::rsa) {
      const ByteView e = wire.mpint("exponent"), n = wire.mpint("modulus");
      return PublicKey::from_rsa(n, e);
    }
    if (as_text(wire.string("curve")) != type->curve) wire.bad("curve", "does not fit the type");
    return PublicKey::from_ec_point(type->kind, wire.string("point"));
  };
  SshPublicKey out{type->type, to_bytes(blob), read_key(), {}, std::string(comment)};
  if (type->type == SshKeyType::rsa && out.key.bits() < kMinSshRsaBits)
    wire.bad("modulus", "has " + std::to_string(out.key.bits()) + " bits; 3,072 are the least");
  if (out.is_security_key()) {
    out.application = to_text(wire.string("application"));
    if (out.application.empty() || !printable(out.application)) wire.bad("application", "is no text");
  }
  wire.end("key");
  return out;
}

SshPublicKey SshPublicKey::parse_line(std::string_view line) {
  auto bad = [](std::string why) { return Error(Code::bad_input, "SSH public key: " + std::move(why)); };
  if (line.size() > kMaxSshKeyLine) throw bad("the line is too long");
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (!printable(line)) throw bad("the line is no text");
  const size_t first = line.find(' ');
  if (first == std::string_view::npos) throw bad("the line is not \"type base64 comment\"");
  const std::string_view name = line.substr(0, first);
  std::string_view rest = line.substr(first + 1);
  const size_t second = rest.find(' ');
  const auto blob = unbase64(rest.substr(0, second));
  if (!blob) throw bad("the key is not base64");
  SshPublicKey out =
      from_blob(*blob, second == std::string_view::npos ? std::string_view{} : rest.substr(second + 1));
  if (name != ssh_type_name(out.type)) throw bad("the type before the key is not the one inside it");
  return out;
}

SshPublicKey SshPublicKey::from_public_key(const PublicKey& key, std::string_view comment) {
  const auto& type = *std::ranges::find(kTypes, key.kind(), &TypeRow::kind);
  ByteWriter out;
  put(out, as_bytes(type.name));
  if (key.kind() == KeyKind::rsa) {
    put_mpint(out, key.rsa_exponent());
    put_mpint(out, key.rsa_modulus());
  } else {
    if (!type.curve.empty()) put(out, as_bytes(type.curve));
    put(out, key.raw());
  }
  return from_blob(out.bytes(), comment);
}

std::string SshPublicKey::line() const {
  std::string out = std::string(ssh_type_name(type)) + " " + base64(blob);
  if (!comment.empty()) out += " " + comment;
  return out;
}

std::string SshPublicKey::fingerprint() const {
  std::string text = base64(sha256(blob));
  while (text.ends_with('=')) text.pop_back();
  return "SHA256:" + text;
}

SshSignature parse_sshsig(std::string_view armored) {
  auto bad = [](std::string why) { return Error(Code::bad_input, "SSH signature: " + std::move(why)); };
  if (armored.size() > kMaxSshSig) throw bad("larger than 16,384 bytes");
  if (!armored.starts_with(kBegin)) throw bad("the armor does not begin with -----BEGIN SSH SIGNATURE-----");
  std::string_view body = armored.substr(kBegin.size());
  if (body.ends_with('\n')) body.remove_suffix(1);
  if (!body.ends_with(kEnd)) throw bad("the armor does not end with -----END SSH SIGNATURE-----");
  body.remove_suffix(kEnd.size());
  if (!body.ends_with('\n')) throw bad("the armor's last line is not a line of its own");
  std::string text;
  for (size_t width = 0; char c : body) {
    if (c == '\n') {
      if (!width) throw bad("the armor has an empty line");
      width = 0;
    } else {
      if (++width > 76) throw bad("the armor has a line of more than 76 characters");
      text += c;
    }
  }
  const auto blob = unbase64(text);
  if (!blob) throw bad("the armor is not base64");

  Wire wire(*blob, "SSH signature");
  if (as_text(wire.raw(kMagic.size(), "magic")) != kMagic) wire.bad("magic", "is not SSHSIG");
  if (wire.u32("version") != 1) wire.bad("version", "is not 1");
  SshSignature out{.signer = SshPublicKey::from_blob(wire.string("public key")),
                   .namespace_ = to_text(wire.string("namespace")),
                   .algorithm = {},
                   .signature = {}};
  if (out.namespace_.empty() || !printable(out.namespace_)) wire.bad("namespace", "is no text");
  if (!wire.string("reserved").empty()) wire.bad("reserved", "is not empty");
  const std::string_view hash_text = as_text(wire.string("hash algorithm"));
  if (hash_text != "sha256" && hash_text != "sha512")
    wire.bad("hash algorithm", "is neither sha256 nor sha512");
  out.hash = hash_text == "sha256" ? HashAlg::sha256 : HashAlg::sha512;
  const ByteView signature = wire.string("signature");
  wire.end("signature");
  read_signature(out, signature);
  return out;
}

SshSigCheck verify_sshsig(ByteView message, std::string_view armored, std::string_view namespace_) {
  SshSigCheck out;
  try {
    const SshSignature sig = parse_sshsig(armored);
    out.signer = sig.signer;
    out.hash = sig.hash;
    out.user_present = sig.sk_flags & 0x01;
    out.user_verified = sig.sk_flags & 0x04;
    if (sig.namespace_ != namespace_) {
      out.reason = "the signature is made for the namespace \"" + sig.namespace_ + "\", not for \"" +
                   std::string(namespace_) + "\"";
      return out;
    }
    out.ok = verify(sig.signer.key, algorithm_of(sig), signed_bytes(sig, message), sig.signature);
    if (!out.ok) out.reason = "the signature does not verify over this text";
  } catch (const Error& e) {
    if (e.code() != Code::bad_input) throw;
    out.reason = e.message();
  }
  return out;
}

std::string AllowedSigner::line() const {
  auto bad = [](std::string_view what) {
    return Error(Code::bad_input,
                 std::string(what) + " is empty or has a space, quote, comma or pattern character");
  };
  if (!plain_name(principal)) throw bad("allowed_signers: the principal");
  std::string options;
  auto add = [&](std::string_view name, const std::string& value) {
    if (!options.empty()) options += ',';
    options += std::string(name) + "=\"" + value + "\"";
  };
  std::string joined;
  for (const std::string& n : namespaces) {
    if (!plain_name(n)) throw bad("allowed_signers: a namespace");
    joined += (joined.empty() ? "" : ",") + n;
  }
  if (!joined.empty()) add("namespaces", joined);
  if (valid_after) add("valid-after", ssh_time(*valid_after));
  if (valid_before) add("valid-before", ssh_time(*valid_before));
  return principal + " " + (options.empty() ? "" : options + " ") + key.line() + "\n";
}

}  // namespace kesu
