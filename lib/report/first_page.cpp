// Page one: for somebody who has to answer for the erasure and reads nothing else.
#include <algorithm>
#include <set>

#include "report/blocks.h"

namespace kesu::report {

namespace {

using Kind = Block::Kind;
constexpr size_t kNames = 3;  // datasets, places, people on page one
constexpr size_t kLong = 84;  // bytes of one name there

std::string shortened(const std::string& text, size_t bytes = kLong) {
  std::string out = shown(text);
  if (out.size() <= bytes) return out;
  out.resize(bytes);
  while (!out.empty() && !is_utf8(out)) out.pop_back();
  return out + "…";
}

// The first few, and how many more there are.
std::string few(const std::vector<std::string>& all, const Words& w, size_t bytes = kLong) {
  constexpr size_t most = kNames;
  std::string out;
  for (size_t i = 0; i < std::min(all.size(), most); ++i)
    out += (i ? w("、", ", ") : "") + shortened(all[i], bytes);
  if (all.size() > most)
    out += w("、ほか", ", and ") + grouped(static_cast<int64_t>(all.size() - most)) +
           w("件（次頁以降に示す）", " more (listed below)");
  return out.empty() ? w("記録なし", "not recorded") : out;
}

// What several datasets say, each once.
std::vector<std::string> said(const Model& model, const char* member) {
  std::vector<std::string> out;
  for (const Json& d : model.certificate.at("datasets").as_array())
    if (std::string v = d.str_or(member, ""); !v.empty() && std::find(out.begin(), out.end(), v) == out.end())
      out.push_back(v);
  return out;
}

std::string stage_text(const std::string& stage, const Words& w) {
  if (stage == "destroyed") return w("破棄済み（destroyed）", "destroyed");
  if (stage == "verified") return w("検証済み（verified）", "verified");
  if (stage == "validated") return w("妥当性確認済み（validated）", "validated");
  return shown(stage);
}

Block banner(const Model& model, const Words& w) {
  const Json& c = model.certificate;
  Block b{.kind = Kind::banner};
  b.text = w("段階：", "Stage: ") + stage_text(c.str("stage"), w) +
           w("　　発行者が主張するプロファイル：", "     Profile claimed by the issuer: ") +
           shown(c.str("profile"));
  b.rows.push_back(
      {{{w("ここに合否の判定はない。判定は、読み手が信頼する相手を自ら定めて検証プログラムで行う。",
           "No verdict stands here. A verifier gives one, from whom its reader trusts.")}}});
  return b;
}

Block test_grade(const Model& model, const Words& w) {
  Block b{.kind = Kind::alert, .text = w("試験用（TEST GRADE）", "TEST GRADE")};
  b.rows.push_back(
      {{{w("鍵の保管装置に、確認された認証（バリデーション）の記録がない。読み手が試験用を認めない限り、検証"
           "は不合格となる。",
           "The keys were held where no validation certificate is on record. A verifier rejects this "
           "certificate unless its reader allows test grade.")}}});
  size_t n = 0;
  for (const Json& p : model.certificate.at("providers").as_array())
    if (p.flag("test_grade") && n++ < kNames)
      b.rows.push_back({{{shortened(p.str("name")) + ": " + shortened(p.str("reason"), 180)}}});
  return b;
}

std::string history_word(const std::string& statement, const Words& w) {
  if (statement == "none") return w("なし（申告）", "none (asserted)");
  if (statement == "disposed") return w("あり・処分済み（申告）", "existed, disposed of (asserted)");
  return w("不明", "unknown");
}

void add_history(std::vector<Block>& out, Block& facts, const Model& model, const Words& w) {
  const auto& datasets = model.certificate.at("datasets").as_array();
  std::vector<std::string> kinds;
  size_t unknown = 0;
  for (const Json& d : datasets) {
    std::string statement = d.at("plaintext_history").str_or("statement", "unknown");
    std::string word = history_word(statement, w);
    if (std::find(kinds.begin(), kinds.end(), word) == kinds.end()) kinds.push_back(word);
    unknown += statement != "none" && statement != "disposed";
  }
  facts.rows.push_back(
      {{{w("平文の履歴", "Plaintext history")}, {few(kinds, w), unknown ? Tone::warn : Tone::plain}}});
  if (!unknown) return;
  Block b{.kind = Kind::alert, .text = w("平文の履歴：不明", "Plaintext history: unknown")};
  b.rows.push_back({{{w("データセット", "Of ") + grouped(static_cast<int64_t>(datasets.size())) +
                      w("件のうち", " datasets, for ") + grouped(static_cast<int64_t>(unknown)) +
                      w("件について、平文が保存されたことがあるか、どう処分されたかを誰も申告していない。"
                        "鍵の破棄は、ほかに存在する平文には及ばない。",
                        " nobody says whether plaintext was ever stored, or what became of it. The end of "
                        "the keys does not "
                        "reach plaintext elsewhere.")}}});
  out.push_back(std::move(b));
}

std::vector<std::string> people(const Model& model, const std::string& action) {
  std::vector<std::string> out;
  for (const Json& p : model.certificate.at("people").as_array())
    if (p.str("action") == action)
      out.push_back(shortened(p.str("name")) +
                    (p.str("title").empty() ? "" : " (" + shortened(p.str("title")) + ")"));
  return out;
}

std::string when(const std::string& utc, const Words& w) {
  auto t = parse_utc(utc);
  return t ? instant(*t) : w("記録なし", "not recorded");
}

}  // namespace

std::vector<Block> first_page(const Model& model, const Words& w) {
  const Json& c = model.certificate;
  std::vector<Block> out;
  Block title{.kind = Kind::title, .text = w("暗号化消去証明書", "Certificate of Cryptographic Erasure")};
  title.rows = {{{{shortened(c.str("organisation"), 180), Tone::bold}}}, {{{c.str("id"), Tone::muted}}}};
  out.push_back(title);
  out.push_back(banner(model, w));
  if (c.flag("test_grade")) out.push_back(test_grade(model, w));

  int64_t objects = 0, bytes = 0;
  std::vector<std::string> names, places;
  for (const Json& d : c.at("datasets").as_array()) {
    objects += d.num("objects"), bytes += d.num("bytes");
    names.push_back(d.str("name"));
    for (const Json& l : d.at("locations").as_array())
      if (l.is_string() && std::find(places.begin(), places.end(), l.as_string()) == places.end())
        places.push_back(l.as_string());
  }
  for (const std::string& region : said(model, "region")) places.push_back(region);
  Block what{.kind = Kind::facts};
  auto row = [&](const char* ja, const char* en, std::string value, Tone tone = Tone::plain) {
    what.rows.push_back({{{w(ja, en)}, {std::move(value), tone}}});
  };
  row("データセット", "Datasets",
      grouped(static_cast<int64_t>(names.size())) + w("件：", ": ") + few(names, w), Tone::bold);
  row("オブジェクトとバイト数", "Objects and bytes",
      grouped(objects) + w("オブジェクト、", objects == 1 ? " object, " : " objects, ") + grouped(bytes) +
          w("バイト", bytes == 1 ? " byte" : " bytes"));
  row("契約", "Contract", few(said(model, "contract"), w));
  row("サービス", "Service", few(said(model, "service"), w));
  row("保管場所・地域", "Locations, regions", few(places, w));
  add_history(out, what, model, w);

  Block when_block{.kind = Kind::facts}, who{.kind = Kind::facts};
  when_block.rows = {{{{w("最後の鍵の破棄", "Last key destroyed")}, {when(c.str("erased"), w), Tone::bold}}},
                     {{{w("証明書の発行", "Certificate issued")}, {when(c.str("issued"), w)}}}};
  size_t keys = c.at("keys").as_array().size();
  who.rows = {{{{w("実施組織", "Organisation")}, {shortened(c.str("organisation"))}}},
              {{{w("申請者", "Requested by")}, {few(people(model, "request"), w, 3 * kLong)}}},
              {{{w("承認者", "Approved by")}, {few(people(model, "approve"), w, 3 * kLong)}}}};
  for (const auto& [action, label] : {std::pair{"verify", w("検証者", "Verified by")},
                                      std::pair{"validate", w("妥当性確認者", "Validated by")}})
    if (const auto by = people(model, action); !by.empty())
      who.rows.push_back({{{label}, {few(by, w, 3 * kLong)}}});
  if (!model.reason.empty())  // the ledger's word: what the requester signs does not name it
    who.rows.push_back({{{w("理由（台帳の記載、署名の対象外）", "Reason (the ledger's; not signed)")},
                         {shortened(model.reason, 180)}}});
  std::vector<std::string> providers;
  for (const Json& p : c.at("providers").as_array()) providers.push_back(p.str("name"));
  what.rows.push_back({{{w("破棄した鍵", "Keys destroyed")},
                        {grouped(static_cast<int64_t>(keys)) +
                         w("個の鍵バージョン（保管装置：",
                           keys == 1 ? " key version (provider: " : " key versions (provider: ") +
                         few(providers, w) + w("）", ")")}}});
  out.push_back({.kind = Kind::heading, .text = w("何を", "What")});
  out.push_back(what);
  out.push_back({.kind = Kind::heading, .text = w("いつ", "When")});
  out.push_back(when_block);
  out.push_back({.kind = Kind::heading, .text = w("誰が", "By whom")});
  out.push_back(who);
  return out;
}

}  // namespace kesu::report
