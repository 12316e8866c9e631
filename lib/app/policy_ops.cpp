#include "app/policy_ops.h"

#include "base/error.h"
#include "policy/policy.h"

namespace kesu {

Json policy_lists() {
  Json editions(Json::Array{}), lists(Json::Array{}), periods(Json::Array{});
  for (const policy::Edition& d : policy::editions())
    editions.push(
        Json::object({{"document", d.document}, {"title", d.title}, {"date", d.date}, {"seen", d.seen}}));
  for (const policy::ListRow& r : policy::lists()) {
    Json notes(Json::Array{});
    for (const std::string& n : r.notes) notes.push(n);
    lists.push(Json::object({{"list", r.list},
                             {"table", r.table},
                             {"category", r.category},
                             {"name", r.name},
                             {"specification", r.specification},
                             {"citation", r.citation},
                             {"notes", notes}}));
  }
  for (const policy::PeriodRow& r : policy::periods())
    periods.push(Json::object({{"strength_bits", r.strength_bits},
                               {"mode", policy::text(r.mode)},
                               {"from", r.from},
                               {"to", r.to},
                               {"word", r.word},
                               {"reading", r.reading},
                               {"citation", r.citation}}));
  return Json::object({{"edition", policy::policy_edition()},
                       {"editions", editions},
                       {"lists", lists},
                       {"periods", periods}});
}

Json policy_algorithms() {
  Json out(Json::Array{});
  for (const policy::AlgorithmRow& a : policy::algorithms()) {
    Json purposes(Json::Array{});
    for (policy::Purpose p : a.purposes) purposes.push(policy::text(p));
    out.push(Json::object({{"name", a.name},
                           {"category", policy::text(a.category)},
                           {"strength_bits", a.strength_bits},
                           {"new_until", policy::horizon_text(a.horizon_year_new)},
                           {"process_until", policy::horizon_text(a.horizon_year_process)},
                           {"purposes", purposes},
                           {"use", a.use},
                           {"reason", a.reason}}));
  }
  return out;
}

Json policy_verdict(const PolicyQuestion& question, Millis now) {
  policy::Query q = policy::parse_query(question.algorithm);
  if (!question.purpose.empty()) q.purpose = policy::purpose_from(question.purpose);
  q.mode = policy::mode_from(question.mode);
  q.profile = policy::profile_from(question.profile);
  q.now_year = year_of(now);
  if (const std::string& until = question.until; !until.empty() && until != "open-ended") {
    if (until.size() != 4 || until.find_first_not_of("0123456789") != std::string::npos)
      throw Error(Code::usage, "--until takes a year, not " + until);
    q.end_year = std::stoi(until);
  }
  policy::Verdict v = policy::evaluate(q);
  Json out = policy::to_json(v);
  out.set("until", q.end_year ? Json(*q.end_year) : Json("open-ended"));
  out.set("mode", policy::text(q.mode));
  out.set("new_until", policy::horizon_text(v.horizon_year_new));
  out.set("process_until", policy::horizon_text(v.horizon_year_process));
  return out;
}

}  // namespace kesu
