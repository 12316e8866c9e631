// kesu-probe's transcripts: read strictly, paired before and after (docs/spec/provider-port.md).
#include <algorithm>

#include "certificate/dossier_impl.h"
#include "crypto/hash.h"
#include "ledger/tree.h"
#include "provider/probe.h"
#include "seal/format.h"

namespace kesu::dossier {

namespace {

// "kesu-wrap-v1" ‖ vault ‖ dataset ‖ object ‖ key ‖ version, as the sealed object wraps.
std::string dataset_of_sample(const ProbeSample& sample, const std::string& vault) {
  auto object = ObjectId::parse(sample.id);
  auto vault_id = VaultId::parse(vault);
  if (!object || !vault_id) throw Error(Code::bad_input, "transcript: a sample is malformed");
  constexpr size_t kPrefix = 12 + 16;
  if (sample.aad.size() != kPrefix + 16 + 16 + 16 + 4)
    throw Error(Code::bad_input, "transcript: a sample's aad has another length");
  DatasetId dataset(ByteView(sample.aad).subspan(kPrefix, 16));
  if (wrap_aad(*vault_id, dataset, *object, sample.key) != sample.aad)
    throw Error(Code::bad_input, "transcript: a sample's aad is not that of " + sample.id);
  return dataset.str();
}

// What was tried decides, not the word for it.
std::string sample_answer(const ProbeSampleResult& result) {
  bool opened = std::any_of(result.by.begin(), result.by.end(),
                            [](const Trial& t) { return t.outcome == TrialOutcome::opened; });
  if (opened) return "opened";
  return result.answer == "opened" || result.by.empty() ? "not-tried" : result.answer;
}

std::optional<Probe> load(Dossier& d, const std::string& provider, const std::string& digest,
                          const char* which) {
  auto content = d.evidence(digest);
  if (!content) {
    d.findings.weak("evidence/" + digest,
                    "is missing: the transcript " + std::string(which) + " of " + provider);
    return std::nullopt;
  }
  std::optional<Probe> out;
  d.findings.guard("evidence/" + digest, [&] {
    Probe p = read_probe(*content);
    auto known = d.providers.find(provider);
    p.same_place = p.same_place && known != d.providers.end() && p.place.same_place(known->second.identity);
    ProbeTranscript transcript = ProbeTranscript::from_json(read_record(*content, "transcript"));
    ProbeRequest request = ProbeRequest::from_json(transcript.request);
    ProbeReport report = kesu::read_probe(transcript);
    for (size_t i = 0; i < request.samples.size(); ++i) {
      const ProbeSample& asked = request.samples[i];
      Sample sample{asked.id, asked.key.str(), dataset_of_sample(asked, d.vault)};
      if (!p.samples.emplace(sample, sample_answer(report.samples[i])).second)
        throw Error(Code::bad_input, "transcript: a sample stands there twice");
    }
    out = std::move(p);
  });
  return out;
}

// Whether the label is that of a version whose destruction the ledger records: then it was kesu.
bool destroyed_by_kesu(const Dossier& d, const std::string& label) {
  constexpr std::string_view kPrefix = "kesu:";
  const auto node = label.starts_with(kPrefix) ? d.graph.find(label.substr(kPrefix.size())) : std::nullopt;
  return node && (node->state == "destroyed" || node->state == "destroyed-compromised");
}

// What others took away between the two: kesu left it, the enumeration after does not show it.
void find_removed(Dossier& d, const Probe& before, const Probe& after) {
  std::set<std::string> ours;
  for (const std::string& version : d.kill.versions)
    if (const auto& ref = d.keys.at(version).ref) ours.insert(ref->label);
  std::vector<ObjectSeen> left = after.objects;
  for (const ObjectSeen& object : before.objects) {
    auto it = std::find(left.begin(), left.end(), object);
    if (it != left.end())
      left.erase(it);
    else if (!ours.contains(object.label) && !destroyed_by_kesu(d, object.label))
      d.removed_by_others.insert(object.label.empty() ? object.object_class + " " + hex(object.id)
                                                      : object.label);
  }
}

// The inspections around each destruction outside an erasure.
void read_looks(Dossier& d) {
  for (const Header& h : d.headers) {
    if (h.type != "key-inspected") continue;
    const std::string& version = h.nodes.front().id;
    if (std::find(d.kill.versions.begin(), d.kill.versions.end(), version) == d.kill.versions.end()) continue;
    const Json* body = d.body(h.seq);
    if (!body) {
      d.findings.weak(std::string(bundle::kBodies), brief_number(h.seq) + " (key-inspected) is not opened");
      continue;
    }
    d.findings.guard(brief_number(h.seq), [&] {
      KeyLook look;
      look.seq = h.seq;
      look.provider = body->str("provider");
      look.answer = body->str("answer");
      look.before_digest = body->str("before");
      look.after_digest = body->str("after");
      if (auto p = load(d, look.provider, look.before_digest, "before"))
        look.before = std::make_shared<const Probe>(*std::move(p));
      if (auto p = load(d, look.provider, look.after_digest, "after"))
        look.after = std::make_shared<const Probe>(*std::move(p));
      if (look.before && look.after) find_removed(d, *look.before, *look.after);
      d.keys.at(version).looks.push_back(std::move(look));
    });
  }
}

void check_seed(Dossier& d, const Json& body) {
  const Json& head = body.at("head");
  int64_t size = head.num("size");
  if (size < 0 || static_cast<uint64_t>(size) > *d.started)
    throw Error(Code::bad_input, "head is not before the erasure's start");
  if (body.at("samples").str("seed") != head.str("root"))
    throw Error(Code::bad_input, "the samples' seed is not the ledger's root");
  if (d.headers_complete && hex(tree_root({d.leaves.data(), static_cast<size_t>(size)})) != head.str("root"))
    throw Error(Code::bad_input, "head is not the ledger's root at that size");
}

}  // namespace

// Every answer is judged again from the enumeration and the trials that were recorded.
Probe read_probe(ByteView content) {
  ProbeTranscript transcript = ProbeTranscript::from_json(read_record(content, "transcript"));
  ProbeRequest request = ProbeRequest::from_json(transcript.request);
  ProbeReport report = kesu::read_probe(transcript);
  Probe p;
  p.answered = report.error_code.empty() && report.identity.has_value();
  p.same_place = report.same_place;
  if (report.identity) p.place = *report.identity;
  p.tries_remaining = request.try_remaining;
  p.control = probe_text(report.control);
  p.control_ref = request.control;
  p.started = report.started;
  p.ended = report.ended;
  p.boot_id = report.boot_id;
  p.sample_request = request.to_json().at("samples").canonical();
  if (report.enumeration) {
    p.complete = report.enumeration->complete;
    p.objects = report.enumeration->objects;
  }
  for (size_t i = 0; i < request.keys.size(); ++i) {
    std::string version = request.keys[i].version.str();
    if (!p.asked.emplace(version, request.keys[i]).second)
      throw Error(Code::bad_input, "transcript: " + version + " is asked for twice");
    p.keys[version] = {std::string(probe_text(report.keys[i].answer)), report.keys[i].canary};
  }
  return p;
}

namespace {
// Those that an entry names. Throws bad_input for more than there are providers: each is read whole.
std::vector<Inspection> inspections_in(Dossier& d, const Json& body) {
  std::vector<Inspection> out;
  if (body.at("inspections").size() > d.plan.at("providers").size())
    throw Error(Code::bad_input, "more inspections than the plan has providers");
  for (const Json& item : body.at("inspections").as_array()) {
    Inspection i;
    i.provider = item.str("provider");
    i.before_digest = item.str("before");
    i.after_digest = item.str("after");
    i.before = load(d, i.provider, i.before_digest, "before");
    i.after = load(d, i.provider, i.after_digest, "after");
    out.push_back(std::move(i));
  }
  return out;
}

// The verifier's own inspections, beside those of the erasure.
void read_verifications(Dossier& d) {
  for (const Header& h : d.headers) {
    if (h.type != "erasure-verified" || h.nodes.front().id != d.erasure) continue;
    d.verifications.clear();
    const Json* body = d.body(h.seq);
    if (!body) continue;  // said where the acts are read
    d.findings.guard(brief_number(h.seq), [&] { d.verifications = inspections_in(d, *body); });
  }
}
}  // namespace

void read_inspections(Dossier& d) {
  read_verifications(d);
  read_looks(d);
  std::map<std::string, std::string> before;  // provider → transcript at the start
  if (const Json* body = d.started ? d.body(*d.started) : nullptr) {
    d.findings.guard(brief_number(*d.started), [&] {
      if (body->str("plan") != d.plan_digest) throw Error(Code::bad_input, "another plan was started");
      for (const Json& i : body->at("inspections").as_array())
        before[i.str("provider")] = i.str("transcript");
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
    for (Inspection& i : inspections_in(d, *body)) {
      if (before[i.provider] != i.before_digest)
        throw Error(Code::bad_input, "before: is not the transcript of the erasure's start");
      if (i.before && i.after) find_removed(d, *i.before, *i.after);
      if (i.after) d.samples += static_cast<int64_t>(i.after->samples.size());
      d.inspections.push_back(std::move(i));
    }
  });
}

}  // namespace kesu::dossier
