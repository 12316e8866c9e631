// The last sections: the fields of SP 800-88, limits, premises, what else is disclosed, digests, how to
// check.
#include <algorithm>
#include <functional>

#include "report/blocks.h"

namespace kesu::report {

namespace {

using Kind = Block::Kind;

std::string none(const Words& w) { return w("記録なし", "not recorded"); }

std::string text_of(const Json& object, const char* member) {
  const Json* v = object.find(member);
  return v && v->is_string() ? shown(v->as_string()) : "";
}

std::string each(const Model& model, const char* list, const std::function<std::string(const Json&)>& one,
                 const Words& w) {
  std::vector<std::string> all;
  for (const Json& item : model.certificate.at(list).as_array())
    if (std::string s = one(item); !s.empty() && std::find(all.begin(), all.end(), s) == all.end())
      all.push_back(s);
  std::string out;
  for (const std::string& s : all) out += (out.empty() ? "" : "; ") + s;
  return out.empty() ? none(w) : out;
}

std::string who(const Model& model, const std::vector<std::string>& actions, const Words& w) {
  return each(
      model, "people",
      [&](const Json& p) {
        if (std::find(actions.begin(), actions.end(), p.str("action")) == actions.end()) return std::string();
        auto signed_at = parse_utc(p.str("signed"));
        return shown(p.str("name")) + ", " + (p.str("title").empty() ? none(w) : shown(p.str("title"))) +
               w("、署名鍵 ", ", signature by ") + shown(p.str("fingerprint")) +
               (signed_at ? ", " + instant(*signed_at) : "");
      },
      w);
}

std::string or_none(const std::string& text, const Words& w) { return text.empty() ? none(w) : text; }

// Where those who did this work, and how they are reached.
std::string reached(const Model& model, const char* action, const Words& w) {
  return each(
      model, "people",
      [&](const Json& p) {
        std::string place = text_of(p, "place"), contact = text_of(p, "contact");
        if (p.str("action") != action || (place.empty() && contact.empty())) return std::string();
        return shown(p.str("name")) + ": " + or_none(place, w) + ", " + or_none(contact, w);
      },
      w);
}

// NIST SP 800-88 Rev. 2, 4.6, and what Rev. 1 asked for besides: read for keys in place of media.
Block sanitization(const Model& model, const Words& w) {
  const Json& c = model.certificate;
  auto identity = [&](const char* member) {
    return each(
        model, "providers", [&](const Json& p) { return text_of(p.at("identity"), member); }, w);
  };
  Block b{.kind = Kind::facts};
  auto row = [&](const char* ja, const char* en, std::string value) {
    Tone tone = value == none(w) ? Tone::muted : Tone::plain;
    b.rows.push_back({{{w(ja, en)}, {std::move(value), tone}}});
  };
  row("製造者", "Manufacturer", identity("manufacturer"));
  row("型式", "Model", identity("model"));
  row("製造番号", "Serial number", identity("serial"));
  auto of_datasets = [&](const char* member) {
    return each(
        model, "datasets", [&](const Json& d) { return text_of(d, member); }, w);
  };
  row("組織の資産番号", "Organisational property number", of_datasets("asset"));
  row("媒体の種類", "Media type",
      each(
          model, "providers", [](const Json& p) { return shown(p.str("kind")); }, w) +
          w("（鍵の保管装置。消去の対象は媒体ではなく鍵）",
            " (where the keys were; keys were sanitized, not media)"));
  row("媒体の出所・場所", "Media source",
      each(
          model, "datasets",
          [](const Json& d) {
            std::string out;
            for (const Json& l : d.at("locations").as_array())
              if (l.is_string()) out += (out.empty() ? "" : ", ") + shown(l.as_string());
            return out;
          },
          w));
  row("消去前の機密区分", "Confidentiality before",
      each(
          model, "datasets", [](const Json& d) { return text_of(d, "class"); }, w));
  row("契約", "Contract", of_datasets("contract"));
  row("サービス", "Service", of_datasets("service"));
  row("地域", "Region", of_datasets("region"));
  row("データの問い合わせ先", "Contact for the data", of_datasets("contact"));
  row("消去の種別", "Sanitization method",
      w("暗号化消去（すべての鍵バージョンの破棄）", "cryptographic erase: destruction of every key version"));
  const Json* contact = c.find("contact");
  row("消去を行った組織", "Organisation", shown(c.str("organisation")));
  row("組織の連絡先", "Contact of the organisation",
      contact ? or_none(text_of(*contact, "contact"), w) : none(w));
  row("消去を行った場所", "Place where it was done",
      contact ? or_none(text_of(*contact, "place"), w) : none(w));
  row("使用した道具", "Tool and version", shown(c.str("program")));
  const Json& inspection = c.at("inspection");
  row("検証の方法", "Verification method",
      inspection.at("after").size() == 0
          ? none(w)
          : w("破棄の前後における全列挙と復号の試行、標本",
              "full enumeration and trial decryption before and after, samples: ") +
                grouped(inspection.num("samples")) + w("件", ""));
  row("消去後の機密区分", "Confidentiality after", none(w));
  row("消去後の行き先", "Destination", of_datasets("destination"));
  row("消去の日時", "Date of sanitization",
      parse_utc(c.str("erased")) ? instant(*parse_utc(c.str("erased"))) : none(w));
  row("消去の申請者", "Person who asked for sanitization", who(model, {"request"}, w));
  row("申請者の所在地・連絡先", "Request: location, contact", reached(model, "request", w));
  row("承認者", "Persons who approved", who(model, {"approve"}, w));
  row("承認者の所在地・連絡先", "Approval: location, contact", reached(model, "approve", w));
  row("検証者（氏名・役職・署名）", "Verification: name, title, signature", who(model, {"verify"}, w));
  row("検証者の所在地・連絡先", "Verification: location, contact", reached(model, "verify", w));
  row("妥当性確認者（氏名・役職・署名）", "Validation: name, title, signature", who(model, {"validate"}, w));
  row("妥当性確認者の所在地・連絡先", "Validation: location, contact", reached(model, "validate", w));
  return b;
}

Block bilingual(const Model& model, const char* list, const Words& w) {
  Block b{.kind = Kind::bullets};
  for (const Json& item : model.certificate.at(list).as_array())
    b.rows.push_back({{{shown(item.str(w("ja", "en")))}}});
  if (b.rows.empty()) b.rows.push_back({{{w("なし", "none"), Tone::muted}}});
  return b;
}

Block copies(const Model& model, const Words& w) {
  Block b{.kind = Kind::bullets};
  for (const Json& copy : model.certificate.at("copies").as_array())
    b.rows.push_back(
        {{{shown(copy.str("kind")) + ", " + shown(copy.str("place")) + w("、保管者：", ", custodian: ") +
           (copy.str("custodian").empty() ? none(w) : shown(copy.str("custodian"))) +
           w("、状態：", ", state: ") + shown(copy.str("state"))}}});
  if (b.rows.empty())
    b.rows.push_back({{{w("登録された複製はない。", "No copy was registered."), Tone::muted}}});
  return b;
}

Block exceptions(const Json& list, const Words& w) {
  Block b{.kind = Kind::bullets};
  for (const Json& e : list.as_array())
    b.rows.push_back({{{w("項番 ", "entry ") + grouped(e.num("entry")) + ": " + shown(e.str("what")) + ", " +
                        shown(e.str("subject")) + ", " + shown(e.str("detail")) + ", " +
                        (e.at("until").is_string() ? shown(e.str("until")) : w("期限なし", "without end")) +
                        ": " + shown(e.str("reason")) + " (" + shown(e.str("approver")) + ")"}}});
  return b;
}

Block chain(const Json& list, const Words& w) {
  Block t{.kind = Kind::table};
  t.header = {w("部分", "Part"), w("暗号技術", "Algorithm"), w("強度", "Bits"),
              w("検証に使える年", "May be verified until")};
  t.widths = {0.4, 0.3, 0.1, 0.2};
  for (const Json& link : list.as_array()) {
    const Json* year = link.find("horizon_year_process");
    t.rows.push_back({{{shown(link.str("part"))},
                       {shown(link.str("algorithm"))},
                       {std::to_string(link.num("strength_bits"))},
                       {year && year->is_int() ? std::to_string(year->as_int())
                                               : w("限度は知られていない", "no limit known")}}});
  }
  return t;
}

Block digests(const Model& model, const Words& w) {
  const Json& c = model.certificate;
  Block b{.kind = Kind::facts};
  auto row = [&](const std::string& label, const std::string& value) {
    b.rows.push_back({{{label}, {shown(value)}}});
  };
  row("certificate.json SHA-256", model.sha256);
  row("certificate.json SHA-512", model.sha512);
  row(w("計画 plan.json SHA-256", "plan.json SHA-256"), c.str("plan"));
  row(w("台帳", "Ledger"), c.at("ledger").str("origin"));
  row(w("チェックポイントA", "Checkpoint A"), w("項目数 ", "entries ") + grouped(c.at("ledger").num("size")) +
                                                  w("、ルート ", ", root ") + c.at("ledger").str("root"));
  row(w("署名者の証明書 SHA-256", "Signer's certificate SHA-256"),
      c.at("signer").str("certificate") +
          (c.at("signer").flag("self_signed") ? w("（自己署名）", " (self-signed)") : ""));
  row(w("暗号方針", "Cryptographic policy"),
      c.at("policy").str("edition") + ", SHA-256 " + c.at("policy").str("digest"));
  for (const char* side : {"before", "after"})
    for (const Json& digest : c.at("inspection").at(side).as_array())
      row(std::string(side) == "before" ? w("破棄前の検査記録 SHA-256", "Inspection before, SHA-256")
                                        : w("破棄後の検査記録 SHA-256", "Inspection after, SHA-256"),
          digest.as_string());
  row(w("識別子", "Identifiers"), c.str("erasure") + ", " + c.str("vault"));
  return b;
}

}  // namespace

std::vector<Block> closing(const Model& model, const Words& w) {
  std::vector<Block> out;
  auto heading = [&](const char* ja, const char* en) {
    out.push_back({.kind = Kind::heading, .text = w(ja, en)});
  };
  heading("限界", "Limits");
  out.push_back(bilingual(model, "limits", w));
  heading("前提", "Premises");
  out.push_back(bilingual(model, "premises", w));
  heading("鍵の複製", "Copies of keys");
  out.push_back(copies(model, w));
  if (const Json* list = model.certificate.find("exceptions"); list && list->size()) {
    heading("記録された例外", "Exceptions on record");
    out.push_back(exceptions(*list, w));
  }
  heading("NIST SP 800-88 Rev. 2（4.6）の記載項目", "Fields of NIST SP 800-88 Rev. 2, 4.6");
  out.push_back(sanitization(model, w));
  if (const Json* list = model.certificate.find("evidence_chain"); list && list->size()) {
    heading("証拠を支える暗号技術", "What the evidence itself rests on");
    out.push_back(chain(*list, w));
  }
  heading("ダイジェスト", "Digests");
  out.push_back(digests(model, w));
  heading("確認の方法", "How to check");
  Block check{.kind = Kind::bullets};
  check.rows = {
      {{{w("効力があるのは certificate.json "
           "のみ。この表示は証拠ではなく、一式のほかの部分と食い違っていても検証の結果を変えない。",
           "Only certificate.json has authority. This rendering is no evidence: whatever it says, the "
           "verdict is the same.")}}},
      {{{w("kesu verify 一式 --trust "
           "信頼ファイル（署名者・台帳・責任者の鍵は、一式とは別の経路で入手して信頼ファイルに記す）",
           "kesu verify BUNDLE --trust FILE, where FILE names the signer, the log and the officers that you "
           "know from elsewhere")}}},
      {{{w("検証ページ kesu-verify.html をブラウザーで開き、一式を読み込ませる。",
           "Open the verifier page kesu-verify.html in a browser and give it the bundle.")}}},
      {{{w("汎用の道具のみによる手順は、一式の README.txt にある。",
           "README.txt in the bundle has the recipe for stock tools alone.")}}}};
  out.push_back(check);
  return out;
}

}  // namespace kesu::report
