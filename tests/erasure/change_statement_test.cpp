#include "erasure/change_statement.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace kesu {
namespace {

constexpr const char* kPerson = "opr-00112233445566778899aabbccddeeff";

ChangeStatement sample(RuleChange::What what) {
  ChangeStatement s;
  s.vault = *VaultId::parse("vlt-00112233445566778899aabbccddeeff");
  s.organisation = "Example Bank";
  s.reason = "new deputy";
  s.issued = 1795252320123;
  s.from = {"low", 1, 3600};
  s.since = 17;
  s.change.what = what;
  if (what == RuleChange::What::rules) {
    s.change.rules = {"standard", 2, 86400};
    return s;
  }
  s.change.operator_id = kPerson;
  s.change.name = "鈴木 次郎";
  if (what == RuleChange::What::revoke) return s;
  s.change.terms.roles = {{"verifier", 1806505200000}, {"approver", 0}};
  if (what == RuleChange::What::roles) return s;
  s.change.title = "Deputy CISO";
  s.change.public_key = "ssh-ed25519 AAAA suzuki";
  s.change.fingerprint = "SHA256:abc";
  s.change.terms.until = 1838127600000;
  return s;
}

void refused(const std::string& text, const std::string& from, const std::string& to) {
  std::string changed = text;
  const size_t at = changed.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  changed.replace(at, from.size(), to);
  EXPECT_THROW(ChangeStatement::parse(changed), Error) << from << " → " << to;
}

TEST(ChangeStatement, ItsTextIsItsOnlyForm) {
  for (auto what : {RuleChange::What::enrol, RuleChange::What::roles, RuleChange::What::revoke,
                    RuleChange::What::rules}) {
    const std::string text = sample(what).text();
    EXPECT_EQ(ChangeStatement::parse(text).text(), text);
    for (const auto& [from, to] : {std::pair<std::string, std::string>{"new deputy", "new\\ndeputy"},
                                   {"kesu-change-v1", "kesu-release-v1"},
                                   {"\"since\": 17", "\"since\": -1"},
                                   {"\"quorum\": ", "\"quorum\": -"},
                                   {"\"issued\": \"20", "\"issued\": \"x0"},
                                   {"vlt-0011", "opr-0011"},
                                   {"\"what\": \"", "\"what\": \"un"},
                                   {"{\n", "{\n\n"}})
      refused(text, from, to);
  }
}

TEST(ChangeStatement, SaysWhatItChanges) {
  EXPECT_EQ(sample(RuleChange::What::enrol).summary(),
            (std::vector<std::string>{
                "Enrols 鈴木 次郎 (Deputy CISO) as approver, verifier until 2027-03-31T15:00:00.000Z",
                "With the key SHA256:abc", "The enrolment ends 2028-03-31T15:00:00.000Z",
                "Takes effect 3600 s after it is recorded; erasures requested before then keep what was in "
                "force"}));
  EXPECT_EQ(sample(RuleChange::What::roles).summary()[1], "The enrolment has no end");
  EXPECT_EQ(sample(RuleChange::What::revoke).summary().back(), "Takes effect at once");
  EXPECT_EQ(sample(RuleChange::What::rules).summary()[0],
            "Sets quorum 2, waiting period 86400 s, profile standard");
  EXPECT_EQ(sample(RuleChange::What::rules).summary()[1],
            "Until now: quorum 1, waiting period 3600 s, profile low");
}

TEST(ChangeStatement, RefusesWhatNobodyShouldSign) {
  const std::string text = sample(RuleChange::What::enrol).text();
  refused(text, "as approver, verifier", "as verifier, approver");
  refused(text, "\"role\": \"approver\"", "\"role\": \"king\"");
  refused(text, "\"role\": \"verifier\"", "\"role\": \"approver\"");
  refused(text, "\"title\": \"Deputy CISO\"", "\"title\": \"\"");
  refused(text, "鈴木 次郎\",\n    \"operator", "鈴木\\u001b次郎\",\n    \"operator");
  refused(text, "opr-0011", "key-0011");
  RuleChange nobody = sample(RuleChange::What::roles).change;
  nobody.terms.roles.clear();
  EXPECT_THROW(RuleChange::from_json(nobody.to_json()), Error);
  RuleChange rules = sample(RuleChange::What::rules).change;
  EXPECT_THROW(RuleChange::from_json(rules.to_json().set("operator", kPerson)), Error);
  rules.rules.quorum = 0;
  EXPECT_THROW(RuleChange::from_json(rules.to_json()), Error);
}

}  // namespace
}  // namespace kesu
