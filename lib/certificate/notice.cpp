#include "certificate/notice.h"

#include <algorithm>

#include "certificate/verify_impl.h"
#include "crypto/cms.h"
#include "crypto/hash.h"
#include "crypto/x509.h"

namespace kesu {

namespace {
struct Kind {
  std::string_view type, word, en, ja;
  std::string_view stages, outcomes;  // parted by blanks
};
constexpr Kind kKinds[] = {{notice::kNotice, "notice", "Notice of disablement", "使用停止通知書",
                            "requested approved running", "withheld"},
                           {notice::kSuperseding, "superseding", "Superseding record", "通知の取消記録",
                            "cancelled rejected", "in-use"},
                           {notice::kFailure, "failure", "Failure report", "消去の不完了報告書",
                            "running failed", "destroyed not-destroyed not-tried unknown"}};
bool has_word(std::string_view words, const std::string& word) {
  return !word.empty() && word.find(' ') == std::string::npos &&
         (" " + std::string(words) + " ").find(" " + word + " ") != std::string::npos;
}

const Kind* kind_of(std::string_view type) {
  for (const Kind& k : kKinds)
    if (k.type == type) return &k;
  return nullptr;
}

bool is_known(const Certificate& signer, const std::vector<Bytes>& others, Millis issued,
              const TrustAnchors& trust) {
  const Digest32 digest = signer.fingerprint();
  if (std::find(trust.signers.begin(), trust.signers.end(), digest) != trust.signers.end()) return true;
  if (trust.signer_cas.empty()) return false;
  const ChainCheck chain = verify_chain(signer.der, others, trust.signer_cas, issued);
  if (!chain.ok) return false;
  if (chain.chain.size() < 2) return true;
  // No time-stamp says when it was signed: as of a certificate that has none.
  const RevocationCheck check = check_revocation(chain.chain, trust.signer_crls, issued, false);
  return check.state == Revocation::good || check.state == Revocation::not_shown;
}

size_t count_of(const Json& document, const char* member) { return document.at(member).as_array().size(); }

std::string names_in(const Json& document, const char* between) {
  std::string out;
  for (const Json& d : document.at("datasets").as_array())
    out += (out.empty() ? "" : between) + d.str("name");
  return out;
}

std::string counted(size_t n, const char* noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

Json words(std::string en, std::string ja) {
  return Json::object({{"en", std::move(en)}, {"ja", std::move(ja)}});
}

Json disablement(const Json& d, const std::string& who, const std::string& erasure,
                 const std::string& stage) {
  const bool running = stage == "running";
  const size_t keys = count_of(d, "keys");
  return words(
      who + " gives notice that " + names_in(d, ", ") + " is to be made unreadable by erasure " + erasure +
          ", which is " + stage +
          ". Since its request kesu seals nothing more into it and protects nothing "
          "new under " +
          counted(keys, "key version") + "; " +
          (running ? "opening is refused, too. " : "until the erasure runs, opening goes on. ") +
          "The keys exist: their provider would still act for whoever may use them. Nothing has been "
          "destroyed, and "
          "this can be taken back until the destruction of the first key version begins.",
      who + "は、消去" + erasure + "（段階：" + stage + "）により" + names_in(d, "、") +
          "を読めなくする予定であることを通知する。申請の時から kesu はこれに新たな封入を行わず、" +
          std::to_string(keys) + "個の鍵バージョンで新たな保護を行わない。" +
          (running ? "復号も拒む。" : "消去の実行までは復号できる。") +
          "鍵は存在し、プロバイダーは権限を持つ者の求めに応じる。何も破棄されておらず、最初の鍵バージョン"
          "の破棄が始まるまで取り消すことができる。");
}

Json superseding(const Json& d, const std::string& who, const std::string& erasure,
                 const std::string& stage) {
  const size_t notices = count_of(d, "supersedes");
  return words(who + " declares that erasure " + erasure + " of " + names_in(d, ", ") + " is " + stage +
                   ": " + counted(notices, "notice") + " issued before " + (notices == 1 ? "has" : "have") +
                   " no effect any more. Its keys were not destroyed by it and serve again.",
               who + "は、" + names_in(d, "、") + "の消去" + erasure + "が" + stage +
                   "となったことを表明する。先に発行した通知" + std::to_string(notices) +
                   "件は効力を失った。この消去による鍵の破棄は行われず、鍵は再び使用できる。");
}

Json failure(const Json& d, const std::string& who, const std::string& erasure) {
  size_t gone = 0, unknown = 0;
  for (const Json& k : d.at("keys").as_array()) {
    gone += k.str("outcome") == "destroyed";
    unknown += k.str("outcome") == "unknown";
  }
  const size_t all = count_of(d, "keys"), left = all - gone - unknown;
  return words(
      who + " reports that erasure " + erasure + " of " + names_in(d, ", ") +
          " began and is not complete: of " + counted(all, "key version") + " " + std::to_string(gone) +
          " destroyed, " + std::to_string(left) + " not destroyed, " + std::to_string(unknown) +
          " unknown. What was destroyed cannot be brought back. None of this data may be taken for "
          "unreadable" +
          (left + unknown == 0 ? ": the inspection after destruction has not shown every key absent." : "."),
      who + "は、" + names_in(d, "、") + "の消去" + erasure +
          "が開始されたが完了していないことを報告する。鍵バージョン" + std::to_string(all) +
          "個のうち、破棄済み" + std::to_string(gone) + "個、未破棄" + std::to_string(left) + "個、不明" +
          std::to_string(unknown) +
          "個。破棄されたものは元に戻せない。対象データを読めなくなったものとして扱ってはならない" +
          (left + unknown == 0 ? "（破棄後の検査により全鍵の不在が示されていない）。" : "。"));
}
}  // namespace

Json notice_statement(const Json& d) {
  const std::string& type = d.str("type");
  const std::string &who = d.str("organisation"), &erasure = d.str("erasure"), &stage = d.str("stage");
  const auto kind =
      std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind& k) { return k.type == type; });
  if (kind == std::end(kKinds)) throw Error(Code::bad_input, "type: " + type);
  if (!has_word(kind->stages, stage))
    throw Error(Code::bad_input, "stage: is none of a " + std::string(kind->word) + ": " + stage);
  if (d.at("keys").as_array().empty() || d.at("datasets").as_array().empty())
    throw Error(Code::bad_input, "keys or datasets: are empty");
  for (const Json& k : d.at("keys").as_array())
    if (!has_word(kind->outcomes, k.str("outcome")))
      throw Error(Code::bad_input,
                  "outcome: is none of a " + std::string(kind->word) + ": " + k.str("outcome"));
  if (type == notice::kNotice) return disablement(d, who, erasure, stage);
  if (type == notice::kSuperseding) return superseding(d, who, erasure, stage);
  return failure(d, who, erasure);
}

