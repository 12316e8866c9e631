#include "erasure/statement.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace kesu {
namespace {

Statement sample() {
  Statement s;
  s.action = "approve";
  s.vault = *VaultId::parse("vlt-00112233445566778899aabbccddeeff");
  s.organisation = "Example Bank";
  s.erasure = *ErasureId::parse("era-00112233445566778899aabbccddeeff");
  s.plan = std::string(64, 'a');
  s.role = "approver";
  s.operator_id = *OperatorId::parse("opr-00112233445566778899aabbccddeeff");
  s.name = "佐藤 花子";
  s.summary = {"Destroys 1 key version"};
  s.expires = 1795252320123;
  return s;
}

template <class T>
std::string refusal(const std::string& text) {
  try {
    T::parse(text);
  } catch (const Error& e) {
    return e.message() + " " + e.cause();
  }
  return "";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Statement, ReadsExactlyWhatItWrites) {
  std::string text = sample().text();
  Statement back = Statement::parse(text);
  EXPECT_EQ(back.text(), text);
  EXPECT_EQ(back.signature_namespace(), "kesu-approve-v1");
}

TEST(Statement, RefusesEveryOtherSpellingAndMeaning) {
  std::string text = sample().text();
  EXPECT_EQ(refusal<Statement>(text), "");
  EXPECT_NE(refusal<Statement>(text + " "), "");
  EXPECT_NE(refusal<Statement>(replaced(text, "  \"action\"", " \"action\"")), "");
  EXPECT_NE(refusal<Statement>(replaced(text, "\"approver\"", "\"operator\"")), "");
  EXPECT_NE(refusal<Statement>(replaced(text, "\"approve\"", "\"request\"")), "");
  EXPECT_NE(refusal<Statement>(replaced(text, "\"approve\"", "\"destroy\"")), "");
  EXPECT_NE(refusal<Statement>(replaced(text, "\"era-", "\"ds-")), "");
  EXPECT_NE(refusal<Statement>(replaced(text, "aaaa", "AAAA")), "");
  EXPECT_NE(refusal<Statement>(replaced(text, "\"vault\"", "\"extra\": 1,\n  \"vault\"")), "");
}

std::string genesis(const std::string& officers, const std::string& quorum = "1", const std::string& origin = "bank.example") {
  Json doc = parse_json("{\"officers\":" + officers + ",\"organisation\":\"B\",\"origin\":\"" + origin + "\",\"profile\":\"low\",\"quorum\":" + quorum +
                            ",\"type\":\"kesu-genesis-v1\",\"vault\":\"vlt-00112233445566778899aabbccddeeff\"}",
                        "test");
  return doc.pretty();
}
constexpr const char* kOperator = R"({"name":"T","public_key":"ssh-ed25519 AAAA t","roles":["operator"],"title":""})";
constexpr const char* kApprover = R"({"name":"S","public_key":"ssh-ed25519 BBBB s","roles":["approver"],"title":""})";

TEST(Genesis, MustBeCompleteAndUnambiguous) {
  auto list = [](std::initializer_list<std::string> items) {
    std::string out = "[";
    for (const std::string& i : items) out += (out.size() > 1 ? "," : "") + i;
    return out + "]";
  };
  std::string good = genesis(list({kOperator, kApprover}));
  EXPECT_EQ(refusal<Genesis>(good), "");
  EXPECT_EQ(Genesis::parse(good).text(), good);
  EXPECT_NE(refusal<Genesis>(genesis(list({kApprover}))), "");                       // nobody requests
  EXPECT_NE(refusal<Genesis>(genesis(list({kOperator}))), "");                       // nobody approves
  EXPECT_NE(refusal<Genesis>(genesis(list({kOperator, kApprover}), "2")), "");       // quorum out of reach
  EXPECT_NE(refusal<Genesis>(genesis(list({kOperator, kApprover}), "0")), "");
  EXPECT_NE(refusal<Genesis>(genesis(list({kOperator, kApprover}), "1", "a b")), "");
  EXPECT_NE(refusal<Genesis>(genesis(list({kOperator, replaced(kApprover, "BBBB", "AAAA")}))), "");  // one key, two names
  EXPECT_NE(refusal<Genesis>(genesis(list({kOperator, replaced(kApprover, "\"S\"", "\"T\"")}))), "");
  EXPECT_NE(refusal<Genesis>(genesis(list({kOperator, replaced(kApprover, "approver", "king")}))), "");
}

}  // namespace
}  // namespace kesu
