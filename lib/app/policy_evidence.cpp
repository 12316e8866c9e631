#include "app/policy_evidence.h"
#include "base/error.h"

#include "certificate/evidence_chain.h"

namespace kesu {

namespace {
// The key that would sign the next certificate.
std::optional<PublicKey> certificate_key(const State& state) {
  for (auto& [id, key] : state.keys)
    if (key.purpose == KeyPurpose::sign_certificate)
      if (const VersionRecord* v = key.active(); v && v->ref) return PublicKey::from_spki(v->ref->public_key);
  return std::nullopt;
}

std::string officer_algorithm(const OperatorRecord& o) {
  try {
    return ssh_algorithm(PersonKey::parse_line(o.public_key).ssh);
  } catch (const Error&) {
    return o.public_key.substr(0, o.public_key.find(' '));  // its own word, which the policy will not know
  }
}

policy::Verdict this_year(const EvidencePart& part, policy::Mode mode, int year) {
  policy::Query query = policy::parse_query(part.algorithm);
  query.purpose = part.purpose;
  query.mode = mode;
  query.end_year = query.now_year = year;
  return policy::evaluate(query);
}

Json year_json(int year) { return year == policy::kNoLimit ? Json() : Json(year); }
}  // namespace

Json policy_evidence(const State& state, int year) {
  std::optional<PublicKey> signer = certificate_key(state);
  std::vector<EvidencePart> parts = evidence_parts(signer ? &*signer : nullptr);
  for (auto& [id, o] : state.operators)
    if (o.state == "enrolled")
      parts.push_back({"signatures of " + o.name, officer_algorithm(o), policy::Purpose::signature});
  std::vector<EvidenceLink> links = judge_evidence(parts);
  std::vector<policy::ChainLink> chain;
  for (const EvidenceLink& l : links) chain.push_back({l.part.part + ", " + l.part.algorithm, l.verdict});
  policy::Chain whole = policy::chain_strength(chain);
  Json rows = evidence_json(links);
  for (size_t i = 0; i < links.size(); ++i) {
    policy::Verdict sign = this_year(links[i].part, policy::Mode::generate, year),
                    read = this_year(links[i].part, policy::Mode::process, year);
    Json citations(Json::Array{});
    for (const std::string& c : sign.citations) citations.push(c);
    rows.as_array()[i]
        .set("may_sign", sign.allowed)
        .set("may_verify", read.allowed)
        .set("reason", read.allowed ? sign.reason : read.reason)
        .set("citations", citations);
  }
  return Json::object({{"year", year},
                       {"edition", policy::policy_edition()},
                       {"bits", whole.strength_bits},
                       {"weakest", whole.weakest},
                       {"horizon_year_new", year_json(whole.horizon_year_new)},
                       {"horizon_year_process", year_json(whole.horizon_year_process)},
                       {"chain", rows}});
}

}  // namespace kesu
