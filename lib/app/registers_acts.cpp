// Rows of the vault, its people, erasures and certificates.
#include "app/registers_impl.h"

namespace kesu::registers {

Json row(const VaultRecord& v) {
  Json out = Json::object({{"id", v.id},
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
                           {"clock", v.clock},
                           {"stamped_size", v.stamped_size},
                           {"stamp", v.stamp},
                           {"stamp_chain", v.stamp_chain}});
  if (v.signed_commands) out.set("signed_commands", true);  // rows of vaults without it are those of before
  if (!v.anchors.empty()) out.set("anchors", v.anchors.to_json());
  return out;
}
void read(const Json& j, VaultRecord& v) {
  v = {j.str("id"),
       j.str("organisation"),
       j.str("origin"),
       j.str("profile"),
       j.str("statement"),
       j.num("quorum"),
       j.num("waiting_seconds"),
       j.flag("signed_commands"),
       j.str("ledger_version"),
       j.str("vkey"),
       j.str("signer_version"),
       j.str("signer_certificate"),
       j.num("closed"),
       j.str("boot_id"),
       j.num("clock"),
       static_cast<uint64_t>(j.num("stamped_size")),
       j.str("stamp"),
       j.str("stamp_chain")};
  if (const Json* bound = j.find("anchors")) v.anchors = Anchors::from_json(*bound, "register");
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
                       {"verified", row(e.verified)},
                       {"validated", row(e.validated)},
                       {"started", e.started},
                       {"inspected", e.inspected},
                       {"certificate", e.certificate},
                       {"requested", e.requested},
                       {"approved", e.approved},
                       {"finished", e.finished},
                       {"requested_seq", e.requested_seq}});
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
  read(j.at("verified"), e.verified);
  read(j.at("validated"), e.validated);
  e.started = j.at("started");
  e.inspected = j.at("inspected");
  e.certificate = j.str("certificate");
  e.requested = j.num("requested");
  e.approved = j.num("approved");
  e.finished = j.num("finished");
  e.requested_seq = static_cast<uint64_t>(j.num("requested_seq"));
}

Json row(const CertificateRecord& c) {
  Json renewals((Json::Array()));
  for (const RenewalRecord& r : c.renewals)
    renewals.push(Json::object({{"seq", r.seq},
                                {"time", r.time},
                                {"ledger", r.ledger},
                                {"manifest", r.manifest},
                                {"stamp", r.stamp},
                                {"stamp_chain", r.stamp_chain}}));
  return Json::object({{"id", c.id},
                       {"erasure", c.erasure},
                       {"state", c.state},
                       {"document", c.document},
                       {"signature", c.signature},
                       {"manifest", c.manifest},
                       {"seq", c.seq},
                       {"issued", c.issued},
                       {"stamp_asked", c.stamp_asked},
                       {"stamp", c.stamp},
                       {"stamp_chain", c.stamp_chain},
                       {"withdrawn", c.withdrawn},
                       {"withdraw_reason", c.withdraw_reason},
                       {"renewals", renewals}});
}
void read(const Json& j, CertificateRecord& c) {
  c = {j.str("id"),
       j.str("erasure"),
       j.str("state"),
       j.str("document"),
       j.str("signature"),
       j.str("manifest"),
       static_cast<uint64_t>(j.num("seq")),
       j.num("issued"),
       j.flag("stamp_asked"),
       j.str("stamp"),
       j.str("stamp_chain"),
       j.num("withdrawn"),
       j.str("withdraw_reason"),
       {}};
  if (const Json* renewals = j.find("renewals"))
    for (const Json& r : renewals->as_array())
      c.renewals.push_back({static_cast<uint64_t>(r.num("seq")), r.num("time"), r.str("ledger"),
                            r.str("manifest"), r.str("stamp"), r.str("stamp_chain")});
}

}  // namespace kesu::registers
