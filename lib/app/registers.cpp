// State's records as register rows and back. A row's JSON is the whole record; the reader rebuilds from the
// ledger when anything in it does not fit.
#include "app/state.h"
#include "base/error.h"

namespace kesu {

namespace {
Json list(const std::vector<std::string>& items) {
  Json out(Json::Array{});
  for (const std::string& s : items) out.push(s);
  return out;
}
std::vector<std::string> strings(const Json& v) {
  std::vector<std::string> out;
  for (const Json& item : v.as_array()) out.push_back(item.as_string());
  return out;
}

Json row(const VaultRecord& v) {
  return Json::object({{"id", v.id},
                       {"organisation", v.organisation},
                       {"origin", v.origin},
                       {"profile", v.profile},
                       {"statement", v.statement},
                       {"quorum", v.quorum},
                       {"waiting_seconds", v.waiting_seconds},
                       {"ledger_version", v.ledger_version},
                       {"vkey", v.vkey},
                       {"signer_version", v.signer_version},
                       {"signer_certificate", v.signer_certificate},
                       {"closed", v.closed},
                       {"boot_id", v.boot_id},
                       {"clock", v.clock}});
}
void read(const Json& j, VaultRecord& v) {
  v = {j.str("id"),
       j.str("organisation"),
       j.str("origin"),
       j.str("profile"),
       j.str("statement"),
       j.num("quorum"),
       j.num("waiting_seconds"),
       j.str("ledger_version"),
       j.str("vkey"),
       j.str("signer_version"),
       j.str("signer_certificate"),
       j.num("closed"),
       j.str("boot_id"),
       j.num("clock")};
}

Json row(const OperatorRecord& o) {
  return Json::object({{"id", o.id},
                       {"name", o.name},
                       {"title", o.title},
                       {"public_key", o.public_key},
                       {"fingerprint", o.fingerprint},
                       {"state", o.state},
                       {"roles", list(o.roles)}});
}
void read(const Json& j, OperatorRecord& o) {
  o = {j.str("id"),          j.str("name"),  j.str("title"),        j.str("public_key"),
       j.str("fingerprint"), j.str("state"), strings(j.at("roles"))};
}

Json row(const ProviderRecord& p) {
  return Json::object({{"id", p.id},
                       {"name", p.name},
                       {"uri", p.uri},
                       {"state", p.state},
                       {"grade_reason", p.grade_reason},
                       {"identity", p.identity.to_json()},
                       {"capabilities", p.capabilities},
                       {"test_grade", p.test_grade},
                       {"control", p.control},
                       {"generation", p.generation}});
}
void read(const Json& j, ProviderRecord& p) {
  p = {j.str("id"),          j.str("name"),         j.str("uri"),
       j.str("state"),       j.str("grade_reason"), ProviderIdentity::from_json(j.at("identity")),
       j.at("capabilities"), j.flag("test_grade"),  j.str("control"),
       j.num("generation")};
}

Json row(const VersionRecord& v) {
  return Json::object({{"id", v.id},
                       {"state", v.state},
                       {"state_before", v.state_before},
                       {"provider", v.provider},
                       {"erasure", v.erasure},
                       {"birth", v.birth},
                       {"ref", v.ref ? v.ref->to_json() : Json()},
                       {"origin", v.origin},
                       {"reason", v.reason},
                       {"created", v.created},
                       {"activated", v.activated},
                       {"deactivated", v.deactivated},
                       {"destroyed", v.destroyed},
                       {"compromised", v.compromised},
                       {"occurred", v.occurred},
                       {"originator", v.originator},
                       {"recipient", v.recipient},
                       {"originator_exception", v.originator_exception},
                       {"recipient_exception", v.recipient_exception},
                       {"wraps", v.wraps},
                       {"wrap_quota", v.wrap_quota},
                       {"inspected", v.inspected},
                       {"before", v.before},
                       {"receipt_lost", v.receipt_lost},
                       {"bracket", v.bracket},
                       {"actor", v.actor},
                       {"since", v.since}});
}
void read(const Json& j, VersionRecord& v) {
  v.id = j.str("id");
  if (!VersionRef::parse(v.id)) throw Error(Code::bad_input, "no key version");
  v.state = j.str("state");
  v.state_before = j.str("state_before");
  v.provider = j.str("provider");
  v.erasure = j.str("erasure");
  v.birth = j.str("birth");
  if (!j.at("ref").is_null()) v.ref = KeyRef::from_json(j.at("ref"));
  v.origin = j.str("origin");
  v.reason = j.str("reason");
  v.created = j.num("created");
  v.activated = j.num("activated");
  v.deactivated = j.num("deactivated");
  v.destroyed = j.num("destroyed");
  v.compromised = j.num("compromised");
  v.occurred = j.num("occurred");
  v.originator = j.num("originator");
  v.recipient = j.num("recipient");
  v.originator_exception = j.num("originator_exception");
  v.recipient_exception = j.num("recipient_exception");
  v.wraps = j.num("wraps");
  v.wrap_quota = j.num("wrap_quota");
  v.inspected = j.str("inspected");
  v.before = j.str("before");
  v.receipt_lost = j.flag("receipt_lost");
  v.bracket = static_cast<uint64_t>(j.num("bracket"));
  v.actor = j.at("actor");
  v.since = j.num("since");
}

Json row(const KeyRecord& k) {
  Json versions(Json::Array{});
  for (const VersionRecord& v : k.versions) versions.push(row(v));
  return Json::object({{"id", k.id},
                       {"name", k.name},
                       {"purpose", purpose_text(k.purpose)},
                       {"provider", k.provider},
                       {"versions", versions}});
}
void read(const Json& j, KeyRecord& k) {
  k.id = j.str("id");
  k.name = j.str("name");
  auto purpose = parse_purpose(j.str("purpose"));
  if (!purpose) throw Error(Code::bad_input, "no purpose");
  k.purpose = *purpose;
  k.provider = j.str("provider");
  for (const Json& v : j.at("versions").as_array()) read(v, k.versions.emplace_back());
}

Json row(const DatasetRecord& d) {
  Json keys(Json::Array{}), batches(Json::Array{});
  for (const DatasetKeyRecord& k : d.keys)
    keys.push(Json::object({{"id", k.id},
                            {"version", k.version},
                            {"algorithm", static_cast<int64_t>(k.wrapped.algorithm)},
                            {"nonce", hex(k.wrapped.nonce)},
                            {"blob", hex(k.wrapped.blob)},
                            {"rewrapped", k.rewrapped}}));
  for (const BatchRecord& b : d.batches) {
    Json on(Json::Object{});
    for (auto& [version, positions] : b.on) on.set(version, positions_json(positions));
    batches.push(Json::object({{"id", b.id},
                               {"state", b.state},
                               {"version", b.version},
                               {"dataset_key", b.dataset_key},
                               {"root", b.root},
                               {"content_algorithm", b.content_algorithm},
                               {"wrap_algorithm", b.wrap_algorithm},
                               {"on", on},
                               {"rewrap", Json::object({{"version", b.rewrap.version},
                                                        {"objects", positions_json(b.rewrap.objects)},
                                                        {"actor", b.rewrap.actor},
                                                        {"since", b.rewrap.since}})},
                               {"location", b.location},
                               {"objects", list(b.objects)},
                               {"n", b.n},
                               {"bytes", b.bytes},
                               {"done_seq", b.done_seq},
                               {"actor", b.actor},
                               {"since", b.since},
                               {"place_inode", b.place_inode}}));
  }
  return Json::object({{"id", d.id},
                       {"name", d.name},
                       {"key", d.key},
                       {"state", d.state},
                       {"erasure", d.erasure},
                       {"settings", d.settings},
                       {"keys", keys},
                       {"batches", batches}});
}
void read(const Json& j, DatasetRecord& d) {
  d.id = j.str("id");
  d.name = j.str("name");
  d.key = j.str("key");
  d.state = j.str("state");
  d.erasure = j.str("erasure");
  d.settings = j.at("settings");
  for (const Json& k : j.at("keys").as_array())
    d.keys.push_back({k.str("id"),
                      k.str("version"),
                      {static_cast<WrapAlg>(k.num("algorithm")), unhex(k.str("nonce")).value_or(Bytes{}),
                       unhex(k.str("blob")).value_or(Bytes{})},
                      k.flag("rewrapped")});
  for (const Json& b : j.at("batches").as_array()) {
    BatchRecord& r = d.batches.emplace_back();
    r.id = b.str("id");
    r.state = b.str("state");
    r.version = b.str("version");
    r.dataset_key = b.str("dataset_key");
    r.root = b.str("root");
    r.content_algorithm = b.str("content_algorithm");
    r.wrap_algorithm = b.str("wrap_algorithm");
    for (auto& [version, positions] : b.at("on").as_object()) r.on[version] = positions_from(positions);
    const Json& rewrap = b.at("rewrap");
    r.rewrap = {rewrap.str("version"), positions_from(rewrap.at("objects")), rewrap.at("actor"),
                rewrap.num("since")};
    r.location = b.str("location");
    r.objects = strings(b.at("objects"));
    r.n = b.num("n");
    r.bytes = b.num("bytes");
    r.done_seq = static_cast<uint64_t>(b.num("done_seq"));
    r.actor = b.at("actor");
    r.since = b.num("since");
    r.place_inode = b.str("place_inode");
  }
}

Json row(const ProcessRecord& p) {
  return Json::object({{"id", p.id},
                       {"purpose", p.purpose},
                       {"dataset", p.dataset},
                       {"actor", p.actor},
                       {"until", p.until},
                       {"alive", p.alive}});
}
void read(const Json& j, ProcessRecord& p) {
  p = {j.str("id"), j.str("purpose"), j.str("dataset"), j.at("actor"), j.num("until"), j.flag("alive")};
}

Json row(const ApprovalRecord& a) {
  return Json::object({{"operator", a.operator_id},
                       {"role", a.role},
                       {"statement", a.statement},
                       {"signature", a.signature},
                       {"time", a.time}});
}
void read(const Json& j, ApprovalRecord& a) {
  a = {j.str("operator"), j.str("role"), j.str("statement"), j.str("signature"), j.num("time")};
}

Json row(const ErasureRecord& e) {
  Json approvals(Json::Array{});
  for (const ApprovalRecord& a : e.approvals) approvals.push(row(a));
  return Json::object({{"id", e.id},
                       {"stage", e.stage},
                       {"plan", e.plan},
                       {"reason", e.reason},
                       {"datasets", list(e.datasets)},
                       {"versions", list(e.versions)},
                       {"request", row(e.request)},
                       {"approvals", approvals},
                       {"started", e.started},
                       {"inspected", e.inspected},
                       {"certificate", e.certificate},
                       {"requested", e.requested},
                       {"approved", e.approved},
                       {"finished", e.finished}});
}
void read(const Json& j, ErasureRecord& e) {
  e.id = j.str("id");
  e.stage = j.str("stage");
  e.plan = j.str("plan");
  e.reason = j.str("reason");
  e.datasets = strings(j.at("datasets"));
  e.versions = strings(j.at("versions"));
  read(j.at("request"), e.request);
  for (const Json& a : j.at("approvals").as_array()) read(a, e.approvals.emplace_back());
  e.started = j.at("started");
  e.inspected = j.at("inspected");
  e.certificate = j.str("certificate");
  e.requested = j.num("requested");
  e.approved = j.num("approved");
  e.finished = j.num("finished");
}

Json row(const CertificateRecord& c) {
  return Json::object({{"id", c.id},
                       {"erasure", c.erasure},
                       {"state", c.state},
                       {"document", c.document},
                       {"signature", c.signature},
                       {"manifest", c.manifest},
                       {"seq", c.seq},
                       {"issued", c.issued}});
}
void read(const Json& j, CertificateRecord& c) {
  c = {j.str("id"),
       j.str("erasure"),
       j.str("state"),
       j.str("document"),
       j.str("signature"),
       j.str("manifest"),
       static_cast<uint64_t>(j.num("seq")),
       j.num("issued")};
}

Json row(const CopyRecord& c) {
  return Json::object({{"id", c.id},
                       {"state", c.state},
                       {"kind", c.kind},
                       {"place", c.place},
                       {"custodian", c.custodian},
                       {"medium", c.medium},
                       {"provider", c.provider},
                       {"how", c.how},
                       {"generation", c.generation},
                       {"versions", list(c.versions)},
                       {"registered", c.registered},
                       {"ended", c.ended}});
}
void read(const Json& j, CopyRecord& c) {
  c = {j.str("id"),         j.str("state"),    j.str("kind"), j.str("place"),      j.str("custodian"),
       j.str("medium"),     j.str("provider"), j.str("how"),  j.num("generation"), strings(j.at("versions")),
       j.num("registered"), j.num("ended")};
}

Json row(const FindingRecord& f) {
  return Json::object({{"node", f.node}, {"what", f.what}, {"detail", f.detail}, {"time", f.time}});
}
void read(const Json& j, FindingRecord& f) {
  f = {j.str("node"), j.str("what"), j.str("detail"), j.num("time")};
}

Json row(const ExceptionRecord& e) {
  return Json::object({{"what", e.what},
                       {"subject", e.subject},
                       {"detail", e.detail},
                       {"reason", e.reason},
                       {"approver", e.approver},
                       {"time", e.time},
                       {"until", e.until}});
}
void read(const Json& j, ExceptionRecord& e) {
  e = {j.str("what"),     j.str("subject"), j.str("detail"), j.str("reason"),
       j.str("approver"), j.num("time"),    j.num("until")};
}

using Rows = std::vector<std::tuple<std::string, std::string, std::string>>;

// Calls visit(kind, id, record) for every record.
template <class S, class F>
void each_record(S& s, F visit) {
  if (!s.vault.id.empty()) visit("vault", s.vault.id, s.vault);
  for (auto& [id, r] : s.operators) visit("operator", id, r);
  for (auto& [id, r] : s.providers) visit("provider", id, r);
  for (auto& [id, r] : s.keys) visit("key", id, r);
  for (auto& [id, r] : s.datasets) visit("dataset", id, r);
  for (auto& [id, r] : s.processes) visit("process", id, r);
  for (auto& [id, r] : s.erasures) visit("erasure", id, r);
  for (auto& [id, r] : s.certificates) visit("certificate", id, r);
  for (auto& [id, r] : s.copies) visit("copy", id, r);
  for (auto& [id, r] : s.findings) visit("finding", id, r);
  for (auto& [id, r] : s.exceptions) visit("exception", id, r);
}
}  // namespace

Rows State::rows() const {
  Rows out;
  each_record(*this, [&](const char* kind, const std::string& id, const auto& record) {
    out.emplace_back(kind, id, row(record).canonical());
  });
  return out;
}

Rows State::changed_rows() const {
  Rows out;
  each_record(*this, [&](const char* kind, const std::string& id, const auto& record) {
    if (changed_.contains({kind, id})) out.emplace_back(kind, id, row(record).canonical());
  });
  return out;
}

State State::from_registers(const Store::Registers& registers) {
  State s;
  for (const auto& [kind, id, text] : registers.rows) {
    Json j = parse_json(text, "register " + kind + " " + id);
    if (kind == "vault")
      read(j, s.vault);
    else if (kind == "operator")
      read(j, s.operators[id]);
    else if (kind == "provider")
      read(j, s.providers[id]);
    else if (kind == "key")
      read(j, s.keys[id]);
    else if (kind == "dataset")
      read(j, s.datasets[id]);
    else if (kind == "process")
      read(j, s.processes[id]);
    else if (kind == "erasure")
      read(j, s.erasures[id]);
    else if (kind == "certificate")
      read(j, s.certificates[id]);
    else if (kind == "copy")
      read(j, s.copies[id]);
    else if (kind == "finding")
      read(j, s.findings[id]);
    else if (kind == "exception")
      read(j, s.exceptions[id]);
    else
      throw Error(Code::bad_input, "unknown register kind " + kind);
  }
  s.size = registers.size;
  return s;
}

}  // namespace kesu
