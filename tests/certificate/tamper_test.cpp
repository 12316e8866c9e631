// A finished bundle in other hands: every file altered, removed, added; headers and bodies left out, changed,
// swapped.
#include <gtest/gtest.h>

#include "vault_double.h"

namespace kesu::test {
namespace {

struct Made {
  TestVault vault;
  BundleFiles files;
  TrustAnchors trust;
};
const Made& made() {
  static const Made* one = [] {
    auto* m = new Made;
    m->files = m->vault.bundle();
    m->trust = m->vault.trust();
    return m;
  }();
  return *one;
}

VerifyReport check(const BundleFiles& files) { return verify_bundle(files, made().trust, TestVault::low()); }

std::vector<std::string> lines_of(const Bytes& text) {
  std::vector<std::string> out;
  std::string rest = to_text(text);
  for (size_t end; (end = rest.find('\n')) != std::string::npos; rest.erase(0, end + 1))
    out.push_back(rest.substr(0, end));
  return out;
}
Bytes joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& l : lines) out += l + "\n";
  return to_bytes(as_bytes(out));
}
std::vector<std::string> header_lines() {
  return lines_of(to_bytes(as_bytes(gunzip(made().files.at("ledger/headers.gz"), 1u << 24))));
}
BundleFiles with_headers(const std::vector<std::string>& lines) {
  BundleFiles files = made().files;
  files["ledger/headers.gz"] = gzip(as_text(joined(lines)));
  return files;
}

TEST(Tamper, AnyByteOfAnyFileIsNoticed) {
  for (const auto& [path, content] : made().files)
    for (size_t at : {size_t{0}, content.size() / 3, content.size() / 2, content.size() - 1}) {
      if (content.empty()) continue;
      BundleFiles files = made().files;
      files[path][at] ^= 0x01;
      VerifyReport r = check(files);
      EXPECT_EQ(r.verdict, Verdict::invalid) << path << " byte " << at;
      EXPECT_TRUE(names_part(r, path)) << path << " byte " << at << "\n" << shown(r);
      EXPECT_EQ(exit_of(r), Exit::invalid);
    }
}

TEST(Tamper, AnyFileThatIsMissingIsNamed) {
  for (const auto& [path, content] : made().files) {
    BundleFiles files = made().files;
    files.erase(path);
    VerifyReport r = check(files);
    EXPECT_EQ(r.verdict, Verdict::invalid) << path;
    EXPECT_TRUE(names_part(r, path)) << path << "\n" << shown(r);
  }
  EXPECT_EQ(check({}).verdict, Verdict::invalid);
}

TEST(Tamper, AnyFileTooManyIsNamed) {
  Bytes content = to_bytes(as_bytes("extra"));
  for (const std::string& path :
       {"evidence/" + hex(sha256(content)),
        std::string("approvals/approve.opr-00000000000000000000000000000000.json"),
        std::string("inventory/ds-00000000000000000000000000000000.leaves"), std::string("extra.txt"),
        std::string("approvals/genesis.opr-00000000000000000000000000000000.sig"),
        std::string("time/token.tsr")}) {
    BundleFiles files = made().files;
    files[path] = content;
    VerifyReport r = check(files);
    EXPECT_EQ(r.verdict, Verdict::invalid) << path;
    EXPECT_TRUE(names_part(r, path)) << path << "\n" << shown(r);
  }
}

TEST(Tamper, AnyHeaderLeftOutIsNoticed) {
  auto lines = header_lines();
  for (size_t i = 0; i < lines.size(); ++i) {
    auto fewer = lines;
    fewer.erase(fewer.begin() + static_cast<long>(i));
    VerifyReport r = check(with_headers(fewer));
    EXPECT_EQ(r.verdict, Verdict::invalid) << lines[i];
    EXPECT_TRUE(names_part(r, "ledger/headers.gz")) << lines[i] << "\n" << shown(r);
    for (const ClaimResult& c : r.claims)
      EXPECT_LE(c.level, Level::asserted) << c.id << " without " << lines[i];
  }
}

TEST(Tamper, AnyHeaderChangedIsNoticed) {
  auto lines = header_lines();
  for (size_t i = 0; i < lines.size(); ++i) {
    // Another node, another body, another time: each still a header of good form.
    for (auto change : {"node", "body", "time", "swap", "twice"}) {
      auto other = lines;
      std::string& line = other[i];
      if (change == std::string("node")) {
        size_t at = line.find("\"id\":\"") + 6;
        at = line.find('-', at) + 1;
        line[at] = line[at] == '0' ? '1' : '0';
      } else if (change == std::string("body")) {
        line.back() = line.back() == '0' ? '1' : '0';
      } else if (change == std::string("time")) {
        size_t at = line.find("\"time\":\"") + 8 + 22;
        line[at] = line[at] == '0' ? '1' : '0';
      } else if (change == std::string("swap")) {
        if (i == 0) continue;
        std::swap(other[i], other[i - 1]);
      } else {
        other.insert(other.begin() + static_cast<long>(i), line);
      }
      VerifyReport r = check(with_headers(other));
      EXPECT_EQ(r.verdict, Verdict::invalid) << change << " " << lines[i];
      EXPECT_TRUE(names_part(r, "ledger/headers.gz")) << change << " " << lines[i] << "\n" << shown(r);
    }
  }
}

