// A bundle as one zip file: other programs read it, and only what kesu would write is taken.
#include <gtest/gtest.h>
#include <zlib.h>

#include <functional>

#include "base/files.h"
#include "support/tools.h"
#include "vault_double.h"

namespace kesu::test {
namespace {

const std::string kPerson = "approvals/genesis.opr-00112233445566778899aabbccddeeff.sig";

BundleFiles small() {
  BundleFiles files;
  files["MANIFEST"] = to_bytes(as_bytes("nothing\n"));
  files["README.txt"] = to_bytes(as_bytes("read me\n"));
  files["evidence/" + std::string(64, 'a')] = {};
  files[kPerson] = to_bytes(as_bytes("signature"));
  files["plan.json"] = to_bytes(as_bytes("{}"));
  return files;
}

Bytes zip_of(const BundleFiles& files) {
  TempDir dir;
  write_bundle_zip(dir / "b.zip", files);
  return read_file(dir / "b.zip");
}

// Why it is refused; "" when it is not.
std::string refusal(const Bytes& zip) {
  try {
    parse_bundle_zip(zip);
    return "";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::bad_input) << e.message();
    return e.message();
  }
}

// A zip writer that does what it is told, right or wrong.
struct Told {
  std::string name, content;
  uint32_t flags = 0, method = 0, needed = 10, time = 0, date = 0x21, size = 0, made = 10, attributes = 0;
  bool own_size = false;
  std::string extra = {}, comment = {}, descriptor = {}, central_name = {};
};
struct Writer {
  Bytes out, central;
  uint32_t n = 0;
  void put(Bytes& to, uint64_t v, int bytes) {
    for (int i = 0; i < bytes; ++i) to.push_back(static_cast<uint8_t>(v >> (8 * i)));
  }
  void text(Bytes& to, std::string_view s) { to.insert(to.end(), s.begin(), s.end()); }
  void both(Bytes& to, const Told& t, size_t name) {
    auto crc = static_cast<uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(t.content.data()), static_cast<uInt>(t.content.size())));
    put(to, t.needed, 2), put(to, t.flags, 2), put(to, t.method, 2), put(to, t.time, 2), put(to, t.date, 2);
    put(to, crc, 4), put(to, t.content.size(), 4);
    put(to, t.own_size ? t.size : t.content.size(), 4);
    put(to, name, 2), put(to, t.extra.size(), 2);
  }
  void add(const Told& t) {
    uint64_t at = out.size();
    const std::string& name = t.central_name.empty() ? t.name : t.central_name;
    put(out, 0x04034b50, 4), both(out, t, t.name.size()), text(out, t.name), text(out, t.extra);
    text(out, t.content), text(out, t.descriptor);
    put(central, 0x02014b50, 4), put(central, t.made, 2), both(central, t, name.size());
    put(central, t.comment.size(), 2), put(central, 0, 4), put(central, t.attributes, 4), put(central, at, 4);
    text(central, name), text(central, t.extra), text(central, t.comment);
    ++n;
  }
  Bytes end(std::string_view comment = "", std::string_view between = "", uint32_t said = 0) {
    Bytes zip = out;
    uint64_t at = zip.size();
    zip.insert(zip.end(), central.begin(), central.end());
    text(zip, between);
    put(zip, 0x06054b50, 4), put(zip, 0, 4), put(zip, said ? said : n, 2), put(zip, said ? said : n, 2);
    put(zip, central.size(), 4), put(zip, at, 4), put(zip, comment.size(), 2), text(zip, comment);
    return zip;
  }
};
Bytes one(const Told& t) {
  Writer w;
  w.add(t);
  return w.end();
}

TEST(Zip, ComesBackAsItWasWithTheSameVerdict) {
  TestVault v;
  BundleFiles files = v.bundle();
  TempDir dir;
  write_bundle(dir / "b.zip", files);
  EXPECT_EQ(list_directory(dir.path()), std::vector<std::string>{"b.zip"});
  BundleFiles again = read_bundle(dir / "b.zip");
  EXPECT_EQ(again, files);
  EXPECT_EQ(to_json(verify_bundle(again, v.trust(), TestVault::low())).canonical(),
            to_json(verify_bundle(files, v.trust(), TestVault::low())).canonical());
  Bytes first = read_file(dir / "b.zip");
  write_bundle(dir / "c.zip", files);
  EXPECT_EQ(read_file(dir / "c.zip"), first);
  EXPECT_EQ(parse_bundle_zip(first), files);
  try {
    write_bundle(dir / "b.zip", files);
    ADD_FAILURE() << "written over an existing bundle";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::already_exists);
  }
  write_bundle(dir / "d", files);
  EXPECT_EQ(read_bundle(dir / "d"), files);
  files["../outside"] = {};
  EXPECT_THROW(write_bundle(dir / "e.zip", files), Error);
  EXPECT_FALSE(exists(dir / "e.zip"));
  EXPECT_EQ(list_directory(dir.path()).size(), 3u);
}

