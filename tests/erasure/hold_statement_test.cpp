#include "erasure/hold_statement.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace kesu {
namespace {

HoldStatement sample() {
  HoldStatement s;
  s.vault = *VaultId::parse("vlt-00112233445566778899aabbccddeeff");
  s.organisation = "Example Bank";
  s.hold = *HoldId::parse("hld-00112233445566778899aabbccddeeff");
  s.subject = "ds-00112233445566778899aabbccddeeff";
  s.detail = "kyc-scans";
  s.case_number = "2026-118";
  s.reason = "case closed";
  s.issued = 1795252320123;
  s.operator_id = *OperatorId::parse("opr-00112233445566778899aabbccddeeff");
  s.name = "佐藤 花子";
  return s;
}

TEST(HoldStatement, ItsTextIsItsOnlyForm) {
  const std::string text = sample().text();
  EXPECT_EQ(HoldStatement::parse(text).text(), text);
  EXPECT_NE(text.find("Releases the hold of case 2026-118 on dataset kyc-scans"), std::string::npos);
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"case closed", "case  closed\n"},
                                 {"hld-0011", "era-0011"},
                                 {"kesu-release-v1", "kesu-approve-v1"},
                                 {"2026-118 on", "2026-119 on"},
                                 {"\"issued\": \"20", "\"issued\": \"x0"},
                                 {"{\n", "{\n\n"}}) {
    std::string changed = text;
    const size_t at = changed.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    changed.replace(at, from.size(), to);
    EXPECT_THROW(HoldStatement::parse(changed), Error) << from;
  }
}

TEST(HoldStatement, OfAKeyVersion) {
  HoldStatement s = sample();
  s.subject = "key-00112233445566778899aabbccddeeff.1";
  s.detail = "loans.1";
  EXPECT_EQ(s.summary().at(0), "Releases the hold of case 2026-118 on key version loans.1");
}

}  // namespace
}  // namespace kesu
