// The tree manifest: what is written is what is read, in one form only, row by row.
#include "seal/tree_manifest.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include "base/json.h"
#include "seal/support.h"

namespace kesu {
namespace {
using namespace test;
using Type = TreeRow::Type;

const TreeOwner kTanaka{1000, 1000, "tanaka", "loans"}, kRoot{0, 0, "root", "root"};

TreeRow directory(std::string name, TreeOwner owner = kTanaka) {
  TreeRow row;
  row.name = std::move(name);
  row.owner = row.files_owner = std::move(owner);
  row.mode = 0755;
  row.mtime = {1'795'252'320, 5};
  return row;
}
TreeRow file(std::string name, TreeOwner owner = kTanaka) {
  TreeRow row;
  row.type = Type::file;
  row.name = std::move(name);
  row.owner = std::move(owner);
  return row;
}

Bytes bytes_of(const TreeManifest& m, size_t step = 7) {
  Bytes out;
  Source source = m.source();
  Bytes buffer(step);
  while (size_t n = source(buffer))
    out.insert(out.end(), buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(n));
  return out;
}

std::vector<TreeRow> read(ByteView text, size_t step = 1 << 20) {
  std::vector<TreeRow> rows;
  TreeManifestReader reader([&](const TreeRow& row) { rows.push_back(row); });
  for (size_t at = 0; at < text.size(); at += step)
    reader.feed(text.subspan(at, std::min(step, text.size() - at)));
  reader.finish();
  return rows;
}

std::string why_not(ByteView text, size_t step = 1 << 20) {
  try {
    read(text, step);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::bad_input);
    return e.cause();
  }
  return "good";
}

TEST(TreeManifest, VectorsWholeAndInPieces) {
  const std::string dir = path_join(KESU_VECTORS, "tree");
  int good = 0, bad = 0;
  for (const std::string& name : list_directory(dir)) {
    const Json j = parse_json(as_text(read_file(path_join(dir, name))), name);
    const Bytes text = j.has("b64") ? *unbase64(j.str("b64")) : to_bytes(as_bytes(j.str("text")));
    const std::string& expect = j.str("expect");
    for (const size_t step : {size_t{1}, size_t{13}, size_t{1} << 20})
      EXPECT_TRUE(why_not(text, step).starts_with(expect)) << name << ": " << why_not(text, step);
    (expect == "good" ? good : bad)++;
    if (expect != "good") continue;
    TreeManifestReader reader([](const TreeRow&) {});
    reader.feed(text);
    TreeManifest again(reader.root(), reader.owner());
    for (const TreeRow& row : read(text)) again.add(row);
    EXPECT_EQ(bytes_of(again), text) << name;
    EXPECT_EQ(again.bytes(), text.size());
  }
  EXPECT_GE(good, 2);
  EXPECT_GE(bad, 40);
}

TEST(TreeManifest, WhatTheExampleSays) {
  const std::string path = path_join(path_join(KESU_VECTORS, "tree"), "good-example.json");
  const auto rows = read(as_bytes(parse_json(as_text(read_file(path)), path).str("text")));
  ASSERT_EQ(rows.size(), 10u);
  EXPECT_EQ(rows[0].name, "");
  EXPECT_EQ(rows[0].mode, 0750u);
  EXPECT_EQ(rows[2].xattrs.at(0).first, "user.checked");
  EXPECT_EQ(rows[3].target, "2019/0001.csv");
  EXPECT_EQ(rows[4].mtime, (FileTime{-1, 0}));
  EXPECT_EQ(rows[6].name, "caf\xe9");
  EXPECT_EQ(rows[6].owner, kRoot);
  EXPECT_EQ(rows[7].owner, kRoot);
  EXPECT_EQ(rows[8].owner, kTanaka) << "a link in etc is the files' owner's";
  EXPECT_EQ(rows[9].owner, (TreeOwner{77, 0xffffffff, "", ""}));
  EXPECT_EQ(rows[9].target, "\xff");
}

TEST(TreeManifest, OrderPutsWhatIsInADirectoryBehindIt) {
  EXPECT_TRUE(tree_before("a", "a/b"));
  EXPECT_TRUE(tree_before("a/b", "a-b"));
  EXPECT_TRUE(tree_before("a/b", "a\nb"));
  EXPECT_FALSE(tree_before("a-b", "a/b"));
  EXPECT_FALSE(tree_before("a", "a"));
  EXPECT_TRUE(tree_before("a", "\xff"));
}

TEST(TreeManifest, FilesOfOneOwnerTakeNoRoom) {
  TreeManifest m("data", kRoot);
  TreeRow root = directory("", kRoot);
  root.files_owner = kTanaka;
  m.add(root);
  const uint64_t before = m.bytes();
  for (int i = 0; i < 100'000; ++i) m.add(file("f" + std::to_string(100'000 + i)));
  EXPECT_EQ(m.bytes(), before);
  m.add(file("g", kRoot));
  EXPECT_GT(m.bytes(), before);
}