TEST(Zip, OtherProgramsReadIt) {
  TestVault v;
  BundleFiles files = v.bundle();
  TempDir dir;
  write_bundle_zip(dir / "b.zip", files);
  Ran python = run("python3 -m zipfile -t " + (dir / "b.zip") + " && python3 -m zipfile -e " +
                   (dir / "b.zip") + " " + (dir / "by-python"));
  EXPECT_EQ(python.status, 0) << python.output;
  EXPECT_EQ(read_bundle_directory(dir / "by-python"), files);
  if (run("command -v unzip").status != 0) GTEST_SKIP() << "unzip is not installed";
  Ran unzip =
      run("unzip -t " + (dir / "b.zip") + " && unzip -q " + (dir / "b.zip") + " -d " + (dir / "by-unzip"));
  EXPECT_EQ(unzip.status, 0) << unzip.output;
  EXPECT_NE(unzip.output.find("No errors detected"), std::string::npos) << unzip.output;
  EXPECT_EQ(read_bundle_directory(dir / "by-unzip"), files);
}

TEST(Zip, EveryOtherByteAndEveryOtherLengthIsRefused) {
  const Bytes good = zip_of(small());
  ASSERT_EQ(parse_bundle_zip(good), small());
  for (size_t at = 0; at < good.size(); ++at)
    for (int bit : {0, 3, 7}) {
      Bytes other = good;
      other[at] ^= static_cast<uint8_t>(1 << bit);
      EXPECT_NE(refusal(other), "") << "byte " << at << ", bit " << bit;
    }
  for (size_t n = 0; n < good.size(); ++n)
    EXPECT_NE(refusal(Bytes(good.begin(), good.begin() + static_cast<ptrdiff_t>(n))), "") << n;
  for (size_t at = 0; at <= good.size(); ++at) {
    Bytes longer = good;
    longer.insert(longer.begin() + static_cast<ptrdiff_t>(at), 0);
    EXPECT_NE(refusal(longer), "") << at;
  }
}

