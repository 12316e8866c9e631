// A report as JSON, as text for people, and as an exit code.
#include <algorithm>

#include "certificate/verify_impl.h"

namespace kesu {

namespace {

Json strings(const std::vector<std::string>& list) {
  Json out((Json::Array()));
  for (const std::string& s : list) out.push(s);
  return out;
}

std::string padded(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text + " ";
}

std::string when(const std::string& utc) {
  auto t = parse_utc(utc);
  return t ? local_text(*t) : plain(utc);
}

std::string exception_line(const DisclosedException& e) {
  std::string out = "entry " + std::to_string(e.entry) + "   ";
  if (!e.shown) return out + "about " + plain(e.subject) + "; what it says is not shown";
  out += plain(e.what) + ", " + plain(e.subject) + (e.detail.empty() ? "" : ", " + plain(e.detail)) + ", " +
         (e.until.empty() ? "without end" : "until " + when(e.until));
  return out + ": " + plain(e.reason) + " (approved by " + plain(e.approver) + ")";
}

// People's names stand in it: made plain line by line.
std::string evidence_lines(const std::vector<EvidenceLink>& chain) {
  std::vector<EvidenceLink> clean = chain;
  for (EvidenceLink& l : clean) l.part.part = plain(l.part.part);
  return evidence_text(clean, "    ");
}

std::string rests_on(const ClaimResult& c) {
  std::string out;
  for (const std::string& r : c.rests_on) out += (out.empty() ? "" : ", ") + r;
  if (!c.detail.empty()) out += (out.empty() ? "" : "; ") + c.detail;
  return out;
}

}  // namespace

std::string plain(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char c = static_cast<unsigned char>(text[i]);
    bool c1 = c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    out += c < 0x20 || c == 0x7f || c1 ? '?' : static_cast<char>(c);
    i += c1;
  }
  return out;
}

std::string_view verdict_text(Verdict verdict) {
  return verdict == Verdict::complete     ? "complete"
         : verdict == Verdict::incomplete ? "incomplete"
                                          : "invalid";
}

std::string_view coverage_text(Coverage coverage) {
  switch (coverage) {
    case Coverage::covered:
      return "covered";
    case Coverage::header_covered:
      return "header-covered";
    case Coverage::not_covered:
      return "not-covered";
    case Coverage::cannot_say:
      break;
  }
  return "cannot-say";
}

Exit exit_of(const VerifyReport& report) {
  return report.verdict == Verdict::complete  ? Exit::done
         : report.verdict == Verdict::invalid ? Exit::invalid
                                              : Exit::incomplete;
}

std::string stamp_line(const StampResult& s) {
  std::string out = s.over + "   " + local_text(s.at);
  if (s.accuracy) out += " ± " + std::to_string((s.accuracy + 999) / 1000) + " s";
  out += "   " + plain(s.authority);
  return out + (s.trusted ? "" : "   (not counted: " + plain(s.why) + ")");
}

Json revocation_json(const RevocationCheck& check) {
  return Json::object({{"state", revocation_text(check.state)}, {"why", check.why}});
}

Json stamp_json(const StampResult& s) {
  return Json::object({{"over", s.over},
                       {"at", utc_text(s.at)},
                       {"accuracy_ms", s.accuracy ? Json(s.accuracy) : Json()},
                       {"authority", s.authority},
                       {"policy", s.policy},
                       {"algorithm", s.algorithm},
                       {"certificate_until", utc_text(s.certificate_until)},
                       {"trusted", s.trusted},
                       {"why", s.why},
                       {"revocation", revocation_json(s.revocation)}});
}

Json stamps_json(const std::vector<StampResult>& list) {
  Json stamps((Json::Array()));
  for (const StampResult& s : list) stamps.push(stamp_json(s));
  return stamps;
}

