// The reader's own questions: who is trusted, which bar, is this file covered.
#include <algorithm>

#include "certificate/document_impl.h"
#include "certificate/verify_impl.h"
#include "erasure/attest_statement.h"
#include "erasure/command_statement.h"

namespace kesu {

namespace {

// A certificate that the reader names is his own decision; a chain to his anchor holds at the second
// time-stamp's time, else when the certificate says that it was issued, and unless it is shown to be revoked.
bool signer_known(const dossier::Dossier& d, const TrustAnchors& trust, const std::vector<Crl>& lists,
                  const VerifyReport& report, RevocationCheck& revocation) {
  if (!d.signer) return false;
  const Digest32 digest = d.signer->fingerprint();
  if (std::find(trust.signers.begin(), trust.signers.end(), digest) != trust.signers.end()) return true;
  if (trust.signer_cas.empty()) return false;
  std::vector<Bytes> others;
  if (auto pem = d.file(bundle::kSigner))
    for (const Certificate& c : Certificate::parse_pem(as_text(*pem))) others.push_back(c.der);
  const auto stamped = dossier::stamped_at(d);
  const Millis at = stamped.value_or(parse_utc(report.issued).value_or(d.last_done_at));
  const ChainCheck chain = verify_chain(d.signer->der, others, trust.signer_cas, at);
  if (!chain.ok) return false;
  if (chain.chain.size() > 1) revocation = check_revocation(chain.chain, lists, at, stamped.has_value());
  return !tells_against(revocation.state);
}

// Everybody who asked for or approved this erasure, verified or validated it, attended a key's making, or
// signed a command.
bool officers_known(const dossier::Dossier& d, const TrustAnchors& trust) {
  auto known = [&](const std::string& person, const std::string& name_space, Millis at) {
    auto it = d.people.find(person);
    return it != d.people.end() && it->second.key &&
           std::any_of(trust.officers.begin(), trust.officers.end(), [&](const TrustedOfficer& o) {
             return o.key == it->second.key->ssh && o.serves(name_space, at);
           });
  };
  // Where the reader asks for an authority: the certificate leads to it, by what came along in the signature.
  auto led = [&](const std::string& person, const std::string& part, Millis at) {
    const auto& key = d.people.at(person).key;
    if (trust.officers_cas.empty() || !key->certificate) return true;
    const auto file = d.file(part + ".sig");
    return file &&
           verify_chain(key->certificate->der, carried_certificates(as_text(*file)), trust.officers_cas, at)
               .ok;
  };
  size_t counted = 0;
  for (const dossier::SignedAct& act : d.acts) {
    if (!act.counted) continue;
    ++counted;
    if (!known(act.operator_id, "kesu-" + act.action + "-v1", act.time) ||
        !led(act.operator_id, act.part, act.time))
      return false;
  }
  return counted >= 2 &&
         std::all_of(d.attested.begin(), d.attested.end(),
                     [&](const dossier::Attested& a) {
                       return !a.counted || (known(a.operator_id, std::string(kAttestNamespace), a.time) &&
                                             led(a.operator_id, a.part, a.time));
                     }) &&
         std::all_of(d.commands.begin(), d.commands.end(), [&](const dossier::CommandFacts& c) {
           return known(c.operator_id, std::string(kCommandNamespace), c.time);
         });
}

// The slots are outside the leaf: anybody can write one that carries the data key over to a key that lives.
// So each must name a version that this erasure counts and that is destroyed; what a torn slot names cannot
// be said.
void check_slots(const dossier::Dossier& d, const Region& region, ObjectResult& out) {
  std::string lives, torn;
  for (size_t i = 0; i < region.slots.size(); ++i) {
    if (region.states[i] == SlotState::torn) torn = "slot " + std::to_string(i) + " is torn";
    if (!region.slots[i]) continue;
    std::string version = region.slots[i]->version.str();
    const auto node = d.graph.find(version);
    bool counted =
        std::find(d.kill.versions.begin(), d.kill.versions.end(), version) != d.kill.versions.end();
    bool dead = node && (node->state == "destroyed" || node->state == "destroyed-compromised");
    if (!counted || !dead)
      lives = "slot " + std::to_string(i) + " names key version " + version + ", which " +
              (counted ? "is not destroyed" : "this erasure did not destroy");
  }
  if (lives.empty() && torn.empty()) return;
  out.result = lives.empty() ? Coverage::cannot_say : Coverage::not_covered;
  out.why = lives.empty() ? torn : lives;
  out.dataset.clear();
  out.name.clear();
}

ObjectResult check_object(const dossier::Dossier& d, const ObjectToCheck& object) {
  ObjectResult out{object.path, Coverage::cannot_say, {}, {}, {}};
  try {
    ObjectInfo info = inspect_object(object.input);
    const ObjectHeader& header = info.region.header;
    Digest32 root{};
    if (header.payload_bound) root = payload_root_of(object.input, header);
    Digest32 leaf = inventory_leaf(header, root);
    out.result = Coverage::not_covered;
    for (const dossier::DatasetFacts& set : d.datasets) {
      if (set.id != header.dataset.str() || !set.inventory_good) continue;
      for (const dossier::BatchFacts& batch : set.batches) {
        if (!batch.has(leaf)) continue;
        out.result = header.payload_bound ? Coverage::covered : Coverage::header_covered;
        out.dataset = set.id;
        out.name = set.settings.str_or("name", "");
      }
    }
    if (out.result != Coverage::not_covered) check_slots(d, info.region, out);
  } catch (const Error& e) {
    out.why = e.message();
  }
  return out;
}

std::string_view stamp_over(const dossier::StampFacts& s) {
  using enum dossier::StampFacts::Over;
  return s.over == signature      ? "signature"
         : s.over == checkpoint_b ? bundle::kCheckpointB
         : s.over == renewal      ? std::string_view(s.part)
         : s.over == waiting      ? std::string_view(s.part)
                                  : bundle::kSignature;
}

// Where a stamp is missing to the reader's bar, what there is and why it does not count.
void name_stamps(const dossier::Dossier& d, bool waited, VerifyReport& report) {
  auto below = [&](std::string_view id) {
    return std::any_of(report.claims.begin(), report.claims.end(),
                       [&](const ClaimResult& c) { return c.id == id && c.level < c.least; });
  };
  for (const dossier::StampFacts& s : d.stamps) {
    using enum dossier::StampFacts::Over;
    const bool matters = s.over == checkpoint_b ? below("logged")
                         : s.over == waiting    ? !waited
                                                : below("dated");
    if (matters && !s.trusted)
      report.shortfalls.push_back("the time-stamp over " + std::string(stamp_over(s)) + " is of " +
                                  s.token.authority->subject + " and does not count: " + s.why);
  }
}

// Of whom a bar that asks for time-stamps also asks that he was not revoked.
void name_revocation(VerifyReport& report) {
  auto missing = [&](const std::string& whose, const RevocationCheck& check) {
    if (is_unshown(check.state))
      report.shortfalls.push_back("whether the " + whose + " was revoked is not shown: " + check.why +
                                  "; profile " + report.required_profile + " asks for it");
  };
  missing("signer's certificate", report.revocation);
  for (const StampResult& s : report.stamps)
    if (s.trusted) missing("authority of the time-stamp over " + s.over, s.revocation);
}

}  // namespace

std::vector<Crl> revocation_lists(dossier::Dossier& d, const TrustAnchors& trust) {
  std::vector<Crl> lists = trust.signer_crls;
  if (auto file = d.file(bundle::kRevocation))
    d.findings.guard(std::string(bundle::kRevocation), [&] {
      for (Crl& list : Crl::parse_any(*file)) lists.push_back(std::move(list));
    });
  return lists;
}

StampResult stamp_result(const dossier::StampFacts& s, std::string over) {
  return {std::move(over),
          s.token.time,
          s.token.accuracy,
          s.token.authority->subject,
          s.token.policy,
          s.token.algorithm,
          s.token.authority->not_after,
          s.trusted,
          s.why,
          s.revocation};
}

void describe(const dossier::Dossier& d, const Json& certificate, VerifyReport& report) {
  report.certificate = certificate.str("id");
  report.organisation = certificate.str("organisation");
  report.claimed_profile = certificate.str("profile");
  report.issued = certificate.str("issued");
  report.erased = certificate.str("erased");
  report.statement = {certificate.at("statement").str("en"), certificate.at("statement").str("ja")};
  report.test_grade = dossier::test_grade(d);
  report.limits = dossier::limits_of(d);
  report.evidence_chain = dossier::evidence_of(d);
  for (const dossier::ExceptionFacts& e : d.exceptions)
    report.exceptions.push_back({e.what, e.subject, e.detail, e.until, e.reason, e.approver, e.seq, e.shown});
  for (const dossier::StampFacts& s : d.stamps)
    report.stamps.push_back(stamp_result(s, std::string(stamp_over(s))));
  std::set<std::string> used;
  for (const ClaimResult& c : report.claims) {
    used.insert(c.premises.begin(), c.premises.end());
    if (c.id == "plaintext-history") report.history_unknown = c.level == Level::absent;
  }
  for (const Premise& p : premise_definitions())
    if (used.contains(p.id)) report.premises.push_back(p);
}

void check_trust(dossier::Dossier& d, const TrustAnchors& trust, const std::vector<Crl>& lists,
                 VerifyReport& report) {
  report.signer_known = signer_known(d, trust, lists, report, report.revocation);
  report.log_known = d.ledger_key && std::any_of(trust.logs.begin(), trust.logs.end(), [&](const NoteKey& k) {
                       return k.vkey() == d.ledger_key->vkey();
                     });
  report.officers_known = officers_known(d, trust);
  auto missing = [&](std::string_view what) { report.shortfalls.emplace_back(what); };
  if (!report.signer_known)
    missing("the signer of the certificate is not identified: " +
            (tells_against(report.revocation.state) ? report.revocation.why
                                                    : "no line of the trust file names it"));
  if (!report.log_known)
    missing("the ledger's key is not identified: no log line of the trust file names it");
  if (!report.officers_known)
    missing(
        "the officers who signed are not identified: the trust file does not have all of their keys for what "
        "they signed, and when, or a certificate of theirs does not lead to an authority that it names");
}

int64_t bound_witnesses_signed(const dossier::Dossier& d, const Anchors& bound) {
  return d.note_b ? std::count_if(bound.witnesses.begin(), bound.witnesses.end(),
                                  [&](const std::string& vkey) {
                                    return verify_note(*d.note_b, NoteKey::parse(vkey)) == NoteVerdict::good;
                                  })
                  : 0;
}

void check_profile(dossier::Dossier& d, int64_t witnesses, int64_t quorum, const VerifyOptions& options,
                   VerifyReport& report) {
  const Profile& bar = *find_profile(options.required_profile);
  for (const ClaimResult& c : report.claims)
    if (c.level < c.least)
      report.shortfalls.push_back(c.id + " is " + std::string(level_text(c.level)) + "; profile " + bar.name +
                                  " asks for " + std::string(level_text(c.least)));
  const std::string unshown = bar.timestamp ? dossier::waiting_problem(d) : "";
  if (bar.timestamp) {
    name_stamps(d, unshown.empty(), report);
    name_revocation(report);
  }
  auto missing = [&](std::string_view what) { report.shortfalls.emplace_back(what); };
  if (report.claims.empty()) missing("no claim could be computed");
  const auto number = [](int64_t n, const char* one, const char* several) {
    return std::to_string(n) + " " + (n == 1 ? one : several);
  };
  const dossier::Bars held = dossier::bars_of(d);
  if (held.quorum < bar.quorum)
    report.shortfalls.push_back("approved by a quorum of " + std::to_string(held.quorum) + "; profile " +
                                bar.name + " asks for " + std::to_string(bar.quorum));
  if (held.waiting_seconds < bar.waiting_seconds)
    report.shortfalls.push_back("waiting period of " + number(held.waiting_seconds, "second", "seconds") +
                                "; profile " + bar.name + " asks for " + std::to_string(bar.waiting_seconds));
  if (!unshown.empty())
    report.shortfalls.push_back("that the waiting period passed is shown by the host's clock alone: " +
                                unshown + "; profile " + bar.name + " asks for time-stamps");
  const Anchors bound = dossier::rules_at(d, dossier::moment_of_request(d)).anchors;
  const int64_t of_rules = bound_witnesses_signed(d, bound);
  if (bar.witness_quorum > 0 && of_rules < bound.witness_quorum)
    report.shortfalls.push_back(std::to_string(of_rules) + " of the " + std::to_string(bound.witness_quorum) +
                                " witnesses that the rules ask for signed, so none counts; profile " +
                                bar.name + " asks for " + std::to_string(bar.witness_quorum));
  else if (witnesses < bar.witness_quorum)
    report.shortfalls.push_back(number(witnesses, "trusted witness", "trusted witnesses") + "; profile " +
                                bar.name + " asks for " + std::to_string(bar.witness_quorum));
  else if (bar.witness_quorum > 0 && witnesses < quorum)
    report.shortfalls.push_back(number(witnesses, "trusted witness", "trusted witnesses") +
                                "; the trust file asks for " + std::to_string(quorum));
  if (bar.bind_payload)
    for (const dossier::DatasetFacts& set : d.datasets)
      if (!set.settings.flag("bind_payload"))
        report.shortfalls.push_back("the payloads of " + set.settings.str_or("name", set.id) +
                                    " are not bound to the inventory; profile " + bar.name + " asks for it");
  if (bar.restart && !dossier::restart_shown(d))
    report.shortfalls.push_back(
        "no restart of the machine is shown between destruction and inspection; profile " + bar.name +
        " asks for it");
  if (bar.signed_commands && !dossier::rules_at(d, dossier::moment_of_request(d)).signed_commands)
    report.shortfalls.push_back("the rules in force at the request do not ask for signed commands; profile " +
                                bar.name + " asks for them");
  if (report.test_grade && !options.allow_test_grade)
    missing("TEST GRADE: a provider without a validation certificate held the keys");
  if (report.withdrawn) missing("the certificate was withdrawn");
  if (!d.headers_complete) missing("not all headers of the ledger are there");
}

void check_objects(dossier::Dossier& d, const std::vector<ObjectToCheck>& objects, VerifyReport& report) {
  for (const ObjectToCheck& object : objects) {
    report.objects.push_back(check_object(d, object));
    if (report.objects.back().result != Coverage::covered)
      report.shortfalls.push_back(object.path + ": " +
                                  std::string(coverage_text(report.objects.back().result)));
  }
}

}  // namespace kesu
