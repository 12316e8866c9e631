#include "app/strength.h"

#include <algorithm>
#include <set>

#include "base/clock.h"

namespace kesu {

namespace {
constexpr std::string_view kWrap = "AES-256-GCM";  // what providers wrap data keys with

std::optional<int> year_from(const Json& settings, std::string_view member) {
  const Json* v = settings.find(member);
  if (v && v->is_int()) return static_cast<int>(v->as_int());
  if (!v || !v->is_string() || v->as_string().size() != 4 ||
      v->as_string().find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  return std::stoi(v->as_string());
}

std::string until_words(std::optional<int> year) {
  return year ? "until " + std::to_string(*year) : "without an end year";
}

std::string count(int64_t n) { return std::to_string(n) + (n == 1 ? " object" : " objects"); }

// "loans.1"
std::string brief_version(const State& state, const std::string& version) {
  const KeyRecord* key = state.key_of(version);
  auto ref = VersionRef::parse(version);
  return key && ref ? key->name + "." + std::to_string(ref->version) : version;
}

std::string wrap_name(WrapAlg algorithm) {
  if (algorithm == WrapAlg::aes256_gcm) return std::string(kWrap);
  if (algorithm == WrapAlg::rsa_oaep_sha256) return "RSA-OAEP-SHA256";
  return "wrap algorithm " + std::to_string(static_cast<int>(algorithm));
}

// Objects of batches of a kind, counted once, whatever is wrong with them.
class Count {
 public:
  void add(const BatchKind& kind, const BatchSums& sums) {
    if (seen_.insert(&kind).second) objects_ += sums.objects;
  }
  int64_t objects() const { return objects_; }

 private:
  std::set<const BatchKind*> seen_;
  int64_t objects_ = 0;
};

// Whether `version` ever led to this dataset key, by any of its wraps.
bool reached_key(const DatasetRecord& dataset, const std::string& key, const std::string& version) {
  return std::any_of(dataset.keys.begin(), dataset.keys.end(),
                     [&](const DatasetKeyRecord& k) { return k.id == key && k.version == version; });
}

// Whether it ever led to the data keys of these batches; a dataset key may lead there, too.
bool reached_batches(const DatasetRecord& dataset, const BatchKind& kind, const std::string& version) {
  return std::any_of(kind.reached_by.begin(), kind.reached_by.end(), [&](const std::string& from) {
    return from == version || reached_key(dataset, from, version);
  });
}
}  // namespace

StrengthJudge::StrengthJudge(const State& state, int year) : state_(state), year_(year) {
  for (auto& [id, key] : state_.keys)
    for (const VersionRecord& v : key.versions)
      if (v.compromised || v.state == "compromised" || v.state == "destroyed-compromised")
        exposed_.push_back(v.id);
}

const policy::Verdict& StrengthJudge::judge(const std::string& algorithm, policy::Purpose purpose,
                                            policy::Mode mode, std::optional<int> end) {
  std::string key = algorithm + "|" + std::string(policy::text(purpose)) + "|" +
                    std::string(policy::text(mode)) + "|" + (end ? std::to_string(*end) : "open");
  auto it = verdicts_.find(key);
  if (it == verdicts_.end()) {
    policy::Query query = policy::parse_query(algorithm);  // NAME, or NAME:bits=…
    query.purpose = purpose;
    query.mode = mode;
    query.end_year = end;
    query.now_year = year_;
    it = verdicts_.emplace(key, policy::evaluate(query)).first;
  }
  return it->second;
}

ResealDue StrengthJudge::reseal_due(const DatasetRecord& dataset) {
  ResealDue out;
  if (dataset.state == "erased") return out;
  Count all;
  auto add = [&](const Count& some, const std::string& why) {
    out.due = true;
    out.reasons.push_back(count(some.objects()) + ": " + why);
  };
  // A compromised version gave away the data keys that it ever reached; another wrap of the same keys does
  // not take that back.
  const BatchesByKind& sealed = dataset.batches.kinds();
  for (const std::string& version : exposed_) {
    Count direct, names;
    for (auto& [kind, sums] : sealed) {
      if (reached_batches(dataset, kind, version))
        direct.add(kind, sums), all.add(kind, sums);
      else if (reached_key(dataset, kind.dataset_key, version))
        names.add(kind, sums), all.add(kind, sums);
    }
    if (!direct.objects() && !names.objects()) continue;
    std::string who = brief_version(state_, version) + ", which was compromised, ";
    if (direct.objects()) add(direct, who + "reached their data keys");
    if (names.objects()) add(names, who + "reached the key of their names");
  }
  std::optional<int> wanted = year_from(dataset.settings, "unreadable_until");
  bool over = wanted && *wanted < year_;
  std::map<std::string, Count> past, weak;
  for (auto& [kind, sums] : sealed)
    for (auto [algorithm, purpose] : {std::pair{kind.content_algorithm, policy::Purpose::payload},
                                      std::pair{kind.wrap_algorithm, policy::Purpose::wrap}}) {
      if (!judge(algorithm, purpose, policy::Mode::process, year_).allowed)
        past[algorithm].add(kind, sums), all.add(kind, sums);
      else if (!over && !judge(algorithm, purpose, policy::Mode::generate, wanted).allowed)
        weak[algorithm].add(kind, sums), all.add(kind, sums);
    }
  for (auto& [algorithm, some] : past)
    add(some,
        "the time of " + algorithm + " is over: it may not even be read with in " + std::to_string(year_));
  for (auto& [algorithm, some] : weak)
    add(some, algorithm + " does not keep them unreadable " + until_words(wanted));
  out.objects = all.objects();
  return out;
}

DatasetStrength StrengthJudge::strength(const DatasetRecord& dataset) {
  DatasetStrength out;
  out.wanted = year_from(dataset.settings, "unreadable_until");
  auto key = state_.keys.find(dataset.key);
  const VersionRecord* active = key == state_.keys.end() ? nullptr : key->second.active();
  if (active && active->protect_until()) out.end_of_use = year_of(active->protect_until());

  auto link = [&](const char* part, const std::string& algorithm, policy::Purpose purpose,
                  const std::string& rest, bool in_use) {
    using policy::Mode;
    out.links.push_back({part, std::string(part) + " " + algorithm + rest, algorithm,
                         judge(algorithm, purpose, Mode::generate, out.wanted),
                         judge(algorithm, purpose, Mode::generate, year_),
                         judge(algorithm, purpose, Mode::generate, out.end_of_use.value_or(year_)),
                         judge(algorithm, purpose, Mode::process, year_), in_use});
  };

  // What its batches were really sealed with, and what the next one would be.
  std::string now = dataset.settings.str_or("content_algorithm", "");
  std::set<std::string> payloads = {now}, versions;
  std::set<std::pair<std::string, std::string>> wraps;
  if (active) wraps.emplace(kWrap, active->id), versions.insert(active->id);
  for (auto& [kind, sums] : dataset.batches.kinds()) {
    payloads.insert(kind.content_algorithm);
    wraps.emplace(kind.wrap_algorithm, kind.version);
    versions.insert(kind.version);
  }
  for (auto& [by, sums] : dataset.batches.under())
    wraps.emplace(by.second, by.first), versions.insert(by.first);
  for (const std::string& p : payloads) link("payload", p, policy::Purpose::payload, "", p == now);
  for (auto& [algorithm, version] : wraps)
    link("wrap", algorithm, policy::Purpose::wrap, " under " + brief_version(state_, version),
         active && version == active->id);
  std::set<std::pair<std::string, std::string>> dataset_keys;
  for (const DatasetKeyRecord& k : dataset.keys)
    dataset_keys.emplace(wrap_name(k.wrapped.algorithm), k.version), versions.insert(k.version);
  for (auto& [algorithm, version] : dataset_keys)
    link("dataset-key", algorithm, policy::Purpose::wrap, " under " + brief_version(state_, version),
         active && version == active->id);

  link("random", "OpenSSL-DRBG", policy::Purpose::random, " (data keys, nonces)", true);
  std::set<std::string> providers;
  for (const std::string& id : versions) {
    const VersionRecord* v = state_.version(id);
    if (!v) continue;
    providers.insert(v->provider);
    if (v->origin != "generated")
      out.findings.push_back(brief_version(state_, id) + " was " + v->origin +
                             ": how it was made, and who else had it before, nobody here knows");
    if (v->compromised) out.findings.push_back(brief_version(state_, id) + " was compromised");
  }
  for (const std::string& id : providers) {
    auto p = state_.providers.find(id);
    if (p == state_.providers.end()) continue;
    bool in_use = active && active->provider == id;
    if (p->second.identity.kind == "soft") {
      link("keystore", "PBKDF2-HMAC-SHA-512", policy::Purpose::keystore, " of " + p->second.name, in_use);
      link("keystore", "AES-256-GCM", policy::Purpose::keystore, " of " + p->second.name, in_use);
      out.findings.push_back("the keystore of " + p->second.name +
                             " is as strong as its passphrase, which the policy cannot judge");
    } else {
      link("random", "Token-Generator", policy::Purpose::random, " of " + p->second.name, in_use);
    }
  }
  std::set<std::string> sets;  // of key shares: one link for each algorithm of each
  for (auto& [id, c] : state_.copies) {
    bool ours = std::any_of(c.versions.begin(), c.versions.end(),
                            [&](const std::string& v) { return versions.contains(v); });
    if (!ours || c.state != "open") continue;
    if (c.kind == "keystore-file") {
      link("copy", "PBKDF2-HMAC-SHA-512", policy::Purpose::keystore,
           " of keystore generation " + std::to_string(c.generation), false);
    } else if (c.share.is_object()) {
      const std::string algorithm = c.share.str("algorithm"), set = c.share.str("set");
      if (sets.insert(algorithm + set).second)
        link("copy", algorithm, policy::Purpose::wrap, " to custodians of share set " + set.substr(0, 8),
             false);
    } else {
      out.findings.push_back("copy " + id.substr(0, 12) + " (" + c.kind + ", " + c.custodian +
                             ") is open: how it is protected is not known to kesu");
    }
  }

  std::vector<policy::ChainLink> chain;
  for (const StrengthLink& l : out.links) chain.push_back({l.name, l.until});
  policy::Chain whole = policy::chain_strength(chain);
  out.bits = whole.strength_bits;
  out.weakest = whole.weakest;
  out.horizon = whole.horizon_year_new;
  out.holds = whole.allowed;
  out.may_seal = active != nullptr;
  for (const StrengthLink& l : out.links) {
    auto say = [&](const std::string& what) { out.findings.push_back(l.name + ": " + what); };
    if (!l.reading.allowed)
      say("not even for reading what exists: " + l.reading.reason);
    else if (!l.until.allowed)
      say(l.until.reason);
    if (!l.in_use) continue;
    if (!l.now.allowed && l.until.allowed)
      say("not for new objects: " + l.now.reason);
    else if (!l.end_of_use.allowed && l.now.allowed)
      say("not until the end of use in " + std::to_string(*out.end_of_use) + ": " + l.end_of_use.reason);
    out.may_seal = out.may_seal && l.until.allowed && l.now.allowed && l.end_of_use.allowed;
  }
  return out;
}

void StrengthJudge::add_to(Json& shown, const DatasetRecord& dataset) {
  shown.set("strength", strength_json(strength(dataset))).set("reseal_due", reseal_json(reseal_due(dataset)));
}

ResealDue reseal_due(const State& state, const DatasetRecord& dataset, int year) {
  return StrengthJudge(state, year).reseal_due(dataset);
}

namespace {
Json year_json(int year) { return year == policy::kNoLimit ? Json() : Json(year); }
Json list(const std::vector<std::string>& texts) {
  Json out(Json::Array{});
  for (const std::string& t : texts) out.push(t);
  return out;
}
}  // namespace

Json reseal_json(const ResealDue& due) {
  return Json::object({{"due", due.due}, {"objects", due.objects}, {"reasons", list(due.reasons)}});
}

Json strength_json(const DatasetStrength& s) {
  return Json::object({{"bits", s.bits}, {"weakest", s.weakest}, {"until", year_json(s.horizon)}});
}

Json strength_details(const DatasetStrength& s) {
  Json links(Json::Array{});
  for (const StrengthLink& l : s.links)
    links.push(Json::object({{"part", l.part},
                             {"name", l.name},
                             {"algorithm", l.algorithm},
                             {"in_use", l.in_use},
                             {"category", policy::text(l.until.category)},
                             {"strength_bits", l.until.strength_bits},
                             {"holds", l.until.allowed},
                             {"may_seal", l.now.allowed && l.end_of_use.allowed},
                             {"may_read", l.reading.allowed},
                             {"horizon_year_new", year_json(l.until.horizon_year_new)},
                             {"horizon_year_process", year_json(l.until.horizon_year_process)},
                             {"reason", l.until.reason},
                             {"citations", list(l.until.citations)}}));
  return strength_json(s)
      .set("holds", s.holds)
      .set("may_seal", s.may_seal)
      .set("wanted", s.wanted ? Json(*s.wanted) : Json("open-ended"))
      .set("end_of_use", s.end_of_use ? Json(*s.end_of_use) : Json())
      .set("links", links)
      .set("findings", list(s.findings));
}

}  // namespace kesu
