#include "erasure/anchors.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "crypto/hash.h"
#include "crypto/note.h"
#include "erasure/change_statement.h"
#include "erasure/statement.h"

namespace kesu {
namespace {

std::string witness(const std::string& name, uint8_t fill, NoteKeyType type = NoteKeyType::cosignature_v1) {
  return NoteKey::make(name, PublicKey::from_ed25519(Bytes(32, fill)), type).vkey();
}

const std::string kFirst = hex(sha256(as_bytes("first"))), kSecond = hex(sha256(as_bytes("second")));

Anchors both() {
  Anchors a;
  a.time_authorities = {{"CN=One", kFirst}, {"CN=Two", kSecond}};
  std::sort(a.time_authorities.begin(), a.time_authorities.end(),
            [](auto& x, auto& y) { return x.sha256 < y.sha256; });
  a.witnesses = {witness("w.example/1", 1), witness("w.example/2", 2)};
  a.witness_quorum = 2;
  return a;
}

TEST(Anchors, GoThereAndBack) {
  const Anchors a = both();
  EXPECT_EQ(Anchors::from_json(a.to_json(), "x"), a);
  Anchors time = a, keys = a;
  time.witnesses.clear();
  time.witness_quorum = 0;
  keys.time_authorities.clear();
  EXPECT_EQ(time.to_json().as_object().size(), 1U);
  EXPECT_EQ(Anchors::from_json(time.to_json(), "x"), time);
  EXPECT_EQ(Anchors::from_json(keys.to_json(), "x"), keys);
  EXPECT_TRUE(Anchors().empty());
}

TEST(Anchors, OneFormOnly) {
  auto refused = [](Anchors a) {
    try {
      Anchors::from_json(a.to_json(), "the rules");
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::bad_input);
      EXPECT_TRUE(e.message().starts_with("the rules: anchors: ") ||
                  e.message().find("key") != std::string::npos);
      return true;
    }
    return false;
  };
  auto with = [](auto edit) {
    Anchors a = both();
    edit(a);
    return a;
  };
  EXPECT_FALSE(refused(both()));
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused(with([](Anchors& a) { std::reverse(a.witnesses.begin(), a.witnesses.end()); })));
  EXPECT_TRUE(refused(with([](Anchors& a) { a.witnesses[1] = a.witnesses[0]; })));
  EXPECT_TRUE(refused(with([](Anchors& a) { a.witnesses[1] = witness("w.example/9", 1); })));
  EXPECT_TRUE(refused(with([](Anchors& a) { a.witnesses[1] = witness("x", 2, NoteKeyType::ed25519); })));
  EXPECT_TRUE(refused(with([](Anchors& a) { a.witnesses[1] = witness("日本", 2); })));
  EXPECT_TRUE(refused(with([](Anchors& a) { a.witnesses.assign(17, a.witnesses[0]); })));
  EXPECT_TRUE(refused(with([](Anchors& a) { a.witness_quorum = 3; })));
  EXPECT_TRUE(refused(with([](Anchors& a) { a.witness_quorum = 0; })));
  EXPECT_TRUE(refused(with([](Anchors& a) { a.time_authorities[1] = a.time_authorities[0]; })));
  EXPECT_TRUE(refused(with([](Anchors& a) { std::swap(a.time_authorities[0], a.time_authorities[1]); })));
  EXPECT_TRUE(refused(with([](Anchors& a) { a.time_authorities[0].name = "a\nb"; })));
  EXPECT_TRUE(refused(with([](Anchors& a) { a.time_authorities[0].name = "a\xc2\x85"; })));
  EXPECT_TRUE(refused(with([](Anchors& a) { a.time_authorities[0].name = ""; })));
  EXPECT_TRUE(refused(with([](Anchors& a) { a.time_authorities[0].name = std::string(257, 'x'); })));
  EXPECT_TRUE(refused(with([](Anchors& a) { a.time_authorities[0].sha256 = std::string(64, 'A'); })));
  EXPECT_TRUE(refused(with([](Anchors& a) { a.time_authorities[0].sha256.pop_back(); })));
  Json more = both().to_json();
  EXPECT_THROW(Anchors::from_json(more.set("note", "x"), "x"), Error);
  EXPECT_THROW(Anchors::from_json(Json::object({{"witness_quorum", 1}}), "x"), Error);
}

TEST(Anchors, WhatTheyAllow) {
  const Bytes first = to_bytes(as_bytes("first")), other = to_bytes(as_bytes("other"));
  EXPECT_EQ(both().allowed({other, first}), (std::vector<Bytes>{first}));
  EXPECT_EQ(Anchors().allowed({other, first}), (std::vector<Bytes>{other, first}));
}

TEST(Anchors, WhatAPersonReads) {
  EXPECT_TRUE(anchor_lines({}, {}).empty());
  Anchors one;
  one.time_authorities = {{"CN=One", kFirst}};
  EXPECT_EQ(anchor_lines(one, {}),
            (std::vector<std::string>{"Time-stamps count only under sha256:" + kFirst + ", \"CN=One\""}));
  EXPECT_EQ(anchor_lines({}, one),
            (std::vector<std::string>{"Time-stamps count under any authority from then on",
                                      "Until now: time-stamps under sha256:" + kFirst + ", \"CN=One\""}));
  EXPECT_EQ(anchor_lines(both(), {})[4], "At least 2 of these witnesses must sign");
  EXPECT_EQ(anchor_lines({}, both()).back(), "Until now: at least 2 of these witnesses");
}

TEST(Anchors, InAChange) {
  ChangeStatement s;
  s.vault = *VaultId::parse("vlt-00112233445566778899aabbccddeeff");
  s.organisation = "Example Bank";
  s.reason = "as agreed";
  s.change.rules = {"low", 1, 0, false, both()};
  s.from = {"low", 1, 0};
  s.issued = 1'700'000'000'000;
  const std::string text = s.text();
  EXPECT_EQ(ChangeStatement::parse(text).change.rules.anchors, both());
  std::string spoilt = text;
  spoilt.replace(spoilt.find(kFirst), 64, hex(sha256(as_bytes("rogue"))));
  EXPECT_THROW(ChangeStatement::parse(spoilt), Error);  // its summary says another
  s.change.rules.anchors = {};
  EXPECT_EQ(s.text().find("anchors"), std::string::npos);
  s.from.anchors = both();
  EXPECT_EQ(ChangeStatement::parse(s.text()).from.anchors, both());
}

}  // namespace
}  // namespace kesu
