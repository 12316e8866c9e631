#include "app/inspection.h"

#include "app/key_states.h"

namespace kesu {

void demand_clear_before(Vault& vault, const ProviderRecord& provider, const Vault::Probed& before,
                         const std::vector<VersionRef>& keys) {
  const std::string test = "kesu provider test " + provider.name;
  if (before.report.control != ProbeAnswer::usable)
    throw Error(
        Code::provider_unavailable,
        "provider " + provider.name + "'s control key does not answer: nothing can be shown about the others")
        .cause(before.report.error_message)
        .next(test);
  for (const VersionRef& v : keys)
    if (const ProbeKey& k = before.key(v); k.answer != ProbeAnswer::usable)
      throw Error(Code::key_mismatch,
                  version_name(vault.state(), *vault.state().version(v.str())) +
                      " is not usable before its destruction, so its destruction could not be shown")
          .cause(std::string(probe_text(k.answer)) + ": " + k.why)
          .next("find out who touched it: " + test);
  if (!before.remains.empty())
    throw Error(Code::object_ambiguous,
                "nothing is destroyed: provider " + provider.name +
                    " holds something beside the keys that would keep their end from being shown")
        .cause(before.remains)
        .next(
            "its owner removes it, or makes it usable so that it can be tried; then the same command again");
}

Json InspectedAgain::result() const {
  Json out(Json::Object{});
  for (const auto& [member, answer] :
       {std::pair("absent", ProbeAnswer::absent), std::pair("unknown", ProbeAnswer::unknown),
        std::pair("usable", ProbeAnswer::usable), std::pair("refused", ProbeAnswer::refused)}) {
    auto it = answers.find(answer);
    out.set(member, it == answers.end() ? int64_t{0} : it->second);
  }
  return out;
}

InspectedAgain inspect_again(Vault& vault, const ErasureRecord& erasure, const Json& plan,
                             const std::function<void(const Vault::Probed&)>& looked) {
  vault.close_providers();
  InspectedAgain out{Json(Json::Array{}), {}, ""};
  for (const Json& before : erasure.started.at("inspections").as_array()) {
    const std::string p = before.str("provider");
    std::vector<KeyRef> keys;
    for (const Json& step : plan.at("order").as_array())
      if (const VersionRecord* v = vault.state().version(step.str("version")); v && v->provider == p)
        keys.push_back(*v->ref);
    auto transcript = ProbeTranscript::from_json(
        parse_json(to_text(vault.store().blob(before.str("transcript"))), "transcript"));
    auto probed =
        vault.probe(vault.state().providers.at(p), keys, ProbeRequest::from_json(transcript.request).samples);
    looked(probed);
    for (const KeyRef& ref : keys) {
      const ProbeKey& k = probed.key(ref.version);
      ++out.answers[k.answer];
      if (k.answer != ProbeAnswer::absent && out.doubt.empty())
        out.doubt = ref.version.brief() + ": " + std::string(probe_text(k.answer)) + ", " + k.why;
    }
    out.inspections.push(
        Json::object({{"provider", p}, {"before", before.str("transcript")}, {"after", probed.evidence}}));
  }
  return out;
}

}  // namespace kesu
