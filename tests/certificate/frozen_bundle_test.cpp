// A bundle that was issued once must verify for ever: tests/vectors/bundle/v1 is one that the program itself
// made.
#include <fcntl.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "certificate/issue.h"
#include "certificate/verify.h"
#include "seal/files.h"

namespace kesu {
namespace {

const std::string kDir = std::string(KESU_VECTORS) + "/bundle/v1/";

TrustAnchors trust() {
  return parse_trust(to_text(read_file(kDir + "trust")),
                     [](const std::string& path) { return read_file(path); });
}
VerifyOptions low() {
  VerifyOptions o;
  o.required_profile = "low";
  o.allow_test_grade = true;
  return o;
}

TEST(FrozenBundle, IsCompleteAndReportsTheSameAsWhenItWasIssued) {
  Fd object(::open((kDir + "loans.csv.kesu").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(object.ok());
  VerifyOptions options = low();
  options.objects.push_back({"loans.csv.kesu", file_input(object.get())});
  VerifyReport report = verify_bundle(read_bundle_directory(kDir + "bundle"), trust(), options);
  EXPECT_EQ(exit_of(report), Exit::done) << render_report(report);
  // Members may be added; none of those may change.
  Json then = parse_json(as_text(read_file(kDir + "report.json")), "report"), now = to_json(report);
  for (const auto& [member, value] : then.as_object()) {
    ASSERT_NE(now.find(member), nullptr) << member;
    EXPECT_EQ(now.at(member).canonical(), value.canonical()) << member;
  }
  EXPECT_TRUE(report.exceptions.empty());
  ASSERT_FALSE(report.evidence_chain.empty());
  EXPECT_GE(report.evidence_chain.front().verdict.strength_bits, 128);
}

// Its README.txt is of an earlier text, which MANIFEST names: a program that writes it again keeps to that.
TEST(FrozenBundle, WrittenAgainItHasTheReadmeThatItWasIssuedWith) {
  const BundleFiles good = read_bundle_directory(kDir + "bundle");
  BundleFiles again = good;
  again["README.txt"] = {};
  restore_readme(again, good.at("MANIFEST"));
  EXPECT_EQ(to_text(again.at("README.txt")), to_text(good.at("README.txt")));
  restore_readme(again, Bytes{});
  EXPECT_NE(again.at("README.txt"), good.at("README.txt"));  // as it would be issued now
  const Bytes now = again.at("README.txt");
  const std::string line = hex(hash(HashAlg::sha512, now)) + "  README.txt\n";
  again["README.txt"] = {};
  restore_readme(again, as_bytes(line));
  EXPECT_EQ(again.at("README.txt"), now);
}

TEST(FrozenBundle, IsNotEnoughForTheDefaultBar) {
  EXPECT_EQ(exit_of(verify_bundle(read_bundle_directory(kDir + "bundle"), trust(), {})), Exit::incomplete);
}

TEST(FrozenBundle, OneAlteredByteOrOneMissingFileIsNoticed) {
  const BundleFiles good = read_bundle_directory(kDir + "bundle");
  for (auto& [path, content] : good) {
    BundleFiles altered = good;
    if (!content.empty()) {
      altered[path][content.size() / 2] ^= 1;
      VerifyReport report = verify_bundle(altered, trust(), low());
      EXPECT_EQ(exit_of(report), Exit::invalid) << path;
      EXPECT_FALSE(report.errors.empty()) << path;
    }
    altered = good;
    altered.erase(path);
    EXPECT_NE(exit_of(verify_bundle(altered, trust(), low())), Exit::done) << path;
  }
}

}  // namespace
}  // namespace kesu
