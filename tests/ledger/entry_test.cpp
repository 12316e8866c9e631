// Headers and leaves against vectors: what is accepted, what is refused and by which member, exact bytes.
#include "ledger/entry.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>

#include "base/error.h"
#include "crypto/hash.h"
#include "ledger/checkpoint.h"
#include "ledger/tree.h"
#include "ledger_vectors.h"

namespace kesu {
namespace {

TEST(Header, Vectors) {
  Json vectors = ledger_vectors("headers.json");
  for (const Json& v : vectors.at("cases").as_array()) {
    SCOPED_TRACE(v.str("name"));
    const std::string& text = v.str("header");
    if (v.str("outcome") == "accepted") {
      Header h;
      ASSERT_NO_THROW(h = Header::parse(text));
      EXPECT_EQ(h.canonical(), text);
      EXPECT_EQ(HeaderFrame(h).at(h.seq, h.time), text);
      EXPECT_THROW(HeaderFrame(h).at(h.seq == 0 ? 1 : 0, h.time), Error);
      EXPECT_EQ(header_problem(h), "");
      continue;
    }
    try {
      Header::parse(text);
      ADD_FAILURE() << "accepted";
    } catch (const Error& e) {
      EXPECT_EQ(code_text(e.code()), v.str("outcome"));
      EXPECT_NE((e.message() + e.cause()).find(v.str("says")), std::string::npos)
          << e.message() << " / " << e.cause();
    }
  }
}

// Headers are read straight from their bytes: whatever is taken is byte for byte what would be written.
TEST(Header, WhatIsReadIsWhatWouldBeWritten) {
  std::mt19937 random(42);
  auto below = [&](size_t n) { return random() % n; };
  const std::string bytes = "{}[]\",:0123456789-.TZabdefiknost \\\n\x7f\xc3\xa9";
  size_t good = 0, bad = 0;
  Json vectors = ledger_vectors("headers.json");
  for (const Json& v : vectors.at("cases").as_array())
    for (int i = 0; i < 400; ++i) {
      std::string text = v.str("header");
      for (size_t n = i ? 1 + below(2) : 0; n > 0 && !text.empty(); --n) {
        const size_t at = below(text.size());
        const char byte = bytes[below(bytes.size())];
        if (size_t how = below(4); how == 0)
          text.erase(at, 1 + below(4));
        else if (how == 1)
          text.insert(at, 1, byte);
        else
          text[at] = byte;
      }
      try {
        Header h = Header::parse(text);
        ++good;
        ASSERT_EQ(h.canonical(), text);
      } catch (const Error&) {
        ++bad;
      }
    }
  EXPECT_GT(good, 500u);
  EXPECT_GT(bad, 5000u);
}

TEST(Header, EveryTypeHasAnAcceptedVector) {
  std::set<std::string> seen;
  Json vectors = ledger_vectors("headers.json");
  for (const Json& v : vectors.at("cases").as_array())
    if (v.str("outcome") == "accepted") seen.insert(Header::parse(v.str("header")).type);
  std::ifstream page(KESU_SOURCE "/docs/spec/ledger.md");
  std::string line;
  bool in_types = false;
  size_t types = 0;
  while (std::getline(page, line)) {
    if (line.starts_with("## ")) in_types = line == "## Types";
    if (!in_types || !line.starts_with("| `")) continue;
    std::istringstream cell(line.substr(2, line.find('|', 2) - 2));
    for (std::string name; std::getline(cell, name, '`') && std::getline(cell, name, '`');) {
      ++types;
      EXPECT_TRUE(is_known_type(name)) << name;
      EXPECT_TRUE(seen.contains(name)) << name << " has no vector";
    }
  }
  EXPECT_EQ(types, seen.size());
  EXPECT_FALSE(is_known_type("seal"));
}

TEST(Header, NeverLargerThan512Bytes) {
  Header h;
  h.seq = 1;
  h.type = "finding-recorded";
  for (unsigned i = 0; i < 6; ++i) h.nodes.push_back({.id = id_of("bat", i)});
  EXPECT_LE(h.canonical().size(), kMaxHeaderBytes);
  h.type = "seal-done";
  for (NodeMention& m : h.nodes) {
    m.is = "sealed";
    m.of = id_of("ds", 1);
    m.n = m.b = 1;
    m.d = std::string(64, 'a');
  }
  EXPECT_EQ(header_problem(h), "");
  EXPECT_THROW(h.canonical(), Error);
}

TEST(NodeKind, OfEveryIdentifier) {
  for (const char* kind :
       {"vlt", "prv", "ds", "dsk", "obj", "bat", "prc", "era", "cer", "cpy", "hld", "doc", "opr"})
    EXPECT_EQ(node_kind(id_of(kind, 7)), kind);
  EXPECT_EQ(node_kind(id_of("key", 7, 3)), "key");
  for (std::string bad :
       {id_of("key", 7), id_of("abc", 7), id_of("ds", 7) + "0", id_of("ds", 7, 1), std::string("ds-"),
        std::string(), std::string("ds-0000000000000000000000000000000G")})
    EXPECT_EQ(node_kind(bad), "") << bad;
}

TEST(Entry, ExampleBytes) {
  Json v = ledger_vectors("entries.json");
  std::vector<Digest32> leaves;
  for (const Json& e : v.at("entries").as_array()) {
    Header h = Header::parse(e.str("header"));
    EXPECT_EQ(h.canonical(), e.str("header"));
    EXPECT_EQ(parse_canonical_json(e.str("body"), "body").canonical(), e.str("body"));
    Digest32 sum = body_hash(*unhex(e.str("salt")), e.str("body"));
    EXPECT_EQ(hex(sum), e.str("body_hash"));
    Bytes data = ByteWriter().raw(as_bytes(e.str("header"))).raw(sum).bytes();
    leaves.push_back(leaf_hash(e.str("header"), sum));
    EXPECT_EQ(hex(leaves.back()), e.str("leaf"));
    EXPECT_EQ(leaves.back(), leaf_data_hash(data));
  }
  const auto& roots = v.at("roots").as_array();
  ASSERT_EQ(roots.size(), leaves.size() + 1);
  for (size_t n = 0; n < roots.size(); ++n)
    EXPECT_EQ(hex(tree_root(std::span(leaves).first(n))), roots[n].as_string()) << n;
  Checkpoint point = Checkpoint::parse_text(v.str("checkpoint"));
  EXPECT_EQ(point.size, leaves.size());
  EXPECT_EQ(point.root, tree_root(leaves));
  EXPECT_EQ(point.text(), v.str("checkpoint"));
}

// The example on the page is the one of the vectors, byte for byte.
TEST(Entry, ThePageShowsTheVectors) {
  std::string page = to_text(read_file(KESU_SOURCE "/docs/spec/ledger.md"));
  Json v = ledger_vectors("entries.json");
  const Json& first = v.at("entries").as_array().front();
  for (const char* member : {"header", "body", "salt", "body_hash", "leaf"})
    EXPECT_NE(page.find(first.str(member)), std::string::npos) << member;
  for (const Json& e : v.at("entries").as_array()) EXPECT_NE(page.find(e.str("leaf")), std::string::npos);
  EXPECT_NE(page.find(v.at("roots").as_array().back().as_string()), std::string::npos);
  std::string indented;
  std::istringstream lines(v.str("checkpoint"));
  for (std::string line; std::getline(lines, line);) indented += "    " + line + "\n";
  EXPECT_NE(page.find(indented), std::string::npos);
}

TEST(Checkpoint, StrictText) {
  Checkpoint point{"example.co.jp/kesu/" + id_of("vlt", 1), 42, sha256(as_bytes("x"))};
  EXPECT_EQ(Checkpoint::parse_text(point.text()), point);
  std::string root = base64(point.root);
  for (std::string bad : {std::string(), std::string("o\n"), "o\n42\n" + root, "o\n042\n" + root + "\n",
                          "o\n-1\n" + root + "\n", "o\n+1\n" + root + "\n", "o\n\n" + root + "\n",
                          "o\n18446744073709551616\n" + root + "\n", "o\n4 \n" + root + "\n",
                          "o\n42\n" + root.substr(1) + "\n", "o\n42\n" + root + "\nextension\n",
                          "o\n42\n" + root + "\n\n", "\n42\n" + root + "\n", "a b\n42\n" + root + "\n",
                          "a+b\n42\n" + root + "\n", "o\r\n42\n" + root + "\n", std::string("o\n42\nAAAA\n")})
    EXPECT_THROW(Checkpoint::parse_text(bad), Error) << bad;
  EXPECT_THROW((Checkpoint{"a b", 1, {}}.text()), Error);
}

}  // namespace
}  // namespace kesu
