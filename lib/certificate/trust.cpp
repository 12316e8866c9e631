// The reader's trust file, and what a bundle would put into it.
#include "certificate/trust.h"

#include <charconv>

#include "base/error.h"
#include "crypto/x509.h"
#include "erasure/statement.h"

namespace kesu {

namespace {

constexpr size_t kMaxTrust = 1u << 20;

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t' || s.back() == '\r')) s.remove_suffix(1);
  return s;
}

void add_certificates(std::vector<Bytes>& out, const Bytes& pem) {
  for (const Certificate& c : Certificate::parse_pem(as_text(pem))) out.push_back(c.der);
}

// OpenSSH's allowed_signers: principals, options, key type, key. Only the key counts here.
void add_officers(std::vector<SshPublicKey>& out, std::string_view text) {
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    size_t at = std::string_view::npos;
    for (std::string_view type : {"ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"})
      for (size_t hit = line.find(type); hit != std::string_view::npos; hit = line.find(type, hit + 1))
        if (hit > 0 && (line[hit - 1] == ' ' || line[hit - 1] == '\t')) at = std::min(at, hit);
    if (at == std::string_view::npos)
      throw Error(Code::bad_input, "no public key in \"" + std::string(line.substr(0, 80)) + "\"");
    out.push_back(SshPublicKey::parse_line(line.substr(at)));
  }
}

void take_line(TrustAnchors& out, std::string_view word, const std::string& value,
               const std::function<Bytes(const std::string&)>& read_file) {
  if (word == "signer") {
    auto digest = value.starts_with("sha256:") ? unhex32(value.substr(7)) : std::nullopt;
    if (!digest) throw Error(Code::bad_input, "signer takes sha256: and 64 hex digits");
    out.signers.push_back(*digest);
  } else if (word == "signer-ca") {
    add_certificates(out.signer_cas, read_file(value));
  } else if (word == "tsa-ca") {
    add_certificates(out.tsa_cas, read_file(value));
  } else if (word == "log" || word == "witness") {
    NoteKey key = NoteKey::parse(value);
    if ((key.type == NoteKeyType::ed25519) != (word == "log"))
      throw Error(Code::bad_input,
                  word == "log" ? "this is a witness's key" : "this is a log's key; a witness's has type 04");
    (word == "log" ? out.logs : out.witnesses).push_back(std::move(key));
  } else if (word == "quorum") {
    auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), out.witness_quorum);
    if (error != std::errc() || end != value.data() + value.size() || out.witness_quorum < 1 ||
        out.witness_quorum > 100)
      throw Error(Code::bad_input, "quorum takes a number from 1 to 100");
  } else if (word == "officers") {
    add_officers(out.officers, as_text(read_file(value)));
  } else if (word == "officer") {
    out.officers.push_back(SshPublicKey::parse_line(value));
  } else {
    throw Error(Code::bad_input, "unknown word \"" + std::string(word.substr(0, 40)) + "\"");
  }
}

}  // namespace

TrustAnchors parse_trust(std::string_view text, const std::function<Bytes(const std::string&)>& read_file) {
  if (text.size() > kMaxTrust)
    throw Error(Code::bad_input, "trust file: larger than " + std::to_string(kMaxTrust) + " bytes");
  TrustAnchors out;
  for (size_t number = 1; !text.empty(); ++number) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    size_t space = std::min(line.find_first_of(" \t"), line.size());
    try {
      take_line(out, line.substr(0, space), std::string(trimmed(line.substr(space))), read_file);
    } catch (const Error& e) {
      throw Error(e.code() == Code::not_found ? Code::not_found : Code::bad_input,
                  "trust file, line " + std::to_string(number) + ": " + e.message())
          .cause(e.cause());
    }
  }
  return out;
}

std::string propose_trust(const BundleFiles& files) {
  std::string out =
      "# What the bundle offers. Compare each line with what you know from elsewhere before you use it.\n";
  auto with = [&](std::string_view path, const std::function<void(std::string_view)>& read) {
    auto it = files.find(std::string(path));
    try {
      if (it == files.end()) throw Error(Code::not_found, "is missing");
      read(as_text(it->second));
    } catch (const Error& e) {
      out += "# " + std::string(path) + ": " + e.message() + "\n";
    }
  };
  with(bundle::kSigner, [&](std::string_view pem) {
    Certificate c = Certificate::parse_pem(pem).front();
    out += "# " + c.subject + (c.self_signed ? ", self-signed" : ", issued by " + c.issuer) + "\n";
    out += "signer sha256:" + hex(c.fingerprint()) + "\n";
  });
  with(bundle::kLedgerKey, [&](std::string_view vkey) {
    out += "log " + NoteKey::parse(trimmed(vkey.substr(0, vkey.find('\n')))).vkey() + "\n";
  });
  with(bundle::kGenesis, [&](std::string_view text) {
    for (const GenesisOfficer& o : Genesis::parse(text).officers) {
      SshPublicKey key = SshPublicKey::parse_line(o.public_key);
      std::string roles;
      for (const std::string& r : o.roles) roles += (roles.empty() ? "" : ", ") + r;
      out += "# " + o.name + ", " + o.title + " (" + roles + ") " + key.fingerprint() + "\n";
      out += "officer " + key.line() + "\n";
    }
  });
  return out;
}

}  // namespace kesu
