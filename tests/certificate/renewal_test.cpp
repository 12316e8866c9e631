// The forms of a renewal's files.
#include "certificate/renewal.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "certificate/renewal_impl.h"
#include "crypto/hash.h"

namespace kesu {
namespace {

std::string sha512(std::string_view text) { return hex(hash(HashAlg::sha512, as_bytes(text))); }

TEST(Renewal, Names) {
  using Part = std::pair<uint64_t, std::string>;
  EXPECT_EQ(renewal_part(renewal_path(17, "manifest.tsr")), Part(17, "manifest.tsr"));
  EXPECT_EQ(bundle_name_problem("renewal/1000.tsa.pem"), "");
  for (const char* bad : {"renewal/0.ledger", "renewal/01.ledger", "renewal/1001.ledger",
                          "renewal/10000.ledger", "renewal/.ledger", "renewal/1.other", "renewal/1.",
                          "renewal/1", "renewal/1/ledger", "renewal/x.ledger", "renewals/1.ledger"}) {
    EXPECT_EQ(renewal_part(bad).first, 0u) << bad;
    EXPECT_NE(bundle_name_problem(bad), "") << bad;
  }
}

TEST(Renewal, Covers) {
  for (const char* path :
       {"MANIFEST", "ledger/checkpoint-a", "certificate.json", "README.txt", "time/certificate.json.p7s.tsr",
        "trust/tsa.pem", "renewal/1.ledger", "renewal/1.manifest.tsr", "renewal/2.ledger"})
    EXPECT_EQ(covered_by_renewal(path, 2), Covered::must) << path;
  for (const char* path : {"renewal/2.manifest", "renewal/2.manifest.tsr", "renewal/2.tsa.pem",
                           "renewal/3.ledger", "ledger/headers.gz", "ledger/bodies.jsonl",
                           "ledger/checkpoint-b", "time/checkpoint-b.tsr", "trust/signer.crl"})
    EXPECT_EQ(covered_by_renewal(path, 2), Covered::no) << path;
  EXPECT_EQ(covered_by_renewal("approvals/release.3.opr-0123456789abcdef0123456789abcdef.json", 2),
            Covered::may);
}

TEST(Renewal, LedgerHasOneForm) {
  const std::string digest(128, 'a'),
      good = digest + "  headers 40\n" + digest + "  body 0\n" + digest + "  body 17\n";
  const RenewalLedger read = parse_renewal_ledger(good);
  EXPECT_EQ(read.size, 40u);
  EXPECT_EQ(read.bodies.size(), 2u);
  EXPECT_EQ(renewal_ledger_text(read), good);
  const std::string body = digest + "  body 17\n", head = digest + "  headers 40\n";
  for (const std::string& bad :
       {std::string(), body, head + head, head + body + digest + "  body 3\n", head + body + body,
        good.substr(0, good.size() - 1), digest + "  headers 040\n", digest + "  headers\n",
        digest + " headers 40\n", std::string(128, 'A') + "  headers 40\n", head + "\n",
        head + digest + "  body x\n"})
    EXPECT_THROW(parse_renewal_ledger(bad), Error) << bad;
}

TEST(Renewal, DigestsOfBeginnings) {
  std::string text, beginning;
  for (int i = 0; i < 5000; ++i) {
    text += "line " + std::to_string(i) + std::string(static_cast<size_t>(i % 97), 'x') + "\n";
    if (i == 3333) beginning = text;
  }
  const Bytes zipped = gzip(text);
  const auto sums = header_digests(zipped, {3334, 5000, 1});
  EXPECT_EQ(sums.at(3334), sha512(beginning));
  EXPECT_EQ(sums.at(5000), sha512(text));
  EXPECT_EQ(sums.at(1), sha512("line 0\n"));
  EXPECT_THROW(header_digests(zipped, {5001}), Error);
  const auto bodies = body_digests("{\"body\":{},\"salt\":\"00\",\"seq\":3}\n");
  EXPECT_EQ(bodies.at(3), sha512("{\"body\":{},\"salt\":\"00\",\"seq\":3}\n"));
}

}  // namespace
}  // namespace kesu
