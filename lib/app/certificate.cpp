#include "app/certificate.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "app/anchors.h"
#include "app/certificate_render.h"
#include "app/certificate_renew.h"
#include "app/certificate_time.h"
#include "app/countersign.h"
#include "app/hold_evidence.h"
#include "app/put_blobs.h"
#include "app/settle.h"
#include "app/signer.h"
#include "app/vault_source.h"
#include "app/withdraw.h"
#include "base/files.h"
#include "base/memory.h"
#include "certificate/countersign.h"
#include "certificate/issue.h"
#include "crypto/cms.h"
#include "crypto/hash.h"
#include "crypto/x509.h"
#include "erasure/kill_set.h"
#include "seal/files.h"

namespace kesu {

namespace {
constexpr Millis kSignerLife = 10LL * 365 * 24 * 3600 * 1000;

const VersionRecord& certificate_key(Vault& vault) {
  for (auto& [id, key] : vault.state().keys)
    if (key.purpose == KeyPurpose::sign_certificate)
      if (const VersionRecord* v = key.active()) return *v;
  throw Error(Code::state_refused, "the vault has no certificate key")
      .next("kesu init with the same genesis statement finishes what it began");
}

Signer signer_of(Vault& vault, const VersionRecord& v) {
  return [&vault, provider = v.provider, ref = *v.ref](ByteView digest) {
    return vault.provider(provider).sign(ref, digest);
  };
}

// The certificate for this key: an authority's, where one is installed; else a self-signed one: made once,
// kept as evidence, named in the ledger.
SignerChain signer_certificate(Vault& vault, const VersionRecord& v) {
  const VaultRecord& record = vault.state().vault;
  if (record.signer_version == v.id) {
    SignerChain signer = recorded_signer(vault);
    refuse_ended_signer(signer, vault.now());
    return signer;
  }
  SubjectName subject;
  std::string organisation = record.organisation.substr(0, 40);
  while (!is_utf8(organisation)) organisation.pop_back();
  subject.common_name = organisation + " erasures";
  subject.organization = organisation;
  Millis now = vault.now();
  Bytes der = build_self_signed(subject, PublicKey::from_spki(v.ref->public_key), now, now + kSignerLife,
                                vault.env().random, signer_of(vault, v));
  std::string kept = vault.store().put_blob(der);
  std::string id = vault.env().random.id<DocumentId>().str();
  vault.append(
      {{.type = "document-attached",
        .nodes = {{.id = id, .is = "attached", .d = kept}},
        .body = Json::object({{"what", "signer-certificate"}, {"detail", v.id}, {"document", kept}})}},
      {record.id, id});
  return {der, {}};
}

std::string note_of_size(Vault& vault, uint64_t size) {
  for (const SavedCheckpoint& c : vault.store().checkpoints())
    if (c.size == size) return c.note;
  throw Error(Code::ledger_damaged, "the checkpoint of " + std::to_string(size) +
                                        " entries, which the certificate cites, is missing");
}

IssueRequest request_for(Vault& vault, const std::string& erasure, const std::string& certificate,
                         Millis issued, const SignerChain& signer, const std::string& note) {
  return {.erasure = erasure,
          .certificate = certificate,
          .program = std::string(kProgram),
          .issued = issued,
          .signer_certificate = signer.leaf,
          .vkey = vault.state().vault.vkey,
          .checkpoint = note,
          .signer_chain = signer.issuers};
}

BundleFiles issue(Vault& vault, const std::string& erasure) {
  const VersionRecord key = certificate_key(vault);
  const SignerChain signer = signer_certificate(vault, key);
  SavedCheckpoint a = vault.checkpoint();
  VaultSource source(vault.store(), a.size);
  std::string id = vault.env().random.id<CertificateId>().str();
  Millis issued = vault.now();
  BundleFiles files = draft_bundle(source, request_for(vault, erasure, id, issued, signer, a.note));
  // What reading the ledger and drawing pages take, and the inventories, are never held at the same time.
  const InventoryOrder inventory = put_away_inventory(files);
  give_back_memory();
  std::future<BundleFiles> drawn = begin_renderings(files);
  const Bytes& document = files.at(std::string(bundle::kCertificate));
  add_signature(files,
                build_detached_cades(document, signer.leaf, signer.issuers, issued, signer_of(vault, key)));
  const Stamped stamped = stamp_signature(vault, files, issued, anchors_at_request(vault, erasure));
  put_blobs(vault.store(),
            {files.at(std::string(bundle::kCertificate)), files.at(std::string(bundle::kSignature))});
  files.merge(drawn.get());
  give_back_memory();
  bring_inventory(files, source, inventory);
  Event event = seal_manifest(files);
  event.body.set("renderings", keep_renderings(vault, files));
  // That it was asked for is recorded: what is missing is due.
  if (stamped == Stamped::none) event.body.set("time", Json());
  vault.append({event}, {erasure});
  return files;
}

Json issued_body(Vault& vault, const CertificateRecord& record) {
  VaultSource source(vault.store(), record.seq + 1);
  return parse_json(source.body(record.seq).canonical, "ledger body");
}

// The same files again, from what was signed.
BundleFiles reissue(Vault& vault, const CertificateRecord& record) {
  Bytes document = vault.store().blob(record.document), signature = vault.store().blob(record.signature);
  Json json = parse_canonical_json(as_text(document), "certificate.json");
  CmsCheck cms = verify_detached(document, signature);
  if (!cms.ok || !cms.signer)
    throw Error(Code::ledger_damaged, "the kept signature of " + record.id + " does not verify")
        .cause(cms.reason);
  auto size = static_cast<uint64_t>(json.at("ledger").num("size"));
  VaultSource source(vault.store(), size);
  BundleFiles files = draft_bundle(
      source, request_for(vault, record.erasure, record.id, *parse_utc(json.str("issued")),
                          order_chain(cms.signer->der, cms.certificates), note_of_size(vault, size)));
  files[std::string(bundle::kCertificate)] = document;
  files[std::string(bundle::kSignature)] = signature;
  restore_signature_stamp(vault, record, files);
  restore_renderings(vault, issued_body(vault, record), files);
  const Bytes manifest = vault.store().blob(record.manifest);
  restore_readme(files, manifest);
  seal_manifest(files);
  if (files.at(std::string(bundle::kManifest)) != manifest)
    throw Error(Code::ledger_damaged, "the bundle of " + record.id + " cannot be made again as it was issued")
        .next("kesu ledger verify");
  restore_renewals(vault, record, files);
  return files;
}
}  // namespace

DocumentSigner document_signer(Vault& vault) {
  const VersionRecord key = certificate_key(vault);
  SignerChain chain = signer_certificate(vault, key);
  return {key.id, chain.leaf, chain.issuers, signer_of(vault, key)};
}

void rehearse_certificate(Vault& vault, const std::string& erasure, const SavedCheckpoint& head) {
  VaultSource source(vault.store(), head.size);
  rehearse_bundle(source, erasure, vault.state().vault.vkey, head.note);
}

// By a graph of its own: the vault's would be held while the bundle is made, beside the one of its reader.
static std::vector<std::string> living_nodes(Vault& vault, const std::set<std::string>& datasets) {
  Graph graph;
  vault.store().read(
      0, vault.state().size,
      [&](const StoredEntry& e) {
        graph.fold(e.entry.header);
        return true;
      },
      [](const Header&) { return false; });
  return living_paths(graph, datasets, vault.now());
}

WrittenBundle write_certificate_bundle(Vault& vault, ErasureRecord& found, const std::string& where,
                                       const BundleWish& wish) {
  std::string id = found.id, path = absolute_path(where);
  vault.rebuild();
  settle(vault);
  give_back_memory();
  refuse_existing(path);
  const ErasureRecord& e = vault.state().erasures.at(id);
  if (!e.finished && e.certificate.empty())
    throw Error(Code::state_refused,
                "erasure " + id.substr(0, 12) + " is " + e.stage + ": there is nothing to certify yet")
        .next("kesu erase status " + id.substr(0, 12));
  if (!e.certificate.empty() && !wish.withdrawn)
    refuse_withdrawn(vault.state().certificates.at(e.certificate),
                     "--withdrawn writes its bundle all the same; readers see that it was withdrawn");
  if (e.certificate.empty() && !wish.countersigned.empty())
    throw Error(Code::usage, "nobody countersigned a certificate that is not issued yet")
        .next("the same command without --countersigned");
  const BundleFiles countersigned =
      read_countersigned(vault.env(), wish.countersigned,
                         e.certificate.empty() ? "" : vault.state().certificates.at(e.certificate).document);
  if (e.certificate.empty()) {
    std::string living;
    for (const std::string& ds : e.datasets)
      for (const std::string& p : living_holders(vault, ds)) living += (living.empty() ? "" : ", ") + p;
    for (const std::string& node : living_nodes(vault, {e.datasets.begin(), e.datasets.end()}))
      living += (living.empty() ? "" : ", ") + node;
    if (!living.empty())
      throw Error(Code::processes_alive,
                  "something still reaches the erased data: a certificate now could not say that it is gone")
          .cause(living)
          .next("end it, then run the same command again");
  }
  give_back_memory();
  BundleFiles files =
      e.certificate.empty() ? issue(vault, id) : reissue(vault, vault.state().certificates.at(e.certificate));
  const std::string certificate = vault.state().erasures.at(id).certificate;
  return {certificate,
          finish_and_write(vault, vault.state().certificates.at(certificate), files, path, countersigned)};
}

// Entries behind the certificate about what it is about, the first few.
static std::string said_since(Vault& vault, const CertificateRecord& certificate) {
  const ErasureRecord& e = vault.state().erasures.at(certificate.erasure);
  std::set<std::string> scope(e.datasets.begin(), e.datasets.end());
  scope.insert(e.versions.begin(), e.versions.end());
  std::string out;
  int said = 0;
  vault.store().read(
      certificate.seq + 1, vault.store().size(),
      [&](const StoredEntry& entry) {
        const Header& h = entry.entry.header;
        const bool about =
            std::any_of(h.nodes.begin(), h.nodes.end(),
                        [&](const NodeMention& n) { return scope.contains(n.id) || scope.contains(n.of); }) ||
            std::any_of(h.edges.begin(), h.edges.end(), [&](const Edge& edge) {
              return scope.contains(edge.first) || scope.contains(edge.second);
            });
        if (about)
          out += (out.empty() ? "entry " : ", entry ") + std::to_string(h.seq) + " (" + h.type + ", " +
                 local_text(h.time) + ")";
        return !about || ++said < 5;
      },
      [](const Header&) { return false; });
  return out;
}

// What shows who released a hold may be lost: nothing that was certified is less true for it, and it is no
// reason to withdraw anything.
static void refuse_lost_releases(Vault& vault, const CertificateRecord& certificate) {
  const ErasureRecord& e = vault.state().erasures.at(certificate.erasure);
  std::set<std::string> scope(e.datasets.begin(), e.datasets.end());
  scope.insert(e.versions.begin(), e.versions.end());
  std::string lost;
  for (const auto& [id, problem] :
       release_problems(vault, released_on(vault.state(), scope), certificate.seq))
    for (const std::string& file : problem.lost) lost += (lost.empty() ? "" : "; ") + file;
  if (lost.empty()) return;
  throw Error(Code::ledger_damaged, "no bundle of certificate " + certificate.id.substr(0, 12) +
                                        " can be written: what shows who released a hold is lost or altered")
      .cause(lost)
      .next(
          "bring these files back into the vault, from a backup or from a bundle that was handed out; the "
          "certificate and the bundles that were handed out are as true as before");
}

// What came to be known after a certificate may be what it says is not so: it is not issued again, an erasure
// has one.
static void finish(Vault& vault, const CertificateRecord& certificate, BundleFiles& files,
                   LedgerSource& source, const std::string& note) {
  try {
    finish_bundle(files, source, note);
  } catch (const Error& e) {
    if (e.code() != Code::conflict) throw;
    refuse_lost_releases(vault, certificate);
    const std::string since = said_since(vault, certificate), id = certificate.id.substr(0, 12);
    if (since.empty()) throw;
    throw Error(Code::conflict, "certificate " + id + " is not true any more: what the ledger says since " +
                                    local_text(certificate.issued) + " contradicts it")
        .cause(since + "; to a reader: " + e.cause())
        .next(certificate.withdrawn
                  ? "it is withdrawn: kesu ledger extract -o FILE tells those who hold a bundle of it"
                  : "kesu certificate withdraw " + id +
                        " --reason TEXT --by APPROVER, then kesu ledger extract -o FILE for those who hold a "
                        "bundle of it");
  }
}

std::optional<int> finish_and_write(Vault& vault, const CertificateRecord& certificate, BundleFiles& files,
                                    const std::string& path, const BundleFiles& countersigned) {
  SavedCheckpoint b = stamped_checkpoint(vault, files, certificate.newest_entry());
  VaultSource source(vault.store(), b.size);
  add_revocation_lists(vault, files);
  // Before the bundle is read as others read it: what came along is read with it.
  std::optional<int> carried;
  if (!countersigned.empty()) carried = carry_countersignatures(files, countersigned);
  give_back_memory();
  finish(vault, certificate, files, source, b.note);
  make_directories(dir_name(path));
  write_bundle(path, files);
  return carried;
}

BundleFiles issued_files(Vault& vault, const CertificateRecord& certificate) {
  return reissue(vault, certificate);
}

Json certificate_document(Vault& vault, const CertificateRecord& certificate) {
  return parse_canonical_json(to_text(vault.store().blob(certificate.document)), "certificate.json");
}

std::string default_trust_file() {
  std::string base;
  if (const char* xdg = std::getenv("XDG_CONFIG_HOME"); xdg && *xdg)
    base = xdg;
  else if (const char* home = std::getenv("HOME"); home && *home)
    base = path_join(home, ".config");
  if (base.empty()) return "";
  std::string path = path_join(path_join(base, "kesu"), "trust");
  return exists(path) ? path : "";
}

// What cannot be a bundle is an invalid one, not a wrong command; a path where nothing is is one.
BundleFiles open_bundle(const std::string& path) {
  try {
    return read_bundle(path);
  } catch (const Error& e) {
    if (e.code() == Code::not_found && e.next().empty())
      throw Error(e.code(), e.message())
          .cause(e.cause())
          .next(
              "name a bundle that is there, a directory or a zip file, as kesu certificate bundle -o writes "
              "it");
    if (e.code() != Code::bad_input) throw;
    throw Error(Code::bundle_invalid, e.message())
        .cause(e.cause())
        .next("ask the issuer for the bundle again, whole and as it was issued");
  }
}

BundleFiles read_extract_files(const std::string& path) {
  BundleFiles all = open_bundle(path), out;
  for (std::string_view name : {bundle::kHeaders, bundle::kCheckpointB, bundle::kLedgerKey})
    if (auto it = all.find(std::string(name)); it != all.end()) out.insert(std::move(*it));
  return out;
}

TrustAnchors read_trust_file(const std::string& named) {
  const std::string file = named.empty() ? default_trust_file() : named;
  if (file.empty()) return {};
  return parse_trust(to_text(read_file(file, 1 << 20)), [&](const std::string& path) {
    return read_file(path.starts_with("/") ? path : path_join(dir_name(file), path), 1 << 20);
  });
}

VerifyReport verify_bundle_at(const VerifyRequest& request, Millis now) {
  const TrustAnchors trust = read_trust_file(request.trust_file);
  VerifyOptions options{
      .required_profile = request.required_profile, .allow_test_grade = request.allow_test_grade, .now = now};
  std::vector<Fd> open;
  for (const std::string& path : request.objects) {
    open.emplace_back(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!open.back().ok()) throw file_error(errno, "open", path);
    options.objects.push_back({path, file_input(open.back().get())});
  }
  BundleFiles extract;
  if (!request.ledger.empty()) {
    extract = read_extract_files(request.ledger);
    options.extract = &extract;
  }
  return verify_bundle(open_bundle(request.bundle), trust, options);
}

std::string trust_proposal(const std::string& bundle) { return propose_trust(open_bundle(bundle)); }

}  // namespace kesu