NoticeReport verify_notice(ByteView document, ByteView signature, const TrustAnchors& trust) {
  NoticeReport out;
  out.sha256 = hex(sha256(document));
  auto bad = [&](std::string_view part, std::string what) {
    out.errors.push_back({std::string(part), std::move(what)});
  };
  try {
    Json j = parse_canonical_json(as_text(document), "notice.json",
                                  {.max_bytes = size_t{16} << 20, .max_depth = 16});
    if (!kind_of(j.str("type"))) throw Error(Code::bad_input, "type: " + j.str("type"));
    const auto issued = parse_utc(j.str("issued"));
    if (!issued) throw Error(Code::bad_input, "issued: is no time");
    if (!DocumentId::parse(j.str("id")) || !ErasureId::parse(j.str("erasure")))
      throw Error(Code::bad_input, "id or erasure: no identifier");
    if (j.at("statement").canonical() != notice_statement(j).canonical())
      throw Error(Code::bad_input, "statement: is not what the other members give");
    out.type = j.str("type");
    const CmsCheck check = verify_detached(document, signature);
    if (!check.ok || !check.signer) {
      bad(notice::kSignature, check.reason.empty() ? "has no signer" : check.reason);
    } else {
      if (hex(check.signer->fingerprint()) != j.at("signer").str("certificate"))
        bad(notice::kSignature, "is not made with the certificate that notice.json names");
      if (*issued < check.signer->not_before || *issued > check.signer->not_after)
        bad(notice::kSignature, "its certificate was not valid when the document was issued");
      out.signer_known = is_known(*check.signer, check.certificates, *issued, trust);
    }
    out.document = std::move(j);
  } catch (const std::exception& e) {
    bad(notice::kDocument, e.what());
  }
  if (!out.errors.empty()) out.signer_known = false;
  return out;
}

Exit exit_of(const NoticeReport& report) { return report.errors.empty() ? Exit::incomplete : Exit::invalid; }

Json to_json(const NoticeReport& r) {
  Json errors((Json::Array()));
  for (const VerifyError& e : r.errors) errors.push(Json::object({{"part", e.part}, {"what", e.what}}));
  const Kind* kind = kind_of(r.type);
  const bool good = r.errors.empty();
  auto text = [&](const char* member) { return good ? r.document.str(member) : std::string(); };
  return Json::object({{"verdict", good ? "no-certificate" : "invalid"},
                       {"document", kind ? Json(kind->word) : Json()},
                       {"id", text("id")},
                       {"organisation", text("organisation")},
                       {"erasure", text("erasure")},
                       {"stage", text("stage")},
                       {"issued", text("issued")},
                       {"signer_known", r.signer_known},
                       {"sha256", r.sha256},
                       {"statement", good ? r.document.at("statement") : Json()},
                       {"errors", errors}});
}

std::string render_notice(const NoticeReport& r, bool ja) {
  if (!r.errors.empty()) {
    std::string out =
        "This document is forged, altered or not signed: believe nothing that it says.\n  found\n";
    for (const VerifyError& e : r.errors) out += "    " + plain(e.part) + ": " + plain(e.what) + "\n";
    return out + "  verdict   INVALID\n";
  }
  const Kind& kind = *kind_of(r.type);
  return std::string(ja ? kind.ja : kind.en) +
         (ja ? "：消去の証明書ではない。   " : ": this is no certificate.   ") +
         plain(r.document.str("organisation")) + "\n  " +
         plain(r.document.at("statement").str(ja ? "ja" : "en")) + "\n  stage     " +
         plain(r.document.str("stage")) + "\n  issued    " +
         local_text(*parse_utc(r.document.str("issued"))) + "\n  signer    " +
         (r.signer_known ? "known" : "not identified: no line of the trust file names it") +
         "\n  verdict   NO CERTIFICATE\n";
}

}  // namespace kesu
