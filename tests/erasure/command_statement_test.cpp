#include "erasure/command_statement.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace kesu {
namespace {

CommandStatement sample() {
  CommandStatement s;
  s.vault = *VaultId::parse("vlt-00112233445566778899aabbccddeeff");
  s.organisation = "Example Bank";
  s.operator_id = *OperatorId::parse("opr-00112233445566778899aabbccddeeff");
  s.name = "田中 一郎";
  s.role = "operator";
  s.command = "key rotate";
  s.about = {"ds-00112233445566778899aabbccddeeff", "key-00112233445566778899aabbccddeeff"};
  s.size = 42;
  s.root = std::string(64, 'a');
  s.process = std::string(64, 'b');
  s.issued = 1795252320123;
  return s;
}

TEST(CommandStatement, ItsTextIsItsOnlyForm) {
  const std::string text = sample().text();
  EXPECT_EQ(CommandStatement::parse(text).text(), text);
  EXPECT_NE(text.find("\"Runs kesu key rotate as operator\""), std::string::npos);
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"key rotate\"", "key  rotate\""},
                                 {"key rotate\"", "Key rotate\""},
                                 {"key rotate\"", "key rotate /srv/x\""},
                                 {"key rotate\"", "key destroy\""},
                                 {"\"role\": \"operator\"", "\"role\": \"approver\""},
                                 {"\"role\": \"operator\"", "\"role\": \"king\""},
                                 {"\"size\": 42", "\"size\": 43"},
                                 {"\"size\": 42", "\"size\": -1"},
                                 {"\"ds-", "\"zs-"},
                                 {"aaaa", "aaag"},
                                 {"kesu-command-v1", "kesu-approve-v1"},
                                 {"\"issued\": \"20", "\"issued\": \"x0"},
                                 {"{\n", "{\n\n"}}) {
    std::string changed = text;
    const size_t at = changed.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    changed.replace(at, from.size(), to);
    EXPECT_THROW(CommandStatement::parse(changed), Error) << from << " → " << to;
  }
}

TEST(CommandStatement, WhatOfficersDoThemselves) {
  for (const char* command : {"erase approve", "hold place", "vault rules", "key attest"})
    EXPECT_TRUE(any_role_signs(command)) << command;
  for (const char* command :
       {"erase run", "erase request", "seal", "key destroy", "vault", "certificate bundle"})
    EXPECT_FALSE(any_role_signs(command)) << command;
}

}  // namespace
}  // namespace kesu