TEST(Tamper, AHeaderTooManyIsNoticed) {
  auto lines = header_lines();
  Header last = Header::parse(lines.back().substr(0, lines.back().find('\t')));
  last.seq += 1;
  lines.push_back(last.canonical() + lines.back().substr(lines.back().find('\t')));
  VerifyReport r = check(with_headers(lines));
  EXPECT_EQ(r.verdict, Verdict::invalid);
  EXPECT_TRUE(names_part(r, "more headers than checkpoint B")) << shown(r);
}

TEST(Tamper, BodiesBelongToTheirEntries) {
  auto lines = lines_of(made().files.at("ledger/bodies.jsonl"));
  for (size_t i = 1; i < lines.size(); ++i) {
    BundleFiles files = made().files;
    Json one = parse_json(lines[i - 1], "line"), two = parse_json(lines[i], "line");
    Json body = one.at("body");
    one.set("body", two.at("body"));
    two.set("body", body);
    auto other = lines;
    other[i - 1] = one.canonical();
    other[i] = two.canonical();
    files["ledger/bodies.jsonl"] = joined(other);
    VerifyReport r = check(files);
    EXPECT_EQ(r.verdict, Verdict::invalid) << i;
    EXPECT_TRUE(names_part(r, "ledger/bodies.jsonl")) << shown(r);

    files = made().files;
    other = lines;
    other.erase(other.begin() + static_cast<long>(i));
    files["ledger/bodies.jsonl"] = joined(other);
    // These three only say in words what their headers say.
    const std::string& type = made().vault.entries().at(static_cast<size_t>(two.num("seq"))).header.type;
    if (type == "key-intended" || type == "dataset-frozen" || type == "dataset-erased") continue;
    EXPECT_NE(check(files).verdict, Verdict::complete) << "without body " << lines[i];
  }
}

// Which member is wrong is said even where MANIFEST already tells that something is.
void each_leaf(const Json& value, const std::string& path,
               const std::function<void(const std::string&, const Json&)>& call) {
  if (value.is_object())
    for (const auto& [name, member] : value.as_object())
      each_leaf(member, path.empty() ? name : path + "." + name, call);
  else if (value.is_array())
    for (size_t i = 0; i < value.size(); ++i)
      each_leaf(value.as_array()[i], path + "[" + std::to_string(i) + "]", call);
  else
    call(path, value);
}
Json replaced(const Json& root, const std::string& wanted, const Json& with, const std::string& path = "") {
  if (path == wanted) return with;
  if (root.is_object()) {
    Json out = Json::object({});
    for (const auto& [name, member] : root.as_object())
      out.set(name, replaced(member, wanted, with, path.empty() ? name : path + "." + name));
    return out;
  }
  if (root.is_array()) {
    Json out((Json::Array()));
    for (size_t i = 0; i < root.size(); ++i)
      out.push(replaced(root.as_array()[i], wanted, with, path + "[" + std::to_string(i) + "]"));
    return out;
  }
  return root;
}

TEST(Tamper, EveryMemberOfTheCertificateIsRecomputed) {
  Json document = parse_json(as_text(made().files.at("certificate.json")), "certificate");
  size_t tried = 0;
  each_leaf(document, "", [&](const std::string& path, const Json& value) {
    if (path == "id" || path == "issued" || path == "program" || path == "policy.edition")
      return;  // the issuer's own word
    Json other = value.is_string() ? Json(value.as_string() + "x")
                 : value.is_int()  ? Json(value.as_int() + 1)
                 : value.is_bool() ? Json(!value.as_bool())
                                   : Json("x");
    BundleFiles files = made().files;
    files["certificate.json"] = to_bytes(as_bytes(replaced(document, path, other).canonical()));
    VerifyReport r = check(files);
    EXPECT_EQ(r.verdict, Verdict::invalid) << path;
    std::string member = path.substr(0, path.find_first_of(".["));
    bool named = false;
    for (const VerifyError& e : r.errors)
      named = named || (e.part == "certificate.json" && e.what.find(member) != std::string::npos);
    EXPECT_TRUE(named) << path << "\n" << shown(r);
    ++tried;
  });
  EXPECT_GT(tried, 100u);
}

