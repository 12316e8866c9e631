// A bundle on disk in the hands of other programs: the recipe of docs/verify-by-hand.md, line by line.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"
#include "support/tools.h"
#include "vault_double.h"

namespace kesu::test {
namespace {

std::vector<std::string> recipe() {
  std::string page = to_text(read_file(std::string(KESU_SOURCE) + "/docs/verify-by-hand.md"));
  size_t begin = page.find("```sh\n") + 6, end = page.find("```", begin);
  std::vector<std::string> out;
  std::string functions;  // what a line defines serves those behind it
  for (std::string text = page.substr(begin, end - begin); !text.empty();
       text.erase(0, text.find('\n') + 1)) {
    const std::string line = text.substr(0, text.find('\n'));
    if (const size_t name = line.find("() {"); name < line.find(' '))
      functions += line + "\n";
    else
      out.push_back(functions + line);
  }
  return out;
}

bool have(const char* tool) { return run("command -v " + std::string(tool)).status == 0; }

TEST(StockTools, TheRecipeAcceptsAnHonestBundle) {
  if (!have("ssh-keygen") || !have("openssl")) GTEST_SKIP() << "ssh-keygen or openssl is not installed";
  TestVault v;
  TempDir dir;
  write_bundle_directory(dir / "bundle", v.bundle());
  ASSERT_EQ(recipe().size(), 12u);
  for (const std::string& line : recipe()) {
    Ran ran = run("cd " + (dir / "bundle") + " && { " + line + "\n}");
    EXPECT_EQ(ran.status, 0) << line << "\n" << ran.output;
  }
}

TEST(StockTools, TheRecipeNoticesWhatWasChanged) {
  if (!have("ssh-keygen") || !have("openssl")) GTEST_SKIP() << "ssh-keygen or openssl is not installed";
  TestVault v;
  BundleFiles honest = v.bundle();
  for (const auto& [path, content] : honest) {
    if (path.starts_with("ledger/bodies") || path == "ledger/checkpoint-a" || path == "ledger/consistency" ||
        path == "trust/ledger.vkey" || path.starts_with("evidence/") || path.starts_with("inventory/") ||
        path == "README.txt" || path == "ledger/checkpoint-b" || path == "ledger/headers.gz")
      continue;  // these need the ledger's own checks, or are like one that is tried
    TempDir dir;
    BundleFiles files = honest;
    files[path][files[path].size() / 2] ^= 1;
    write_bundle_directory(dir / "bundle", files);
    bool noticed = false;
    for (const std::string& line : recipe())
      noticed = noticed || run("cd " + (dir / "bundle") + " && { " + line + "\n}").status != 0;
    EXPECT_TRUE(noticed) << path;
  }
}

TEST(StockTools, ReadmesRecipeRuns) {
  if (!have("openssl")) GTEST_SKIP() << "openssl is not installed";
  TestVault v;
  BundleFiles files = v.bundle();
  TempDir dir;
  write_bundle_directory(dir / "bundle", files);
  std::string readme = to_text(files.at("README.txt")), script = "set -e\ncd " + (dir / "bundle") + "\n";
  for (size_t at = readme.find("    sha512sum"); at < readme.size();) {
    size_t end = readme.find('\n', at);
    if (!readme.compare(at, 4, "    ")) script += readme.substr(at, end - at) + "\n";
    at = end + 1;
  }
  Ran ran = run(script);
  EXPECT_EQ(ran.status, 0) << script << ran.output;
  EXPECT_NE(ran.output.find("Good \"kesu-approve-v1\" signature"), std::string::npos) << ran.output;
}

TEST(Directory, ABundleComesBackAsItWas) {
  TestVault v;
  BundleFiles files = v.bundle();
  TempDir dir;
  write_bundle_directory(dir / "b", files);
  BundleFiles again = read_bundle_directory(dir / "b");
  EXPECT_EQ(again, files);
  EXPECT_EQ(verify_bundle(again, v.trust(), TestVault::low()).verdict, Verdict::complete);
  EXPECT_EQ(list_directory(dir.path()), std::vector<std::string>{"b"});
  try {
    write_bundle_directory(dir / "b", files);
    ADD_FAILURE() << "written over an existing bundle";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::already_exists);
  }
  EXPECT_EQ(read_bundle_directory(dir / "b"), files);
  files["../outside"] = {};
  EXPECT_THROW(write_bundle_directory(dir / "c", files), Error);
  EXPECT_FALSE(exists(dir / "c"));
}

TEST(Directory, LinksDevicesAndUnknownNamesAreRefusedByName) {
  TestVault v;
  BundleFiles files = v.bundle();
  for (const char* make :
       {"rm plan.json && ln -s MANIFEST plan.json", "ln -s /etc evidence/link",
        "rm README.txt && mkfifo README.txt", "touch extra", "mkdir more",
        "rm -r trust && ln -s approvals trust", "mkdir evidence/sub", "touch 'evidence/\xff'"}) {
    TempDir dir;
    write_bundle_directory(dir / "b", files);
    ASSERT_EQ(run("cd " + (dir / "b") + " && " + make).status, 0) << make;
    try {
      read_bundle_directory(dir / "b");
      ADD_FAILURE() << make;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::bad_input) << make << ": " << e.message();
      EXPECT_NE(e.message().find("bundle: "), std::string::npos);
    }
  }
  EXPECT_THROW(read_bundle_directory("/nonexistent/bundle"), Error);
}

TEST(Manifest, IsWhatSha512sumReads) {
  BundleFiles files;
  files["plan.json"] = to_bytes(as_bytes("abc"));
  files["ledger/bodies.jsonl"] = {};
  std::string text = make_manifest(files);
  EXPECT_EQ(text, hex(hash(HashAlg::sha512, as_bytes("abc"))) + "  plan.json\n");
  files["MANIFEST"] = to_bytes(as_bytes(text));
  EXPECT_TRUE(check_manifest(files).empty());
  for (const std::string& other :
       {text + text, std::string(" ") + text, text.substr(0, text.size() - 1), std::string("x\n")}) {
    files["MANIFEST"] = to_bytes(as_bytes(other));
    EXPECT_FALSE(check_manifest(files).empty()) << other;
  }
  EXPECT_EQ(gzip("the same"), gzip("the same"));
}

}  // namespace
}  // namespace kesu::test