TEST(Zip, WhatKesuWouldNotWriteIsRefusedNamingThePart) {
  const std::string zip64 = std::string("\x01\x00\x10\x00", 4) + std::string(16, '\0');
  const Told plan{.name = "plan.json", .content = "{}"};
  auto with = [&](const std::function<void(Told&)>& change) {
    Told t = plan;
    change(t);
    return one(t);
  };
  auto named = [&](const std::string& name) { return with([&](Told& t) { t.name = name; }); };
  auto pair = [&](const Told& a, const Told& b) {
    Writer w;
    w.add(a), w.add(b);
    return w.end();
  };
  const Told manifest{.name = "MANIFEST", .content = "m"};
  Writer w;
  w.add(manifest), w.add(plan);
  Writer hidden = w;  // a member that the central directory does not list
  hidden.central.resize(46 + 8);
  hidden.n = 1;
  Writer gap = w;  // bytes between the members and the directory
  gap.text(gap.out, "hidden");
  Bytes polyglot = w.end();
  polyglot.insert(polyglot.begin(), {'M', 'Z'});
  Bytes trailing = w.end();
  trailing.push_back('\n');
  Bytes twice = w.end(), second = w.end();
  twice.insert(twice.end(), second.begin(), second.end());
  const std::string z64_end =
      std::string("PK\x06\x06", 4) + std::string(52, '\0') + "PK\x06\x07" + std::string(16, '\0');
  const struct {
    const char* what;
    Bytes zip;
    const char* part;
  } kCases[] = {
      {"nothing", {}, "the zip file is cut off"},
      {"no zip", to_bytes(as_bytes("%PDF-1.7 and more")), "it is not a zip file"},
      {"path upwards", named("../plan.json"), "../plan.json is not"},
      {"absolute path", named("/etc/passwd"), "/etc/passwd is not"},
      {"path upwards inside", named("evidence/../plan.json"), "evidence/../plan.json is not"},
      {"backslashes", named("evidence\\plan"), "evidence\\plan is not"},
      {"drive", named("C:plan.json"), "C:plan.json is not"},
      {"a folder", named("evidence/"), "evidence/ is not"},
      {"unknown name", named("extra.txt"), "extra.txt is not"},
      {"dot", named("./plan.json"), "./plan.json is not"},
      {"other case", named("Plan.json"), "Plan.json is not"},
      {"zero byte in the name", named(std::string("plan.json\0x", 11)), "plan.json?x is not"},
      {"control characters", named("plan\x1b[2J"), "plan?[2J is not"},
      {"not ASCII", named("計画.json"), ".json is not"},
      {"empty name", named(""), "member 1"},
      {"long name", named(std::string(60000, 'a')), "member 1"},
      {"same name twice", pair(plan, plan), "plan.json stands in the zip file twice"},
      {"not sorted", pair(plan, manifest), "MANIFEST stands in the zip file in the wrong place"},
      {"deflated", with([](Told& t) { t.method = 8; }), "plan.json is compressed"},
      {"compressed otherwise", with([](Told& t) { t.method = 14; }), "plan.json is compressed"},
      {"encrypted", with([](Told& t) { t.flags = 1; }), "plan.json is encrypted"},
      {"descriptor", with([](Told& t) { t.flags = 8, t.descriptor = std::string(16, 'x'); }),
       "plan.json has a data descriptor"},
      {"UTF-8 flag", with([](Told& t) { t.flags = 0x800; }), "plan.json has flags"},
      {"zip64 extra", with([&](Told& t) { t.extra = zip64; }), "plan.json has extra fields"},
      {"zip64 sizes", with([](Told& t) { t.own_size = true, t.size = 0xffffffff; }), "plan.json"},
      {"another time", with([](Told& t) { t.time = 1; }), "plan.json has a time"},
      {"another date", with([](Told& t) { t.date = 0x5b75; }), "plan.json has another date"},
      {"another version", with([](Told& t) { t.needed = 45; }), "plan.json asks for another version"},
      {"two sizes", with([](Told& t) { t.own_size = true, t.size = 1; }), "plan.json has two"},
      {"larger than the file", with([](Told& t) { t.own_size = true, t.size = 1u << 20; }), "plan.json"},
      {"made elsewhere", with([](Told& t) { t.made = 0x0314; }), "plan.json is described differently"},
      {"attributes", with([](Told& t) { t.attributes = 0xa1ff0000; }), "plan.json is described differently"},
      {"a member's comment", with([](Told& t) { t.comment = "c"; }), "central directory is longer"},
      {"another name in the directory", with([](Told& t) { t.central_name = "MANIFESTX"; }),
       "plan.json is described differently"},
      {"a shorter name in the directory", with([](Told& t) { t.central_name = "MANIFEST"; }),
       "central directory is cut off"},
      {"a hidden member", hidden.end(), "central directory is cut off"},
      {"bytes before the directory", gap.end(), "central directory is longer"},
      {"something before it", polyglot, "it is not a zip file"},
      {"a byte after it", trailing, "central directory is longer"},
      {"two in one", twice, "central directory is longer"},
      {"a comment at the end", w.end("hello"), "central directory is longer"},
      {"zip64 end", w.end("", z64_end), "central directory is longer"},
      {"another count", w.end("", "", 3), "the end of the zip file's central directory"},
      {"zip64 count", w.end("", "", 0xffff), "the end of the zip file's central directory"},
  };
  ASSERT_GE(std::size(kCases), 40u);
  for (const auto& c : kCases) {
    std::string why = refusal(c.zip);
    EXPECT_NE(why, "") << c.what << " was accepted";
    EXPECT_NE(why.find(c.part), std::string::npos) << c.what << ": " << why;
    EXPECT_TRUE(why.starts_with("bundle: ")) << why;
  }
  EXPECT_EQ(refusal(w.end()), "");  // and the writer here can do it right
}

TEST(Zip, WhatPythonsZipfilePacksIsRefusedAlthoughTheFilesAreTheSame) {
  TempDir dir;
  write_bundle_directory(dir / "b", small());
  ASSERT_EQ(run("cd " + (dir / "b") + " && python3 -m zipfile -c ../again.zip *").status, 0);
  try {
    read_bundle(dir / "again.zip");
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::bad_input) << e.message();
  }
}

TEST(Zip, WhatIsNeitherFileNorDirectoryIsRefused) {
  TempDir dir;
  ASSERT_EQ(run("mkfifo " + (dir / "pipe")).status, 0);
  EXPECT_THROW(read_bundle(dir / "pipe"), Error);
  EXPECT_THROW(read_bundle("/dev/zero"), Error);
  try {
    read_bundle(dir / "nothing.zip");
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::not_found) << e.message();
  }
}

}  // namespace
}  // namespace kesu::test