TEST(Tamper, ALedgerOfAnotherVaultOrAnotherForkIsNoticed) {
  TestVault other;
  BundleFiles foreign = other.bundle(), files = made().files;
  for (const char* path : {"ledger/headers.gz", "ledger/bodies.jsonl", "ledger/checkpoint-a",
                           "ledger/checkpoint-b", "ledger/consistency", "trust/ledger.vkey"})
    files[path] = foreign[path];
  EXPECT_EQ(check(files).verdict, Verdict::invalid);

  // The vault's own key signs another history from checkpoint A on, without certificate-issued.
  files = made().files;
  auto lines = header_lines();
  Header last = Header::parse(lines.back().substr(0, lines.back().find('\t')));
  Header fork = last;
  fork.type = "finding-recorded";
  fork.nodes = {{.id = made().vault.vault.str()}};
  lines.back() = fork.canonical() + lines.back().substr(lines.back().find('\t'));
  files["ledger/headers.gz"] = gzip(as_text(joined(lines)));
  auto bodies = lines_of(files["ledger/bodies.jsonl"]);
  bodies.pop_back();
  files["ledger/bodies.jsonl"] = joined(bodies);
  std::vector<Digest32> leaves;
  for (const std::string& l : lines)
    leaves.push_back(leaf_hash(l.substr(0, l.find('\t')), *unhex32(l.substr(l.find('\t') + 1))));
  NoteKey key =
      NoteKey::make("bank.example/kesu/" + made().vault.vault.str(), made().vault.ledger_key.public_key());
  Checkpoint b{key.name, leaves.size(), tree_root(leaves)};
  files["ledger/checkpoint-b"] =
      to_bytes(as_bytes(Note{b.text(), {sign_note(b.text(), key, made().vault.ledger_key.signer())}}.str()));
  Checkpoint a = Checkpoint::parse_text(Note::parse(as_text(files["ledger/checkpoint-a"])).text);
  std::string proof;
  for (const Digest32& d : consistency_proof(leaves, a.size)) proof += base64(d) + "\n";
  files["ledger/consistency"] = to_bytes(as_bytes(proof));
  VerifyReport r = check(files);
  EXPECT_EQ(r.verdict, Verdict::invalid);
  EXPECT_TRUE(names_part(r, "no entry says that this certificate was issued")) << shown(r);
}

TEST(Hostile, TextThatNoReaderShouldFollow) {
  std::string deep(100000, '['), numbers = "{\"type\":1e999999999,\"x\":99999999999999999999999999}",
                                 twice = "{\"type\":\"kesu-certificate-v1\",\"type\":\"x\"}";
  for (const std::string path :
       {"certificate.json", "plan.json", "approvals/genesis.json", "ledger/bodies.jsonl",
        "certificate.json.p7s", "trust/signer.pem", "ledger/checkpoint-a", "ledger/checkpoint-b",
        "ledger/consistency", "MANIFEST", "trust/ledger.vkey"})
    for (const std::string& text : {deep, numbers, twice, deep + "\n", std::string(), std::string("\n"),
                                    std::string(1u << 20, '\0'), std::string("\xff\xfe")}) {
      BundleFiles files = made().files;
      files[path] = to_bytes(as_bytes(text));
      if (files[path] == made().files.at(path)) continue;
      VerifyReport r = check(files);
      EXPECT_EQ(r.verdict, Verdict::invalid) << path;
      EXPECT_FALSE(r.errors.empty()) << path;
    }
  for (const auto& [path, content] : made().files) {
    if (!path.starts_with("evidence/")) continue;
    BundleFiles files = made().files;
    files[path] = to_bytes(as_bytes(deep));
    EXPECT_TRUE(names_part(check(files), path)) << path;
  }
}

TEST(Hostile, WhatNobodySignedIsNotReadFurther) {
  BundleFiles files = made().files;
  Note note = Note::parse(as_text(files["ledger/checkpoint-b"]));
  SigningKey stranger = SigningKey::ed25519();
  NoteKey key = NoteKey::make("bank.example/kesu/" + made().vault.vault.str(), stranger.public_key());
  note.signatures = {sign_note(note.text, key, stranger.signer())};
  files["ledger/checkpoint-b"] = to_bytes(as_bytes(note.str()));
  files["ledger/headers.gz"] = gzip("no header\n");
  VerifyReport r = check(files);
  EXPECT_EQ(r.verdict, Verdict::invalid);
  EXPECT_TRUE(names_part(r, "ledger/checkpoint-b")) << shown(r);
  EXPECT_FALSE(names_part(r, "line 1")) << shown(r);  // no header was looked at
  EXPECT_TRUE(r.claims.empty());

  auto lines = header_lines();  // signed, but not what was signed: nothing is computed from it
  lines.back().back() = lines.back().back() == '0' ? '1' : '0';
  VerifyReport folded = check(with_headers(lines));
  EXPECT_TRUE(names_part(folded, "do not fold to checkpoint B")) << shown(folded);
  EXPECT_TRUE(folded.claims.empty());
}

TEST(Hostile, CompressedBombsEndEarly) {
  for (const std::string& text : {std::string(64u << 20, '\n'), std::string(64u << 20, 'x')}) {
    BundleFiles files = made().files;
    files["ledger/headers.gz"] = gzip(text);
    VerifyReport r = check(files);
    EXPECT_EQ(r.verdict, Verdict::invalid);
    EXPECT_TRUE(names_part(r, "ledger/headers.gz")) << shown(r);
  }
  EXPECT_THROW(gunzip(gzip(std::string(1000, 'x')), 999), Error);
  EXPECT_EQ(gunzip(gzip("abc"), 3), "abc");
  EXPECT_EQ(gunzip(gzip("abc", false), 3), "abc");  // quick, and the same start: else it would be refused
  EXPECT_EQ(gunzip(gzip(""), 0), "");
}

}  // namespace
}  // namespace kesu::test
