// The vault in memory, and that an honest one is certified and verified.
#include "vault_double.h"

#include <gtest/gtest.h>

namespace kesu::test {

Officer& TestVault::officer(std::string_view name) {
  for (Officer& o : officers)
    if (o.name == name) return o;
  throw Error(Code::not_found, "no officer");
}

void TestVault::genesis() {
  Genesis g{vault, organisation, "bank.example", "low", quorum, waiting, {}};
  for (const Officer& o : officers) g.officers.push_back({o.name, o.title, o.line(), o.roles});
  std::string text = g.text(), digest = put_blob(text);
  Json signatures((Json::Array()));
  for (const Officer& o : officers)
    signatures.push(Json::object({{"operator", o.id.str()}, {"signature", put_blob(ssh_sign(o.key, text, kGenesisNamespace))}}));
  append("genesis", {{.id = vault.str(), .is = "open", .d = digest}}, {},
         Json::object({{"organisation", organisation}, {"origin", "bank.example/kesu/" + vault.str()}, {"program", "kesu test"}, {"profile", "low"},
                       {"quorum", quorum}, {"waiting_seconds", waiting}, {"statement", digest}, {"signatures", signatures}}));
  for (const Officer& o : officers)
    append("operator-enrolled", {{.id = o.id.str(), .is = "enrolled"}}, {},
           Json::object({{"name", o.name}, {"title", o.title}, {"roles", texts(o.roles)}, {"public_key", o.line()},
                         {"fingerprint", SshPublicKey::parse_line(o.line()).fingerprint()}}));
}

namespace {
ProviderIdentity identity() {
  return {.kind = "pkcs11", .label = "bank", .serial = "9f01", .manufacturer = "SoftHSM project", .model = "SoftHSM v2", .firmware = "2.6", .hardware = "2.6",
          .module_path = "/usr/lib/softhsm/libsofthsm2.so", .module_sha256 = std::string(64, 'a'), .library_manufacturer = "SoftHSM",
          .library_description = "Implementation of PKCS11", .library_version = "2.6"};
}
Json attributes(const KeyRef& ref) {
  return Json::object({{"CKA_LABEL", ref.label}, {"CKA_ID", hex(ref.id)}, {"CKA_LOCAL", true}, {"CKA_SENSITIVE", true}, {"CKA_ALWAYS_SENSITIVE", true},
                       {"CKA_EXTRACTABLE", false}, {"CKA_NEVER_EXTRACTABLE", true}});
}
}  // namespace

void TestVault::make_key(const VersionRef& version, KeyPurpose purpose, const std::string& name, const SigningKey* key) {
  KeyRef ref{version, purpose, object_label(version), object_id(version), "", {}, {}};
  if (key) ref.public_key = key->public_key().spki();
  else ref.canary = Canary{"CKM_AES_GCM", system_random().bytes(12), system_random().bytes(48), sha256(system_random().bytes(32))};
  if (!key) ref.check_value = hex(system_random().bytes(3));
  refs[version.str()] = ref;
  Bytes all = ref.canary ? to_bytes(ref.canary->digest) : ref.public_key;
  Birth birth{ref, attributes(ref), {}};
  append("key-intended", {{.id = version.str(), .is = "intended", .of = provider.str()}}, {},
         Json::object({{"name", name}, {"purpose", purpose_text(purpose)}, {"label", ref.label}, {"id", hex(ref.id)}}));
  append("key-created", {{.id = version.str(), .is = "active", .of = provider.str(), .d = hex(sha256(all))}}, {},
         Json::object({{"name", name}, {"purpose", purpose_text(purpose)}, {"ref", ref.to_json()}, {"birth", put_blob(birth.to_json().canonical())},
                       {"left_out", Json(Json::Array())}, {"interrupted", false}}));
}

void TestVault::seal() {
  Json history_json = Json::object({{"statement", history}, {"by", history == "unknown" ? "" : "Tanaka"}, {"detail", ""}});
  append("dataset-added", {{.id = dataset.str(), .is = "open"}}, {},
         Json::object({{"name", "loans-2019"}, {"key", wrap.key.str()}, {"class", "confidential"}, {"region", "tokyo"}, {"owner", "Loans"}, {"contract", "C-1"},
                       {"locations", texts({"/mnt/out"})}, {"unreadable_until", "open-ended"}, {"content_algorithm", "AES-256-GCM"}, {"chunk", 16384},
                       {"bind_payload", bind_payload}, {"plaintext_history", history_json}}));
  append("dataset-key-created", {{.id = dataset_key.str(), .is = "active", .of = dataset.str()}}, {{wrap.str(), dataset_key.str()}},
         Json::object({{"version", wrap.str()}, {"wrapped", Json::object({{"algorithm", 1}, {"nonce", ""}, {"blob", ""}})}}));
  ProcessId process = system_random().id<ProcessId>();
  append("process-started", {{.id = process.str(), .is = "alive", .t = now + 3600000}}, {{process.str(), dataset.str()}},
         Json::object({{"host", "h"}, {"purpose", "seal"}}));
  for (int b = 0; b < 2; ++b) {
    BatchId batch = system_random().id<BatchId>();
    append("seal-intended", {{.id = batch.str(), .is = "intended", .of = dataset.str(), .n = 2}}, {{wrap.str(), batch.str()}},
           Json::object({{"location", "/mnt/out"}, {"objects", Json(Json::Array())}, {"version", wrap.str()}, {"dataset_key", dataset_key.str()}}));
    std::vector<SegmentObject> list;
    int64_t bytes = 0;
    for (int i = 0; i < 2; ++i) {
      std::string content(static_cast<size_t>(1000 * (b + 1) + i), 'x');
      SealRequest request{vault, dataset, system_random().id<ObjectId>(), wrap, AeadAlg::aes256_gcm, 16384, bind_payload, {}};
      request.metadata.name = "f";
      size_t read_at = 0;
      Bytes out;
      SealedObject sealed = seal_object(
          request,
          [&](std::span<uint8_t> part) {
            size_t n = std::min(part.size(), content.size() - read_at);
            std::copy_n(content.begin() + static_cast<long>(read_at), n, part.begin());
            read_at += n;
            return n;
          },
          [&](uint64_t offset, ByteView part) {
            out.resize(std::max(out.size(), static_cast<size_t>(offset) + part.size()));
            std::copy(part.begin(), part.end(), out.begin() + static_cast<long>(offset));
          },
          [&](const Secret&, ByteView) {
            wrapped_.emplace_back(request.object, WrappedKey{WrapAlg::aes256_gcm, system_random().bytes(12), system_random().bytes(80)});
            return wrapped_.back().second;
          },
          system_random());
      objects.push_back(out);
      SegmentObject o;
      o.object = request.object;
      o.leaf = sealed.leaf;
      o.name = o.place = "f";
      o.bytes = content.size();
      o.salt = system_random().bytes(16);
      bytes += static_cast<int64_t>(content.size());
      list.push_back(o);
    }
    SegmentHeader head{vault, dataset, batch, dataset_key};
    Bytes segment = write_segment(head, list, system_random().secret(64), system_random());
    segments_[batch.str()] = segment;
    append("seal-done", {{.id = batch.str(), .is = "sealed", .of = dataset.str(), .n = 2, .b = bytes, .d = hex(parse_segment_leaves(segment).root())}}, {},
           Json::object({{"segment", hex(sha256(segment))}, {"version", wrap.str()}, {"dataset_key", dataset_key.str()}, {"content_algorithm", "AES-256-GCM"},
                         {"wrap_algorithm", "AES-256-GCM"}, {"chunk", 16384}, {"interrupted", false}}));
  }
  append("process-ended", {{.id = process.str(), .is = "ended"}}, {}, Json::object({{"how", "returned"}}));
}

void TestVault::make_plan() {
  LedgerReading ledger = read_ledger_source(*this);
  KillSet kill = kill_set(ledger.graph, {dataset.str()});
  Json versions((Json::Array())), order((Json::Array())), copies((Json::Array()));
  for (const std::string& v : kill.versions) {
    const KeyRef& ref = refs.at(v);
    versions.push(Json::object({{"version", v}, {"name", "loans"}, {"provider", provider.str()}, {"label", ref.label}, {"canary", hex(ref.canary->digest)}}));
    order.push(Json::object({{"step", "destroy"}, {"version", v}}));
  }
  for (const std::string& c : kill.copies) copies.push(Json::object({{"id", c}, {"state", ledger.graph.find(c)->state}}));
  std::vector<Digest32> leaves;
  int64_t bytes = 0, batches = 0;
  for (const Header& h : ledger.headers)
    if (h.type == "seal-done") {
      ++batches;
      bytes += *h.nodes[0].b;
      for (auto& [object, leaf] : parse_segment_leaves(segments_.at(h.nodes[0].id)).objects) leaves.push_back(leaf);
    }
  ProviderIdentity id = identity();
  plan = Json::object(
      {{"type", "kesu-plan-v1"}, {"vault", vault.str()}, {"organisation", organisation}, {"erasure", erasure.str()}, {"created", utc_text(now)},
       {"ledger", Json::object({{"size", size()}, {"root", hex(tree_root(ledger.leaves))}})}, {"profile", "low"}, {"profile_digest", profiles_digest()},
       {"policy_digest", hex(sha256(as_bytes(policy::policy_data())))}, {"quorum", quorum}, {"waiting_seconds", waiting},
       {"datasets", Json::array({Json::object({{"id", dataset.str()}, {"name", "loans-2019"}, {"objects", leaves.size()}, {"bytes", bytes},
                                               {"inventory_root", hex(tree_root(leaves))}, {"batches", batches}})})},
       {"key_versions", versions},
       {"providers", Json::array({Json::object({{"id", provider.str()}, {"name", "hsm"}, {"kind", id.kind}, {"serial", id.serial}, {"label", id.label},
                                                {"manufacturer", id.manufacturer}, {"control", control.str()}})})},
       {"copies", copies}, {"order", order}, {"exceptions", Json(Json::Array())}, {"windows", Json(Json::Array())}});
  if (edit_plan) edit_plan(plan);
}

void TestVault::sign(const std::string& action, Officer& who) {
  std::string digest = put_blob(plan.canonical());
  Statement s{action, vault, organisation, erasure, digest, action == "request" ? "operator" : "approver", who.id, who.name, {"Destroys 1 key version"}, now + 86400000};
  std::string ns = s.signature_namespace();
  const SigningKey* key = &who.key;
  if (edit_statement) edit_statement(s, ns, key);
  std::string text = s.text();
  Json body = Json::object({{"operator", who.id.str()}, {"statement", put_blob(text)}, {"signature", put_blob(ssh_sign(*key, text, ns))}});
  if (action == "request") {
    body.set("plan", digest).set("datasets", texts({dataset.str()})).set("reason", "exit");
    append("erasure-requested", {{.id = erasure.str(), .is = "requested", .d = digest}}, {}, body);
    append("dataset-frozen", {{.id = dataset.str(), .is = "frozen", .of = erasure.str()}}, {}, Json::object({{"reason", "requested"}}));
  } else {
    body.set("role", "approver").set("have", 1).set("need", quorum);
    append("erasure-approved", {{.id = erasure.str(), .is = "approved"}, {.id = who.id.str()}}, {}, body);
  }
}

std::string TestVault::probe(const std::string& when) {
  bool gone = when == "after";
  ProbeRequest request{.uri = "pkcs11:token=bank", .identity = identity(), .keys = {}, .control = refs.at(control.str()), .samples = samples_};
  for (const Json& step : plan.at("order").as_array())
    if (auto it = refs.find(step.str("version")); it != refs.end()) request.keys.push_back(it->second);
  ProbeReport report;
  report.program = kProbeProgram;
  report.started = now;
  report.ended = now += 100;
  report.identity = identity();
  report.same_place = true;
  report.control = ProbeAnswer::usable;
  report.enumeration = Enumeration{true, "", {}};
  auto seen = [](const KeyRef& ref, const char* object_class, const char* type) { return ObjectSeen{object_class, type, ref.label, ref.id, ref.check_value}; };
  for (const auto& [version, ref] : refs) {
    if (ref.public_key.empty()) {
      bool dying = std::any_of(request.keys.begin(), request.keys.end(), [&](const KeyRef& k) { return k.version == ref.version; });
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
      Trial t{o, opens ? TrialOutcome::opened : TrialOutcome::failed, "CKM_AES_GCM", opens ? "CKR_OK" : "CKR_GENERAL_ERROR", {}};
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
  for (const ProbeSample& s : samples_) report.samples.push_back({s.id, gone ? "failed" : "opened", trials(refs.at(s.key.str()), false)});
  if (edit_probe) edit_probe(report, when);
  for (size_t i = 0; i < request.keys.size(); ++i) judge_key(request, report, request.keys[i], report.keys[i]);
  ProbeTranscript transcript;
  transcript.request = request.to_json();
  transcript.answer = report.to_json();
  transcript.exit = 0;
  return put_blob(transcript.to_json().canonical());
}

void TestVault::run() {
  LedgerReading ledger = read_ledger_source(*this);
  Digest32 seed = tree_root(ledger.leaves);
  for (uint64_t i : sample_indices(seed, dataset.str(), wrapped_.size())) {
    const auto& [object, wrapped] = wrapped_[i];
    samples_.push_back({object.str(), wrap, wrap_aad(vault, dataset, object, wrap), wrapped});
  }
  std::string before = probe("before"), digest = put_blob(plan.canonical());
  append("erasure-started", {{.id = erasure.str(), .is = "running"}}, {},
         Json::object({{"plan", digest}, {"head", Json::object({{"size", ledger.leaves.size()}, {"root", hex(seed)}})},
                       {"inspections", Json::array({Json::object({{"provider", provider.str()}, {"transcript", before}})})},
                       {"samples", Json::object({{"rule", kSampleRule}, {"seed", hex(seed)}, {"size", samples_.size()}, {"found", samples_.size()}})}}));
  for (const Json& step : plan.at("order").as_array()) {
    const KeyRef& ref = refs.at(step.str("version"));
    append("destroy-intended", {{.id = ref.version.str(), .is = "destroying", .of = erasure.str()}}, {},
           Json::object({{"ref", ref.to_json()}, {"attributes", attributes(ref)}, {"from", "active"}}));
    Receipt receipt{"C_DestroyObject", "CKR_OK", true, now, {}, attributes(ref)};
    Json body = Json::object({{"receipt", put_blob(receipt.to_json().canonical())}, {"receipt_lost", false}});
    if (lose_receipt) body = Json::object({{"receipt", Json()}, {"receipt_lost", true}, {"transcript", probe("after")}});
    append("destroy-done", {{.id = ref.version.str(), .is = "destroyed"}}, {}, body);
  }
  happens("after-destroy");
  append("erasure-inspected", {{.id = erasure.str(), .is = "destroyed"}}, {},
         Json::object({{"inspections", Json::array({Json::object({{"provider", provider.str()}, {"before", before}, {"after", probe("after")}})})},
                       {"result", Json::object({{"absent", 1}, {"unknown", 0}, {"usable", 0}, {"refused", 0}})}}));
  const Json& d = plan.at("datasets").as_array()[0];
  append("dataset-erased", {{.id = dataset.str(), .is = "erased", .of = erasure.str(), .n = d.num("objects"), .b = d.num("bytes"), .d = d.str("inventory_root")}}, {},
         Json::object({{"reason", "done"}}));
}

void TestVault::live() {
  genesis();
  happens("after-genesis");
  append("provider-added", {{.id = provider.str(), .is = "open", .d = hex(sha256(as_bytes(identity().to_json().canonical())))}}, {},
         Json::object({{"name", "hsm"}, {"uri", "pkcs11:token=bank"}, {"identity", identity().to_json()}, {"capabilities", Json(Json::Object{})},
                       {"grade", Json::object({{"test", true}})}}));
  make_key(control, KeyPurpose::control, "control-hsm", nullptr);
  make_key(ledger_version, KeyPurpose::sign_ledger, "ledger", &ledger_key);
  append("ledger-key-set", {{.id = ledger_version.str()}}, {},
         Json::object({{"vkey", NoteKey::make("bank.example/kesu/" + vault.str(), ledger_key.public_key()).vkey()}}));
  make_key(certificate_version, KeyPurpose::sign_certificate, "certificate", &certificate_key);
  make_key(wrap, KeyPurpose::wrap, "loans", nullptr);
  seal();
  happens("after-seal");
  make_plan();
  happens("before-request");
  sign("request", officer(requester));
  for (const std::string& name : approvers) sign("approve", officer(name));
  happens("before-start");
  run();
  happens("after-inspect");
  certificate_der = build_self_signed({"Example Bank erasure certificates", "Example Bank", "JP"}, certificate_key.public_key(), now - 86400000, now + 86400000LL * 365,
                                      system_random(), certificate_key.signer());
}

std::string TestVault::checkpoint() {
  LedgerReading ledger = read_ledger_source(*this);
  NoteKey key = NoteKey::make("bank.example/kesu/" + vault.str(), ledger_key.public_key());
  Checkpoint c{key.name, size(), tree_root(ledger.leaves)};
  Note note{c.text(), {sign_note(c.text(), key, ledger_key.signer())}};
  return note.str();
}

TrustAnchors TestVault::trust() const {
  std::string text = "signer sha256:" + hex(sha256(certificate_der)) + "\nlog " +
                     NoteKey::make("bank.example/kesu/" + vault.str(), ledger_key.public_key()).vkey() + "\n";
  for (const Officer& o : officers) text += "officer " + o.line() + "\n";
  return parse_trust(text, [](const std::string&) { return Bytes(); });
}

BundleFiles TestVault::bundle(bool checked) {
  live();
  IssueRequest request{erasure.str(), certificate.str(), "kesu 0.1.0", now, certificate_der,
                       NoteKey::make("bank.example/kesu/" + vault.str(), ledger_key.public_key()).vkey(), checkpoint()};
  BundleFiles files;
  if (checked) {
    files = draft_bundle(*this, request);
  } else {
    files = collect_draft(*this, request);
    write_document(files, dossier::read_dossier(files), request);
  }
  if (edit_certificate) {
    Json document = parse_json(as_text(files["certificate.json"]), "certificate");
    edit_certificate(document);
    files["certificate.json"] = to_bytes(as_bytes(document.canonical()));
  }
  if (edit_files) edit_files(files);
  add_signature(files, build_detached_cades(files["certificate.json"], certificate_der, {}, now, certificate_key.signer()));
  Event issued = seal_manifest(files);
  append(issued.type, issued.nodes, issued.edges, issued.body);
  happens("before-b");
  if (checked) finish_bundle(files, *this, checkpoint());
  else put_final_ledger(files, *this, checkpoint());
  return files;
}

namespace {

TEST(Bundle, OfAnHonestVaultIsComplete) {
  TestVault v;
  BundleFiles files = v.bundle();
  VerifyReport r = verify_bundle(files, v.trust(), TestVault::low());
  EXPECT_EQ(r.verdict, Verdict::complete) << shown(r);
  EXPECT_TRUE(r.errors.empty()) << shown(r);
  EXPECT_EQ(r.claimed_profile, "low");
  EXPECT_TRUE(r.test_grade);
  EXPECT_EQ(r.as_of, static_cast<int64_t>(v.size()));
  EXPECT_EQ(exit_of(r), Exit::done);
  EXPECT_EQ(to_json(r).str("verdict"), "complete");
  EXPECT_NE(render_report(r, true).find("COMPLETE for profile low, plaintext history unknown"), std::string::npos);
}

}  // namespace
}  // namespace kesu::test
