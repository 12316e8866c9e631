// Key versions: birth, attributes again, destruction, receipts; their providers; copies; ledger and
// certificate keys.
#include <algorithm>

#include "certificate/dossier_impl.h"
#include "crypto/hash.h"
#include "erasure/attest_statement.h"

namespace kesu::dossier {

namespace {

// What an entry says about where the key came from; nothing said is generated.
std::string origin_in(const Json& body) { return body.str_or("origin", "generated"); }

// Both entries must be shown, and both say so, before a key counts as generated.
void add_origin(KeyFacts& key, const Json* body) {
  std::string said = body ? origin_in(*body) : "";
  if (key.origin == "generated" || (key.origin.empty() && !said.empty() && said != "generated"))
    key.origin = said;
}

std::string birth_digest(const KeyRef& ref) {
  Bytes all;
  if (ref.canary) all.insert(all.end(), ref.canary->digest.begin(), ref.canary->digest.end());
  all.insert(all.end(), ref.public_key.begin(), ref.public_key.end());
  return hex(sha256(all));
}

void read_intended(Dossier& d, KeyFacts& key, const Header& h) {
  const Json* body = d.body(h.seq);
  if (!body)
    d.findings.weak(std::string(bundle::kBodies), brief_number(h.seq) +
                                                      " (key-intended) is not opened: where " + key.version +
                                                      " came from is not shown");
  key.origin = body ? origin_in(*body) : "";
}

void read_birth(Dossier& d, KeyFacts& key, const Header& h, const NodeMention& m) {
  key.created = h.seq;
  key.provider = m.of;
  const Json* body = d.body(h.seq);
  add_origin(key, body);
  if (!body) {
    d.findings.weak(std::string(bundle::kBodies), brief_number(h.seq) + " (key-created) is not opened");
    return;
  }
  key.name = body->str("name");
  key.ref = KeyRef::from_json(body->at("ref"));
  if (key.ref->version.str() != key.version)
    throw Error(Code::bad_input, "ref is of " + key.ref->version.str());
  if (body->str("purpose") != purpose_text(key.ref->purpose))
    throw Error(Code::bad_input, "purpose is not that of ref");
  if (birth_digest(*key.ref) != m.d)
    throw Error(Code::bad_input, "d is not the digest of canary and public key");
  std::string digest = body->str("birth");
  key.born = h.time;
  key.birth_digest = digest;
  auto content = d.evidence(digest);
  if (!content) {
    d.findings.weak("evidence/" + digest, "is missing: the birth of " + key.version);
    return;
  }
  d.findings.guard("evidence/" + digest, [&] {
    key.birth = Birth::from_json(read_record(*content, "birth record"));
    if (!(key.birth->ref.to_json() == key.ref->to_json()))
      throw Error(Code::bad_input, "the birth record is of another key");
    key.birth_shown = of_object(key.birth->attributes, *key.ref);
    key.birth_good = key.birth_shown && stayed_inside(key.birth->attributes);
  });
}

void read_end(Dossier& d, KeyFacts& key, const Header& h) {
  key.done = h.seq;
  key.destroyed_at = h.time;
  const Json* body = d.body(h.seq);
  if (!body) {
    key.done.reset();  // the ledger's word alone: all-destroyed wants the body
    d.findings.weak(std::string(bundle::kBodies), brief_number(h.seq) + " (destroy-done) is not opened");
    return;
  }
  key.receipt_lost = body->flag("receipt_lost");
  auto evidence = [&](const std::string& digest, const char* what,
                      const std::function<void(ByteView)>& read) {
    auto content = d.evidence(digest);
    if (!content)
      d.findings.weak("evidence/" + digest, "is missing: " + std::string(what) + " of " + key.version);
    else
      d.findings.guard("evidence/" + digest, [&] { read(*content); });
  };
  const Json& receipt = body->at("receipt");
  if (!receipt.is_null())
    evidence(receipt.as_string(), "the receipt", [&](ByteView content) {
      Receipt r = Receipt::from_json(read_record(content, "receipt"));
      if (!key.ref || !of_object(r.before, *key.ref))
        throw Error(Code::bad_input, "the receipt is not of " + key.version);
      key.receipt = std::move(r);
    });
  if (const Json* transcript = body->find("transcript"); transcript && transcript->is_string())
    evidence(transcript->as_string(), "what settled the receipt", [&](ByteView content) {
      Probe probe = read_probe(content);
      auto it = probe.keys.find(key.version);
      auto asked = probe.asked.find(key.version);
      key.settled = key.receipt_lost && it != probe.keys.end() && it->second.first == "absent" &&
                    asked != probe.asked.end() && key.ref && asked->second.to_json() == key.ref->to_json();
    });
}

void read_versions(Dossier& d, const std::set<std::string>& wanted) {
  for (const std::string& version : wanted) d.keys[version].version = version;
  for (const Header& h : d.headers) {
    if (h.type != "key-intended" && h.type != "key-created" && h.type != "destroy-intended" &&
        h.type != "destroy-done")
      continue;
    for (const NodeMention& m : h.nodes) {
      auto it = d.keys.find(m.id);
      if (it == d.keys.end() || m.is.empty()) continue;
      KeyFacts& key = it->second;
      d.findings.guard(brief_number(h.seq), [&] {
        if (h.type == "key-intended") read_intended(d, key, h);
        if (h.type == "key-created") read_birth(d, key, h, m);
        if (h.type == "destroy-done") read_end(d, key, h);
        if (h.type != "destroy-intended") return;
        key.intended = h.seq;
        key.intended_at = h.time;
        const Json* body = d.body(h.seq);
        key.before_digest = body ? body->str_or("before", "") : "";
        const Json* actor = body ? body->find("actor") : nullptr;
        key.intended_boot = actor && actor->is_object() ? actor->str_or("boot_id", "") : "";
        key.attributes_shown = body && key.ref && of_object(body->at("attributes"), *key.ref) &&
                               body->at("ref") == key.ref->to_json();
        key.attributes_again = key.attributes_shown && stayed_inside(body->at("attributes"));
      });
    }
  }
}

void read_providers(Dossier& d) {
  std::set<std::string> wanted;
  for (const std::string& version : d.kill.versions) wanted.insert(d.keys.at(version).provider);
  for (const Header& h : d.headers) {
    if (h.type != "provider-added" || !wanted.contains(h.nodes.front().id)) continue;
    const Json* body = d.body(h.seq);
    if (!body) {
      d.findings.weak(std::string(bundle::kBodies), brief_number(h.seq) + " (provider-added) is not opened");
      continue;
    }
    d.findings.guard(brief_number(h.seq), [&] {
      ProviderFacts p{
          h.nodes.front().id, body->str("name"), ProviderIdentity::from_json(body->at("identity")), {}};
      if (hex(sha256(as_bytes(body->at("identity").canonical()))) != h.nodes.front().d)
        throw Error(Code::bad_input, "d is not the digest of identity");
      p.grade = grade_provider(p.identity);
      d.providers[p.id] = std::move(p);
    });
  }
}

void read_copies(Dossier& d) {
  std::map<std::string, CopyFacts> copies;
  for (const std::string& id : d.kill.copies)
    copies[id] = {id, {}, {}, {}, d.graph.find(id)->state, {}, false, {}};
  for (const Header& h : d.headers) {
    if (h.type != "copy-registered" && h.type != "copy-ended") continue;
    for (const auto& [from, to] : h.edges)
      if (auto copy = copies.find(from); copy != copies.end()) copy->second.versions.insert(to);
    auto it = copies.find(h.nodes.front().id);
    const Json* body = it == copies.end() ? nullptr : d.body(h.seq);
    if (!body) continue;
    CopyFacts& copy = it->second;
    if (h.type == "copy-registered") {
      copy.kind = body->str_or("kind", "");
      copy.place = body->str_or("place", "");
      copy.custodian = body->str_or("custodian", "");
    } else if (const Json* document = body->find("document"); document && document->is_string()) {
      copy.document = document->as_string();
      copy.documented = d.evidence(copy.document).has_value();
    }
  }
  for (auto& [id, copy] : copies) d.copies.push_back(std::move(copy));
}

void check_ledger_key(Dossier& d) {
  for (const Header& h : d.headers) {
    if (h.type != "ledger-key-set") continue;
    d.ledger_version = h.nodes.front().id;
    const Json* body = d.body(h.seq);
    if (body && body->str("vkey") == d.vkey) continue;
    d.checkpoints_signed = false;
    if (body)
      d.findings.bad(std::string(bundle::kLedgerKey), "is not the key that " + brief_number(h.seq) + " sets");
    else
      d.findings.bad(std::string(bundle::kBodies), brief_number(h.seq) + " (ledger-key-set) is not opened");
  }
  auto it = d.keys.find(d.ledger_version);
  if (d.ledger_version.empty() || it == d.keys.end() || !it->second.ref) {
    d.checkpoints_signed = false;
    d.findings.bad(std::string(bundle::kLedgerKey),
                   "the ledger does not show the birth of the key that signs it");
    return;
  }
  if (d.ledger_key && it->second.ref->public_key != d.ledger_key->key.spki())
    d.findings.bad(std::string(bundle::kLedgerKey), "is not the public key of " + d.ledger_version);
}

constexpr size_t kMaxSignerChain = 8;

void read_signer(Dossier& d) {
  auto file = d.file(bundle::kSigner);
  if (!file) return;
  std::string part(bundle::kSigner);
  d.findings.guard(part, [&] {
    auto certificates = Certificate::parse_pem(as_text(*file));
    if (certificates.size() > kMaxSignerChain) throw Error(Code::bad_input, "holds more than 8 certificates");
    for (size_t i = 0; i + 1 < certificates.size(); ++i)
      if (certificates[i].issuer_der != certificates[i + 1].subject_der)
        throw Error(Code::bad_input,
                    "its certificates are not in order, each the issuer's of the one before");
    if (!certificates.front().key) throw Error(Code::bad_input, "its key is of a kind that is not used here");
    d.signer = certificates.front();
  });
  if (!d.signer) return;
  // Which version it is follows from the key, not from what certificate.json says.
  for (const auto& [version, key] : d.keys)
    if (key.ref && key.ref->purpose == KeyPurpose::sign_certificate &&
        key.ref->public_key == d.signer->key->spki())
      d.certificate_version = version;
  if (d.certificate_version.empty()) d.findings.bad(part, "its key is no certificate key of this ledger");
}

}  // namespace

bool of_object(const Json& attributes, const KeyRef& ref) {
  return attributes.is_object() && attributes.str_or("CKA_LABEL", "") == ref.label &&
         attributes.str_or("CKA_ID", "") == hex(ref.id);
}

void read_keys(Dossier& d) {
  std::set<std::string> wanted(d.kill.versions.begin(), d.kill.versions.end());
  for (const Header& h : d.headers)
    if (h.type == "ledger-key-set") wanted.insert(h.nodes.front().id);
  for (const Json& p : d.plan.at("providers").as_array()) wanted.insert(p.str_or("control", ""));
  wanted.erase("");
  for (const Header& h : d.headers) {
    if (h.type != "key-created") continue;
    const Json* body = d.body(h.seq);
    if (body && body->str_or("purpose", "") == purpose_text(KeyPurpose::sign_certificate))
      wanted.insert(h.nodes.front().id);
  }
  read_versions(d, wanted);
  read_providers(d);
  read_copies(d);
  d.findings.guard(std::string(bundle::kLedgerKey), [&] { check_ledger_key(d); });
  read_signer(d);
  for (const std::string& version : d.kill.versions) {
    const KeyFacts& key = d.keys.at(version);
    if (!key.done || *key.done < d.last_done) continue;
    d.last_done = *key.done;
    d.last_done_at = key.destroyed_at;
  }
  // The first attempt at any of them since the request, whatever its entry says it belongs to.
  std::optional<uint64_t> requested;
  for (const Header& h : d.headers)
    for (const NodeMention& m : h.nodes) {
      if (h.type == "erasure-requested" && m.id == d.erasure && !requested) requested = h.seq;
      if (m.is != "destroying" || !requested || d.first_intended) continue;
      if (std::find(d.kill.versions.begin(), d.kill.versions.end(), m.id) == d.kill.versions.end()) continue;
      d.first_intended = h.seq;
      d.first_intended_at = h.time;
    }
  // The start that counts is the last one before anything was destroyed. An attempt that failed destroyed
  // nothing: what counts of a version is its last.
  std::optional<uint64_t> effective;
  for (const std::string& version : d.kill.versions)
    if (const auto& last = d.keys.at(version).intended; last && requested && *last > *requested)
      effective = effective ? std::min(*effective, *last) : *last;
  for (const Header& h : d.headers)
    if (h.type == "erasure-started" && h.nodes.front().id == d.erasure && (!effective || h.seq < *effective))
      d.started = h.seq;
}

}  // namespace kesu::dossier
