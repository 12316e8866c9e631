// The reader's trust file, and what a bundle would put into it.
#include "certificate/trust.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/error.h"
#include "certificate/chain_file.h"
#include "certificate/rules_impl.h"
#include "certificate/verify_impl.h"
#include "crypto/x509.h"
#include "erasure/change_statement.h"
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
  for (Bytes& c : certificates_in(pem)) out.push_back(std::move(c));
}

// The end of a word in which quotes may hold blanks.
size_t word_end(std::string_view line) {
  bool quoted = false;
  for (size_t at = 0; at < line.size(); ++at) {
    if (line[at] == '\\' && at + 1 < line.size() && line[at + 1] == '"')
      ++at;
    else if (line[at] == '"')
      quoted = !quoted;
    else if (!quoted && (line[at] == ' ' || line[at] == '\t'))
      return at;
  }
  if (quoted) throw Error(Code::bad_input, "a quote does not end");
  return line.size();
}

bool matches(std::string_view text, std::string_view pattern) {
  size_t t = 0, p = 0, star = std::string_view::npos, from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || (pattern[p] == text[t] && pattern[p] != '*'))) {
      ++t, ++p;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++, from = t;
    } else if (star != std::string_view::npos) {
      p = star + 1, t = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

// YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, and Z: without it OpenSSH means the time zone of whoever reads,
// and one certificate would be complete here and not there.
Millis ssh_time(std::string_view name, std::string_view value) {
  if (value.empty() || value.back() != 'Z')
    throw Error(Code::bad_input, std::string(name) + " needs a time in UTC, with Z at its end");
  std::string digits(value.substr(0, value.size() - 1));
  bool shaped = digits.find_first_not_of("0123456789") == std::string::npos &&
                (digits.size() == 8 || digits.size() == 12 || digits.size() == 14);
  digits.resize(14, '0');
  auto time = shaped ? parse_utc(digits.substr(0, 4) + "-" + digits.substr(4, 2) + "-" + digits.substr(6, 2) +
                                 "T" + digits.substr(8, 2) + ":" + digits.substr(10, 2) + ":" +
                                 digits.substr(12, 2) + ".000Z")
                     : std::nullopt;
  if (!time) throw Error(Code::bad_input, std::string(name) + " takes YYYYMMDD[HHMM[SS]]Z");
  return *time;
}

void take_options(TrustedOfficer& out, std::string_view options) {
  while (!options.empty()) {
    size_t end = options.find_first_of("=,");
    std::string name(options.substr(0, end));
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    std::string shown = plain(name.substr(0, 40));
    bool known = name == "namespaces" || name == "valid-after" || name == "valid-before";
    if (name == "cert-authority")
      throw Error(Code::bad_input, "cert-authority: kesu takes keys, not certificates");
    if (!known) throw Error(Code::bad_input, "unknown option \"" + shown + "\"");
    options.remove_prefix(std::min(end, options.size()));
    size_t close = options.starts_with("=\"") ? options.find('"', 2) : std::string_view::npos;
    if (close == std::string_view::npos) throw Error(Code::bad_input, shown + " takes a value in quotes");
    std::string_view value = options.substr(2, close - 2);
    options.remove_prefix(close + 1);
    if (!options.empty() && !options.starts_with(","))
      throw Error(Code::bad_input, "no comma behind " + shown);
    if (options == ",") throw Error(Code::bad_input, "nothing behind the last comma");
    if (!options.empty()) options.remove_prefix(1);
    auto once = [&](bool given) {
      if (given) throw Error(Code::bad_input, shown + " stands there twice");
    };
    if (name == "namespaces") {
      once(!out.namespaces.empty());
      if (value.empty()) throw Error(Code::bad_input, "namespaces is empty");
      out.namespaces = value;
    } else {
      std::optional<Millis>& limit = name == "valid-after" ? out.valid_after : out.valid_before;
      once(limit.has_value());
      limit = ssh_time(shown, value);
    }
  }
}

// OpenSSH's allowed_signers: principals, options, key type, key.
void add_officers(std::vector<TrustedOfficer>& out, std::string_view text) {
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    try {
      std::string_view rest = trimmed(line.substr(word_end(line))), options;
      auto is_key = [](std::string_view s) {
        return s.starts_with("ssh-") || s.starts_with("ecdsa-") || s.starts_with("sk-ssh-") ||
               s.starts_with("sk-ecdsa-");
      };
      if (!is_key(rest)) {
        options = rest.substr(0, word_end(rest));
        rest = trimmed(rest.substr(options.size()));
      }
      if (!is_key(rest)) throw Error(Code::bad_input, "no public key");
      TrustedOfficer officer{SshPublicKey::parse_line(rest), {}, {}, {}};
      take_options(officer, options);
      out.push_back(std::move(officer));
    } catch (const Error& e) {
      throw Error(Code::bad_input, "\"" + plain(line.substr(0, 80)) + "\": " + e.message()).cause(e.cause());
    }
  }
}

