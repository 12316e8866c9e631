// The part of State's fold that people's acts make: the vault and its people, copies, holds, erasures,
// certificates.
#include <algorithm>

#include "app/state.h"
#include "app/state_impl.h"
#include "base/error.h"

namespace kesu {

namespace fold {
std::vector<std::string> strings(const Json& array) {
  std::vector<std::string> out;
  for (const Json& item : array.as_array()) out.push_back(item.as_string());
  return out;
}

const NodeMention* mention(const Header& h, std::string_view kind) {
  for (const NodeMention& node : h.nodes)  // each begins with its kind, which is known
    if (node.id.starts_with(kind) && node.id.substr(kind.size(), 1) == "-") return &node;
  return nullptr;
}

const NodeMention& need(const Header& h, std::string_view kind) {
  const NodeMention* node = mention(h, kind);
  if (!node)
    throw Error(Code::ledger_damaged,
                "entry " + std::to_string(h.seq) + " (" + h.type + ") names no " + std::string(kind));
  return *node;
}

}  // namespace fold

using namespace fold;

void State::evolve_vault(const Header& h, const Json& body) {
  if (h.type == "genesis") {
    vault.id = need(h, "vlt").id;
    vault.organisation = body.str("organisation");
    vault.origin = body.str("origin");
    vault.profile = body.str("profile");
    vault.statement = body.str("statement");
    vault.quorum = body.num("quorum");
    vault.waiting_seconds = body.num("waiting_seconds");
    vault.signed_commands = body.flag("signed_commands");
    if (const Json* bound = body.find("anchors")) vault.anchors = Anchors::from_json(*bound, "genesis");
    touch("vault", vault.id);
  } else if (h.type == "operator-enrolled") {
    OperatorRecord o;
    o.id = need(h, "opr").id;
    o.name = body.str("name");
    o.title = body.str("title");
    o.public_key = body.str("public_key");
    o.fingerprint = body.str("fingerprint");
    o.roles = strings(body.at("roles"));
    o.state = "enrolled";
    touch("operator", o.id);
    operators[o.id] = std::move(o);
  } else if (h.type == "operator-revoked") {
    operators[need(h, "opr").id].state = "revoked";
    touch("operator", need(h, "opr").id);
  } else if (h.type == "provider-added") {
    ProviderRecord p;
    p.id = need(h, "prv").id;
    p.name = body.str("name");
    p.uri = body.str("uri");
    p.identity = ProviderIdentity::from_json(body.at("identity"));
    p.capabilities = body.at("capabilities");
    p.test_grade = body.at("grade").flag("test");
    p.grade_reason = body.at("grade").str("reason");
    p.state = "open";
    p.generation = body.num_or("generation", 0);
    touch("provider", p.id);
    providers[p.id] = std::move(p);
  } else if (h.type == "provider-rekeyed") {
    ProviderRecord& p = providers[need(h, "prv").id];
    p.generation = body.num("generation");
    p.uri = body.str("uri");
    touch("provider", p.id);
  } else if (h.type == "vault-closed") {
    vault.closed = h.time;
    touch("vault", vault.id);
  } else if (h.type == "ledger-key-set") {
    vault.ledger_version = need(h, "key").id;
    vault.vkey = body.str("vkey");
    touch("vault", vault.id);
  } else if (h.type == "document-attached" && body.str("what") == "signer-certificate") {
    vault.signer_version = body.str("detail");
    vault.signer_certificate = body.str("document");
    touch("vault", vault.id);
  } else if (h.type == "document-attached" && body.str("what") == "checkpoint-token") {
    vault.stamped_size = static_cast<uint64_t>(body.num("size"));
    vault.stamp = body.str("document");
    vault.stamp_chain = body.str("authority");
    touch("vault", vault.id);
  } else if (h.type == "document-attached" && body.str("what") == "people-reviewed") {
    // Of no erasure; `notice` is the reviewer (app/people_review.h).
    const NodeMention& node = need(h, "doc");
    notices[node.id] = {
        node.id, "", "people-reviewed", body.str("document"), body.str("signature"), body.str("operator"),
        h.time};
    touch("notice", node.id);
  }
}

void State::evolve_remark(const Header& h, const Json& body) {
  if (h.type == "copy-registered") {
    CopyRecord& c = copies[need(h, "cpy").id];
    c.id = need(h, "cpy").id;
    c.state = "open";
    c.kind = body.str("kind");
    c.place = body.str("place");
    c.custodian = body.str("custodian");
    c.medium = body.str_or("medium", "");
    c.provider = body.str_or("provider", "");
    c.generation = body.num_or("generation", 0);
    for (auto& [from, to] : h.edges)
      if (std::find(c.versions.begin(), c.versions.end(), to) == c.versions.end()) c.versions.push_back(to);
    if (!c.registered) c.registered = h.time;
    if (const Json* share = body.find("share")) {
      c.share = *share;
      c.actor = body.at("actor");
      c.writing = true;
    }
    touch("copy", need(h, "cpy").id);
  } else if (h.type == "document-attached" && body.str("what") == "shares-written") {
    for (auto& [id, c] : copies) {
      if (!c.writing || c.share.str("set") != body.str("set")) continue;
      c.writing = false;
      touch("copy", id);
    }
  } else if (h.type == "copy-ended") {
    CopyRecord& c = copies[need(h, "cpy").id];
    c.state = "ended";
    c.how = body.str("how");
    c.ended = h.time;
    touch("copy", need(h, "cpy").id);
  } else if (h.type == "hold-placed") {
    const NodeMention& node = need(h, "hld");
    holds[node.id] = {node.id, node.of, body.str("case"), body.str("reason"), body.str("operator"), "",
                      h.time,  0};
    touch("hold", node.id);
  } else if (h.type == "hold-released") {
    HoldRecord& hold = holds[need(h, "hld").id];
    hold.released = h.time;
    hold.release_reason = body.str("reason");
    touch("hold", need(h, "hld").id);
  } else if (h.type == "contact-recorded") {
    const std::string& node = h.nodes[0].id;
    contacts[node] = {node, body.str("contact"), body.str("place"), h.time};
    touch("contact", node);
  } else if (h.type == "finding-recorded") {
    std::string seq = std::to_string(h.seq);
    findings[seq] = {h.nodes[0].id, body.str("what"), body.str("detail"), h.time};
    touch("finding", seq);
  } else if (h.type == "exception-recorded") {
    std::string seq = std::to_string(h.seq), subject = body.str("subject");
    Millis until = body.at("until").is_null() ? 0 : parse_utc(body.str("until")).value_or(0);
    exceptions[seq] = {
        body.str("what"), subject, body.str("detail"), body.str("reason"), body.str("operator"),
        h.time,           until};
    touch("exception", seq);
    if (VersionRecord* v = version(subject)) {
      if (body.str("what") == "originator-period") v->originator_exception = until;
      if (body.str("what") == "recipient-period") v->recipient_exception = until;
      touch("key", VersionRef::parse(subject)->key.str());
    }
  }
}

void State::evolve_erasure(const Header& h, const Json& body) {
  if (h.type == "certificate-issued") {
    const NodeMention& node = need(h, "cer");
    certificates[node.id] = {node.id,
                             node.of,
                             "issued",
                             body.str("certificate"),
                             body.str("signature"),
                             body.str("manifest"),
                             h.seq,
                             h.time,
                             false,
                             "",
                             "",
                             0,
                             "",
                             {}};
    if (const Json* stamps = body.find("time")) {
      CertificateRecord& c = certificates[node.id];
      c.stamp_asked = true;
      if (stamps->is_object()) c.stamp = stamps->str("signature"), c.stamp_chain = stamps->str("authority");
    }
    erasures[node.of].certificate = node.id;
    touch("certificate", node.id);
    touch("erasure", node.of);
    return;
  }
  if (h.type == "certificate-renewed") {
    const std::string& id = need(h, "cer").id;
    certificates[id].renewals.push_back({h.seq, h.time, body.str("ledger"), body.str("manifest"),
                                         body.at("time").str("manifest"), body.at("time").str("authority")});
    touch("certificate", id);
    return;
  }
  if (h.type == "certificate-withdrawn") {
    CertificateRecord& c = certificates[need(h, "cer").id];
    c.state = "withdrawn";
    c.withdrawn = h.time;
    c.withdraw_reason = body.str("reason");
    touch("certificate", need(h, "cer").id);
    return;
  }
  if (h.type == "notice-issued" || h.type == "notice-superseded" || h.type == "failure-reported") {
    const NodeMention& node = need(h, "doc");
    notices[node.id] = {
        node.id, node.of, h.type, body.str("document"), body.str("signature"), body.str_or("notice", ""),
        h.time};
    touch("notice", node.id);
    return;
  }
  if (!h.type.starts_with("erasure-")) return;
  const NodeMention& node = need(h, "era");
  ErasureRecord& e = erasures[node.id];
  touch("erasure", node.id);
  if (!node.is.empty()) e.stage = node.is;
  if (h.type == "erasure-requested") {
    e.id = node.id;
    e.plan = body.str("plan");
    e.reason = body.str("reason");
    e.datasets = strings(body.at("datasets"));
    e.versions = strings(body.at("versions"));
    e.request = {body.str("operator"), "operator", body.str("statement"), body.str("signature"), h.time};
    e.requested = h.time;
    e.requested_seq = h.seq;
  } else if (h.type == "erasure-approved") {
    // Whoever approves anew, after the first approval expired, has one approval: the last.
    std::erase_if(e.approvals,
                  [&](const ApprovalRecord& a) { return a.operator_id == body.str("operator"); });
    e.approvals.push_back(
        {body.str("operator"), body.str("role"), body.str("statement"), body.str("signature"), h.time});
    if (node.is == "approved") e.approved = h.time;
  } else if (h.type == "erasure-verified") {
    e.verified = {body.str("operator"), "verifier", body.str("statement"), body.str("signature"), h.time};
  } else if (h.type == "erasure-validated") {
    e.validated = {body.str("operator"), "validator", body.str("statement"), body.str("signature"), h.time};
  } else if (h.type == "erasure-started") {
    e.started = body;
  } else if (h.type == "erasure-inspected") {
    e.inspected = body;
    e.finished = h.time;
  }
}

}  // namespace kesu
