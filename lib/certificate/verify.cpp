// The verifier's order of work: files, dossier, document, signature, ledger entry, claims, trust, profile,
// objects.
#include "certificate/verify.h"

#include <algorithm>

#include "certificate/document_impl.h"
#include "certificate/rules_impl.h"
#include "certificate/verify_impl.h"
#include "crypto/cms.h"
#include "crypto/hash.h"

namespace kesu {

namespace {

using dossier::Dossier;

constexpr std::string_view kRequired[] = {bundle::kCertificate, bundle::kSignature,      bundle::kPlan,
                                          bundle::kGenesis,     bundle::kAllowedSigners, bundle::kHeaders,
                                          bundle::kBodies,      bundle::kCheckpointA,    bundle::kCheckpointB,
                                          bundle::kConsistency, bundle::kSigner,         bundle::kLedgerKey,
                                          bundle::kManifest,    bundle::kReadme};

void check_files(Dossier& d, const BundleFiles& files) {
  for (const auto& [path, content] : files)
    if (std::string why = bundle_name_problem(path); !why.empty()) d.findings.bad(path, "is " + why);
  for (std::string_view path : kRequired)
    if (!d.file(path)) d.findings.bad(std::string(path), "is missing");
  for (const ManifestProblem& p : check_manifest(files)) d.findings.bad(p.path, p.what);
}

Json read_certificate(Dossier& d) {
  Json out;
  if (auto file = d.file(bundle::kCertificate))
    d.findings.guard(std::string(bundle::kCertificate), [&] {
      Json doc = parse_canonical_json(as_text(*file), "certificate.json",
                                      {.max_bytes = dossier::kMaxJson, .max_depth = 16});
      if (doc.str("type") != "kesu-certificate-v1") throw Error(Code::bad_input, "type: " + doc.str("type"));
      if (!CertificateId::parse(doc.str("id"))) throw Error(Code::bad_input, "id: no identifier");
      out = std::move(doc);
    });
  return out;
}

// What a claim of that stored level may say: at the reader's own level all as computed; at a lower one the
// premises of a row of that level, and reasons that are the computed ones or none. No word is the issuer's
// own.
Json allowed_claim(const Json& stored, Level level, const Json& computed) {
  Json out = computed;
  if (level == *parse_level(computed.str("level"))) return out;
  const std::vector<ClaimRow>& rows = claim_definition(computed.str("id")).rows;
  out.set("level", "");  // of no row
  for (const ClaimRow& row : rows) {
    if (row.level != level) continue;
    Json premises((Json::Array()));
    for (const std::string& p : row.premises) premises.push(p);
    out.set("level", level_text(level)).set("premises", premises);
    if (stored.at("premises") == premises) break;
  }
  if (stored.at("rests_on") == Json(Json::Array())) out.set("rests_on", Json(Json::Array()));
  if (stored.at("detail") == Json("")) out.set("detail", "");
  return out;
}

// What time-stamps and witnesses add came after the issuer had signed, and counts by the reader's anchors:
// the certificate can say of these claims what held without them, and no more.
Json before_stamps(const Json& computed) {
  const std::string& id = computed.str("id");
  const Level most = id == "dated" ? Level::absent : id == "logged" ? Level::asserted : Level::proven;
  if (*parse_level(computed.str("level")) <= most) return computed;
  Json out = computed;
  for (const ClaimRow& row : claim_definition(id).rows) {
    if (row.level != most) continue;
    Json premises((Json::Array())), rests((Json::Array()));
    for (const std::string& p : row.premises) premises.push(p);
    if (most != Level::absent && computed.at("rests_on").size() > 0)
      rests.push(computed.at("rests_on").as_array().front());
    out.set("level", level_text(most)).set("premises", premises).set("rests_on", rests).set("detail", "");
  }
  return out;
}

// Levels may be lower than computed (the issuer had less to go by), never higher.
void check_claims(Dossier& d, const Json& stored, const Json& computed) {
  const Json::Array &is = stored.as_array(), &should = computed.as_array();
  if (is.size() != should.size()) {
    d.findings.bad("certificate.json", "claims: are not those of the table");
    return;
  }
  for (size_t i = 0; i < is.size(); ++i) {
    const Json wanted = before_stamps(should[i]);
    const std::string& id = wanted.str("id");
    auto level = parse_level(is[i].str("level"));
    if (is[i].str("id") != id || !level) {
      d.findings.bad("certificate.json", "claims[" + std::to_string(i) + "]: is not " + id + " with a level");
      continue;
    }
    Level here = *parse_level(wanted.str("level"));
    if (*level > here)
      d.findings.bad("certificate.json", "claims: " + id + " says " + std::string(level_text(*level)) +
                                             ", the bundle gives " + std::string(level_text(here)));
    for (const std::string& path : dossier::differences(is[i], allowed_claim(is[i], *level, wanted)))
      d.findings.bad("certificate.json", "claims: " + id + ": " + path + " is not what the bundle gives");
  }
}

void compare_document(Dossier& d, const Json& stored, const Json& computed) {
  d.findings.guard("certificate.json", [&] {
    check_claims(d, stored.at("claims"), computed.at("claims"));
    Json is = stored, should = computed;
    dossier::allow_older(is, should);
    for (const char* apart : {"claims", "policy", "premises"}) {
      is.as_object().erase(apart);
      should.as_object().erase(apart);
    }
    for (const std::string& path : dossier::differences(is, should))
      d.findings.bad("certificate.json", path + " is not what the bundle gives");
    // Premises follow the stored levels; the policy's edition is the issuer's, its digest the plan's.
    std::vector<std::pair<std::string, const ClaimRow*>> rows;
    std::set<std::string> used;
    for (const Json& c : stored.at("claims").as_array())
      for (const Json& p : c.at("premises").as_array()) used.insert(p.as_string());
    Json premises((Json::Array()));
    for (const Premise& p : premise_definitions())
      if (used.contains(p.id))
        premises.push(Json::object({{"id", p.id}, {"en", p.text.en}, {"ja", p.text.ja}}));
    if (!(stored.at("premises") == premises))
      d.findings.bad("certificate.json", "premises are not those of its claims");
    if (stored.at("policy").str("digest") != d.plan.str("policy_digest"))
      d.findings.bad("certificate.json", "policy.digest is not the plan's");
    if (stored.at("policy").size() != 2 || stored.at("policy").str("edition").empty())
      d.findings.bad("certificate.json", "policy is malformed");
  });
}

void check_document(Dossier& d, const Json& stored, const std::set<std::string>& conditions, bool withdrawn,
                    VerifyReport& report) {
  Json computed;
  bool made = d.findings.guard("certificate.json", [&] {
    auto issued = parse_utc(stored.str("issued"));
    if (!issued) throw Error(Code::bad_input, "issued: is no time");
    if (stored.str("program").empty()) throw Error(Code::bad_input, "program: is empty");
    computed = dossier::make_document(d, {stored.str("id"), stored.str("program"), *issued}, conditions);
    if (*issued < d.last_done_at) throw Error(Code::bad_input, "issued: is before the destruction");
  });
  if (!made) return;
  // What came to be known since may be that it is not so: it was withdrawn for that, and is genuine.
  const auto compare = [&] { compare_document(d, stored, computed); };
  withdrawn ? d.findings.weakly(compare) : compare();
  report.claims.clear();
  const Profile& bar = *find_profile(report.required_profile);
  const auto& definitions = claim_definitions();
  for (size_t i = 0; i < definitions.size(); ++i) {
    const ClaimRow& row = evaluate_claim(definitions[i], conditions);
    const Json& c = computed.at("claims").as_array()[i];
    ClaimResult result{definitions[i].id, row.level, Level::absent, bar.least[i].second, definitions[i].title,
                       row.says,          {},        row.premises,  c.str("detail")};
    for (const Json& r : c.at("rests_on").as_array()) result.rests_on.push_back(r.as_string());
    // A claim that is none was called wrong in the comparison.
    if (const Json* claims = stored.find("claims"); claims && claims->is_array() && i < claims->size())
      if (const Json& said = claims->as_array()[i]; said.is_object())
        if (const Json* level = said.find("level"); level && level->is_string())
          result.stored = parse_level(level->as_string()).value_or(Level::absent);
    report.claims.push_back(std::move(result));
  }
}

CmsCheck check_signature(Dossier& d, const Json& stored) {
  auto content = d.file(bundle::kCertificate), signature = d.file(bundle::kSignature);
  if (!content || !signature) return {};
  std::string part(bundle::kSignature);
  CmsCheck check = verify_detached(*content, *signature);
  if (!check.ok) {
    d.findings.bad(part, check.reason);
    return {};
  }
  if (d.signer && d.signer->key && check.digest && *check.digest != certificate_digest(*d.signer->key))
    d.findings.bad(part, "its digest is " + hash_algorithm(*check.digest) +
                             ", not the one that is used with such a key");
  if (!check.has_signing_certificate_v2)
    d.findings.bad(part, "does not name its certificate (signing-certificate-v2)");
  if (!d.signer || check.signer->der != d.signer->der) {
    d.findings.bad(part, "is not made with the certificate in trust/signer.pem");
    return check;
  }
  if (auto pem = d.file(bundle::kSigner)) {
    const std::vector<Certificate> offered = Certificate::parse_pem(as_text(*pem));
    for (const Bytes& c : check.certificates)
      if (std::none_of(offered.begin(), offered.end(), [&](const Certificate& o) { return o.der == c; }))
        d.findings.bad(part, "it carries another certificate than trust/signer.pem");
  }
  auto issued = parse_utc(stored.str_or("issued", ""));
  if (issued && (*issued < d.signer->not_before || *issued > d.signer->not_after))
    d.findings.bad(std::string(bundle::kSigner), "was not valid when the certificate was issued");
  return check;
}

// The entry between the checkpoints that makes MANIFEST part of the ledger, and a later withdrawal.
void check_entry(Dossier& d, const Json& stored, VerifyReport& report) {
  std::string id = stored.str("id");
  const Header* issued = nullptr;
  for (const Header& h : d.headers)
    for (const NodeMention& m : h.nodes) {
      if (m.id != id) continue;
      if (h.type == "certificate-issued") issued = &h;
      if (h.type == "certificate-withdrawn") report.withdrawn = true;
    }
  std::string part(bundle::kBodies);
  if (!issued) {
    auto note = [&](const char* what) {
      d.headers_complete ? d.findings.bad(std::string(bundle::kHeaders), what)
                         : d.findings.weak(std::string(bundle::kHeaders), what);
    };
    note("no entry says that this certificate was issued");
    return;
  }
  const NodeMention& m = issued->nodes.front();
  if (issued->seq < d.a.size)
    d.findings.bad(std::string(bundle::kHeaders), "certificate-issued stands before checkpoint A");
  if (m.of != d.erasure)
    d.findings.bad(std::string(bundle::kHeaders), "certificate-issued is of another erasure");
  auto manifest = d.file(bundle::kManifest), content = d.file(bundle::kCertificate),
       signature = d.file(bundle::kSignature);
  if (!manifest || !content || !signature) return;
  if (hex(hash(HashAlg::sha512, *manifest)) != m.d)
    d.findings.bad(std::string(bundle::kManifest), "is not the one that the ledger names");
  const Json* body = d.body(issued->seq);
  if (!body) {
    d.findings.bad(part, "certificate-issued is not opened");
    return;
  }
  if (body->str("manifest") != hex(sha256(*manifest)) || body->str("certificate") != hex(sha256(*content)) ||
      body->str("signature") != hex(sha256(*signature)))
    d.findings.bad(part, "certificate-issued names another certificate, signature or MANIFEST");
  if (auto when = parse_utc(stored.str_or("issued", "")); when && *when > issued->time)
    d.findings.bad("certificate.json", "issued: is after the ledger's entry");
}

// What is followed below A is followed beyond the run: who cites an earlier one would leave out what took an
// approval away, or what nobody released.
void check_reach(Dossier& d) {
  if (!d.headers_complete) return;
  const std::string part(bundle::kCheckpointA), state = d.state_at_a(d.erasure);
  if (state != "destroyed" && state != "verified" && state != "validated")
    d.findings.bad(
        part, "does not cover the erasure, which is " + (state.empty() ? "not there" : state) + " as of it");
  for (const Header& h : d.headers)
    if (h.seq >= d.a.size && (h.type == "destroy-intended" || h.type == "destroy-done") &&
        std::any_of(h.nodes.begin(), h.nodes.end(), [&](const NodeMention& m) {
          return std::binary_search(d.kill.versions.begin(), d.kill.versions.end(), m.id);
        }))
      d.findings.bad(part, "does not cover entry " + std::to_string(h.seq) + " (" + h.type + ")");
}

// What a newer extract of the ledger says of this certificate.
void check_extract(Dossier& d, const Json& stored, const BundleFiles& extract, VerifyReport& report) {
  const auto newer = dossier::read_extract(d, extract);
  if (!newer) return;
  report.as_of = std::max(report.as_of, static_cast<int64_t>(newer->b.size));
  const std::string id = stored.str("id");
  for (const Header& h : newer->headers)
    report.withdrawn |=
        h.type == "certificate-withdrawn" &&
        std::any_of(h.nodes.begin(), h.nodes.end(), [&](const NodeMention& m) { return m.id == id; });
}

// Of the reader's witnesses, and where the rules bind some, of these: none counts before so many of these
// signed as the rules ask for, whoever of them the reader knows.
int64_t count_witnesses(const Dossier& d, const TrustAnchors& trust) {
  const Anchors bound = dossier::rules_at(d, dossier::moment_of_request(d)).anchors;
  auto signed_by = [&](const NoteKey& key) {
    return d.note_b && verify_note(*d.note_b, key) == NoteVerdict::good;
  };
  int64_t out = 0;
  std::set<Bytes> named, counted;  // by key: one witness under two names is one
  for (Bytes& key : bound.witness_keys()) named.insert(std::move(key));
  if (bound_witnesses_signed(d, bound) < bound.witness_quorum) return 0;
  for (const NoteKey& key : trust.witnesses)
    if ((named.empty() || named.contains(key.key.spki())) && signed_by(key) &&
        counted.insert(key.key.spki()).second)
      ++out;
  return out;
}

void finish(const Dossier& d, VerifyReport& report) {
  for (const dossier::Finding& f : d.findings.all()) report.errors.push_back({f.part, f.what, f.hard});
  report.verdict = d.findings.any_hard()       ? Verdict::invalid
                   : report.shortfalls.empty() ? Verdict::complete
                                               : Verdict::incomplete;
}

}  // namespace

VerifyReport verify_bundle(const BundleFiles& files, const TrustAnchors& trust,
                           const VerifyOptions& options) {
  VerifyReport report;
  report.required_profile = options.required_profile;
  if (!find_profile(options.required_profile))
    throw Error(Code::usage, "no profile \"" + options.required_profile + "\"").next("low, standard or high");
  Dossier d;
  try {
    d = dossier::read_dossier(files);
    check_files(d, files);
    report.as_of = static_cast<int64_t>(d.b.size);
    Json stored = read_certificate(d);
    if (!stored.is_null() && !d.plan.is_null() && !d.headers.empty()) {
      const CmsCheck cms = check_signature(d, stored);
      d.findings.guard(std::string(bundle::kHeaders), [&] { check_entry(d, stored, report); });
      check_reach(d);
      const bool withdrawn = report.withdrawn;  // by the bundle's own ledger
      if (options.extract)
        d.findings.guard("--ledger", [&] { check_extract(d, stored, *options.extract, report); });
      const std::vector<Crl> lists = revocation_lists(d, trust);
      dossier::ReaderEvidence reader{count_witnesses(d, trust), trust.witness_quorum};
      d.findings.guard("time", [&] {
        read_stamps(d, cms, parse_utc(stored.str_or("issued", "")), trust.tsa_cas, lists, reader);
        if (trust.renewal_required && !options.now)
          throw Error(Code::usage, "tsa-renewal needs the reader's time");
        read_renewals(d, stored.str("id"), trust.tsa_cas, lists,
                      trust.renewal_required ? options.now : std::nullopt, reader);
      });
      std::set<std::string> conditions;
      d.findings.guard("claims", [&] { conditions = dossier::conditions_of(d, reader); });
      check_document(d, stored, conditions, withdrawn, report);
      d.findings.guard("certificate.json", [&] { describe(d, stored, report); });
      d.findings.guard(std::string(bundle::kCertificate), [&] {
        read_countersignatures(d, trust, lists, parse_utc(stored.str_or("issued", "")),
                               trust.renewal_required ? options.now : std::nullopt, report);
      });
      check_trust(d, trust, lists, report);
      check_profile(d, reader.witnesses, reader.witness_quorum, options, report);
      check_objects(d, options.objects, report);
      if (options.now && parse_utc(report.issued).value_or(0) > *options.now)
        d.findings.weak("certificate.json", "issued: lies in the future of this host's clock");
    } else {
      d.findings.bad(std::string(d.headers.empty() ? bundle::kHeaders : bundle::kCertificate),
                     "cannot be read, so nothing can be shown");
      for (const ObjectToCheck& o : options.objects)
        report.objects.push_back({o.path, Coverage::cannot_say, {}, {}, "the bundle cannot be read"});
    }
  } catch (const std::exception& e) {
    d.findings.bad("bundle", std::string("cannot be read: ") + e.what());
  }
  finish(d, report);
  return report;
}

}  // namespace kesu
