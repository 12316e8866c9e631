// kesu-probe's transcripts: read strictly, paired before and after (docs/spec/provider-port.md).
#include <algorithm>

#include "certificate/dossier_impl.h"
#include "crypto/hash.h"
#include "ledger/tree.h"
#include "seal/format.h"

namespace kesu::dossier {

namespace {

Millis time_of(const Json& object, std::string_view name) {
  auto t = parse_utc(object.str(name));
  if (!t) throw Error(Code::bad_input, "transcript: " + std::string(name) + " is no time");
  return *t;
}

// "kesu-wrap-v1" ‖ vault ‖ dataset ‖ object ‖ key ‖ version, as the sealed object wraps.
std::string dataset_of_sample(const Json& sample, const std::string& vault) {
  auto aad = unhex(sample.str("aad"));
  auto version = VersionRef::parse(sample.str("key"));
  auto object = ObjectId::parse(sample.str("id"));
  auto vault_id = VaultId::parse(vault);
  if (!aad || !version || !object || !vault_id) throw Error(Code::bad_input, "transcript: a sample is malformed");
  constexpr size_t kPrefix = 12 + 16;
  if (aad->size() != kPrefix + 16 + 16 + 16 + 4) throw Error(Code::bad_input, "transcript: a sample's aad has another length");
  DatasetId dataset(ByteView(*aad).subspan(kPrefix, 16));
  if (wrap_aad(*vault_id, dataset, *object, *version) != *aad) throw Error(Code::bad_input, "transcript: a sample's aad is not that of " + object->str());
  return dataset.str();
}

void read_request(Probe& p, const Json& request) {
  p.tries_remaining = request.flag("try_remaining");
  for (const Json& item : request.at("keys").as_array()) {
    KeyRef ref = KeyRef::from_json(item);
    p.asked.emplace(ref.version.str(), ref);
  }
  if (const Json& control = request.at("control"); !control.is_null()) p.control_ref = KeyRef::from_json(control);
}

void read_answer(Probe& p, const Json& answer) {
  p.started = time_of(answer, "started");
  p.ended = time_of(answer, "ended");
  p.same_place = answer.flag("same_place");
  p.control = answer.str_or("control", "unknown");
  if (const Json& e = answer.at("enumeration"); !e.is_null()) {
    Enumeration seen = Enumeration::from_json(e);
    p.complete = seen.complete;
    p.objects = std::move(seen.objects);
  }
  for (const Json& key : answer.at("keys").as_array())
    if (!p.keys.emplace(key.str("version"), std::pair(key.str("answer"), key.str_or("canary", "not-tried"))).second)
      throw Error(Code::bad_input, "transcript: a key is answered twice");
  p.answered = answer.at("error").is_null();
}

std::string sample_id(const Json& s) { return s.str("id"); }

// The provider's identity in request and answer is the one the ledger knows.
void check_place(const Dossier& d, const std::string& provider, const Json& transcript, Probe& p) {
  auto it = d.providers.find(provider);
  const Json* answer = transcript.find("answer");
  if (it == d.providers.end() || !answer || answer->is_null() || answer->at("identity").is_null()) {
    p.same_place = false;
    return;
  }
  p.same_place = p.same_place && ProviderIdentity::from_json(answer->at("identity")).same_place(it->second.identity);
}

std::optional<Probe> load(Dossier& d, const std::string& provider, const std::string& digest, const char* which) {
  auto content = d.evidence(digest);
  if (!content) {
    d.findings.weak("evidence/" + digest, "is missing: the transcript " + std::string(which) + " of " + provider);
    return std::nullopt;
  }
  std::optional<Probe> out;
  d.findings.guard("evidence/" + digest, [&] {
    Probe p = read_probe(*content);
    Json transcript = read_json(*content, "transcript");
    check_place(d, provider, transcript, p);
    const Json& answer = transcript.at("answer");
    const Json& samples = transcript.at("request").at("samples");
    std::map<Sample, const Json*> by_sample;
    for (const Json& s : samples.as_array()) by_sample.emplace(Sample{sample_id(s), s.str("key"), dataset_of_sample(s, d.vault)}, &s);
    if (by_sample.size() != samples.size()) throw Error(Code::bad_input, "transcript: a sample stands there twice");
    // Answers come in the order of the request; an object with two slots has two.
    if (!answer.is_null() && answer.at("samples").size() == samples.size())
      for (size_t i = 0; i < samples.size(); ++i) {
        const Json &asked = samples.as_array()[i], &told = answer.at("samples").as_array()[i];
        if (told.str("id") != asked.str("id")) throw Error(Code::bad_input, "transcript: samples are answered in another order");
        p.samples[{sample_id(asked), asked.str("key"), dataset_of_sample(asked, d.vault)}] = told.str("answer");
      }
    else
      for (const auto& [sample, item] : by_sample) p.samples[sample] = "not-tried";
    out = std::move(p);
  });
  return out;
}

// What others took away between the two: kesu left it, the enumeration after does not show it.
void find_removed(Dossier& d, const Inspection& i) {
  if (!i.before || !i.after) return;
  std::set<std::string> ours;
  for (const std::string& version : d.kill.versions)
    if (const auto& ref = d.keys.at(version).ref) ours.insert(ref->label);
  std::vector<ObjectSeen> left = i.after->objects;
  for (const ObjectSeen& object : i.before->objects) {
    auto it = std::find(left.begin(), left.end(), object);
    if (it != left.end()) left.erase(it);
    else if (!ours.contains(object.label)) d.removed_by_others.insert(object.label.empty() ? object.object_class + " " + hex(object.id) : object.label);
  }
}

void check_seed(Dossier& d, const Json& body) {
  const Json& head = body.at("head");
  int64_t size = head.num("size");
  if (size < 0 || static_cast<uint64_t>(size) > *d.started) throw Error(Code::bad_input, "head is not before the erasure's start");
  if (body.at("samples").str("seed") != head.str("root")) throw Error(Code::bad_input, "the samples' seed is not the ledger's root");
  if (d.headers_complete && hex(tree_root({d.leaves.data(), static_cast<size_t>(size)})) != head.str("root"))
    throw Error(Code::bad_input, "head is not the ledger's root at that size");
}

}  // namespace

Probe read_probe(ByteView content) {
  Json transcript = read_json(content, "transcript");
  Probe p;
  read_request(p, transcript.at("request"));
  const Json* answer = transcript.find("answer");
  if (answer && !answer->is_null()) read_answer(p, *answer);
  return p;
}

void read_inspections(Dossier& d) {
  std::map<std::string, std::string> before;  // provider → transcript at the start
  if (const Json* body = d.started ? d.body(*d.started) : nullptr) {
    d.findings.guard(brief_number(*d.started), [&] {
      if (body->str("plan") != d.plan_digest) throw Error(Code::bad_input, "another plan was started");
      for (const Json& i : body->at("inspections").as_array()) before[i.str("provider")] = i.str("transcript");
      check_seed(d, *body);
    });
  } else {
    d.findings.weak(std::string(bundle::kBodies), "no opened erasure-started");
  }
  for (const Header& h : d.headers)
    if (h.type == "erasure-inspected" && h.nodes.front().id == d.erasure) d.inspected = h.seq;
  const Json* body = d.inspected ? d.body(*d.inspected) : nullptr;
  if (!body) {
    d.findings.weak(std::string(bundle::kBodies), "no opened erasure-inspected");
    return;
  }
  d.findings.guard(brief_number(*d.inspected), [&] {
    for (const Json& item : body->at("inspections").as_array()) {
      Inspection i;
      i.provider = item.str("provider");
      i.before_digest = item.str("before");
      i.after_digest = item.str("after");
      if (before[i.provider] != i.before_digest) throw Error(Code::bad_input, "before: is not the transcript of the erasure's start");
      i.before = load(d, i.provider, i.before_digest, "before");
      i.after = load(d, i.provider, i.after_digest, "after");
      find_removed(d, i);
      if (i.after) d.samples += static_cast<int64_t>(i.after->samples.size());
      d.inspections.push_back(std::move(i));
    }
  });
}

}  // namespace kesu::dossier
