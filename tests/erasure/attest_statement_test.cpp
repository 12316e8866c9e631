#include "erasure/attest_statement.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace kesu {
namespace {

AttestStatement sample() {
  AttestStatement s;
  s.vault = *VaultId::parse("vlt-00112233445566778899aabbccddeeff");
  s.organisation = "Example Bank";
  s.version = *VersionRef::parse("key-00112233445566778899aabbccddeeff.2");
  s.key = "loans.2";
  s.provider = "bank-hsm";
  s.identity = Json::object({{"label", "bank"}, {"serial", "9f"}});
  s.attributes = Json::object({{"CKA_LOCAL", true}, {"CKA_MODULUS_BITS", 5}});
  s.birth = std::string(64, 'b');
  s.born = 1795252320123;
  s.canary = std::string(64, 'c');
  s.transcript = std::string(64, 'd');
  s.role = "auditor";
  s.issued = 1795252320456;
  s.operator_id = *OperatorId::parse("opr-00112233445566778899aabbccddeeff");
  s.name = "監査 役";
  return s;
}

TEST(AttestStatement, ItsTextIsItsOnlyForm) {
  const std::string text = sample().text();
  EXPECT_EQ(AttestStatement::parse(text).text(), text);
  EXPECT_NE(
      text.find("Attended the making of key version loans.2 in bank-hsm (token bank, serial 9f), recorded "
                "2026-11-21T09:12:00.123Z"),
      std::string::npos);
  for (const auto& [from, to] :
       {std::pair<std::string, std::string>{"\"role\": \"auditor\"", "\"role\": \"operator\""},
        {"key-0011", "era-0011"},
        {"kesu-key-attest-v1", "kesu-approve-v1"},
        {"serial 9f", "serial 9e"},
        {"\"serial\": \"9f\"", "\"serial\": \"9e\""},
        {"No data key had been", "Nothing had been"},
        {"\"issued\": \"20", "\"issued\": \"x0"},
        {"\"key\": \"loans.2\"", "\"key\": \"loans.3\""},
        {"{\n", "{\n\n"}}) {
    std::string changed = text;
    const size_t at = changed.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    changed.replace(at, from.size(), to);
    EXPECT_THROW(AttestStatement::parse(changed), Error) << from;
  }
}

TEST(AttestStatement, WhatTheTokenHasToSay) {
  const Json all = Json::object({{"CKA_LOCAL", true},
                                 {"CKA_SENSITIVE", true},
                                 {"CKA_ALWAYS_SENSITIVE", true},
                                 {"CKA_EXTRACTABLE", false},
                                 {"CKA_NEVER_EXTRACTABLE", true}});
  EXPECT_TRUE(stayed_inside(all));
  for (const auto& [name, value] : all.as_object()) {
    Json other = all, missing = all, word = all;
    other.set(name, !value.as_bool());
    missing.as_object().erase(name);
    word.set(name, "unavailable");
    EXPECT_FALSE(stayed_inside(other)) << name;
    EXPECT_FALSE(stayed_inside(missing)) << name;
    EXPECT_FALSE(stayed_inside(word)) << name;
  }
}

}  // namespace
}  // namespace kesu
