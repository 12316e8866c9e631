// A document about an erasure that is no certificate, as one HTML file in Japanese and English: notice of
// disablement, superseding record, failure report (docs/spec/notices.md).
#include "report/notice.h"

#include "base/error.h"
#include "crypto/hash.h"
#include "report/blocks.h"

namespace kesu {

namespace {
using namespace report;
using Kind = Block::Kind;

struct Titles {
  const char *type, *ja, *en, *alert_ja, *alert_en;
};
constexpr Titles kTitles[] = {
    {"kesu-notice-v1", "使用停止通知書", "Notice of Disablement",
     "これは消去の証明書ではない。何も破棄されておらず、取り消すことができる。",
     "This is no certificate. Nothing has been destroyed, and it can be taken back."},
    {"kesu-superseding-v1", "通知の取消記録", "Superseding Record",
     "これは消去の証明書ではない。先に発行した通知は効力を失った。",
     "This is no certificate. The notices issued before have no effect any more."},
    {"kesu-failure-v1", "消去の不完了報告書", "Failure Report",
     "これは消去の証明書ではない。消去は完了していない。",
     "This is no certificate. The erasure is not complete."}};

const Titles& titles_of(const Json& document) {
  for (const Titles& t : kTitles)
    if (document.str("type") == t.type) return t;
  throw Error(Code::bad_input, "no document of this kind is known: " + document.str("type"));
}

std::string or_none(const std::string& text, const Words& w) {
  return text.empty() ? w("記録なし", "not recorded") : shown(text);
}

std::string when(const Json* time, const Words& w) {
  auto t = time && time->is_string() ? parse_utc(time->as_string()) : std::nullopt;
  return t ? instant(*t) : w("未定", "not known");
}

std::string outcome(const std::string& word, const Words& w) {
  if (word == "withheld")
    return w("kesu が新たな保護を拒む（プロバイダーは応じる）",
             "withheld by kesu; its provider would still act");
  if (word == "in-use") return w("使用できる", "in use again");
  if (word == "destroyed") return w("破棄済み", "destroyed");
  if (word == "not-destroyed") return w("破棄されていない", "not destroyed");
  if (word == "not-tried") return w("未着手（破棄されていない）", "not tried, not destroyed");
  return w("不明", "unknown");
}

Block datasets(const Json& document, const Words& w) {
  Block t{.kind = Kind::table};
  t.header = {w("データセット", "Dataset"), w("契約", "Contract"), w("オブジェクト", "Objects"),
              w("バイト", "Bytes"), w("状態", "State")};
  t.widths = {0.32, 0.24, 0.14, 0.14, 0.16};
  for (const Json& d : document.at("datasets").as_array())
    t.rows.push_back({{{shown(d.str("name")), Tone::bold},
                       {or_none(d.str("contract"), w)},
                       {grouped(d.num("objects"))},
                       {grouped(d.num("bytes"))},
                       {shown(d.str("state"))}},
                      d.str("id")});
  return t;
}

Block keys(const Json& document, const Words& w) {
  Block t{.kind = Kind::table};
  t.header = {w("鍵バージョン", "Key version"), w("プロバイダー", "Provider"), w("結果", "Outcome"),
              w("時刻", "Time")};
  t.widths = {0.26, 0.2, 0.3, 0.24};
  for (const Json& k : document.at("keys").as_array()) {
    const std::string word = k.str("outcome");
    const Tone tone = word == "destroyed" ? Tone::plain : word == "unknown" ? Tone::warn : Tone::bold;
    Row row{{{shown(k.str("name")), Tone::bold},
             {shown(k.str("provider"))},
             {outcome(word, w), tone},
             {k.at("time").is_null() ? "–" : when(k.find("time"), w)}}};
    row.detail = k.str("version");
    for (const Json& e : k.at("evidence").as_array())
      row.detail += w("　証跡 SHA-256：", "   evidence, SHA-256: ") + e.as_string();
    if (!k.str("detail").empty()) row.detail += "   " + shown(k.str("detail"));
    t.rows.push_back(std::move(row));
  }
  return t;
}

Document compose_notice(const Json& d, const std::string& sha256, ReportLanguage language) {
  const Words w{language};
  const Titles& titles = titles_of(d);
  Document out{language, w(titles.ja, titles.en), {}};
  auto add = [&](Block b) { out.blocks.push_back(std::move(b)); };
  Block title{.kind = Kind::title, .text = out.title};
  title.rows = {{{{shown(d.str("organisation")), Tone::bold}}}, {{{d.str("id"), Tone::muted}}}};
  add(title);
  add({.kind = Kind::alert, .text = w(titles.alert_ja, titles.alert_en)});
  Block text{.kind = Kind::text};
  text.rows.push_back({{{shown(d.at("statement").str(w("ja", "en")))}}});
  add(text);
  Block facts{.kind = Kind::facts};
  auto row = [&](const char* ja, const char* en, std::string value) {
    facts.rows.push_back({{{w(ja, en)}, {std::move(value)}}});
  };
  row("発行", "Issued", when(d.find("issued"), w));
  row("段階", "Stage", shown(d.str("stage")));
  if (const Json* begins = d.find("reversible_until"))
    row("取り消せる期限（最短）", "Can be taken back at least until",
        !begins->is_null() ? when(begins, w)
        : d.str("stage") == "requested"
            ? w("承認されるまで始まらない", "not before it is approved")
            : w("待機期間がまだ始まっていない（承認のタイムスタンプがない）",
                "its waiting period has not begun: the approvals have no time-stamp"));
  if (const Json* before = d.find("supersedes"))
    for (const Json& n : before->as_array())
      row("取り消す通知", "Supersedes", n.str("id") + ", SHA-256 " + n.str("document"));
  if (!d.str_or("reason", "").empty()) row("理由", "Reason", shown(d.str("reason")));
  row("連絡先", "Contact", or_none(d.at("contact").str("contact"), w));
  row("場所", "Place", or_none(d.at("contact").str("place"), w));
  row("消去", "Erasure", d.str("erasure"));
  row("計画 SHA-256", "Plan, SHA-256", d.str("plan"));
  row("台帳", "Ledger",
      shown(d.at("ledger").str("origin")) + w("、項目数 ", ", entries ") +
          grouped(d.at("ledger").num("size")) + w("、ルート ", ", root ") + d.at("ledger").str("root"));
  row("notice.json SHA-256", "notice.json SHA-256", sha256);
  add(facts);
  add({.kind = Kind::heading, .text = w("データセット", "Datasets")});
  add(datasets(d, w));
  add({.kind = Kind::heading, .text = w("鍵バージョン", "Key versions")});
  add(keys(d, w));
  return out;
}
}  // namespace

Bytes notice_html(ByteView notice, const ReportLanguages& languages) {
  const Json document = parse_canonical_json(as_text(notice), "notice.json");
  std::vector<Document> documents;
  for (ReportLanguage language : languages)
    documents.push_back(compose_notice(document, hex(sha256(notice)), language));
  return html_page(
      documents, document.str("id"),
      {"このページ自体は何も証明しない。効力があるのは署名された notice.json のみ（kesu verify "
       "で確認する）。",
       "This page cannot vouch for itself: only the signed notice.json has authority (kesu verify)."});
}

}  // namespace kesu
