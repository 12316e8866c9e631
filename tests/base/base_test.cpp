#include <gtest/gtest.h>

#include <filesystem>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/ids.h"
#include "base/secret.h"

namespace kesu {
namespace {

TEST(Bytes, Base64IsStrict) {
  for (std::string s : {"", "f", "fo", "foo", "foob"}) EXPECT_EQ(to_text(*unbase64(base64(as_bytes(s)))), s);
  for (std::string bad : {"Zg", "Zg=", "Zh==", "Zm9=", "Zm 9", "====", "Zg==Zg=="})
    EXPECT_FALSE(unbase64(bad)) << bad;
}

TEST(Bytes, HexIsLowerCaseOnly) {
  EXPECT_EQ(hex(*unhex("00ff10")), "00ff10");
  EXPECT_FALSE(unhex("0F"));
  EXPECT_FALSE(unhex("0"));
}

TEST(Bytes, ReaderNeverRunsPastItsEnd) {
  Bytes b = ByteWriter().u16(0x0102).u64(7).bytes();
  ByteReader r(b);
  EXPECT_EQ(r.u16(), 0x0102);
  EXPECT_EQ(r.u64(), 7u);
  EXPECT_FALSE(r.failed());
  EXPECT_EQ(r.u32(), 0u);
  EXPECT_TRUE(r.failed());
}

TEST(Bytes, Utf8) {
  for (const char* good : {"", "a", "é", "髙", "\xf0\x9f\x98\x80"}) EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad :
       {"\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3", "a\xe3\x81"})
    EXPECT_FALSE(is_utf8(bad)) << hex(as_bytes(bad));
}

TEST(Ids, TextIsStrict) {
  std::string text = "key-00112233445566778899aabbccddeeff";
  EXPECT_EQ(KeyId::parse(text)->str(), text);
  EXPECT_EQ(KeyId::parse(text)->brief(), "key-00112233");
  EXPECT_FALSE(DatasetId::parse(text));
  EXPECT_FALSE(KeyId::parse(text + "0"));
  EXPECT_EQ(VersionRef::parse(text + ".12")->version, 12u);
  for (std::string bad : {".0", ".01", ".", ".x", ".4294967296", ""})
    EXPECT_FALSE(VersionRef::parse(text + bad)) << bad;
}

TEST(Clock, TextAndBack) {
  EXPECT_EQ(utc_text(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(utc_text(1795252320123), "2026-11-21T09:12:00.123Z");
  EXPECT_EQ(parse_utc("2026-11-21T09:12:00.123Z"), 1795252320123);
  for (const char* bad : {"2026-02-30T00:00:00.000Z", "2026-11-21T24:00:00.000Z", "2026-11-21T09:12:00.123",
                          "2026-11-21 09:12:00.123Z"})
    EXPECT_FALSE(parse_utc(bad)) << bad;
}

TEST(Secret, MovesAndZeroes) {
  Secret a = Secret::from(as_bytes("0123456789abcdef"));
  const uint8_t* at = a.reveal().data();
  Secret b = std::move(a);
  EXPECT_TRUE(a.empty());
  EXPECT_EQ(b.reveal().data(), at);
  EXPECT_EQ(as_text(b.reveal()), "0123456789abcdef");
  b = Secret();
  Secret c(16);  // the cell that was just released comes back zeroed
  EXPECT_EQ(c.reveal().data(), at);
  EXPECT_EQ(hex(c.reveal()), std::string(32, '0'));
}

TEST(Secret, ManyAndLarge) {
  std::vector<Secret> many;
  for (int i = 0; i < 1000; ++i) many.push_back(Secret(64));
  Secret large(100000);
  EXPECT_EQ(large.size(), 100000u);
  for (auto& s : many) EXPECT_EQ(s.reveal()[63], 0);
}

TEST(Error, EveryCodeHasATextAndAnExit) {
  EXPECT_EQ(code_text(Code::pin_wrong), "pin-wrong");
  EXPECT_EQ(exit_of(Code::sealed_damaged), Exit::invalid);
  for (int c = static_cast<int>(Code::failed) + 1; c <= static_cast<int>(Code::partial); ++c)
    EXPECT_NE(code_text(static_cast<Code>(c)), "failed") << c;
}

TEST(Files, WhatComesAfterALinkIsLookedUp) {
  namespace fs = std::filesystem;
  const fs::path dir = fs::canonical(testing::TempDir()) / "kesu_paths_test";
  fs::remove_all(dir);
  fs::create_directories(dir / "real/below");
  fs::create_directory_symlink("real/below", dir / "link");
  fs::create_directory_symlink("nowhere", dir / "dangling");
  const std::string at = dir.string();
  EXPECT_EQ(absolute_path(at + "/link/../x"), at + "/real/x");  // as every other program understands it
  EXPECT_EQ(absolute_path(at + "/link/x"), at + "/link/x");
  EXPECT_EQ(absolute_path(at + "/link/x/.."), at + "/link");
  EXPECT_EQ(absolute_path(at + "/dangling/../x"), at + "/x");
  EXPECT_EQ(absolute_path(at + "/none/.././/y//"), at + "/y");
  EXPECT_EQ(absolute_path("/.."), "/");
  EXPECT_EQ(absolute_path("//a/../.."), "/");
  EXPECT_EQ(absolute_path("z"), fs::current_path().string() + "/z");
  EXPECT_EQ(absolute_path("."), fs::current_path().string());
}

TEST(Files, DurableWriteReplacesWholeOrRefuses) {
  std::string dir = testing::TempDir() + "kesu_files_test";
  make_directories(dir + "/a/b");
  write_file_durable(dir + "/a/b/f", as_bytes("one"));
  write_file_durable(dir + "/a/b/f", as_bytes("two"));
  EXPECT_EQ(to_text(read_file(dir + "/a/b/f")), "two");
  try {
    write_file_durable(dir + "/a/b/f", as_bytes("three"), 0600, false);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::already_exists);
  }
  EXPECT_EQ(list_directory(dir + "/a/b"), std::vector<std::string>{"f"});
  EXPECT_FALSE(read_file_if_there(dir + "/nothing"));
}

}  // namespace
}  // namespace kesu