TEST(TreeManifest, AWriterKeepsTheRulesOfTheReader) {
  TreeManifest m("data", kTanaka);
  const auto refused = [&](const TreeRow& row) {
    const uint64_t before = m.bytes();
    try {
      m.add(row);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::bad_input);
      EXPECT_EQ(m.bytes(), before);
      return e.cause();
    }
    return std::string();
  };
  EXPECT_EQ(refused(file("a", kRoot)), "the first row is not that of the root");
  m.add(directory(""));
  TreeRow large = file("a");
  for (int i = 0; i < 5; ++i) large.xattrs.emplace_back("user." + std::to_string(i), Bytes(60'000));
  EXPECT_EQ(refused(large), "its extended attributes are too large");
  TreeRow link = file("b");
  link.type = Type::link;
  link.target = "c";
  EXPECT_EQ(refused(link), "a link stands before the file it is a name of");
  EXPECT_EQ(refused(directory(std::string(kMaxTreeName + 1, 'x'))), "a name is too long");
  m.add(directory("d"));
  EXPECT_EQ(refused(directory("c")), "the rows are not in order");
  EXPECT_THROW(TreeManifest("a/b", kRoot), Error);
  EXPECT_THROW(TreeManifest("..", kRoot), Error);
  EXPECT_EQ(read(bytes_of(m)).size(), 2u);
}

TEST(TreeManifest, NoPartOfItPassesForTheWholeButAtALine) {
  TreeManifest m("data", kTanaka);
  m.add(directory(""));
  m.add(directory("a"));
  const Bytes text = bytes_of(m);
  for (size_t n = 0; n < text.size(); ++n)
    EXPECT_TRUE(why_not(ByteView(text).first(n)) != "good" || text[n - 1] == '\n') << n;
}

TEST(TreeManifest, TenThousandLevels) {
  TreeManifest m("deep", kTanaka);
  m.add(directory(""));
  std::string name;
  for (int i = 0; i < 10'000; ++i) m.add(directory(name += i ? "/d" : "d"));
  m.add(file("e", kRoot));
  EXPECT_LT(m.bytes(), 10'002u * 100) << "names are not said again at each level";
  int rows = 0;
  std::string longest;
  TreeManifestReader reader([&](const TreeRow& row) {
    ++rows;
    if (row.name.size() > longest.size()) longest = row.name;
  });
  reader.feed(bytes_of(m, 1 << 16));
  reader.finish();
  EXPECT_EQ(rows, 10'002);
  EXPECT_EQ(longest, name);
}

TEST(TreeManifest, ManyRowsTakeAFractionOfTheirTextInMemory) {
  TreeManifest m("data", kTanaka);
  m.add(directory(""));
  const size_t before = ::mallinfo2().uordblks;
  for (int i = 0; i < 20'000; ++i) {
    std::string number = std::to_string(100'000 + i);
    m.add(directory("directory-" + number));
  }
  EXPECT_GT(m.bytes(), 1'200'000u);
  EXPECT_LT(::mallinfo2().uordblks - before, (256u << 10) * 2 + m.bytes() / 4);
  const Bytes whole = bytes_of(m, 1 << 20);
  EXPECT_EQ(whole.size(), m.bytes());
  EXPECT_EQ(bytes_of(m, 4093), whole);
  EXPECT_EQ(read(whole).size(), 20'001u);
}

TEST(TreeManifest, ALineTooLongIsRefusedBeforeItIsWhole) {
  TreeManifest m("data", kTanaka);
  m.add(directory(""));
  Bytes text = bytes_of(m);
  text.resize(text.size() + kMaxTreeLine + 1, 'x');
  EXPECT_EQ(why_not(text, 4096), "line 3 is too long");
}

}  // namespace
}  // namespace kesu
