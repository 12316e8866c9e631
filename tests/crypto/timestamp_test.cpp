// Time-stamps against answers that a test authority made with openssl ts (tests/vectors/timestamp/make.py),
// and against everything in them altered.
#include "crypto/timestamp.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "crypto/random.h"
#include "support/tools.h"

namespace kesu {
namespace {

std::string vector_path(const std::string& name) { return std::string(KESU_VECTORS) + "/timestamp/" + name; }
Bytes vector_file(const std::string& name) { return read_file(vector_path(name)); }
Bytes token_of(const std::string& name) {
  const TimestampAnswer answer = parse_timestamp_answer(vector_file(name));
  EXPECT_TRUE(answer.granted) << name << ": " << answer.refusal;
  return answer.token;
}
// The nonce stands in the request before its last element, certReq TRUE (01 01 ff).
Bytes nonce_of_query() {
  const Bytes query = vector_file("query.tsq");
  for (size_t size = 3; size < 12; ++size)
    if (query[query.size() - 3 - size] == 2 && query[query.size() - 2 - size] == size - 2)
      return {query.end() - 3 - static_cast<long>(size), query.end() - 3};
  ADD_FAILURE() << "no nonce in query.tsq";
  return {};
}
TimestampCheck check(const std::string& name, const Bytes& data = vector_file("data.bin")) {
  return verify_timestamp(token_of(name), {.data = data, .nonce = nonce_of_query()});
}
std::vector<Bytes> anchors(const char* name = "root.pem") {
  std::vector<Bytes> out;
  for (const Certificate& c : Certificate::parse_pem(as_text(vector_file(name)))) out.push_back(c.der);
  return out;
}

TEST(Timestamp, ARequestIsWhatOpensslReads) {
  if (test::run("command -v openssl").status != 0) GTEST_SKIP() << "openssl is not installed";
  test::TempDir dir;
  for (HashAlg alg : {HashAlg::sha256, HashAlg::sha512}) {
    const TimestampRequest request =
        make_timestamp_request(as_bytes("data"), system_random(), alg, "1.3.6.1.4.1.99999.2");
    EXPECT_EQ(request.imprint, hash(alg, as_bytes("data")));
    dir.write("query", request.der);
    const test::Ran ran = test::run("openssl ts -query -text -in " + (dir / "query"));
    EXPECT_EQ(ran.status, 0) << ran.output;
    for (const char* line :
         {"Version: 1", "Policy OID: 1.3.6.1.4.1.99999.2", "Certificate required: yes", "Nonce: 0x",
          alg == HashAlg::sha256 ? "Hash Algorithm: sha256" : "Hash Algorithm: sha512"})
      EXPECT_NE(ran.output.find(line), std::string::npos) << line << "\n" << ran.output;
  }
  const Bytes a = make_timestamp_request(as_bytes("data"), system_random()).nonce,
              b = make_timestamp_request(as_bytes("data"), system_random()).nonce;
  EXPECT_NE(a, b);
  EXPECT_GE(a.size(), 8u);
  EXPECT_THROW(make_timestamp_request({}, system_random(), HashAlg::sha384), Error);
  for (const char* bad : {"x", "1", "1.", "3.1", "1.40.1", "1.2.03", "1..2", "01.2"}) {
    EXPECT_FALSE(is_oid(bad)) << bad;
    EXPECT_THROW(make_timestamp_request({}, system_random(), HashAlg::sha512, bad), Error) << bad;
  }
  for (const char* good : {"1.2", "2.999.1", "0.4.0.2023.1.1", "1.3.6.1.4.1.99999.2"})
    EXPECT_TRUE(is_oid(good)) << good;
}

TEST(Timestamp, AGoodTokenOfOpenssl) {
  const TimestampCheck good = check("good.tsr");
  ASSERT_TRUE(good.ok) << good.reason;
  EXPECT_EQ(good.authority->common_name, "Test Time");
  EXPECT_EQ(good.policy, "1.3.6.1.4.1.99999.1");
  EXPECT_EQ(good.accuracy, 1000);
  EXPECT_EQ(good.imprint, HashAlg::sha512);
  EXPECT_EQ(good.algorithm, "ECDSA P-256, SHA-256");
  EXPECT_GT(good.time, parse_utc("2026-01-01T00:00:00.000Z").value());
  EXPECT_EQ(good.certificates.size(), 2u);
  const ChainCheck chain = timestamp_chain(good, {}, anchors());
  EXPECT_TRUE(chain.ok) << chain.reason;
  EXPECT_EQ(chain.chain.size(), 3u);
  EXPECT_TRUE(timestamp_chain(good, {}, anchors("intermediate.pem")).ok);
  EXPECT_FALSE(timestamp_chain(good, {}, {}).ok);
  // Without a nonce of its own to compare, and with the policy that was asked for.
  const Bytes data = vector_file("data.bin");
  EXPECT_TRUE(verify_timestamp(token_of("good.tsr"), {.data = data}).ok);
  EXPECT_TRUE(verify_timestamp(token_of("policy.tsr"), {.data = data, .policy = "1.3.6.1.4.1.99999.2"}).ok);
  EXPECT_FALSE(verify_timestamp(token_of("policy.tsr"), {.data = data, .policy = "1.3.6.1.4.1.99999.1"}).ok);
}

TEST(Timestamp, WhatAnAuthorityMaySay) {
  const TimestampCheck ess = check("ess-sha1.tsr");
  EXPECT_TRUE(ess.ok) << ess.reason;  // ESSCertID names the certificate by SHA-1
  const TimestampCheck fraction = check("fraction.tsr");
  EXPECT_TRUE(fraction.ok) << fraction.reason;
  EXPECT_EQ(fraction.time % 1000, 250);
}

TEST(Timestamp, ATokenOutlivesItsAuthoritysCertificate) {
  const TimestampCheck token = check("short.tsr");
  ASSERT_TRUE(token.ok) << token.reason;
  EXPECT_TRUE(timestamp_chain(token, {}, anchors()).ok);
  // Judged at a time after the certificate's end, the same chain is not good.
  EXPECT_FALSE(verify_chain(token.authority->der, token.certificates, anchors(),
                            token.authority->not_after + 1000, ChainPurpose::timestamping)
                   .ok);
}

TEST(Timestamp, EachWrongTokenIsRefusedForItsReason) {
  const std::pair<const char*, const char*> cases[] = {
      {"wrong-nonce.tsr", "nonce"},
      {"wrong-imprint.tsr", "over other bytes"},
      {"no-nonce.tsr", "nonce"},
      {"expired.tsr", "not valid at the token's time"},
      {"no-eku.tsr", "extended key usage"},
      {"sha1.tsr", "digest algorithm"},
      {"inaccurate.tsr", "accuracy"},
      {"bad-fraction.tsr", "genTime"},
      {"critical-extension.tsr", "critical"},
  };
  for (const auto& [name, why] : cases) {
    const TimestampCheck wrong = check(name);
    EXPECT_FALSE(wrong.ok) << name;
    EXPECT_NE(wrong.reason.find(why), std::string::npos) << name << ": " << wrong.reason;
    EXPECT_FALSE(timestamp_chain(wrong, {}, anchors()).ok) << name;
  }
  EXPECT_FALSE(check("good.tsr", to_bytes(as_bytes("other"))).ok);
  const TimestampAnswer refused = parse_timestamp_answer(vector_file("rejected.tsr"));
  EXPECT_FALSE(refused.granted);
  EXPECT_TRUE(refused.token.empty());
  EXPECT_NE(refused.refusal.find("algorithm not supported"), std::string::npos) << refused.refusal;
  EXPECT_NE(refused.refusal.find("Message digest"), std::string::npos) << refused.refusal;
}

// One byte changed anywhere, and every shorter beginning: nothing is thrown but bad_input, and no token that
// differs is good. Bytes that nothing covers (certificates besides the authority's) are the only exception.
TEST(Timestamp, AlteredBytes) {
  const Bytes data = vector_file("data.bin"), answer = vector_file("good.tsr"), token = token_of("good.tsr"),
              nonce = nonce_of_query();
  const TimestampCheck honest = verify_timestamp(token, {.data = data});
  size_t accepted = 0;
  for (size_t at = 0; at < token.size(); ++at)
    for (const uint8_t bit : {uint8_t{0x01}, uint8_t{0x20}, uint8_t{0x80}}) {
      Bytes bad = token;
      bad[at] ^= bit;
      const TimestampCheck got = verify_timestamp(bad, {.data = data, .nonce = nonce});
      if (!got.ok) {
        EXPECT_FALSE(got.reason.empty()) << at;
        continue;
      }
      ++accepted;
      EXPECT_EQ(got.authority->der, honest.authority->der) << at;
      EXPECT_EQ(got.time, honest.time) << at;
      EXPECT_NE(got.certificates, honest.certificates) << at << ": a byte that nothing covers";
    }
  // The intermediate certificate, of some 440 bytes, is only parsed here; chains are the next question.
  EXPECT_LT(accepted, 3 * honest.certificates[0].size() + 3 * honest.certificates[1].size());
  for (size_t size = 0; size < token.size(); ++size)
    EXPECT_FALSE(verify_timestamp(ByteView(token).first(size), {.data = data}).ok) << size;
  for (size_t size = 0; size < answer.size(); ++size)
    EXPECT_THROW(parse_timestamp_answer(ByteView(answer).first(size)), Error) << size;
  Bytes longer = answer;
  longer.push_back(0);
  EXPECT_THROW(parse_timestamp_answer(longer), Error);
  EXPECT_THROW(parse_timestamp_answer(Bytes(kMaxTimestamp + 1, 0x30)), Error);
}

// Bytes put in, taken out and repeated at random: the parsers end, and say so.
TEST(Timestamp, MangledBytes) {
  const Bytes data = vector_file("data.bin"), answer = vector_file("good.tsr");
  uint64_t seed = 20261121;
  auto next = [&](size_t below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>(seed >> 33) % below;
  };
  for (int round = 0; round < 20000; ++round) {
    Bytes bad = answer;
    for (size_t n = 1 + next(4); n > 0; --n) {
      const size_t at = next(bad.size());
      const auto where = bad.begin() + static_cast<long>(at);
      switch (next(4)) {
        case 0:
          *where = static_cast<uint8_t>(next(256));
          break;
        case 1:
          bad.insert(where, static_cast<uint8_t>(next(256)));
          break;
        case 2:
          bad.erase(where);
          break;
        default:
          bad[at] = static_cast<uint8_t>(bad[at] + 1);
      }
    }
    try {
      const TimestampAnswer got = parse_timestamp_answer(bad);
      if (got.granted) verify_timestamp(got.token, {.data = data});
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::bad_input);
    }
  }
}

}  // namespace
}  // namespace kesu
