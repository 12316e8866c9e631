// The issuer: draft, signature, MANIFEST, final ledger files. Its own bundle is read as a stranger would.
#include "certificate/issue.h"

#include <algorithm>

#include "base/error.h"
#include "base/memory.h"
#include "certificate/collect_impl.h"
#include "certificate/document_impl.h"
#include "certificate/issue_impl.h"
#include "certificate/readme_impl.h"
#include "certificate/verify.h"
#include "crypto/cms.h"
#include "crypto/hash.h"
#include "crypto/timestamp.h"
#include "ledger/tree.h"

namespace kesu {

namespace {

void put_text(BundleFiles& files, std::string_view path, std::string_view text) {
  files[std::string(path)] = to_bytes(as_bytes(text));
}

const Bytes& file_of(const BundleFiles& files, std::string_view path) {
  auto it = files.find(std::string(path));
  if (it == files.end()) throw Error(Code::not_found, "the bundle has no " + std::string(path));
  return it->second;
}

std::string consistency_text(const LedgerReading& ledger, uint64_t old_size) {
  std::string out;
  for (const Digest32& node : consistency_proof(ledger.leaves, old_size)) out += base64(node) + "\n";
  return out;
}

Checkpoint checkpoint_of(const std::string& note, const LedgerReading& ledger, const char* which) {
  Checkpoint c = Checkpoint::parse_text(Note::parse(note).text);
  if (c.size != ledger.leaves.size() || tree_root(ledger.leaves) != c.root)
    throw Error(Code::conflict,
                std::string("checkpoint ") + which + " is not that of the ledger as it is now")
        .next("make a checkpoint and try again");
  return c;
}

// The plan names the scope and the control keys; the entry that requested names the plan.
Json plan_of(LedgerSource& source, const LedgerReading& ledger, const std::string& erasure, Bytes& bytes) {
  for (const Header& h : ledger.headers) {
    if (h.type != "erasure-requested" || h.nodes.front().id != erasure) continue;
    Json body = parse_json(source.body(h.seq).canonical, "ledger body");
    bytes = source.blob(body.str("plan"));
    return parse_canonical_json(as_text(bytes), "plan");
  }
  throw Error(Code::not_found, "no erasure " + erasure + " was requested");
}

struct Scope {
  std::set<std::string> datasets, controls;
};
Scope scope_of(const Json& plan) {
  Scope out;
  for (const Json& d : plan.at("datasets").as_array()) out.datasets.insert(d.str("id"));
  for (const Json& p : plan.at("providers").as_array()) out.controls.insert(p.str_or("control", ""));
  return out;
}

// Every version that ever was a certificate key: the reader finds the signer's among them.
std::set<std::string> certificate_keys(LedgerSource& source, const LedgerReading& ledger) {
  std::set<std::string> out;
  for (const Header& h : ledger.headers)
    if (h.type == "key-created" &&
        parse_json(source.body(h.seq).canonical, "ledger body").str_or("purpose", "") == "sign-certificate")
      out.insert(h.nodes.front().id);
  return out;
}

std::vector<uint64_t> open_entries(LedgerSource& source, const LedgerReading& ledger,
                                   const std::string& erasure, const Json& plan) {
  Scope scope = scope_of(plan);
  return entries_to_open(ledger, erasure, scope.datasets, scope.controls, certificate_keys(source, ledger));
}

void refuse_if_hard(const std::vector<dossier::Finding>& findings, Code code, const std::string& message) {
  for (const dossier::Finding& f : findings)
    if (f.hard) throw Error(code, message).cause(f.part + ": " + f.what).next("kesu ledger verify");
}

}  // namespace

namespace {
// The files that are not about the certificate itself.
Json collect_files(BundleFiles& files, LedgerSource& source, LedgerReading& ledger,
                   const std::string& erasure, const std::string& vkey, const std::string& checkpoint) {
  Bytes plan_bytes;
  Json plan = plan_of(source, ledger, erasure, plan_bytes);
  std::vector<uint64_t> open = open_entries(source, ledger, erasure, plan);
  files[std::string(bundle::kPlan)] = plan_bytes;
  put_ledger(files, source, ledger, open);
  put_approvals(files, source, open, ledger, ledger.leaves.size());
  put_evidence(files, source, open, ledger);
  put_inventory(files, source, ledger, scope_of(plan).datasets);
  put_text(files, bundle::kCheckpointA, checkpoint);
  put_text(files, bundle::kCheckpointB, checkpoint);
  put_text(files, bundle::kConsistency, "");
  put_text(files, bundle::kLedgerKey, vkey + "\n");
  return plan;
}
}  // namespace

// Reached where the vault takes a hold for released and a reader does not, or for one of another time: what
// was refused before is not this.
[[noreturn]] static void refuse_as_held(const dossier::Dossier& d) {
  std::string which, why;
  for (const dossier::HoldFacts& hold : d.holds)
    if (!hold.released || *hold.released > d.requested)
      which += (which.empty() ? "" : ", ") + hold.id.substr(0, 12) + " on " + hold.subject +
               (hold.released ? ", released after the request" : ", of which no release counts");
  for (const dossier::Finding& f : d.findings.all()) why += "; " + f.part + ": " + f.what;
  throw Error(Code::held,
              "nothing is destroyed: to a reader of the certificate a legal hold would stand in the way")
      .cause(which + why)
      .next(
          "bring back what is missing from a backup of the vault, or release the hold again (kesu hold "
          "release); where it was released after the request, cancel it (kesu erase cancel), then plan, "
          "request and approve anew");
}

void rehearse_bundle(LedgerSource& source, const std::string& erasure, const std::string& vkey,
                     const std::string& checkpoint) {
  BundleFiles files;
  {
    // Gone before the reader folds the same headers anew: of a long ledger, one at a time is enough to hold.
    LedgerReading ledger = read_ledger_source(source, false);
    checkpoint_of(checkpoint, ledger, "A");
    collect_files(files, source, ledger, erasure, vkey, checkpoint);
  }
  give_back_memory();
  dossier::Dossier d = dossier::read_dossier(files);
  refuse_if_hard(d.findings.all(), Code::ledger_damaged,
                 "the vault does not agree with itself about " + erasure);
  std::set<std::string> conditions;
  dossier::people_conditions(d, conditions);
  for (const auto& [condition, what] :
       {std::pair("officers-known", "an officer's signature of the genesis statement does not count"),
        std::pair("requested-signed", "the request does not count"),
        std::pair("quorum-approved", "the approvals do not count")}) {
    if (conditions.contains(condition)) continue;
    std::string why;
    for (const dossier::Finding& f : d.findings.all())
      if (f.part.starts_with("approvals/")) why += (why.empty() ? "" : "; ") + f.part + ": " + f.what;
    throw Error(Code::approvals_missing, std::string("nothing is destroyed: ") + what)
        .cause(why)
        .next("cancel it (kesu erase cancel), then plan, request and approve anew");
  }
  if (!conditions.contains("no-hold")) refuse_as_held(d);
}

BundleFiles collect_draft(LedgerSource& source, const IssueRequest& request) {
  if (!CertificateId::parse(request.certificate))
    throw Error(Code::bad_identifier, "\"" + request.certificate + "\" is no certificate's identifier");
  LedgerReading ledger = read_ledger_source(source, false);
  checkpoint_of(request.checkpoint, ledger, "A");
  const auto erasure = ledger.graph.find(request.erasure);
  if (!erasure) throw Error(Code::not_found, "no erasure " + request.erasure);
  if (erasure->state != "destroyed" && erasure->state != "verified" && erasure->state != "validated")
    throw Error(Code::state_refused,
                "erasure " + request.erasure + " is " + erasure->state + ": there is nothing to certify yet")
        .next("kesu erase run");
  BundleFiles files;
  Json plan = collect_files(files, source, ledger, request.erasure, request.vkey, request.checkpoint);
  std::string signer = Certificate::parse(request.signer_certificate).pem();
  for (const Bytes& issuer : request.signer_chain) signer += Certificate::parse(issuer).pem();
  put_text(files, bundle::kSigner, signer);
  put_text(files, bundle::kReadme,
           readme_text(readme_facts(files, request.certificate, plan.str("organisation"))));
  return files;
}

void write_document(BundleFiles& files, const dossier::Dossier& d, const IssueRequest& request) {
  Json document = dossier::make_document(d, {request.certificate, request.program, request.issued},
                                         dossier::conditions_of(d));
  put_text(files, bundle::kCertificate, document.canonical());
}

BundleFiles draft_bundle(LedgerSource& source, const IssueRequest& request) {
  BundleFiles files = collect_draft(source, request);
  give_back_memory();
  dossier::Dossier d = dossier::read_dossier(files);
  refuse_if_hard(d.findings.all(), Code::ledger_damaged,
                 "the vault does not agree with itself about " + request.erasure);
  write_document(files, d, request);
  return files;
}

void add_signature(BundleFiles& files, ByteView cms) {
  CmsCheck check = verify_detached(file_of(files, bundle::kCertificate), cms);
  if (!check.ok)
    throw Error(Code::signature_bad, "the signature over certificate.json is not good").cause(check.reason);
  files[std::string(bundle::kSignature)] = to_bytes(cms);
}

static ReadmeFacts facts_of_whole(const BundleFiles& files) {
  const Json document =
      parse_canonical_json(as_text(file_of(files, bundle::kCertificate)), "certificate.json");
  return readme_facts(files, document.str("id"), document.str("organisation"));
}

void restore_readme(BundleFiles& files, ByteView manifest) {
  const std::string lines = "\n" + to_text(manifest);
  const ReadmeFacts now = facts_of_whole(files);
  for (int version = kReadmeVersion; version > 0; --version)
    for (bool releases : {now.releases, !now.releases}) {  // what is lost since was there then
      ReadmeFacts then = now;
      then.releases = releases;
      const std::string text = readme_text(then, version);
      const std::string line =
          "\n" + hex(hash(HashAlg::sha512, as_bytes(text))) + "  " + std::string(bundle::kReadme) + "\n";
      if (lines.find(line) != std::string::npos) return put_text(files, bundle::kReadme, text);
    }
  put_text(files, bundle::kReadme, readme_text(now));
}

void add_stamp(BundleFiles& files, ByteView answer, std::string_view chain) {
  const Bytes& signature = file_of(files, bundle::kSignature);
  const TimestampAnswer got = parse_timestamp_answer(answer);
  const TimestampCheck check = verify_timestamp(got.token, {.data = signature});
  if (!check.ok)
    throw Error(Code::bad_input, "the time-stamp over certificate.json.p7s is not good").cause(check.reason);
  if (verify_detached(file_of(files, bundle::kCertificate), signature).timestamps.empty())
    throw Error(Code::bad_input, "certificate.json.p7s has no time-stamp inside");
  files[std::string(bundle::kSignatureStamp)] = to_bytes(answer);
  put_text(files, bundle::kStampChain, chain);
  put_text(files, bundle::kReadme, readme_text(facts_of_whole(files)));
}

void add_checkpoint_stamp(BundleFiles& files, ByteView answer, std::string_view chain) {
  files[std::string(bundle::kCheckpointStamp)] = to_bytes(answer);
  put_text(files, bundle::kCheckpointStampChain, chain);
}

Event seal_manifest(BundleFiles& files) {
  const Bytes& certificate = file_of(files, bundle::kCertificate);
  const Bytes& signature = file_of(files, bundle::kSignature);
  Json document = parse_canonical_json(as_text(certificate), "certificate.json");
  std::string manifest = make_manifest(files);
  put_text(files, bundle::kManifest, manifest);
  Event event;
  event.type = "certificate-issued";
  NodeMention node;
  node.id = document.str("id");
  node.is = "issued";
  node.of = document.str("erasure");
  node.d = hex(hash(HashAlg::sha512, as_bytes(manifest)));
  event.nodes = {node};
  event.body = Json::object({{"certificate", hex(sha256(certificate))},
                             {"signature", hex(sha256(signature))},
                             {"manifest", hex(sha256(as_bytes(manifest)))}});
  if (auto stamp = files.find(std::string(bundle::kSignatureStamp)); stamp != files.end())
    event.body.set("time", Json::object({{"signature", hex(sha256(stamp->second))},
                                         {"authority", hex(sha256(file_of(files, bundle::kStampChain)))}}));
  return event;
}

void put_final_ledger(BundleFiles& files, LedgerSource& source, const std::string& checkpoint) {
  Json document = parse_canonical_json(as_text(file_of(files, bundle::kCertificate)), "certificate.json");
  Json plan = parse_canonical_json(as_text(file_of(files, bundle::kPlan)), "plan");
  Checkpoint a = Checkpoint::parse_text(Note::parse(as_text(file_of(files, bundle::kCheckpointA))).text);
  LedgerReading ledger = read_ledger_source(source, true, std::move(files.at(std::string(bundle::kHeaders))));
  checkpoint_of(checkpoint, ledger, "B");
  put_ledger(files, source, ledger, open_entries(source, ledger, document.str("erasure"), plan));
  put_text(files, bundle::kCheckpointB, checkpoint);
  put_text(files, bundle::kConsistency, consistency_text(ledger, a.size));
}

void finish_bundle(BundleFiles& files, LedgerSource& source, const std::string& checkpoint) {
  put_final_ledger(files, source, checkpoint);
  give_back_memory();
  VerifyReport report = verify_bundle(files, {}, {.required_profile = "low"});
  if (report.verdict == Verdict::invalid)
    throw Error(Code::conflict, "the bundle is not one that a reader would accept")
        .cause(first_error(report))
        .next("kesu ledger verify");
}

}  // namespace kesu
