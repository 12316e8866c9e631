#include "app/notices.h"

#include <algorithm>

#include "app/anchors.h"
#include "app/certificate.h"
#include "app/certificate_time.h"
#include "app/clock_watch.h"
#include "app/key_states.h"
#include "app/notice_files.h"
#include "app/settle.h"
#include "app/waiting_stamps.h"
#include "base/files.h"
#include "certificate/notice.h"
#include "certificate/notice_directory.h"
#include "crypto/cms.h"
#include "crypto/hash.h"
#include "crypto/note.h"
#include "crypto/x509.h"
#include "ledger/checkpoint.h"

namespace kesu {

namespace {
bool is_destroyed(const VersionRecord& v) {
  return v.state == "destroyed" || v.state == "destroyed-compromised";
}

bool has_begun_to_destroy(const State& state, const ErasureRecord& e) {
  return std::any_of(e.versions.begin(), e.versions.end(), [&](const std::string& id) {
    const VersionRecord* v = state.version(id);
    return v && v->erasure == e.id && (v->state == "destroying" || is_destroyed(*v));
  });
}

// What the ledger says of one version's end in this erasure.
struct End {
  std::string outcome, detail;
  Millis time = 0;
  std::vector<std::string> evidence;
};

void take_digest(const Json& body, const char* member, End& end) {
  if (const Json* d = body.find(member); d && d->is_string()) end.evidence.push_back(d->as_string());
}

std::map<std::string, End> ends_of(Vault& vault, const ErasureRecord& e) {
  std::map<std::string, End> out;
  for (const std::string& id : e.versions) out[id].outcome = "not-tried";
  vault.store().read(
      0, vault.state().size,
      [&](const StoredEntry& entry) {
        const Header& h = entry.entry.header;
        if (!h.type.starts_with("destroy-")) return true;
        auto it = out.find(h.nodes.front().id);
        if (it == out.end()) return true;
        const Json& body = entry.entry.body;
        End end;
        end.time = h.time;
        if (h.type == "destroy-intended") {
          end.outcome = "unknown";
          end.detail = "the provider was told, or was about to be told; its answer is not known";
        } else if (h.type == "destroy-failed") {
          end.outcome = "not-destroyed";
          end.detail = body.str_or("result", "");
          take_digest(body, "transcript", end);
        } else {
          end.outcome = "destroyed";
          if (body.flag("receipt_lost")) end.detail = "receipt lost; settled by inspection";
          take_digest(body, "receipt", end);
          take_digest(body, "transcript", end);
        }
        it->second = std::move(end);
        return true;
      },
      [](const Header& h) { return h.type.starts_with("destroy-"); });
  return out;
}

Json key_row(const State& state, const std::string& version, const End& end) {
  const VersionRecord& v = *state.version(version);
  Json evidence((Json::Array()));
  for (const std::string& digest : end.evidence) evidence.push(digest);
  return Json::object({{"version", version},
                       {"name", version_name(state, v)},
                       {"provider", state.providers.at(v.provider).name},
                       {"state", v.state},
                       {"outcome", end.outcome},
                       {"detail", end.detail},
                       {"time", end.time ? Json(utc_text(end.time)) : Json()},
                       {"evidence", evidence}});
}

Json dataset_row(const DatasetRecord& d) {
  auto text = [&](const char* member) { return d.settings.str_or(member, ""); };
  return Json::object({{"id", d.id},
                       {"name", d.name},
                       {"state", d.state},
                       {"class", text("class")},
                       {"region", text("region")},
                       {"owner", text("owner")},
                       {"contract", text("contract")},
                       {"service", text("service")},
                       {"contact", text("contact")},
                       {"locations", d.settings.at("locations")},
                       {"objects", d.objects()},
                       {"bytes", d.bytes()}});
}

// The members that all three have, but for the statement, which follows from the others.
Json base_document(Vault& vault, std::string_view type, const ErasureRecord& e, const std::string& id,
                   const DocumentSigner& signer) {
  const State& s = vault.state();
  const SavedCheckpoint saved = vault.checkpoint();
  const Checkpoint c = Checkpoint::parse_text(Note::parse(saved.note).text);
  const Certificate certificate = Certificate::parse(signer.certificate);
  Json datasets((Json::Array()));
  for (const std::string& ds : e.datasets) datasets.push(dataset_row(s.datasets.at(ds)));
  auto contact = s.contacts.find(s.vault.id);
  const bool has = contact != s.contacts.end();
  return Json::object(
      {{"type", type},
       {"id", id},
       {"vault", s.vault.id},
       {"organisation", s.vault.organisation},
       {"contact", Json::object({{"contact", has ? contact->second.contact : ""},
                                 {"place", has ? contact->second.place : ""}})},
       {"erasure", e.id},
       {"stage", e.stage},
       {"issued", utc_text(vault.now())},
       {"program", kProgram},
       {"plan", e.plan},
       {"datasets", datasets},
       {"ledger", Json::object({{"origin", c.origin}, {"size", c.size}, {"root", hex(c.root)}})},
       {"signer", Json::object({{"self_signed", certificate.self_signed},
                                {"certificate", hex(certificate.fingerprint())},
                                {"version", signer.version}})}});
}

std::string new_directory(const std::string& where) {
  const std::string path = absolute_path(where);
  if (exists(path))
    throw Error(Code::already_exists, path + " is there already").next("choose another -o DIR");
  return path;
}

// The one that was recorded, written out as it is: the same bytes.
IssuedNotice write_again(Vault& vault, const std::string& id, const std::string& path) {
  const NoticeRecord record = vault.state().notices.at(id);
  write_notice_directory(path, kept_notice(vault, id));
  vault.env().notice("issued " + local_text(record.issued) + ": the same document, written out again");
  vault.checkpoint();
  return {id, parse_canonical_json(to_text(vault.store().blob(record.document)), "notice").str("type"), path};
}

// Signs, keeps, records, writes. `still`: throws when the document would not be true any more.
IssuedNotice issue(Vault& vault, const ErasureRecord& e, Json document, const char* entry,
                   const DocumentSigner& signer, const std::string& path, Json more,
                   const std::function<void()>& still) {
  document.set("statement", notice_statement(document));
  if (const auto before = same_notice(vault, e.id, entry, document)) return write_again(vault, *before, path);
  const Bytes bytes = to_bytes(as_bytes(document.canonical()));
  Bytes signature = build_detached_cades(bytes, signer.certificate, signer.issuers, vault.now(), signer.sign);
  // Never held up: what it reports is known now, and nothing rests on its stamp but its own time.
  std::optional<SignatureStamps> stamps;
  try {
    stamps = fetch_signature_stamps(vault, anchors_now(vault), bytes, signature,
                                    *parse_utc(document.str("issued")), "document", false);
  } catch (const Error& x) {
    if (x.code() != Code::policy_refused) throw;
    vault.env().notice("the document has no time-stamp: " + x.message() + ": " + x.next());
  }
  if (stamps) signature = std::move(stamps->signature);
  const std::string id = document.str("id"), erasure = e.id;
  more.set("document", vault.store().put_blob(bytes)).set("signature", vault.store().put_blob(signature));
  more.set("stage", document.str("stage"));
  if (stamps)
    more.set("time", Json::object({{"signature", vault.store().put_blob(stamps->answer)},
                                   {"authority", vault.store().put_blob(as_bytes(stamps->chain))}}));
  std::vector<std::string> streams = {erasure, vault.state().vault.id};
  for (const std::string& v : e.versions) streams.push_back(v);
  vault.decide(streams, [&] {
    still();
    return std::vector<Event>{
        {.type = entry,
         .nodes = {{.id = id, .is = "attached", .of = erasure, .d = hex(sha256(bytes))}, {.id = erasure}},
         .body = more}};
  });
  std::string chain = Certificate::parse(signer.certificate).pem();
  for (const Bytes& issuer : signer.issuers) chain += Certificate::parse(issuer).pem();
  write_notice_directory(path, notice_files(bytes, signature, chain, stamps ? stamps->answer : Bytes{},
                                            stamps ? stamps->chain : ""));
  vault.checkpoint();
  return {id, document.str("type"), path};
}

Error stage_changed(const std::string& id) {
  return Error(Code::conflict, "erasure " + id.substr(0, 12) + " went on meanwhile")
      .next("run the same command again: it decides anew");
}

Json reversible_until(Vault& vault, const ErasureRecord& e) {
  if (!e.approved) return Json();
  const auto until = waiting_until(vault.state(), e, waiting_by_stamps(vault, e));
  return until ? Json(utc_text(*until)) : Json();
}

IssuedNotice supersede(Vault& vault, const std::string& id, const std::string& path) {
  const ErasureRecord e = vault.state().erasures.at(id);
  const NoticeRecord* newest = notice_in_force(vault.state(), id);
  if (!newest)
    for (auto& [n, record] : vault.state().notices)
      if (record.erasure == id && record.type == "notice-superseded") return write_again(vault, n, path);
  if (!newest)
    throw Error(Code::state_refused,
                "erasure " + id.substr(0, 12) + " is " + e.stage + ", and no notice of it is in force")
        .next("kesu erase status " + id.substr(0, 12));
  const std::string newest_id = newest->id;
  Json before((Json::Array()));
  for (auto& [n, record] : vault.state().notices)
    if (record.erasure == id && record.type == "notice-issued")
      before.push(
          Json::object({{"id", n}, {"document", record.document}, {"issued", utc_text(record.issued)}}));
  const DocumentSigner signer = document_signer(vault);
  Json document =
      base_document(vault, notice::kSuperseding, e, vault.env().random.id<DocumentId>().str(), signer);
  Json keys((Json::Array()));
  for (const std::string& v : e.versions) {
    End end;
    end.outcome = "in-use";
    keys.push(key_row(vault.state(), v, end));
  }
  document.set("keys", keys).set("supersedes", before);
  return issue(vault, e, document, "notice-superseded", signer, path, Json::object({{"notice", newest_id}}),
               [&] {
                 const NoticeRecord* now = notice_in_force(vault.state(), id);
                 if (!now || now->id != newest_id) throw stage_changed(id);
               });
}
}  // namespace

// An erasure that was cancelled stays so: a superseding record takes back all notices that there are.
const NoticeRecord* notice_in_force(const State& state, const std::string& erasure) {
  const NoticeRecord* out = nullptr;
  for (auto& [id, n] : state.notices) {
    if (n.erasure != erasure) continue;
    if (n.type == "notice-superseded") return nullptr;
    if (n.type == "notice-issued" && (!out || n.issued >= out->issued)) out = &n;
  }
  return out;
}

std::optional<NoticeReport> verify_notice_at(const std::string& path, const std::string& trust_file,
                                             const std::string& ledger) {
  auto file = [&](std::string_view name) { return path_join(path, std::string(name)); };
  // What holds both is a bundle with a file that it may not have.
  if (!exists(file(notice::kDocument)) || exists(file(bundle::kCertificate))) return std::nullopt;
  constexpr size_t kMost = size_t{16} << 20;
  BundleFiles files;
  for (std::string_view name : {notice::kDocument, notice::kSignature, notice::kStamp, notice::kStampChain})
    if (auto bytes = read_file_if_there(file(name), kMost)) files[std::string(name)] = std::move(*bytes);
  const TrustAnchors trust = read_trust_file(trust_file);
  if (ledger.empty()) return verify_notice(files, trust);
  const BundleFiles extract = read_extract_files(ledger);
  return verify_notice(files, trust, &extract);
}

IssuedNotice issue_notice(Vault& vault, const std::string& erasure, const std::string& directory) {
  const std::string path = new_directory(directory);
  vault.rebuild();
  settle(vault);
  const ErasureRecord e = vault.state().erasures.at(erasure);
  const std::string brief = erasure.substr(0, 12);
  if (e.stage == "cancelled" || e.stage == "rejected") return supersede(vault, erasure, path);
  if (e.finished || has_begun_to_destroy(vault.state(), e))
    throw Error(Code::state_refused,
                "erasure " + brief + " has destroyed already: a notice would not be true")
        .cause("it is " + e.stage)
        .next(e.finished ? "kesu certificate bundle " + brief + " -o DIR"
                         : "kesu erase run " + brief + "; or kesu certificate failure " + brief + " -o DIR");
  const DocumentSigner signer = document_signer(vault);
  Json document = base_document(vault, notice::kNotice, e, vault.env().random.id<DocumentId>().str(), signer);
  Json keys((Json::Array()));
  for (const std::string& v : e.versions) {
    End end;
    end.outcome = "withheld";
    keys.push(key_row(vault.state(), v, end));
  }
  document.set("keys", keys).set("reversible_until", reversible_until(vault, e));
  return issue(vault, e, document, "notice-issued", signer, path, Json::object({}), [&] {
    const ErasureRecord& now = vault.state().erasures.at(erasure);
    if (now.stage != e.stage || has_begun_to_destroy(vault.state(), now)) throw stage_changed(erasure);
  });
}

IssuedNotice issue_failure_report(Vault& vault, const std::string& erasure, const std::string& directory) {
  const std::string path = new_directory(directory);
  vault.rebuild();
  // Not settled: what is unknown now is what the report is about. kesu erase run settles.
  const ErasureRecord e = vault.state().erasures.at(erasure);
  const std::string brief = erasure.substr(0, 12);
  if (e.finished || (e.stage != "running" && e.stage != "failed"))
    throw Error(Code::state_refused, "erasure " + brief + " is " + e.stage + ": it has not failed")
        .next("kesu erase status " + brief);
  const std::map<std::string, End> ends = ends_of(vault, e);
  const DocumentSigner signer = document_signer(vault);
  Json document =
      base_document(vault, notice::kFailure, e, vault.env().random.id<DocumentId>().str(), signer);
  Json keys((Json::Array()));
  for (const std::string& v : e.versions) keys.push(key_row(vault.state(), v, ends.at(v)));
  document.set("keys", keys).set("reason", e.reason);
  std::map<std::string, std::string> states;
  for (const std::string& v : e.versions) states[v] = vault.state().version(v)->state;
  return issue(vault, e, document, "failure-reported", signer, path, Json::object({}), [&] {
    for (auto& [v, state] : states)
      if (vault.state().version(v)->state != state) throw stage_changed(erasure);
    if (vault.state().erasures.at(erasure).stage != e.stage) throw stage_changed(erasure);
  });
}

}  // namespace kesu