void take_line(TrustAnchors& out, std::string_view word, const std::string& value,
               const std::function<Bytes(const std::string&)>& read_file) {
  if (word == "signer" || word == "countersigner") {
    auto digest = value.starts_with("sha256:") ? unhex32(value.substr(7)) : std::nullopt;
    if (!digest) throw Error(Code::bad_input, std::string(word) + " takes sha256: and 64 hex digits");
    (word == "signer" ? out.signers : out.countersigners).push_back(*digest);
  } else if (word == "signer-ca") {
    add_certificates(out.signer_cas, read_file(value));
  } else if (word == "signer-crl") {
    for (Crl& list : Crl::parse_any(read_file(value))) out.signer_crls.push_back(std::move(list));
  } else if (word == "tsa-ca") {
    add_certificates(out.tsa_cas, read_file(value));
  } else if (word == "tsa-renewal") {
    if (value != "required") throw Error(Code::bad_input, "tsa-renewal takes the word required");
    out.renewal_required = true;
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
  } else if (word == "officers-ca") {
    add_certificates(out.officers_cas, read_file(value));
  } else if (word == "officer") {
    out.officers.push_back({SshPublicKey::parse_line(value), {}, {}, {}});
  } else {
    throw Error(Code::bad_input, "unknown word \"" + std::string(word.substr(0, 40)) + "\"");
  }
}

}  // namespace

bool TrustedOfficer::serves(std::string_view signature_namespace, Millis time) const {
  if (valid_after && time / 1000 < *valid_after / 1000) return false;
  if (valid_before && time / 1000 > *valid_before / 1000) return false;
  bool found = namespaces.empty();
  for (std::string_view list = namespaces; !list.empty();) {
    std::string_view pattern = list.substr(0, list.find(','));
    list.remove_prefix(std::min(pattern.size() + 1, list.size()));
    bool refuses = pattern.starts_with("!");
    if (!matches(signature_namespace, pattern.substr(refuses ? 1 : 0))) continue;
    if (refuses) return false;
    found = true;
  }
  return found;
}

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

namespace {
// Of whom is enrolled with a certificate: what it says, and how to ask for its authority.
std::string certificate_text(const PersonKey& key) {
  if (!key.certificate) return "";
  const Certificate& c = *key.certificate;
  return "#   certificate sha256:" + hex(c.fingerprint()) + ", " + plain(c.subject) + ", " +
         (c.self_signed ? "self-signed"
                        : "issued by " + plain(c.issuer) + " (officers-ca FILE asks that it leads there)") +
         "\n";
}
}  // namespace