Json to_json(const VerifyReport& report) {
  Json claims((Json::Array())), premises((Json::Array())), limits((Json::Array())), objects((Json::Array())),
      errors((Json::Array()));
  for (const ClaimResult& c : report.claims)
    claims.push(Json::object({{"id", c.id},
                              {"level", level_text(c.level)},
                              {"least", level_text(c.least)},
                              {"rests_on", strings(c.rests_on)},
                              {"detail", c.detail}}));
  for (const Premise& p : report.premises)
    premises.push(Json::object({{"id", p.id}, {"en", p.text.en}, {"ja", p.text.ja}}));
  for (const Limit& l : report.limits)
    limits.push(Json::object({{"id", l.id}, {"en", l.text.en}, {"ja", l.text.ja}}));
  for (const ObjectResult& o : report.objects)
    objects.push(Json::object({{"path", name_to_json(o.path)},
                               {"result", coverage_text(o.result)},
                               {"dataset", o.dataset},
                               {"why", o.why}}));
  for (const VerifyError& e : report.errors)
    errors.push(Json::object({{"part", name_to_json(e.part)}, {"what", name_to_json(e.what)}}));
  Json exceptions((Json::Array()));
  for (const DisclosedException& e : report.exceptions)
    exceptions.push(Json::object({{"what", e.what},
                                  {"subject", e.subject},
                                  {"detail", e.detail},
                                  {"until", e.until.empty() ? Json() : Json(e.until)},
                                  {"reason", e.reason},
                                  {"approver", e.approver},
                                  {"entry", e.entry}}));
  Json out = Json::object({{"verdict", verdict_text(report.verdict)},
                           {"certificate", report.certificate},
                           {"organisation", report.organisation},
                           {"erased", report.erased},
                           {"issued", report.issued},
                           {"claimed_profile", report.claimed_profile},
                           {"required_profile", report.required_profile},
                           {"as_of", report.as_of},
                           {"withdrawn", report.withdrawn},
                           {"test_grade", report.test_grade},
                           {"signer_known", report.signer_known},
                           {"revocation", revocation_json(report.revocation)},
                           {"log_known", report.log_known},
                           {"officers_known", report.officers_known},
                           {"claims", claims},
                           {"premises", premises},
                           {"limits", limits},
                           {"exceptions", exceptions},
                           {"evidence_chain", evidence_json(report.evidence_chain)},
                           {"objects", objects},
                           {"time", stamps_json(report.stamps)},
                           {"shortfalls", strings(report.shortfalls)},
                           {"errors", errors}});
  if (report.countersignatures.empty()) return out;
  Json others((Json::Array()));
  for (const CountersignatureResult& c : report.countersignatures) others.push(countersignature_json(c));
  return out.set("countersignatures", others);
}

namespace {
std::string_view level_ja(Level level) {
  switch (level) {
    case Level::proven:
      return "証明";
    case Level::attested:
      return "第三者が証明";
    case Level::recorded:
      return "記録";
    case Level::asserted:
      return "申告";
    case Level::absent:
      break;
  }
  return "なし";
}

// What makes a bundle invalid comes first: the rest may be much.
std::string error_lines(const VerifyReport& report) {
  constexpr size_t kShown = 40;
  std::vector<VerifyError> all = report.errors;
  std::stable_partition(all.begin(), all.end(), [](const VerifyError& e) { return e.hard; });
  std::string out;
  for (size_t i = 0; i < all.size() && i < kShown; ++i)
    out += "    " + plain(all[i].part) + ": " + plain(all[i].what) + "\n";
  if (all.size() > kShown)
    out += "    and " + std::to_string(all.size() - kShown) + " more (--json lists all)\n";
  return out;
}

// A forged or altered bundle: what it says of itself is not repeated.
std::string render_invalid(const VerifyReport& report, bool ja) {
  std::string out =
      ja ? "この一式は偽造、改ざん、または矛盾しています。記載内容を信じてはいけません。\n" : "";
  out += "This bundle is forged, altered or inconsistent: believe nothing that it says.\n  found\n";
  return out + error_lines(report) + "  verdict   INVALID\n";
}

}  // namespace

std::string first_error(const VerifyReport& report) {
  const auto first = std::ranges::find_if(report.errors, &VerifyError::hard);
  return first == report.errors.end() ? "" : first->part + ": " + first->what;
}

