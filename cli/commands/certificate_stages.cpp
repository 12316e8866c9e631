// kesu certificate withdraw, notice, failure
#include "app/certificate_renew.h"
#include "app/notices.h"
#include "app/renewal.h"
#include "app/withdraw.h"
#include "base/files.h"
#include "certificate_group.h"

namespace kesu::cli {

namespace {
void setup_withdraw(CLI::App& group, Context& c) {
  struct Options {
    std::string id, reason, person, key, signature, export_to;
  };
  auto o = std::make_shared<Options>();
  CLI::App* cmd = group.add_subcommand(
      "withdraw",
      "say that nobody may rely on a certificate any more: signed by as many approvers as an erasure takes, "
      "one command each\n\n  kesu certificate withdraw cer-0000012c --reason \"a copy of the key turned up\" "
      "--by \"Hanako Sato\" --key ~/.ssh/id_ed25519.pub");
  cmd->add_option("CERTIFICATE", o->id)->required();
  cmd->add_option("--reason", o->reason)->required();
  cmd->add_option("--by,--as", o->person, "who signs: an approver")->required();
  cmd->add_option("--key", o->key, "SSH key to sign with, or its .pub when an agent holds it");
  cmd->add_option("--signature", o->signature, "a signature made elsewhere over the exported statement");
  cmd->add_option("--export", o->export_to, "write the statement to be signed elsewhere, and stop");
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    const std::string id = v.find_certificate(o->id).id;
    const OperatorRecord person = v.find_operator(o->person);
    if (!o->export_to.empty())
      return c.show_statement(person.name, o->export_to,
                              export_withdrawal(v, id, o->reason, person, o->export_to));
    const WithdrawCount n = withdraw_certificate(v, id, o->reason, person, {o->key, o->signature});
    v.checkpoint();
    const CertificateRecord& record = v.state().certificates.at(id);
    Json j = with_renewal(v, record, certificate_json(record));
    j.set("approvals", Json::object({{"have", n.have}, {"need", n.need}}));
    c.show(j,
           (n.withdrawn ? "Withdrawn: certificate " : "Still in force: certificate ") + brief(id) +
               "\n  approvals     " + std::to_string(n.have) + " of " + std::to_string(n.need) + "\n" +
               (n.withdrawn ? "next   kesu ledger extract -o FILE.zip, for everybody who holds its bundle: "
                              "kesu verify BUNDLE --ledger FILE.zip\n"
                            : ""));
    if (!n.withdrawn) c.exit = Exit::not_yet;
  });
}

void show_issued(Context& c, const IssuedNotice& n, const std::string& what) {
  c.show(Json::object({{"id", n.id}, {"type", n.type}, {"directory", n.directory}}),
         what + " " + brief(n.id) + " in " + n.directory +
             ": notice.json, signed, and notice.html for people\n");
}

void setup_notices(CLI::App& group, Context& c) {
  struct Options {
    std::string erasure, out;
  };
  auto o = std::make_shared<Options>();
  CLI::App* cmd = group.add_subcommand(
      "notice",
      "a signed notice that data is about to be made unreadable and can still be taken back; of an erasure "
      "that was cancelled after one, the record that supersedes it. No certificate\n\n  kesu certificate "
      "notice "
      "era-7c1e90b4 -o notice-2026-118");
  cmd->add_option("ERASURE", o->erasure)->required();
  cmd->add_option("-o,--out", o->out, "a new directory")->required();
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    const IssuedNotice n = issue_notice(v, v.find_erasure(o->erasure).id, o->out);
    show_issued(c, n, n.type == notice::kNotice ? "Notice of disablement" : "Superseding record");
  });
  cmd =
      group.add_subcommand("failure",
                           "a signed report on an erasure that began and is not complete: what is destroyed, "
                           "what is not, what is unknown. No certificate\n\n  kesu certificate failure "
                           "era-7c1e90b4 -o failure-2026-118");
  cmd->add_option("ERASURE", o->erasure)->required();
  cmd->add_option("-o,--out", o->out, "a new directory")->required();
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    show_issued(c, issue_failure_report(v, v.find_erasure(o->erasure).id, o->out), "Failure report");
  });
}

void setup_renew(CLI::App& group, Context& c) {
  struct Options {
    std::string id, out, countersigned;
    bool due = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* cmd = group.add_subcommand("renew",
                                       "hash all of a certificate's evidence anew and have it time-stamped, "
                                       "before what its time-stamps rest on "
                                       "ends\n\n  kesu certificate renew cer-0000012c -o "
                                       "exit-2026-renewed.zip\n  kesu certificate renew --due");
  cmd->add_option("CERTIFICATE", o->id, "without: all that are due, with --due");
  cmd->add_flag("--due", o->due, "only where something of it ends within half a year; else nothing is done");
  cmd->add_option("-o,--out", o->out,
                  "write its bundle, too: a new directory, or a new file whose name ends in .zip");
  cmd->add_option("--countersigned", o->countersigned,
                  "with -o: an older bundle of it, whose countersignatures are taken along");
  on_run(cmd, [&c, o] {
    if (o->id.empty() && !o->due)
      throw Error(Code::usage, "which certificate?")
          .next("kesu certificate renew CERTIFICATE, or --due for all");
    if (o->id.empty() && !o->out.empty())
      throw Error(Code::usage, "-o takes one certificate's bundle").next("name the certificate");
    if (!o->countersigned.empty() && o->out.empty())
      throw Error(Code::usage, "--countersigned is for a bundle that is written").next("-o BUNDLE.zip");
    Vault& v = c.open(Access::write);
    const std::vector<RenewOutcome> all =
        o->id.empty()
            ? renew_due(v)
            : std::vector<RenewOutcome>{renew_certificate(v, o->id, o->due, o->out, o->countersigned)};
    Json rows((Json::Array()));
    std::string text;
    bool written = false;
    std::optional<int> carried;
    for (const RenewOutcome& r : all) {
      rows.push(r.to_json());
      const bool renewed = r.outcome == "renewed";
      carried = r.carried;
      written = written || (renewed && !o->out.empty());
      if (r.outcome == "refused") c.exit = Exit::partial;
      text += brief(r.certificate) + "  " + r.outcome +
              (renewed && r.until ? ", lasts until " + local_text(r.until) : "") +
              (r.detail.empty() ? "" : ": " + r.detail) + carried_text(r.carried) + "\n";
      if (renewed && o->out.empty())
        text +=
            "next   kesu certificate bundle " + brief(r.certificate) +
            " -o BUNDLE.zip writes its bundle with the renewal; --countersigned OLD takes others' signatures "
            "along\n";
    }
    c.show(Json::object({{"certificates", rows},
                         {"bundle", written ? Json(absolute_path(o->out)) : Json()},
                         {"carried", carried ? Json(*carried) : Json()}}),
           text.empty() ? "no certificate is due\n" : text);
  });
}
}  // namespace

void setup_certificate_stages(CLI::App& group, Context& c) {
  setup_renew(group, c);
  setup_withdraw(group, c);
  setup_notices(group, c);
}

}  // namespace kesu::cli
