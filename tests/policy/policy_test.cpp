// The evaluator against its table of verdicts and the period table, and the traps that a list alone does not
// show.
#include "policy/policy.h"

#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "base/files.h"

namespace kesu::policy {
namespace {

Json vectors(const std::string& name) {
  return parse_json(to_text(read_file(std::string(KESU_VECTORS) + "/policy/" + name)), name);
}

Verdict judge(const std::string& form, std::optional<int> until = {}, Mode mode = Mode::generate,
              std::optional<Purpose> purpose = {}) {
  Query q = parse_query(form);
  q.end_year = until;
  q.mode = mode;
  q.purpose = purpose;
  return evaluate(q);
}

bool mentions(const std::vector<std::string>& texts, std::string_view word) {
  for (const std::string& text : texts)
    if (text.find(word) != std::string::npos) return true;
  return false;
}

TEST(Policy, TableOfVerdicts) {
  Json file = vectors("verdicts.json");
  ASSERT_EQ(file.str("format"), "kesu-policy-vectors-v1");
  ASSERT_GE(file.at("cases").size(), 60u);
  for (const Json& c : file.at("cases").as_array()) {
    SCOPED_TRACE(c.canonical());
    Query q = parse_query(c.str("query"));
    if (c.has("purpose")) q.purpose = purpose_from(c.str("purpose"));
    if (c.has("until")) q.end_year = static_cast<int>(c.num("until"));
    q.now_year = static_cast<int>(c.num_or("now", 0));
    q.mode = mode_from(c.str_or("mode", "new"));
    q.profile = profile_from(c.str_or("profile", "current"));
    Verdict v = evaluate(q);
    const Json& e = c.at("expect");
    EXPECT_EQ(text(v.category), e.str("category"));
    EXPECT_EQ(v.allowed, e.flag("allowed")) << v.reason;
    EXPECT_EQ(v.strength_bits, e.num("strength"));
    if (e.has("word")) {
      EXPECT_EQ(v.period_word, e.str("word"));
    }
    if (e.has("new")) {
      EXPECT_EQ(v.horizon_year_new, e.num("new"));
    }
    if (e.has("process")) {
      EXPECT_EQ(v.horizon_year_process, e.num("process"));
    }
    if (e.has("exception")) {
      EXPECT_EQ(v.exception_possible, e.flag("exception"));
    }
    EXPECT_FALSE(v.reason.empty());
    EXPECT_FALSE(v.citations.empty());
    EXPECT_EQ(std::set<std::string>(v.citations.begin(), v.citations.end()).size(), v.citations.size());
    if (!v.allowed) {
      ASSERT_FALSE(v.findings.empty());
      EXPECT_EQ(v.reason, v.findings.front());
    }
  }
}

TEST(Policy, PeriodTableCellByCell) {
  Json file = vectors("periods.json");
  const Json::Array& first = file.at("first_years").as_array();
  const Json::Array& last = file.at("last_years").as_array();
  size_t cells = 0;
  for (const Json& row : file.at("rows").as_array()) {
    const Json::Array& words = row.at("cells").as_array();
    ASSERT_EQ(words.size(), first.size());
    Mode mode = mode_from(row.str("mode"));
    for (size_t i = 0; i < words.size(); ++i)
      for (const Json& year : {first[i], last[i]}) {
        SCOPED_TRACE(row.canonical() + " " + year.canonical());
        Verdict v = judge(row.str("query"), static_cast<int>(year.as_int()), mode);
        EXPECT_EQ(v.strength_bits, row.num("strength"));
        EXPECT_EQ(v.period_word, words[i].as_string());
        bool tolerated = words[i].as_string() == "許容" && mode == Mode::process;
        EXPECT_EQ(v.allowed,
                  tolerated || words[i].as_string() == "利用可" || words[i].as_string() == "移行完遂期間");
        EXPECT_FALSE(v.period_reading.empty());
        ++cells;
      }
  }
  EXPECT_EQ(cells, 80u);
  EXPECT_EQ(periods().size(), 40u);
}

TEST(Policy, UndecidedCellsAreReadStrictlyAndSaySo) {
  for (const PeriodRow& p : periods()) {
    if (p.mode != Mode::process || p.word != "利用不可") continue;
    EXPECT_NE(p.reading.find("stricter, text not seen"), std::string::npos) << p.citation;
  }
  EXPECT_TRUE(mentions(judge("Ed448").findings, "stricter"));
  EXPECT_TRUE(mentions(judge("Ed25519", 2030).findings, "stricter"));
  EXPECT_TRUE(mentions(judge("Camellia-256-GCM").findings, "stricter"));
  EXPECT_FALSE(mentions(judge("AES-256-GCM").findings, "stricter"));
}

TEST(Policy, EveryListEntryCanBeAsked) {
  std::set<std::string> documents;
  for (const ListRow& row : lists()) {
    SCOPED_TRACE(row.name);
    Verdict v = judge(row.name + (row.name == "ML-KEM" ? ":bits=768" : ""), 2030);
    std::string expected = row.list == "recommended" ? "listed" : row.list;
    EXPECT_EQ(text(v.category), row.name == "RSA-OAEP" || row.name == "RSA-PSS" ? "monitored" : expected)
        << "the two whose default hash is SHA-1";
    EXPECT_TRUE(mentions(v.citations, "LS-0001-2022R2"));
  }
}

TEST(Policy, EveryRegisteredFormIsJudgedAndNamedOnce) {
  std::set<std::string> names;
  for (const AlgorithmRow& row : algorithms()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_EQ(row.reason.empty(), judge(row.name, 2022).allowed);
    EXPECT_FALSE(row.purposes.empty());
    EXPECT_LE(row.horizon_year_new, row.horizon_year_process) << row.name;
    for (const std::string& alias : row.aliases) EXPECT_EQ(judge(alias).algorithm, row.name) << alias;
  }
  for (const char* used : {"AES-256-GCM", "AES-128-GCM", "ChaCha20-Poly1305", "Camellia-256-GCM", "Ed25519"})
    EXPECT_TRUE(names.count(used)) << used;
}

TEST(Policy, LongerKeysAreNeverWeaker) {
  for (const char* form : {"RSA-OAEP-SHA256:bits=", "PS512:bits=", "RSAES-PKCS1-v1_5:bits="}) {
    int before = 0;
    for (int bits : {1024, 2047, 2048, 3071, 3072, 4096, 7679, 7680, 15359, 15360, 16384}) {
      Verdict v = judge(form + std::to_string(bits), 2030);
      EXPECT_GE(v.strength_bits, before) << form << bits;
      before = v.strength_bits;
    }
    EXPECT_EQ(before, 256);
  }
}

TEST(Policy, LaterEndsNeverAllowMore) {
  for (const AlgorithmRow& row : algorithms())
    for (Mode mode : {Mode::generate, Mode::process}) {
      bool before = true;
      for (int year = 2022; year <= 2072; year += 5) {
        bool now = judge(row.name, year, mode).allowed;
        EXPECT_TRUE(before || !now) << row.name << " " << year;
        before = now;
      }
      EXPECT_TRUE(before || !judge(row.name, {}, mode).allowed) << row.name;
    }
}

TEST(Policy, HorizonsAgreeWithTheVerdicts) {
  for (const AlgorithmRow& row : algorithms())
    for (Mode mode : {Mode::generate, Mode::process}) {
      SCOPED_TRACE(row.name + " " + std::string(text(mode)));
      Verdict open = judge(row.name, {}, mode);
      if (open.exception_possible) continue;  // the horizon is the one under the exception
      int horizon = mode == Mode::generate ? open.horizon_year_new : open.horizon_year_process;
      EXPECT_EQ(open.allowed, horizon == kNoLimit);
      if (horizon == kNoLimit) continue;
      if (horizon == 0) {
        EXPECT_FALSE(judge(row.name, 2022, mode).allowed);
      } else {
        Verdict last = judge(row.name, horizon, mode);
        EXPECT_TRUE(last.allowed || last.exception_possible);
        EXPECT_FALSE(judge(row.name, horizon + 1, mode).allowed);
      }
    }
}

TEST(Policy, ReasonsNameWhatIsWrong) {
  EXPECT_NE(judge("AES-256-GCM:iv=128").reason.find("96 bits"), std::string::npos);
  EXPECT_NE(judge("SHAKE128:output=128", 2030).reason.find("256 bits or more"), std::string::npos);
  EXPECT_TRUE(mentions(judge("SHAKE128:output=128", 2030).citations, "note 4"));
  EXPECT_TRUE(mentions(judge("AES-256-GCM").citations, "note 7"));
  EXPECT_TRUE(mentions(judge("AES-256-XTS").citations, "note 5"));
  EXPECT_TRUE(mentions(judge("ECDH-P256", 2030).findings, "HMAC or CMAC"));
  EXPECT_TRUE(mentions(judge("RSA-OAEP:bits=3072", 2030).findings, "default, SHA-1"));
  EXPECT_NE(judge("RSA-OAEP:bits=3072", 2030).reason.find("by SHA-1"), std::string::npos);
  EXPECT_NE(judge("ML-KEM-512", 2030).reason.find("none of the lists"), std::string::npos);
  EXPECT_EQ(judge("AES-128-GCM").reason, "128 bits do not suffice without an end year (新規生成: 利用不可)");
  EXPECT_TRUE(mentions(judge("ECDSA:curve=P-384,hash=SHA-256", 2030).findings, "capped by its hash"));
  EXPECT_TRUE(mentions(judge("RSA-OAEP-SHA256-3072", 2030).findings, "factoring"));
  EXPECT_TRUE(mentions(judge("AES-256-KW").findings, "recorded exception"));
  EXPECT_TRUE(mentions(judge("ML-KEM-768").citations, "footnote 3"));
  EXPECT_TRUE(mentions(judge("PBKDF2-HMAC-SHA-512").findings, "no category"));
}

TEST(Policy, ChainIsItsWeakestLink) {
  EXPECT_EQ(chain_strength(std::vector<int>{256, 128, 192}), 128);
  EXPECT_EQ(chain_strength(std::vector<int>{}), 0);
  std::vector<ChainLink> links = {{"payload", judge("AES-256-GCM", 2040)},
                                  {"wrap", judge("AES-128-GCM", 2040, Mode::generate, Purpose::wrap)},
                                  {"random", judge("OpenSSL-DRBG", 2040)}};
  Chain chain = chain_strength(links);
  EXPECT_EQ(chain.strength_bits, 128);
  EXPECT_EQ(chain.weakest, "wrap");
  EXPECT_TRUE(chain.allowed);
  EXPECT_EQ(chain.horizon_year_new, 2050);
  links.push_back({"kw", judge("AES-256-KW", 2040)});
  EXPECT_FALSE(chain_strength(links).allowed);
  EXPECT_EQ(chain_strength(std::vector<ChainLink>{}).strength_bits, 0);
  EXPECT_FALSE(chain_strength(std::vector<ChainLink>{}).allowed);
}

TEST(Policy, QueryFormIsStrictAndReversible) {
  std::string form = "RSA-OAEP:bits=3072,hash=SHA-256,mgf=SHA-256";
  EXPECT_EQ(query_text(parse_query(form)), form);
  EXPECT_EQ(query_text(parse_query("SHAKE256:output=512")), "SHAKE256:output=512");
  for (const char* bad :
       {"", ":bits=3", "AES-GCM:", "AES-GCM:bits", "AES-GCM:bits=", "AES-GCM:bits=-1", "AES-GCM:bits=12x",
        "AES-GCM:key=1", "AES-GCM:bits=1,bits=1", "AES-GCM:bits=1,", "AES-GCM:bits=99999999999999999999"}) {
    try {
      parse_query(bad);
      ADD_FAILURE() << bad;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::usage) << bad;
    }
  }
  EXPECT_THROW(purpose_from("encrypt"), Error);
}

TEST(Policy, VerdictAsJson) {
  Json j = to_json(judge("AES-256-GCM"));
  EXPECT_TRUE(j.flag("allowed"));
  EXPECT_TRUE(j.at("horizon_year_new").is_null());
  EXPECT_EQ(j.str("period_word"), "利用可");
  EXPECT_EQ(to_json(judge("AES-128-GCM", 2040)).num("horizon_year_new"), 2050);
  EXPECT_EQ(horizon_text(0), "none");
  EXPECT_EQ(horizon_text(kNoLimit), "no limit known");
  EXPECT_EQ(horizon_text(2040), "2040");
}

}  // namespace
}  // namespace kesu::policy