std::string render_report(const VerifyReport& report, bool ja) {
  if (report.verdict == Verdict::invalid) return render_invalid(report, ja);
  auto in = [&](const BilingualText& t) { return plain(ja ? t.ja : t.en); };
  std::string out = "Certificate " + plain(report.certificate.substr(0, 12)) + "   " +
                    plain(report.organisation) + "   erased " + when(report.erased) +
                    (report.test_grade ? "   TEST GRADE" : "") + "\n";
  size_t id_width = 5, level_width = 8;
  for (const ClaimResult& c : report.claims) id_width = std::max(id_width, c.id.size());
  out += "  " + padded("claim", id_width + 1) + padded("level", level_width + 1) + "rests on\n";
  for (const ClaimResult& c : report.claims) {
    bool unknown = c.id == "plaintext-history" && c.level == Level::absent;
    std::string level = unknown ? "UNKNOWN" : std::string(level_text(c.level));
    out += "  " + padded(c.id, id_width + 1) + padded(level, level_width + 1) + plain(rests_on(c)) +
           (c.level < c.least ? "   (below " + std::string(level_text(c.least)) + ")" : "") + "\n";
    if (ja)
      out += "    " + in(c.title) + "\n    → " + std::string(level_ja(c.level)) + "：" + in(c.says) + "\n";
  }
  if (!report.premises.empty()) out += "  premises\n";
  for (const Premise& p : report.premises) out += "    " + in(p.text) + "\n";
  if (!report.limits.empty()) out += "  limits\n";
  for (const Limit& l : report.limits) out += "    " + in(l.text) + "\n";
  if (report.revocation.state != Revocation::not_asked)
    out += "  " + padded("signer", id_width + 1) + "revocation " +
           std::string(revocation_text(report.revocation.state)) +
           (report.revocation.why.empty() ? "" : ": " + plain(report.revocation.why)) + "\n";
  if (!report.stamps.empty()) out += ja ? "  タイムスタンプ\n" : "  time-stamps\n";
  for (const StampResult& s : report.stamps) out += "    " + stamp_line(s) + "\n";
  if (!report.countersignatures.empty()) out += ja ? "  副署\n" : "  countersigned by\n";
  for (const CountersignatureResult& c : report.countersignatures)
    out += "    " + countersignature_line(c, ja) + "\n";
  if (!report.countersignatures.empty())
    out += ja ? "    これらの証明書の失効の有無は確認していない\n"
              : "    whether these certificates were revoked is not asked\n";
  if (!report.exceptions.empty()) out += ja ? "  例外（記録されたもの）\n" : "  exceptions on record\n";
  for (const DisclosedException& e : report.exceptions) out += "    " + exception_line(e) + "\n";
  if (!report.evidence_chain.empty())
    out += ja ? "  証拠を支える暗号技術（弱い順）\n" : "  evidence rests on, weakest first\n";
  out += evidence_lines(report.evidence_chain);
  for (const ObjectResult& o : report.objects)
    out += "  " + padded("object", id_width + 1) + plain(o.path) + ": " +
           std::string(coverage_text(o.result)) + (o.name.empty() ? "" : ", " + plain(o.name)) +
           (o.result == Coverage::header_covered ? " (its payload is not bound)" : "") +
           (o.why.empty() ? "" : " (" + plain(o.why) + ")") + "\n";
  // Genuine, and yet: what does not count, and of a withdrawn certificate what is not so any more.
  if (!report.errors.empty()) out += ja ? "  一致しない、または数えられないもの\n" : "  found\n";
  out += error_lines(report);
  if (report.verdict == Verdict::incomplete) {
    out += "  missing\n";
    for (const std::string& s : report.shortfalls) out += "    " + plain(s) + "\n";
  }
  std::string verdict(verdict_text(report.verdict));
  std::transform(verdict.begin(), verdict.end(), verdict.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  out += "  " + padded("verdict", id_width + 1) + verdict + " for profile " + report.required_profile;
  if (report.history_unknown) out += ", plaintext history unknown";
  out += std::string(report.withdrawn ? "; WITHDRAWN" : "; not withdrawn") + " as of checkpoint " +
         std::to_string(report.as_of) + "\n";
  return out;
}

}  // namespace kesu