std::string propose_trust(const BundleFiles& files) {
  std::string out =
      "# What the bundle offers. Compare each line with what you know from elsewhere before you use it.\n";
  auto with = [&](std::string_view path, const std::function<void(std::string_view)>& read) {
    auto it = files.find(std::string(path));
    try {
      if (it == files.end()) throw Error(Code::not_found, "is missing");
      read(as_text(it->second));
    } catch (const Error& e) {
      out += "# " + std::string(path) + ": " + plain(e.message()) + "\n";
    }
  };
  with(bundle::kSigner, [&](std::string_view pem) {
    Certificate c = Certificate::parse_pem(pem).front();
    out += "# " + plain(c.subject + (c.self_signed ? ", self-signed" : ", issued by " + c.issuer)) + "\n";
    out += "signer sha256:" + hex(c.fingerprint()) + "\n";
  });
  with(bundle::kLedgerKey, [&](std::string_view vkey) {
    out += "log " + plain(NoteKey::parse(trimmed(vkey.substr(0, vkey.find('\n')))).vkey()) + "\n";
  });
  for (std::string_view path : {bundle::kStampChain, bundle::kCheckpointStampChain}) {
    if (!files.contains(std::string(path))) continue;
    with(path, [&](std::string_view pem) {
      std::vector<Certificate> all = Certificate::parse_pem(pem);
      for (const Certificate& c : all)
        if (std::none_of(all.begin(), all.end(), [&](const Certificate& o) {
              return !c.self_signed && o.subject_der == c.issuer_der;
            }))
          out += "# time-stamps lead to " + plain(c.subject) + ", sha256:" + hex(c.fingerprint()) +
                 ": save its certificate (it is in " + std::string(path) +
                 ") as FILE and add a line: tsa-ca FILE\n";
    });
  }
  with(bundle::kGenesis, [&](std::string_view text) {
    for (const GenesisOfficer& o : Genesis::parse(text).officers) {
      const PersonKey key = PersonKey::parse_line(o.public_key);
      std::string roles;
      for (const std::string& r : o.roles) roles += (roles.empty() ? "" : ", ") + r;
      out += "# " + plain(o.name + ", " + o.title + " (" + roles + ") " + key.fingerprint()) + "\n";
      out += certificate_text(key) + "officer " + plain(key.ssh.line()) + "\n";
    }
  });
  // And those who were enrolled since, by a statement that a quorum signed: who may write in the ledger can
  // put anybody there.
  std::map<std::string, std::string> doubts;  // by the statement's path; empty: it counts
  try {
    const dossier::Dossier d = dossier::read_dossier(files);
    for (const dossier::ChangeFacts& c : d.changes) doubts[c.part] = c.counts ? "" : c.why;
    const Anchors bound = dossier::rules_at(d, dossier::moment_of_request(d)).anchors;
    for (const std::string& line : anchor_lines(bound, {}))
      out += "# by the rules of the erasure, besides your own trust: " + plain(line) + "\n";
    for (const std::string& vkey : bound.witnesses)
      out += "# if you know this witness, add a line: witness " + plain(vkey) + "\n";
  } catch (const Error&) {  // whatever is wrong with the bundle, kesu verify tells
  }
  for (const auto& [path, content] : files) {
    if (!path.starts_with("approvals/change.") || !path.ends_with(".json")) continue;
    with(path, [&](std::string_view text) {
      const RuleChange c = ChangeStatement::parse(text).change;
      if (c.what != RuleChange::What::enrol) return;
      const PersonKey key = PersonKey::parse_line(c.public_key);
      const auto it = doubts.find(path);
      const std::string why = it == doubts.end() ? "no good entry of the ledger names it" : it->second;
      out += "# " +
             plain(c.name + ", " + c.title + " (" + roles_text(c.terms) + ", enrolled later) " +
                   key.fingerprint()) +
             "\n" + certificate_text(key);
      if (!why.empty()) out += "# left out, the enrolment does not count: " + plain(why) + "\n# ";
      out += "officer " + plain(key.ssh.line()) + "\n";
    });
  }
  return out;
}

}  // namespace kesu
