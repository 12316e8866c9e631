// certificate.json from a dossier, member by member (docs/spec/certificate.md, "certificate.json").
#include "certificate/document_impl.h"

#include <algorithm>
#include <set>

#include "certificate/people_impl.h"
#include "crypto/hash.h"
#include "policy/policy.h"

namespace kesu::dossier {

namespace {

Json bilingual_json(const std::string& id, const BilingualText& text) {
  return Json::object({{"id", id}, {"en", text.en}, {"ja", text.ja}});
}

Json strings(const std::vector<std::string>& list) {
  Json out((Json::Array()));
  for (const std::string& s : list) out.push(s);
  return out;
}

Json datasets_json(const Dossier& d) {
  Json out((Json::Array()));
  for (const DatasetFacts& s : d.datasets) {
    auto text = [&](const char* name) { return s.settings.str_or(name, ""); };
    const Json* locations = s.settings.find("locations");
    const Json* history = s.settings.find("plaintext_history");
    out.push(
        Json::object({{"id", s.id},
                      {"name", text("name")},
                      {"class", text("class")},
                      {"region", text("region")},
                      {"owner", text("owner")},
                      {"contract", text("contract")},
                      {"locations", locations ? *locations : Json(Json::Array())},
                      {"protection", "sealed"},
                      {"objects", s.objects},
                      {"bytes", s.bytes},
                      {"batches", s.batches.size()},
                      {"inventory_root", hex(s.root)},
                      {"plaintext_history", history ? *history : Json::object({{"statement", "unknown"}})}}));
    if (s.abandoned.empty()) continue;
    Json abandoned((Json::Array()));
    for (const auto& [batch, n] : s.abandoned) abandoned.push(Json::object({{"batch", batch}, {"n", n}}));
    out.as_array().back().set("abandoned", abandoned);
  }
  return out;
}

Json keys_json(const Dossier& d) {
  Json out((Json::Array()));
  for (const std::string& version : d.kill.versions) {
    const KeyFacts& k = d.keys.at(version);
    out.push(Json::object({{"version", version},
                           {"name", k.name},
                           {"provider", k.provider},
                           {"destroyed", utc_text(k.done ? k.destroyed_at : 0)},
                           {"result", k.receipt ? k.receipt->result : ""},
                           {"receipt_lost", k.receipt_lost}}));
    Json& row = out.as_array().back();
    if (!k.origin.empty() && k.origin != "generated") row.set("origin", k.origin);
    // Destroyed before this erasure: its own two inspections.
    if (d.started && k.done && *k.done < *d.started && !k.looks.empty())
      row.set("inspection", Json::object({{"before", k.looks.back().before_digest},
                                          {"after", k.looks.back().after_digest}}));
  }
  return out;
}

Json providers_json(const Dossier& d) {
  Json out((Json::Array()));
  for (const auto& [id, p] : d.providers)
    out.push(Json::object({{"id", id},
                           {"name", p.name},
                           {"kind", p.identity.kind},
                           {"identity", p.identity.to_json()},
                           {"test_grade", p.grade.test},
                           {"reason", p.grade.reason}}));
  return out;
}

Json copies_json(const Dossier& d) {
  Json out((Json::Array()));
  for (const CopyFacts& c : d.copies)
    out.push(Json::object({{"id", c.id},
                           {"kind", c.kind},
                           {"place", c.place},
                           {"custodian", c.custodian},
                           {"state", c.state}}));
  return out;
}

Json exceptions_json(const Dossier& d) {
  Json out((Json::Array()));
  for (const ExceptionFacts& e : d.exceptions)
    out.push(Json::object({{"what", e.what},
                           {"subject", e.subject},
                           {"detail", e.detail},
                           {"until", e.until.empty() ? Json() : Json(e.until)},
                           {"reason", e.reason},
                           {"approver", e.approver},
                           {"entry", e.seq}}));
  return out;
}

Json people_json(const Dossier& d) {
  Json out((Json::Array()));
  for (const SignedAct& act : d.acts) {
    if (!act.counted) continue;
    const Person& p = d.people.at(act.operator_id);
    Json row = Json::object({{"operator", p.id},
                             {"name", p.name},
                             {"title", p.title},
                             {"role", role_for(act.action)},
                             {"action", act.action},
                             {"fingerprint", p.fingerprint},
                             {"signed", utc_text(act.time)}});
    if (p.key && p.key->certificate) row.set("certificate", hex(p.key->certificate->fingerprint()));
    out.push(std::move(row));
  }
  return out;
}

Json inspection_json(const Dossier& d) {
  std::vector<std::string> before, after;
  for (const Inspection& i : d.inspections)
    before.push_back(i.before_digest), after.push_back(i.after_digest);
  return Json::object({{"before", strings(before)}, {"after", strings(after)}, {"samples", d.samples}});
}

std::string number(int64_t n) {
  std::string digits = std::to_string(n), out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

Json statement_json(const Dossier& d) {
  int64_t objects = 0, bytes = 0;
  std::string names_en, names_ja;
  for (const DatasetFacts& s : d.datasets) {
    std::string name = s.settings.str_or("name", s.id);
    objects += s.objects;
    bytes += s.bytes;
    names_en += (names_en.empty() ? "" : ", ") + name;
    names_ja += (names_ja.empty() ? "" : "、") + name;
  }
  std::string keys = number(static_cast<int64_t>(d.kill.versions.size())), when = utc_text(d.last_done_at);
  auto plural = [](int64_t n, const char* word) { return number(n) + " " + word + (n == 1 ? "" : "s"); };
  std::string en = d.organisation + " declares that the data of " + names_en + " (" +
                   plural(objects, "object") + ", " + plural(bytes, "byte") +
                   ") was kept only in encrypted form under " +
                   plural(static_cast<int64_t>(d.kill.versions.size()), "key version") +
                   ", and that the last of these was destroyed on " + when +
                   ". What is proven, attested, recorded, only asserted or not shown at all is stated claim "
                   "by claim; the limits are part of this statement.";
  std::string ja = d.organisation + "は、" + names_ja + "のデータ（" + number(objects) + "オブジェクト、" +
                   number(bytes) + "バイト）が" + keys +
                   "個の鍵バージョンで暗号化された形でのみ保持され、その最後の鍵が" + when +
                   "に破棄されたことを表明する。証明・証言・記録・申告・根拠なしの別は項目ごとに示す。限界の"
                   "記載は本表明の一部である。";
  return Json::object({{"en", en}, {"ja", ja}});
}

Json claims_json(const Dossier& d, const std::set<std::string>& conditions,
                 std::vector<std::pair<std::string, const ClaimRow*>>& rows) {
  Json out((Json::Array()));
  for (const ClaimDefinition& claim : claim_definitions()) {
    const ClaimRow& row = evaluate_claim(claim, conditions);
    rows.emplace_back(claim.id, &row);
    Reason reason = row.level == Level::absent ? Reason{{}, reason_for(d, claim.id, conditions).detail}
                                               : reason_for(d, claim.id, conditions);
    out.push(Json::object({{"id", claim.id},
                           {"level", level_text(row.level)},
                           {"rests_on", strings(reason.rests_on)},
                           {"premises", strings(row.premises)},
                           {"detail", reason.detail}}));
  }
  return out;
}

void compare(const std::string& path, const Json& is, const Json& should, size_t limit,
             std::vector<std::string>& out) {
  if (is == should || out.size() >= limit) return;
  if (is.is_object() && should.is_object()) {
    std::string prefix = path.empty() ? "" : path + ".";
    for (const auto& [name, value] : should.as_object()) {
      const Json* other = is.find(name);
      if (!other)
        out.push_back(prefix + name);
      else
        compare(prefix + name, *other, value, limit, out);
    }
    for (const auto& [name, value] : is.as_object())
      if (!should.has(name)) out.push_back(prefix + name);
  } else if (is.is_array() && should.is_array() && is.size() == should.size()) {
    for (size_t i = 0; i < is.size(); ++i)
      compare(path + "[" + std::to_string(i) + "]", is.as_array()[i], should.as_array()[i], limit, out);
  } else {
    out.push_back(path);
  }
}

}  // namespace

bool test_grade(const Dossier& d) {
  return d.providers.empty() || std::any_of(d.providers.begin(), d.providers.end(),
                                            [](const auto& p) { return p.second.grade.test; });
}

std::vector<Limit> limits_of(const Dossier& d) {
  std::set<std::string> kinds;
  for (const auto& [id, p] : d.providers) kinds.insert(p.identity.kind);
  std::vector<Limit> out = limits_for(kinds);
  if (!d.others_lost.empty()) {
    size_t shown = 0;
    std::string names;
    for (const std::string& id : d.others_lost)
      if (++shown <= 20) names += (names.empty() ? "" : ", ") + id;
    if (shown > 20) names += ", … (" + std::to_string(shown) + ")";
    out.push_back(
        {"other-data-lost",
         {"The destroyed keys also reached datasets that were to be kept, of which the approved plan "
          "says nothing: " +
              names + ".",
          "破棄された鍵は、保持すべき別のデータセットにも到達していたが、承認された計画にその記載はない：" +
              names + "。"}});
  }
  int64_t interrupted = 0, objects = 0;
  for (const DatasetFacts& s : d.datasets)
    for (const auto& [batch, n] : s.abandoned) ++interrupted, objects += n;
  if (interrupted) {
    std::string b = std::to_string(interrupted), n = std::to_string(objects);
    out.push_back(
        {"abandoned-batches",
         {"Interrupted batches that were given up (" + b + ", of " + n +
              " objects at most) are not counted: such objects were never seen whole. Their keys were "
              "destroyed with the others.",
          "中断して放棄されたバッチ（" + b + "件、最大" + n +
              "オブジェクト）は数に含まない。完全な形では確認されていないが、その鍵も他と共に破棄された。"}});
  }
  int64_t readable = 0;
  for (const DatasetFacts& s : d.datasets)
    for (const BatchFacts& batch : s.batches) readable += batch.readable_names ? batch.n : 0;
  if (readable) {
    std::string n = std::to_string(readable);
    out.push_back(
        {"file-names-readable",
         {"The names of files and directories at the places sealed to are not covered: " + n +
              " objects were sealed under the names of their sources. Whoever reads those places reads the "
              "names, also after the keys are gone.",
          "暗号化ファイルの保存先におけるファイル名・ディレクトリ名は対象外である：" + n +
              "件は元の名前のまま保存された。鍵の破棄後も、その場所を読める者は名前を読むことができる。"}});
  }
  if (!d.removed_by_others.empty()) {
    std::string names;
    for (const std::string& name : d.removed_by_others) names += (names.empty() ? "" : ", ") + name;
    out.push_back({"removed-by-others",
                   {"Between the two inspections others removed objects that kesu did not: " + names + ".",
                    "二回の検査の間に、kesu 以外によって削除されたオブジェクトがある：" + names + "。"}});
  }
  return out;
}

std::vector<std::string> premises_of(const std::vector<std::pair<std::string, const ClaimRow*>>& rows) {
  std::vector<std::string> out;
  for (const Premise& premise : premise_definitions())
    if (std::any_of(rows.begin(), rows.end(), [&](const auto& r) {
          return std::find(r.second->premises.begin(), r.second->premises.end(), premise.id) !=
                 r.second->premises.end();
        }))
      out.push_back(premise.id);
  return out;
}

Json make_document(const Dossier& d, const DocumentChoice& choice, const std::set<std::string>& conditions) {
  std::vector<std::pair<std::string, const ClaimRow*>> rows;
  Json claims = claims_json(d, conditions, rows);
  Json premises((Json::Array())), limits((Json::Array()));
  std::vector<std::string> used = premises_of(rows);
  for (const Premise& p : premise_definitions())
    if (std::find(used.begin(), used.end(), p.id) != used.end()) premises.push(bilingual_json(p.id, p.text));
  for (const Limit& l : limits_of(d)) limits.push(bilingual_json(l.id, l.text));
  Json out = Json::object(
      {{"type", "kesu-certificate-v1"},
       {"id", choice.id},
       {"vault", d.vault},
       {"organisation", d.organisation},
       {"erasure", d.erasure},
       {"stage", d.state_at_a(d.erasure)},
       {"issued", utc_text(choice.issued)},
       {"erased", utc_text(d.last_done_at)},
       {"program", choice.program},
       {"profile", d.plan.str("profile")},
       {"tables", Json::object({{"claims", claims_version()},
                                {"profiles", profiles_version()},
                                {"providers", providers_version()}})},
       {"policy", Json::object({{"edition", policy::policy_edition()},
                                {"digest", hex(sha256(as_bytes(policy::policy_data())))}})},
       {"plan", d.plan_digest},
       {"test_grade", test_grade(d)},
       {"datasets", datasets_json(d)},
       {"keys", keys_json(d)},
       {"providers", providers_json(d)},
       {"copies", copies_json(d)},
       {"exceptions", exceptions_json(d)},
       {"people", people_json(d)},
       {"claims", claims},
       {"premises", premises},
       {"limits", limits},
       {"inspection", inspection_json(d)},
       {"evidence_chain", evidence_json(evidence_of(d))},
       {"ledger", Json::object({{"origin", d.a.origin}, {"size", d.a.size}, {"root", hex(d.a.root)}})},
       {"signer", Json::object({{"self_signed", d.signer && d.signer->self_signed},
                                {"certificate", d.signer ? hex(d.signer->fingerprint()) : ""},
                                {"version", d.certificate_version}})},
       {"statement", statement_json(d)}});
  add_record(d, out);
  return out;
}

std::vector<EvidenceLink> evidence_of(const Dossier& d) {
  std::vector<EvidencePart> parts = evidence_parts(d.signer && d.signer->key ? &*d.signer->key : nullptr);
  auto add = [&](const std::string& action, const Person& p, const std::string& signature) {
    SignedWith with{HashAlg::sha512, HashAlg::sha512, false};
    if (auto file = d.file(signature))  // one that cannot be read has a finding already
      with = signed_with(as_text(*file)).value_or(with);
    parts.push_back({action + ", " + p.name, person_algorithm(*p.key, with), policy::Purpose::signature});
    parts.push_back(
        {action + ", " + p.name + " (digest)", hash_algorithm(with.message), policy::Purpose::hash});
  };
  for (const auto& [id, p] : d.people)
    if (p.key && p.genesis_signed) add("genesis", p, "approvals/genesis." + id + ".sig");
  for (const ChangeFacts& c : d.changes)
    for (const std::string& id : std::set<std::string>(c.all.begin(), c.all.end()))
      if (c.counts) add("change " + std::to_string(c.seq), d.people.at(id), change_signature_path(c.seq, id));
  for (const Attested& a : d.attested)
    if (a.counted) add("attest " + std::to_string(a.seq), d.people.at(a.operator_id), a.part + ".sig");
  std::set<std::string> ran;
  for (const CommandFacts& c : d.commands)
    if (ran.insert(c.operator_id).second) add("commands", d.people.at(c.operator_id), c.part + ".sig");
  for (const SignedAct& act : d.acts)
    if (auto p = d.people.find(act.operator_id); act.counted && p != d.people.end() && p->second.key)
      add(act.action, p->second, act.part + ".sig");
  return judge_evidence(parts);
}

namespace {
// Without what the policy says of it, in an order that does not depend on that.
Json names_only(const Json& chain) {
  std::vector<Json> rows;
  for (const Json& row : chain.as_array())
    rows.push_back(Json::object(
        {{"part", row.str("part")}, {"algorithm", row.str("algorithm")}, {"purpose", row.str("purpose")}}));
  std::sort(rows.begin(), rows.end(),
            [](const Json& a, const Json& b) { return a.canonical() < b.canonical(); });
  Json out((Json::Array()));
  for (Json& row : rows) out.push(std::move(row));
  return out;
}
}  // namespace

void allow_older(const Json& is, Json& should) {
  Json tables = should.at("tables");
  for (const auto& [name, built_in] : should.at("tables").as_object())
    if (const Json* stored = is.at("tables").find(name);
        stored && stored->is_int() && stored->as_int() >= 1 && stored->as_int() < built_in.as_int())
      tables.set(name, *stored);
  should.set("tables", tables);
  constexpr int64_t kFirstWithChain = 2, kFirstWithRecord = 3;
  if (tables.num("claims") < kFirstWithRecord) drop_record(should);
  if (tables.num("claims") < kFirstWithChain) {
    should.as_object().erase("evidence_chain");
    should.as_object().erase("exceptions");
  } else if (is.at("policy").str("digest") != should.at("policy").str("digest") &&
             names_only(is.at("evidence_chain")) == names_only(should.at("evidence_chain"))) {
    should.set("evidence_chain", is.at("evidence_chain"));
  }
}

std::vector<std::string> differences(const Json& is, const Json& should, size_t limit) {
  std::vector<std::string> out;
  compare("", is, should, limit, out);
  return out;
}

}  // namespace kesu::dossier
