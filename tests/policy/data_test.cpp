// The policy's data: every line cites, the embedded bytes are the file's, and the reader refuses what it
// cannot know.
#include "policy/data.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"

namespace kesu::policy {
namespace {

std::string message_of(const std::string& text) {
  try {
    load_data(text);
  } catch (const Error& e) {
    return e.message();
  }
  return "accepted";
}

TEST(PolicyData, EveryLineHasACitation) {
  std::string_view rest = policy_data();
  size_t lines = 0;
  while (!rest.empty()) {
    size_t end = rest.find('\n');
    ASSERT_NE(end, std::string_view::npos) << "the last line ends with a line feed";
    Json line = parse_json(rest.substr(0, end), "line");
    EXPECT_GE(line.str("cite").size(), 8u) << line.canonical();
    std::string kind = line.str("kind");
    // What stands in for the text of LS-0003 always says how it was read.
    if (kind == "period" || kind == "strength" || kind == "hash" || kind == "word") {
      EXPECT_FALSE(line.str("reading").empty()) << line.canonical();
    }
    rest.remove_prefix(end + 1);
    ++lines;
  }
  EXPECT_GT(lines, 300u);
}

TEST(PolicyData, EmbeddedBytesAreTheFile) {
  EXPECT_EQ(policy_data(), to_text(read_file(std::string(KESU_SOURCE) + "/lib/policy/data/policy.jsonl")));
  EXPECT_EQ(policy_edition(), "CRYPTREC LS-0001-2022R2 (2026-03-30); CRYPTREC LS-0003-2022R1");
}

TEST(PolicyData, ListsHoldWhatTheEditionHolds) {
  int table1 = 0, table2 = 0, candidate = 0, monitored = 0;
  for (const ListRow& row : lists()) {
    if (row.list == "recommended") ++(row.table == 2 ? table2 : table1);
    if (row.list == "candidate") ++candidate;
    if (row.list == "monitored") ++monitored;
    EXPECT_FALSE(row.specification.empty());
  }
  EXPECT_EQ(table1, 33);
  EXPECT_EQ(table2, 8);
  EXPECT_EQ(candidate, 11);
  EXPECT_EQ(monitored, 5);
  EXPECT_EQ(data().notes.size(), 17u);
}

TEST(PolicyData, PeriodsHaveNoGaps) {
  for (int strength : {112, 128, 192, 256})
    for (Mode mode : {Mode::generate, Mode::process}) {
      int next = 2022;
      for (const PeriodRow& p : data().periods)
        if (p.strength_bits == strength && p.mode == mode) {
          EXPECT_EQ(p.from, next);
          next = p.to + 1;
        }
      EXPECT_EQ(next, 2071);
    }
}

TEST(PolicyData, ReaderRefuses) {
  EXPECT_EQ(message_of(R"({"kind":"note","n":1,"text":"x","cite":"CRYPTREC"})"), "accepted");
  for (
      const char* bad : {
          R"({"kind":"note","n":1,"text":"x"})",
          R"({"kind":"note","n":1,"text":"x","cite":""})",
          R"({"kind":"note","n":1,"text":"x","cite":"c","extra":1})",
          R"({"kind":"opinion","cite":"c"})",
          R"({"kind":"algorithm","name":"A","family":"none","purposes":["mac"],"params":[],"use":"u","cite":"c"})",
          R"({"kind":"algorithm","name":"A","family":"none","verdict":"listed","why":"w","purposes":["mac"],"use":"u","cite":"c"})",
          R"({"kind":"algorithm","name":"A","family":"none","verdict":"not-listed","purposes":["mac"],"use":"u","cite":"c"})",
          R"({"kind":"algorithm","name":"A","family":"none","verdict":"not-listed","why":"w","purposes":["fun"],"use":"u","cite":"c"})",
          R"({"kind":"algorithm","name":"A","family":"none","verdict":"not-listed","why":"w","purposes":[],"use":"u","cite":"c"})",
          R"({"kind":"algorithm","name":"A","family":"none","parts":["B"],"purposes":["mac"],"use":"u","cite":"c"})",
          R"({"kind":"name","name":"A","of":"B","set":{},"use":"u","cite":"c"})",
          R"({"kind":"period","strength":128,"mode":"new","from":2030,"to":2022,"cell":"x","reading":"r","cite":"c"})",
          R"({"kind":"period","strength":128,"mode":"new","from":2022,"to":2030,"cell":"x","reading":"r","cite":"c"})",
      })
    EXPECT_NE(message_of(bad), "accepted") << bad;
  std::string one =
      R"({"kind":"algorithm","name":"A","family":"none","verdict":"not-listed","why":"w","purposes":["mac"],"use":"u","cite":"c"})";
  EXPECT_NE(message_of(one + "\n" + one).find("stands twice"), std::string::npos);
}

}  // namespace
}  // namespace kesu::policy
