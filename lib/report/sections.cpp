// The pages after the first: the statement, the datasets, the claims, the keys' times and the approvals.
#include <algorithm>

#include "certificate/claims.h"
#include "report/blocks.h"

namespace kesu::report {

namespace {

using Kind = Block::Kind;

std::string or_none(const std::string& text, const Words& w) {
  return text.empty() ? w("記録なし", "not recorded") : shown(text);
}

std::string joined(const Json& list, const char* between) {
  std::string out;
  for (const Json& item : list.as_array())
    if (item.is_string()) out += (out.empty() ? "" : between) + shown(item.as_string());
  return out;
}

std::string history(const Json& d, const Words& w) {
  const Json& h = d.at("plaintext_history");
  std::string statement = h.str_or("statement", "unknown");
  std::string out = statement == "none"       ? w("なし（申告）", "none (asserted)")
                    : statement == "disposed" ? w("処分済み（申告）", "disposed of (asserted)")
                                              : w("不明", "unknown");
  for (const char* more : {"detail", "by"})
    if (std::string text = h.str_or(more, ""); !text.empty()) out += "; " + shown(text);
  return out;
}

Block datasets(const Model& model, const Words& w) {
  Block t{.kind = Kind::table};
  t.header = {w("データセット", "Dataset"), w("区分・所有者", "Class, owner"),
              w("契約", "Contract"),        w("オブジェクト", "Objects"),
              w("バイト", "Bytes"),         w("平文の履歴", "Plaintext history")};
  t.widths = {0.26, 0.15, 0.16, 0.13, 0.13, 0.17};
  for (const Json& d : model.certificate.at("datasets").as_array()) {
    std::string owner = d.str_or("class", "");
    if (std::string o = d.str_or("owner", ""); !o.empty()) owner += (owner.empty() ? "" : "; ") + o;
    bool unknown = d.at("plaintext_history").str_or("statement", "unknown") == "unknown";
    Row row{{{shown(d.str("name")), Tone::bold},
             {or_none(owner, w)},
             {or_none(d.str_or("contract", ""), w)},
             {grouped(d.num("objects"))},
             {grouped(d.num("bytes"))},
             {history(d, w), unknown ? Tone::warn : Tone::plain}}};
    std::string places = joined(d.at("locations"), "; "), region = shown(d.str_or("region", ""));
    row.detail = d.str("id") + w("　場所：", "   places: ") +
                 (places.empty() ? w("記録なし", "not recorded") : places) + w("　地域：", "   region: ") +
                 (region.empty() ? w("記録なし", "not recorded") : region) + w("　バッチ：", "   batches: ") +
                 grouped(d.num("batches")) + w("　インベントリのルート：", "   inventory root: ") +
                 d.str("inventory_root");
    if (const Json* abandoned = d.find("abandoned"))
      row.detail += w("　中断して放棄したバッチ：", "   interrupted batches, given up: ") +
                    grouped(static_cast<int64_t>(abandoned->size()));
    t.rows.push_back(std::move(row));
  }
  return t;
}

Cell level_cell(const std::string& level, const Words& w) {
  if (level == "proven") return {w("証明", "proven"), Tone::good};
  if (level == "attested") return {w("第三者が証明", "attested"), Tone::good};
  if (level == "recorded") return {w("記録", "recorded"), Tone::bold};
  if (level == "asserted") return {w("申告", "asserted"), Tone::muted};
  return {w("なし", "absent"), Tone::warn};
}

// With many datasets some details are lists of all of them; the datasets have their own table.
std::string cut(std::string text, const Words& w) {
  constexpr size_t kMost = 600;
  if (text.size() <= kMost) return text;
  text.resize(kMost);
  while (!is_utf8(text)) text.pop_back();
  return text + w("…（全文は certificate.json）", "… (in full: certificate.json)");
}

// What the level means here, where the certificate's table has one row only that it can be.
std::string says(const ClaimDefinition& claim, const Json& is, const Words& w) {
  std::string out;
  for (const ClaimRow& row : claim.rows) {
    Json premises((Json::Array()));
    for (const std::string& p : row.premises) premises.push(p);
    if (level_text(row.level) != is.str("level") || !(premises == is.at("premises"))) continue;
    if (!out.empty()) return "";
    out = w(row.says.ja.c_str(), row.says.en.c_str());
  }
  return out;
}

Block claims(const Model& model, const Words& w) {
  Block t{.kind = Kind::table};
  t.header = {w("項目", "Claim"), w("水準", "Level"), w("根拠", "Rests on")};
  t.widths = {0.42, 0.12, 0.46};
  for (const Json& is : model.certificate.at("claims").as_array()) {
    std::string id = is.str("id"), title = shown(id), rests = joined(is.at("rests_on"), "; ");
    std::string meaning;
    for (const ClaimDefinition& claim : claim_definitions()) {
      if (claim.id != id) continue;
      title = w(claim.title.ja.c_str(), claim.title.en.c_str());
      // A newer or older table may put it differently: then its words are not quoted here.
      if (model.certificate.at("tables").num("claims") == claims_version()) meaning = says(claim, is, w);
    }
    if (std::string detail = shown(is.str_or("detail", "")); !detail.empty())
      rests += (rests.empty() ? "" : ". ") + detail;
    rests = cut(rests, w);
    std::string premises = joined(is.at("premises"), ", ");
    Row row{{{title},
             level_cell(is.str("level"), w),
             {meaning + (meaning.empty() || rests.empty() ? "" : "\n") + rests}}};
    row.detail = shown(id) + (premises.empty() ? "" : w("　前提：", "   premises: ") + premises);
    t.rows.push_back(std::move(row));
  }
  return t;
}

Block levels(const Words& w) {
  Block b{.kind = Kind::text};
  b.rows = {{{{w("証明：一式からの計算によって導かれる。第三者が証明：運用者以外の署名による。記録：その時点"
                 "の応答をそのまま保存したが署名はない。"
                 "申告：記名された者の言明のみ。なし：裏づけがない。",
                 "proven: follows by computation from the bundle. attested: signed by someone other than the "
                 "operator. recorded: captured when it happened, unsigned. asserted: a named person says so. "
                 "absent: nothing supports it."),
               Tone::muted}}}};
  return b;
}

std::string at(const Json* time, const Words& w) {
  if (!time || !time->is_string()) return w("記録なし", "not recorded");
  auto t = parse_utc(time->as_string());
  return t ? short_instant(*t) : shown(time->as_string());
}

Block keys(const Model& model, const Words& w) {
  Block t{.kind = Kind::table};
  t.header = {w("鍵バージョン", "Key version"), w("保管装置", "Provider"),
              w("生成（+09:00）", "Created (+09:00)"), w("破棄の完了（+09:00）", "Destroyed (+09:00)"),
              w("応答", "Answer")};
  t.widths = {0.26, 0.18, 0.2, 0.2, 0.16};
  std::map<std::string, std::string> providers;
  for (const Json& p : model.certificate.at("providers").as_array()) providers[p.str("id")] = p.str("name");
  std::map<std::string, const Line*> lines;
  for (const Line& line : model.lines) lines[line.version] = &line;
  for (const Json& key : model.certificate.at("keys").as_array()) {
    const Line* line = lines.at(key.str("version"));
    std::string created = w("記録なし", "not recorded");
    for (const Moment& m : line->moments)
      if (m.event == Event::created) created = short_instant(m.at);
    std::string answer = key.str("result");
    if (key.flag("receipt_lost"))
      answer += (answer.empty() ? "" : "; ") + w("受領記録の喪失", "receipt lost");
    auto provider = providers.find(key.str("provider"));
    Row row{{{shown(line->label), Tone::bold},
             {shown(provider == providers.end() ? key.str("provider") : provider->second)},
             {created},
             {at(key.find("destroyed"), w)},
             {or_none(answer, w)}}};
    row.detail = key.str("version");
    if (std::string origin = key.str_or("origin", ""); !origin.empty())
      row.detail += w("　由来：", "   origin: ") + shown(origin);
    t.rows.push_back(std::move(row));
  }
  return t;
}

Block people(const Model& model, const Words& w) {
  Block t{.kind = Kind::table};
  t.header = {w("氏名", "Name"), w("役職", "Title"), w("役割・行為", "Role, act"),
              w("台帳への記録（+09:00）", "Recorded in the ledger (+09:00)")};
  t.widths = {0.28, 0.26, 0.22, 0.24};
  for (const Json& p : model.certificate.at("people").as_array()) {
    std::string action = p.str("action");
    std::string act = action == "request"    ? w("申請", "request")
                      : action == "approve"  ? w("承認", "approve")
                      : action == "verify"   ? w("検証", "verify")
                      : action == "validate" ? w("妥当性確認", "validate")
                                             : shown(action);
    Row row{{{shown(p.str("name")), Tone::bold},
             {or_none(p.str("title"), w)},
             {shown(p.str("role")) + w("・", ", ") + act},
             {at(p.find("signed"), w)}}};
    row.detail = p.str("operator") + w("　署名鍵：", "   signing key: ") + shown(p.str("fingerprint"));
    t.rows.push_back(std::move(row));
  }
  return t;
}

}  // namespace

std::vector<Block> sections(const Model& model, const Words& w) {
  std::vector<Block> out;
  out.push_back({.kind = Kind::page});
  auto heading = [&](const char* ja, const char* en) {
    out.push_back({.kind = Kind::heading, .text = w(ja, en)});
  };
  heading("表明", "Statement");
  Block statement{.kind = Kind::text};
  statement.rows.push_back({{{shown(model.certificate.at("statement").str(w("ja", "en")))}}});
  out.push_back(statement);
  heading("対象のデータセット", "Datasets");
  out.push_back(datasets(model, w));
  heading("項目ごとの水準と根拠", "Claims, their levels, and what they rest on");
  out.push_back(levels(w));
  out.push_back(claims(model, w));
  heading("鍵の時系列", "Key timeline");
  Figure figure = make_figure(model, w.language);
  if (!figure.lanes.empty()) {
    Block b{.kind = Kind::figure};
    b.figure = std::move(figure);
    out.push_back(std::move(b));
  }
  out.push_back(keys(model, w));
  heading("申請と承認", "Request and approvals");
  out.push_back(people(model, w));
  return out;
}

}  // namespace kesu::report
