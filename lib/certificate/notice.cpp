#include "certificate/notice.h"

#include <algorithm>

#include "certificate/chain_file.h"
#include "certificate/conditions_impl.h"
#include "certificate/notice_impl.h"
#include "certificate/verify_impl.h"
#include "crypto/cms.h"
#include "crypto/hash.h"
#include "crypto/x509.h"
#include "ledger/tree.h"

namespace kesu {

namespace {
using notice::Kind;
using notice::kind_of;

constexpr std::string_view kExtract = "--ledger ";

struct Reading {
  const BundleFiles& files;
  const TrustAnchors& trust;
  NoticeReport& out;
  std::optional<Millis> inside = {}, beside = {};  // times of the tokens that count

  void bad(std::string_view part, std::string what) {
    out.errors.push_back({std::string(part), std::move(what)});
  }
  std::optional<ByteView> file(std::string_view name) const {
    const auto it = files.find(std::string(name));
    return it == files.end() ? std::nullopt : std::optional<ByteView>(it->second);
  }

  Json document(ByteView bytes);
  void stamp(std::string_view over, std::string_view part, ByteView token, ByteView data, Millis issued,
             const std::vector<Bytes>& others);
  void stamps(const CmsCheck& cms, Millis issued);
  bool is_known(const CmsCheck& cms, Millis issued);
  void standing(const Json& document, const BundleFiles& extract);
};

// The newest word on what a record takes back: which documents, each once, none of them later than itself.
void check_supersedes(const Json& j, Millis issued) {
  std::set<std::string> seen = {j.str("id")};
  if (j.at("supersedes").size() == 0) throw Error(Code::bad_input, "supersedes: is empty");
  for (const Json& n : j.at("supersedes").as_array()) {
    const auto time = parse_utc(n.str("issued"));
    if (!DocumentId::parse(n.str("id")) || !unhex32(n.str("document")) || !time || *time > issued ||
        !seen.insert(n.str("id")).second)
      throw Error(Code::bad_input, "supersedes: names what no notice before it can be");
  }
}

Json Reading::document(ByteView bytes) {
  Json j =
      parse_canonical_json(as_text(bytes), "notice.json", {.max_bytes = size_t{16} << 20, .max_depth = 16});
  if (!kind_of(j.str("type"))) throw Error(Code::bad_input, "type: " + j.str("type"));
  const auto issued = parse_utc(j.str("issued"));
  if (!issued) throw Error(Code::bad_input, "issued: is no time");
  if (!DocumentId::parse(j.str("id")) || !ErasureId::parse(j.str("erasure")))
    throw Error(Code::bad_input, "id or erasure: no identifier");
  const Json& ledger = j.at("ledger");
  if (ledger.str("origin").empty() || ledger.num("size") < 1 || !unhex32(ledger.str("root")))
    throw Error(Code::bad_input, "ledger: is no checkpoint");
  if (j.at("statement").canonical() != notice_statement(j).canonical())
    throw Error(Code::bad_input, "statement: is not what the other members give");
  if (j.str("type") == notice::kSuperseding) check_supersedes(j, *issued);
  return j;
}

void Reading::stamp(std::string_view over, std::string_view part, ByteView token, ByteView data,
                    Millis issued, const std::vector<Bytes>& others) {
  const TimestampCheck check = verify_timestamp(token, {.data = data});
  if (!check.ok) return bad(part, (over == "signature" ? "its time-stamp: " : "") + check.reason);
  if (issued > check.time + check.accuracy + dossier::kStampSlack)
    bad(notice::kDocument,
        "issued: " + utc_text(issued) + ", is later than its time-stamp of " + utc_text(check.time));
  const ChainCheck chain = timestamp_chain(check, others, trust.tsa_cas);
  StampResult row{std::string(over),
                  check.time,
                  check.accuracy,
                  check.authority->subject,
                  check.policy,
                  check.algorithm,
                  check.authority->not_after,
                  chain.ok,
                  dossier::no_path_text(trust.tsa_cas),
                  {}};
  if (chain.ok) row.why.clear();
  if (chain.ok && chain.chain.size() > 1) {
    row.revocation = check_revocation(chain.chain, trust.signer_crls, check.time, false);
    row.trusted = !tells_against(row.revocation.state);
    if (!row.trusted) row.why = row.revocation.why;
  }
  if (row.trusted) (over == "signature" ? inside : beside) = check.time;
  out.stamps.push_back(std::move(row));
}

void Reading::stamps(const CmsCheck& cms, Millis issued) {
  std::vector<Bytes> others;
  const auto answer = file(notice::kStamp), chain = file(notice::kStampChain);
  if (chain && !answer) bad(notice::kStampChain, "is there, and " + std::string(notice::kStamp) + " is not");
  if (chain) try {
      others = certificates_in(*chain);
    } catch (const Error& e) {
      bad(notice::kStampChain, e.message());
    }
  if (cms.timestamps.size() > 1) bad(notice::kSignature, "holds more than one time-stamp");
  for (const Bytes& token : cms.timestamps)
    stamp("signature", notice::kSignature, token, cms.signature, issued, others);
  if (!answer) return;
  try {
    const TimestampAnswer a = parse_timestamp_answer(*answer);
    if (!a.granted) throw Error(Code::bad_input, "holds a refusal: " + a.refusal);
    stamp(notice::kSignature, notice::kStamp, a.token, *file(notice::kSignature), issued, others);
  } catch (const Error& e) {
    bad(notice::kStamp, e.message());
  }
}

// As the signer of a certificate: named by the reader, or a chain to an anchor of his at the stamped time.
bool Reading::is_known(const CmsCheck& cms, Millis issued) {
  const Digest32 digest = cms.signer->fingerprint();
  if (std::find(trust.signers.begin(), trust.signers.end(), digest) != trust.signers.end()) return true;
  if (trust.signer_cas.empty()) return false;
  const bool dated = inside && beside;
  const Millis at = dated ? *beside : issued;
  const ChainCheck chain = verify_chain(cms.signer->der, cms.certificates, trust.signer_cas, at);
  if (!chain.ok) return false;
  if (chain.chain.size() > 1) out.revocation = check_revocation(chain.chain, trust.signer_crls, at, dated);
  return !tells_against(out.revocation.state);
}

const NodeMention* mention(const Header& h, const std::string& id) {
  const auto it =
      std::find_if(h.nodes.begin(), h.nodes.end(), [&](const NodeMention& m) { return m.id == id; });
  return it == h.nodes.end() ? nullptr : &*it;
}

void Reading::standing(const Json& d, const BundleFiles& extract) {
  const dossier::Dossier e = dossier::read_extract_alone(extract);
  for (const dossier::Finding& f : e.findings.all()) bad(std::string(kExtract) + f.part, f.what);
  if (!e.findings.all().empty()) return;
  const std::string headers = std::string(kExtract) + std::string(bundle::kHeaders);
  const Json& ledger = d.at("ledger");
  const auto size = static_cast<size_t>(ledger.num("size"));
  if (e.b.origin != ledger.str("origin") || e.leaves.size() < size ||
      hex(tree_root({e.leaves.data(), size})) != ledger.str("root"))
    return bad(headers, "are of another ledger than the document's, or older than it");
  NoticeStanding& s = out.standing;
  s.as_of = static_cast<int64_t>(e.b.size);
  s.log_known = std::any_of(trust.logs.begin(), trust.logs.end(),
                            [&](const NoteKey& k) { return k.vkey() == e.ledger_key->vkey(); });
  const std::string &id = d.str("id"), &erasure = d.str("erasure");
  std::map<std::string, std::string> notices;  // of this erasure, before the document: identifier, digest
  bool recorded = false, ended = false;
  for (const Header& h : e.headers) {
    if (const NodeMention* m = mention(h, id)) {
      if (h.type != kind_of(out.type)->entry || m->of != erasure || m->d != out.sha256)
        return bad(headers, "entry " + std::to_string(h.seq) + " names this identifier for another document");
      recorded = true;
    } else if (h.type == "notice-issued" && !recorded && !h.nodes.empty() && h.nodes[0].of == erasure) {
      notices[h.nodes[0].id] = h.nodes[0].d;
    } else if (h.type == "notice-superseded" && recorded && !h.nodes.empty() && h.nodes[0].of == erasure) {
      s.by = h.nodes[0].id;
    } else if ((h.type == "erasure-cancelled" || h.type == "erasure-rejected") && mention(h, erasure)) {
      ended |= recorded;
    }
  }
  if (!recorded) {
    s.state = "not-recorded";
    return;
  }
  if (out.type == notice::kNotice) {
    s.state = !s.by.empty() ? "superseded" : ended ? "ended" : "in-force";
    return;
  }
  s.by.clear();
  s.state = "not-applicable";
  if (out.type != notice::kSuperseding) return;
  for (const Json& n : d.at("supersedes").as_array()) {
    const auto it = notices.find(n.str("id"));
    if (it == notices.end() || it->second != n.str("document"))
      bad(notice::kDocument, "supersedes: " + n.str("id") + " is no notice of this erasure in the ledger");
  }
}

std::string standing_text(const NoticeStanding& s) {
  if (s.state == "unknown") return "whether it was superseded since cannot be known: give --ledger EXTRACT";
  const std::string as_of = " as of ledger entry " + std::to_string(s.as_of) +
                            (s.log_known ? "" : ", by a ledger key that no log line of the trust file names");
  if (s.state == "superseded") return "SUPERSEDED by " + s.by.substr(0, 12) + as_of;
  if (s.state == "ended") return "ENDED: its erasure was cancelled or rejected" + as_of;
  if (s.state == "in-force") return "not superseded" + as_of;
  if (s.state == "not-recorded") return "not in the ledger" + as_of;
  return "recorded" + as_of;
}
}  // namespace

NoticeReport verify_notice(const BundleFiles& files, const TrustAnchors& trust, const BundleFiles* extract) {
  NoticeReport out;
  Reading r{files, trust, out};
  const ByteView document = r.file(notice::kDocument).value_or(ByteView());
  out.sha256 = hex(sha256(document));
  try {
    Json j = r.document(document);
    out.type = j.str("type");
    const Millis issued = *parse_utc(j.str("issued"));
    const CmsCheck check = verify_detached(document, r.file(notice::kSignature).value_or(ByteView()));
    if (!check.ok || !check.signer) {
      r.bad(notice::kSignature, check.reason.empty() ? "has no signer" : check.reason);
    } else {
      if (!check.has_signing_certificate_v2)
        r.bad(notice::kSignature, "does not name its certificate (signing-certificate-v2)");
      if (hex(check.signer->fingerprint()) != j.at("signer").str("certificate"))
        r.bad(notice::kSignature, "is not made with the certificate that notice.json names");
      if (issued < check.signer->not_before || issued > check.signer->not_after)
        r.bad(notice::kSignature, "its certificate was not valid when the document was issued");
      r.stamps(check, issued);
      out.signer_known = r.is_known(check, issued);
      if (extract) r.standing(j, *extract);
    }
    out.document = std::move(j);
  } catch (const std::exception& e) {
    r.bad(notice::kDocument, e.what());
  }
  if (!out.errors.empty()) {
    out.signer_known = false;
    out.standing = {};
  }
  return out;
}

Exit exit_of(const NoticeReport& report) { return report.errors.empty() ? Exit::incomplete : Exit::invalid; }

Json to_json(const NoticeReport& r) {
  Json errors((Json::Array()));
  for (const VerifyError& e : r.errors)
    errors.push(Json::object({{"part", name_to_json(e.part)}, {"what", name_to_json(e.what)}}));
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
                       {"revocation", revocation_json(r.revocation)},
                       {"time", stamps_json(r.stamps)},
                       {"superseded", Json::object({{"state", r.standing.state},
                                                    {"by", r.standing.by},
                                                    {"as_of", r.standing.as_of},
                                                    {"log_known", r.standing.log_known}})},
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
  std::string out = std::string(ja ? kind.ja : kind.en) +
                    (ja ? "：消去の証明書ではない。   " : ": this is no certificate.   ") +
                    plain(r.document.str("organisation")) + "\n  " +
                    plain(r.document.at("statement").str(ja ? "ja" : "en")) + "\n  stage     " +
                    plain(r.document.str("stage")) + "\n  issued    " +
                    local_text(*parse_utc(r.document.str("issued"))) + "\n";
  for (const StampResult& s : r.stamps) out += "  stamped   " + stamp_line(s) + "\n";
  const bool against = tells_against(r.revocation.state);
  out += "  signer    ";
  out += r.signer_known ? "known" : "not identified: ";
  if (!r.signer_known) out += against ? plain(r.revocation.why) : "no line of the trust file names it";
  if (r.signer_known && is_unshown(r.revocation.state))
    out += "; whether it was revoked is not shown: " + plain(r.revocation.why);
  if (r.type == notice::kNotice || r.standing.state != "unknown")
    out += "\n  ledger    " + standing_text(r.standing);
  return out + "\n  verdict   NO CERTIFICATE\n";
}

}  // namespace kesu
