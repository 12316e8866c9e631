#include "app/withdraw.h"

#include "app/consents.h"
#include "app/rules.h"
#include "app/settle.h"
#include "base/files.h"
#include "base/leftovers.h"
#include "erasure/withdraw_statement.h"

namespace kesu {

namespace {
void refuse_request(Vault& vault, const CertificateRecord& certificate, const std::string& reason,
                    const OperatorRecord& person) {
  if (reason.empty()) throw Error(Code::usage, "why? --reason is needed");
  refuse_withdrawn(certificate, "kesu certificate list");
  const Moment now = moment_now(vault);
  needs_role(vault.state(), person, "approver", now, now.time, "an approver has to sign the withdrawal");
}

ConsentForm form_of(Vault& vault, const CertificateRecord& c, const std::string& reason) {
  std::string names;
  for (const std::string& ds : vault.state().erasures.at(c.erasure).datasets)
    names += (names.empty() ? "" : ", ") + vault.state().datasets.at(ds).name;
  WithdrawStatement s;
  s.vault = vault.id();
  s.organisation = vault.state().vault.organisation;
  s.certificate = *CertificateId::parse(c.id);
  s.document = c.document;
  s.erasure = *ErasureId::parse(c.erasure);
  s.datasets = names;
  s.reason = reason;
  return {.subject = c.id,
          .name_space = std::string(kWithdrawNamespace),
          .reason = reason,
          .not_before = c.issued,
          .max_age = kMaxWithdrawStatementAge,
          .text =
              [s](const OperatorRecord& person, Millis issued) {
                WithdrawStatement mine = s;
                mine.operator_id = *OperatorId::parse(person.id);
                mine.name = person.name;
                mine.issued = issued;
                return mine.text();
              },
          .issued_of = [](std::string_view text) { return WithdrawStatement::parse(text).issued; }};
}
}  // namespace

void refuse_withdrawn(const CertificateRecord& c, const std::string& next) {
  if (!c.withdrawn) return;
  throw Error(Code::state_refused,
              "certificate " + c.id.substr(0, 12) + " was withdrawn " + local_text(c.withdrawn))
      .cause(c.withdraw_reason)
      .next(next);
}

std::string export_withdrawal(Vault& vault, const std::string& id, const std::string& reason,
                              const OperatorRecord& person, const std::string& file) {
  const CertificateRecord& c = vault.state().certificates.at(id);
  refuse_request(vault, c, reason, person);
  write_output(file, as_bytes(consent_text(vault, form_of(vault, c, reason), person)), 0644);
  return std::string(kWithdrawNamespace);
}

WithdrawCount withdraw_certificate(Vault& vault, const std::string& id, const std::string& reason,
                                   const OperatorRecord& found, const SignatureSource& source) {
  const std::string found_id = found.id;
  vault.rebuild();  // who may do what is the ledger's to say, not a register's
  settle(vault);
  const OperatorRecord person = vault.find_operator(found_id);
  refuse_request(vault, vault.state().certificates.at(id), reason, person);
  const ConsentForm form = form_of(vault, vault.state().certificates.at(id), reason);
  const std::string text = consent_text(vault, form, person);
  keep_consent(
      vault, form, person, text,
      obtain_signature(text, form.name_space, person, source, "the same command with --export FILE"));
  WithdrawCount count;
  const std::string vault_id = vault.state().vault.id;
  vault.decide({id, vault_id}, [&] {
    refuse_withdrawn(vault.state().certificates.at(id), "kesu certificate list");
    const std::vector<Consent> signed_by = consents(vault, form);
    count = {std::ssize(signed_by), rules_in_force(vault.state(), moment_now(vault)).quorum, false};
    if (count.have < count.need) return std::vector<Event>();
    count.withdrawn = true;
    return std::vector<Event>{{.type = "certificate-withdrawn",
                               .nodes = {{.id = id, .is = "withdrawn"}, {.id = vault_id}},
                               .body = Json::object({{"reason", reason},
                                                     {"operator", person.id},
                                                     {"approvals", approvals_json(vault, signed_by)}})}};
  });
  return count;
}

Json certificate_json(const CertificateRecord& c) {
  return Json::object({{"id", c.id},
                       {"erasure", c.erasure},
                       {"state", c.state},
                       {"issued", utc_text(c.issued)},
                       {"withdrawn", c.withdrawn ? Json(utc_text(c.withdrawn)) : Json()},
                       {"withdraw_reason", c.withdrawn ? Json(c.withdraw_reason) : Json()},
                       {"renewals", c.renewals.size()},
                       {"renewed", c.renewals.empty() ? Json() : Json(utc_text(c.renewals.back().time))}});
}

}  // namespace kesu
