// The vault in memory: plan, signatures, inspections, destruction.
#include <gtest/gtest.h>

#include "vault_double.h"

namespace kesu::test {

void TestVault::make_plan() {
  LedgerReading ledger = read_ledger_source(*this, true);
  KillSet kill = kill_set(ledger.graph, {dataset.str()});
  Json versions((Json::Array())), order((Json::Array())), copies((Json::Array()));
  for (const std::string& v : kill.versions) {
    const KeyRef& ref = refs.at(v);
    versions.push(Json::object({{"version", v},
                                {"name", "loans"},
                                {"provider", provider.str()},
                                {"label", ref.label},
                                {"canary", hex(ref.canary->digest)}}));
    if (ledger.graph.find(v)->state != "destroyed")
      order.push(Json::object({{"step", "destroy"}, {"version", v}}));
  }
  for (const std::string& c : kill.copies)
    copies.push(Json::object({{"id", c}, {"state", ledger.graph.find(c)->state}}));
  std::vector<Digest32> leaves;
  int64_t bytes = 0, batches = 0;
  for (const Header& h : ledger.headers)
    if (h.type == "seal-done") {
      ++batches;
      bytes += *h.nodes[0].b;
      for (auto& [object, leaf] : parse_segment_leaves(segments_.at(h.nodes[0].id)).objects)
        leaves.push_back(leaf);
    }
  const ProviderIdentity& id = token;
  plan = Json::object({{"type", "kesu-plan-v1"},
                       {"vault", vault.str()},
                       {"organisation", organisation},
                       {"erasure", erasure.str()},
                       {"created", utc_text(now)},
                       {"ledger", Json::object({{"size", size()}, {"root", hex(tree_root(ledger.leaves))}})},
                       {"profile", "low"},
                       {"profile_digest", profiles_digest()},
                       {"policy_digest", hex(sha256(as_bytes(policy::policy_data())))},
                       {"quorum", quorum},
                       {"waiting_seconds", waiting},
                       {"datasets", Json::array({Json::object({{"id", dataset.str()},
                                                               {"name", "loans-2019"},
                                                               {"objects", leaves.size()},
                                                               {"bytes", bytes},
                                                               {"inventory_root", hex(tree_root(leaves))},
                                                               {"batches", batches}})})},
                       {"key_versions", versions},
                       {"providers", Json::array({Json::object({{"id", provider.str()},
                                                                {"name", "hsm"},
                                                                {"kind", id.kind},
                                                                {"serial", id.serial},
                                                                {"label", id.label},
                                                                {"manufacturer", id.manufacturer},
                                                                {"control", control.str()}})})},
                       {"copies", copies},
                       {"order", order},
                       {"exceptions", Json(Json::Array())},
                       {"windows", Json(Json::Array())}});
  if (edit_plan) edit_plan(plan);
}

void TestVault::sign(const std::string& action, Officer& who) {
  std::string digest = put_blob(plan.canonical());
  Statement s{action,        vault,    organisation,
              erasure,       digest,   action == "request" ? "operator" : "approver",
              who.id,        who.name, plan_summary(plan),
              now + 86400000};
  std::string ns = s.signature_namespace();
  const SigningKey* key = &who.key;
  if (edit_statement) edit_statement(s, ns, key);
  std::string text = s.text();
  Json body = Json::object({{"operator", who.id.str()},
                            {"statement", put_blob(text)},
                            {"signature", put_blob(ssh_sign(*key, text, ns))}});
  if (action == "request") {
    body.set("plan", digest).set("datasets", texts({dataset.str()})).set("reason", "exit");
    append("erasure-requested", {{.id = erasure.str(), .is = "requested", .d = digest}}, {}, body);
    append("dataset-frozen", {{.id = dataset.str(), .is = "frozen", .of = erasure.str()}}, {},
           Json::object({{"reason", "requested"}}));
  } else {
    body.set("role", "approver").set("have", 1).set("need", quorum);
    append("erasure-approved", {{.id = erasure.str(), .is = "approved"}, {.id = who.id.str()}}, {}, body);
  }
}

std::string TestVault::probe(const std::string& when) {
  std::vector<KeyRef> keys;
  for (const Json& step : plan.at("order").as_array())
    if (auto it = refs.find(step.str("version")); it != refs.end()) keys.push_back(it->second);
  return probe(when, when == "after", keys, samples_);
}

std::string TestVault::probe(const std::string& when, bool gone, const std::vector<KeyRef>& keys,
                             const std::vector<ProbeSample>& samples) {
  ProbeRequest request{.uri = "pkcs11:token=bank",
                       .identity = token,
                       .keys = keys,
                       .control = refs.at(control.str()),
                       .samples = samples};
  ProbeReport report;
  report.program = kProbeProgram;
  report.started = now;
  report.ended = now += 100;
  report.identity = token;
  report.same_place = true;
  report.control = ProbeAnswer::usable;
  report.enumeration = Enumeration{true, "", {}};
  auto seen = [](const KeyRef& ref, const char* object_class, const char* type) {
    return ObjectSeen{object_class, type, ref.label, ref.id, ref.check_value};
  };
  for (const auto& [version, ref] : refs) {
    if (std::find(older_.begin(), older_.end(), ref.version) != older_.end()) continue;
    if (ref.public_key.empty()) {
      bool dying = std::any_of(request.keys.begin(), request.keys.end(),
                               [&](const KeyRef& k) { return k.version == ref.version; });
      if (!gone || !dying) report.enumeration->objects.push_back(seen(ref, "CKO_SECRET_KEY", "CKK_AES"));
    } else {
      report.enumeration->objects.push_back(seen(ref, "CKO_PRIVATE_KEY", "CKK_EC"));
      report.enumeration->objects.push_back(seen(ref, "CKO_PUBLIC_KEY", "CKK_EC"));
    }
  }
  auto trials = [&](const KeyRef& wanted, bool digest) {
    std::vector<Trial> out;
    for (const ObjectSeen& o : report.enumeration->objects) {
      if (o.object_class != "CKO_SECRET_KEY") continue;
      bool opens = o.label == wanted.label;
      Trial t{o,
              opens ? TrialOutcome::opened : TrialOutcome::failed,
              "CKM_AES_GCM",
              opens ? "CKR_OK" : "CKR_GENERAL_ERROR",
              {}};
      if (opens && digest) t.digest = wanted.canary->digest;
      out.push_back(t);
    }
    return out;
  };
  for (const KeyRef& ref : request.keys) {
    ProbeKey key;
    key.version = ref.version;
    key.found = gone ? 0 : 1;
    key.by = trials(ref, true);
    key.canary = gone ? "not-tried" : "opened";
    report.keys.push_back(key);
  }
  for (const ProbeSample& s : samples) {
    std::vector<Trial> by = trials(refs.at(s.key.str()), false);
    bool opens =
        std::any_of(by.begin(), by.end(), [](const Trial& t) { return t.outcome == TrialOutcome::opened; });
    report.samples.push_back({s.id, opens ? "opened" : "failed", by});
  }
  if (edit_probe) edit_probe(report, when);
  for (size_t i = 0; i < request.keys.size(); ++i)
    judge_key(request, report, request.keys[i], report.keys[i]);
  ProbeTranscript transcript;
  transcript.request = request.to_json();
  transcript.answer = report.to_json();
  transcript.exit = 0;
  return put_blob(transcript.to_json().canonical());
}

void TestVault::rewrap_and_destroy(const VersionRef& older) {
  make_key(older, KeyPurpose::wrap, "loans", nullptr);
  std::string batch = entries().at(find("seal-done")).header.nodes[0].id;
  append("rewrap-intended", {{.id = batch, .n = 2}}, {{older.str(), batch}},
         Json::object({{"version", older.str()}}));
  append("rewrap-done", {{.id = batch, .n = 2}}, {},
         Json::object({{"version", older.str()}, {"wrap_algorithm", "AES-256-GCM"}}));
  const KeyRef& ref = refs.at(older.str());
  std::string before = probe("earlier before", false, {ref}, {});
  Json intended =
      Json::object({{"ref", ref.to_json()}, {"attributes", attributes(ref)}, {"from", "deactivated"}});
  if (name_before) intended.set("before", name_before(before));
  append("destroy-intended", {{.id = older.str(), .is = "destroying"}}, {}, intended);
  Receipt receipt{"C_DestroyObject", "CKR_OK", true, now, {}, attributes(ref)};
  append("destroy-done", {{.id = older.str(), .is = "destroyed"}}, {},
         Json::object({{"receipt", put_blob(receipt.to_json().canonical())}, {"receipt_lost", false}}));
  std::string after = probe("earlier after", true, {ref}, {});
  older_.push_back(older);
  Event inspected{
      "key-inspected",
      {{.id = older.str()}},
      {},
      Json::object(
          {{"provider", provider.str()}, {"before", before}, {"after", after}, {"answer", "absent"}})};
  if (edit_inspected) edit_inspected(inspected);
  if (!inspected.type.empty()) append(inspected.type, inspected.nodes, inspected.edges, inspected.body);
}

void TestVault::run() {
  LedgerReading ledger = read_ledger_source(*this, true);
  Digest32 seed = tree_root(ledger.leaves);
  // Four objects: the rule draws all of them, in whatever order.
  for (size_t i = 0; i < std::min<size_t>(wrapped_.size(), kMaxSamples); ++i) {
    const auto& [object, wrapped] = wrapped_[i];
    samples_.push_back({object.str(), wrap, wrap_aad(vault, dataset, object, wrap), wrapped});
    for (const VersionRef& older : older_)
      if (sample_older)
        samples_.push_back({object.str(), older, wrap_aad(vault, dataset, object, older), wrapped});
  }
  std::string before = probe("before"), digest = put_blob(plan.canonical());
  append("erasure-started", {{.id = erasure.str(), .is = "running"}}, {},
         Json::object({{"plan", digest},
                       {"head", Json::object({{"size", ledger.leaves.size()}, {"root", hex(seed)}})},
                       {"inspections",
                        Json::array({Json::object({{"provider", provider.str()}, {"transcript", before}})})},
                       {"samples", Json::object({{"rule", kSampleRule},
                                                 {"seed", hex(seed)},
                                                 {"size", samples_.size()},
                                                 {"found", samples_.size()}})}}));
  for (const Json& step : plan.at("order").as_array()) {
    const KeyRef& ref = refs.at(step.str("version"));
    append("destroy-intended", {{.id = ref.version.str(), .is = "destroying", .of = erasure.str()}}, {},
           Json::object({{"ref", ref.to_json()}, {"attributes", attributes(ref)}, {"from", "active"}}));
    Receipt receipt{"C_DestroyObject", "CKR_OK", true, now, {}, attributes(ref)};
    Json body = Json::object({{"receipt", put_blob(receipt.to_json().canonical())}, {"receipt_lost", false}});
    if (lose_receipt)
      body = Json::object({{"receipt", Json()}, {"receipt_lost", true}, {"transcript", probe("after")}});
    append("destroy-done", {{.id = ref.version.str(), .is = "destroyed"}}, {}, body);
  }
  happens("after-destroy");
  append("erasure-inspected", {{.id = erasure.str(), .is = "destroyed"}}, {},
         Json::object(
             {{"inspections",
               Json::array({Json::object(
                   {{"provider", provider.str()}, {"before", before}, {"after", probe("after")}})})},
              {"result", Json::object({{"absent", 1}, {"unknown", 0}, {"usable", 0}, {"refused", 0}})}}));
  const Json& d = plan.at("datasets").as_array()[0];
  append("dataset-erased",
         {{.id = dataset.str(),
           .is = "erased",
           .of = erasure.str(),
           .n = d.num("objects"),
           .b = d.num("bytes"),
           .d = d.str("inventory_root")}},
         {}, Json::object({{"reason", "done"}}));
}

namespace {

TEST(TestVault, LivesByTheRulesOfTheLedger) {
  TestVault v;
  v.live();
  for (uint64_t seq = 0; seq < v.size(); ++seq) EXPECT_EQ(Header::parse(v.header(seq)).seq, seq);
  LedgerReading ledger = read_ledger_source(v, true);
  EXPECT_EQ(kill_set(ledger.graph, {v.dataset.str()}).versions, std::vector<std::string>{v.wrap.str()});
  EXPECT_TRUE(living_paths(ledger.graph, {v.dataset.str()}, v.now).empty());
}

}  // namespace
}  // namespace kesu::test
