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
  Genesis g{vault, organisation, "bank.example", "low", quorum, waiting, false, {}};
  for (const Officer& o : officers) g.officers.push_back({o.name, o.title, o.line(), o.roles});
  std::string text = g.text(), digest = put_blob(text);
  Json signatures((Json::Array()));
  for (const Officer& o : officers)
    signatures.push(Json::object(
        {{"operator", o.id.str()}, {"signature", put_blob(ssh_sign(o.key, text, kGenesisNamespace))}}));
  append("genesis", {{.id = vault.str(), .is = "open", .d = digest}}, {},
         Json::object({{"organisation", organisation},
                       {"origin", "bank.example/kesu/" + vault.str()},
                       {"program", "kesu test"},
                       {"profile", "low"},
                       {"quorum", quorum},
                       {"waiting_seconds", waiting},
                       {"statement", digest},
                       {"signatures", signatures}}));
  for (const Officer& o : officers)
    append("operator-enrolled", {{.id = o.id.str(), .is = "enrolled"}}, {},
           Json::object({{"name", o.name},
                         {"title", o.title},
                         {"roles", texts(o.roles)},
                         {"public_key", o.line()},
                         {"fingerprint", SshPublicKey::parse_line(o.line()).fingerprint()}}));
}

void TestVault::make_key(const VersionRef& version, KeyPurpose purpose, const std::string& name,
                         const SigningKey* key) {
  KeyRef ref{version, purpose, object_label(version), object_id(version), "", {}, {}};
  if (key)
    ref.public_key = key->public_key().spki();
  else
    ref.canary = Canary{"CKM_AES_GCM", system_random().bytes(12), system_random().bytes(48),
                        sha256(system_random().bytes(32))};
  if (!key) ref.check_value = hex(system_random().bytes(3));
  refs[version.str()] = ref;
  Bytes all = ref.canary ? to_bytes(ref.canary->digest) : ref.public_key;
  Birth birth{ref, attributes(ref), {}};
  append(
      "key-intended", {{.id = version.str(), .is = "intended", .of = provider.str()}}, {},
      Json::object(
          {{"name", name}, {"purpose", purpose_text(purpose)}, {"label", ref.label}, {"id", hex(ref.id)}}));
  append("key-created", {{.id = version.str(), .is = "active", .of = provider.str(), .d = hex(sha256(all))}},
         {},
         Json::object({{"name", name},
                       {"purpose", purpose_text(purpose)},
                       {"ref", ref.to_json()},
                       {"birth", put_blob(birth.to_json().canonical())},
                       {"left_out", Json(Json::Array())},
                       {"interrupted", false}}));
}

void TestVault::seal() {
  Json history_json =
      Json::object({{"statement", history}, {"by", history == "unknown" ? "" : "Tanaka"}, {"detail", ""}});
  append("dataset-added", {{.id = dataset.str(), .is = "open"}}, {},
         Json::object({{"name", "loans-2019"},
                       {"key", wrap.key.str()},
                       {"class", "confidential"},
                       {"region", "tokyo"},
                       {"owner", "Loans"},
                       {"contract", "C-1"},
                       {"locations", texts({"/mnt/out"})},
                       {"unreadable_until", "open-ended"},
                       {"content_algorithm", "AES-256-GCM"},
                       {"chunk", 16384},
                       {"bind_payload", bind_payload},
                       {"plaintext_history", history_json}}));
  append("dataset-key-created", {{.id = dataset_key.str(), .is = "active", .of = dataset.str()}},
         {{wrap.str(), dataset_key.str()}},
         Json::object({{"version", wrap.str()},
                       {"wrapped", Json::object({{"algorithm", 1}, {"nonce", ""}, {"blob", ""}})}}));
  ProcessId process = system_random().id<ProcessId>();
  append("process-started", {{.id = process.str(), .is = "alive", .t = now + 3600000}},
         {{process.str(), dataset.str()}}, Json::object({{"host", "h"}, {"purpose", "seal"}}));
  for (int b = 0; b < 2; ++b) {
    BatchId batch = system_random().id<BatchId>();
    append("seal-intended", {{.id = batch.str(), .is = "intended", .of = dataset.str(), .n = 2}},
           {{wrap.str(), batch.str()}},
           Json::object({{"location", "/mnt/out"},
                         {"objects", Json(Json::Array())},
                         {"version", wrap.str()},
                         {"dataset_key", dataset_key.str()}}));
    std::vector<SegmentObject> list;
    int64_t bytes = 0;
    for (int i = 0; i < 2; ++i) {
      std::string content(static_cast<size_t>(1000 * (b + 1) + i), 'x');
      SealRequest request{
          vault, dataset, system_random().id<ObjectId>(), wrap, AeadAlg::aes256_gcm, 16384, bind_payload, {}};
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
            wrapped_.emplace_back(request.object, WrappedKey{WrapAlg::aes256_gcm, system_random().bytes(12),
                                                             system_random().bytes(80)});
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
    append("seal-done",
           {{.id = batch.str(),
             .is = "sealed",
             .of = dataset.str(),
             .n = 2,
             .b = bytes,
             .d = hex(parse_segment_leaves(segment).root())}},
           {},
           Json::object({{"segment", hex(sha256(segment))},
                         {"version", wrap.str()},
                         {"dataset_key", dataset_key.str()},
                         {"content_algorithm", "AES-256-GCM"},
                         {"wrap_algorithm", "AES-256-GCM"},
                         {"chunk", 16384},
                         {"interrupted", false}}));
  }
  append("process-ended", {{.id = process.str(), .is = "ended"}}, {}, Json::object({{"how", "returned"}}));
}

void TestVault::live() {
  genesis();
  happens("after-genesis");
  append("provider-added",
         {{.id = provider.str(), .is = "open", .d = hex(sha256(as_bytes(token.to_json().canonical())))}}, {},
         Json::object({{"name", "hsm"},
                       {"uri", "pkcs11:token=bank"},
                       {"identity", token.to_json()},
                       {"capabilities", Json(Json::Object{})},
                       {"grade", Json::object({{"test", true}})}}));
  make_key(control, KeyPurpose::control, "control-hsm", nullptr);
  make_key(ledger_version, KeyPurpose::sign_ledger, "ledger", &ledger_key);
  append("ledger-key-set", {{.id = ledger_version.str()}}, {},
         Json::object(
             {{"vkey", NoteKey::make("bank.example/kesu/" + vault.str(), ledger_key.public_key()).vkey()}}));
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
  certificate_der = build_self_signed({"Example Bank erasure certificates", "Example Bank", "JP"},
                                      certificate_key.public_key(), now - 86400000, now + 86400000LL * 365,
                                      system_random(), certificate_key.signer());
}

std::string TestVault::checkpoint() {
  LedgerReading ledger = read_ledger_source(*this, true);
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
  IssueRequest request{
      erasure.str(),   certificate.str(),
      "kesu 0.1.0",    now,
      certificate_der, NoteKey::make("bank.example/kesu/" + vault.str(), ledger_key.public_key()).vkey(),
      checkpoint()};
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
  add_signature(files, build_detached_cades(files["certificate.json"], certificate_der, {}, now,
                                            certificate_key.signer()));
  Event issued = seal_manifest(files);
  append(issued.type, issued.nodes, issued.edges, issued.body);
  happens("before-b");
  if (checked)
    finish_bundle(files, *this, checkpoint());
  else
    put_final_ledger(files, *this, checkpoint());
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
  EXPECT_NE(render_report(r, true).find("COMPLETE for profile low, plaintext history unknown"),
            std::string::npos);
}

}  // namespace
}  // namespace kesu::test
