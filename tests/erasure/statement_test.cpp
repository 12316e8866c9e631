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

TEST(Statement, ItsSummaryFollowsFromThePlan) {
  std::string key = "key-00112233445566778899aabbccddeeff";
  Json plan = parse_json(R"({"key_versions":[{"version":")" + key + R"(.1","name":"loans"},{"version":")" +
                             key + R"(.2","name":"loans"}],
    "order":[{"step":"destroy","version":")" +
                             key + R"(.2"},{"step":"destroy","version":")" + key + R"(.1"}],
    "providers":[{"name":"hsm","label":"bank","serial":"9f01"}],
    "datasets":[{"name":"loans-2019","objects":1,"bytes":12}]})",
                         "plan");
  EXPECT_EQ(
      plan_summary(plan),
      (std::vector<std::string>{"Destroys 2 key versions: loans.2, loans.1 in hsm (token bank, serial 9f01)",
                                "Makes unreadable for ever: dataset loans-2019, 1 object, 12 bytes",
                                "Cannot be undone once it has run"}));
  EXPECT_THROW(plan_summary(Json::object({})), Error);
}

std::string genesis(const std::string& officers, const std::string& quorum = "1",
                    const std::string& origin = "bank.example") {
  Json doc =
      parse_json("{\"officers\":" + officers + ",\"organisation\":\"B\",\"origin\":\"" + origin +
                     "\",\"profile\":\"low\",\"quorum\":" + quorum +
                     ",\"type\":\"kesu-genesis-v1\",\"vault\":\"vlt-00112233445566778899aabbccddeeff\"}",
                 "test");
  return doc.pretty();
}
constexpr const char* kOperator =
    R"({"name":"T","public_key":"ssh-ed25519 AAAA t","roles":["operator"],"title":""})";
constexpr const char* kApprover =
    R"({"name":"S","public_key":"ssh-ed25519 BBBB s","roles":["approver"],"title":""})";

TEST(Genesis, MustBeCompleteAndUnambiguous) {
  auto list = [](std::initializer_list<std::string> items) {
    std::string out = "[";
    for (const std::string& i : items) out += (out.size() > 1 ? "," : "") + i;
    return out + "]";
  };
  std::string good = genesis(list({kOperator, kApprover}));
  EXPECT_EQ(refusal<Genesis>(good), "");
  EXPECT_EQ(Genesis::parse(good).text(), good);
  EXPECT_NE(refusal<Genesis>(genesis(list({kApprover}))), "");                  // nobody requests
  EXPECT_NE(refusal<Genesis>(genesis(list({kOperator}))), "");                  // nobody approves
  EXPECT_NE(refusal<Genesis>(genesis(list({kOperator, kApprover}), "2")), "");  // quorum out of reach
  EXPECT_NE(refusal<Genesis>(genesis(list({kOperator, kApprover}), "0")), "");
  EXPECT_NE(refusal<Genesis>(genesis(list({kOperator, kApprover}), "1", "a b")), "");
  EXPECT_NE(refusal<Genesis>(genesis(list({kOperator, replaced(kApprover, "BBBB", "AAAA")}))),
            "");  // one key, two names
  EXPECT_NE(refusal<Genesis>(genesis(list({kOperator, replaced(kApprover, "\"S\"", "\"T\"")}))), "");
  EXPECT_NE(refusal<Genesis>(genesis(list({kOperator, replaced(kApprover, "approver", "king")}))), "");
}

TEST(Genesis, HasNoControlCharactersInWhatPeopleRead) {
  std::string good = "[" + std::string(kOperator) + "," + kApprover + "]";
  for (const char* bad : {"\\n", "\\u001b", "\\u007f", "\\u009b"})
    for (auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
             {"\"S\"", "\"S" + std::string(bad) + "x\""},
             {"\"title\":\"\"", "\"title\":\"" + std::string(bad) + "\""},
             {"BBBB s", "BBBB s" + std::string(bad)}})
      EXPECT_NE(refusal<Genesis>(genesis(replaced(good, from, to))).find("control character"),
                std::string::npos)
          << bad << " " << from;
  EXPECT_NE(refusal<Genesis>(genesis(good, "1", "bank\\u001b")).find("control character"), std::string::npos);
  std::string other = replaced(genesis(good), "\"organisation\": \"B\"", "\"organisation\": \"B\\u001b[2J\"");
  EXPECT_NE(refusal<Genesis>(other).find("control character"), std::string::npos);
}

}  // namespace
}  // namespace kesu
