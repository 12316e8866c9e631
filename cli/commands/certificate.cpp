// kesu certificate, verify, trust
#include "app/certificate.h"
#include "../context.h"
#include "app/certificate_render.h"
#include "app/countersign.h"
#include "app/notices.h"
#include "app/renewal.h"
#include "app/withdraw.h"
#include "base/files.h"
#include "certificate_group.h"
#include "certificate_signer.h"

namespace kesu::cli {

std::string carried_text(std::optional<int> carried) {
  return carried ? "\n  carried       " + std::to_string(*carried) +
                       (*carried == 1 ? " countersignature" : " countersignatures")
                 : "";
}

namespace {
void show_countersigned(Context& c, const std::string& out, const Countersigned& done) {
  Json document = Json::object({{"bundle", absolute_path(out)},
                                {"file", Json()},
                                {"signer", Json()},
                                {"certificate", Json()},
                                {"time", Json()},
                                {"carried", done.carried ? Json(*done.carried) : Json()}});
  std::string text = out + carried_text(done.carried) + "\n";
  for (const CountersignatureResult& row : done.report.countersignatures) {
    if (row.file != done.path) continue;
    document.set("file", row.file).set("signer", row.signer).set("certificate", row.certificate);
    if (row.time) document.set("time", utc_text(row.time->at));
    text = "Countersigned by " + row.signer + ": " + row.file + " in " + text +
           (row.time ? "  at            " + local_text(row.time->at) + ", by " + row.time->authority + "\n"
                     : "  at            not shown: it has no time-stamp (--tsa, --token)\n") +
           "next   whoever knows that certificate adds to the trust file: countersigner sha256:" +
           row.certificate + "\n";
  }
  c.show(document, text);
}
}  // namespace

void setup_certificate(CLI::App& app, Context& c) {
  struct Options {
    std::string what, out, language;
    BundleWish wish;
    CountersignRequest counter;
    std::vector<std::string> languages;
    VerifyRequest verify;
  };
  auto o = std::make_shared<Options>();

  CLI::App* group =
      app.add_subcommand("certificate", "signed erasure certificates and their evidence bundles");
  group->require_subcommand(1);
  CLI::App* cmd = group->add_subcommand("bundle",
                                        "issue the certificate of an erasure and write its evidence "
                                        "bundle\n\n  kesu certificate bundle era-7c1e90b4 -o exit-2026.zip");
  cmd->add_option("ERASURE", o->what, "erasure or certificate")->required();
  cmd->add_option("-o,--out", o->out, "a new directory, or a new file whose name ends in .zip")->required();
  cmd->add_flag("--withdrawn", o->wish.withdrawn, "also one that was withdrawn: its readers see that it was");
  cmd->add_option("--countersigned", o->wish.countersigned,
                  "an older bundle of it: the signatures that others added to that are taken along");
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    std::string erasure = o->what.starts_with("cer-") ? v.find_certificate(o->what).erasure : o->what;
    const WrittenBundle done = write_certificate_bundle(v, v.find_erasure(erasure), o->out, o->wish);
    c.show(Json::object({{"certificate", done.certificate},
                         {"bundle", absolute_path(o->out)},
                         {"carried", done.carried ? Json(*done.carried) : Json()}}),
           "Certificate " + brief(done.certificate) + " in " + o->out + carried_text(done.carried) +
               "\nnext   kesu verify " + o->out + " --trust FILE; kesu trust propose " + o->out +
               " prints what to put into it\n");
  });
  cmd = group->add_subcommand(
      "render",
      "a certificate as certificate.pdf and certificate.html, for people: they prove "
      "nothing by themselves\n\n  kesu certificate render exit-2026.zip -o pages --lang ja");
  cmd->add_option("BUNDLE", o->what, "a bundle, or a certificate or erasure of the vault")->required();
  cmd->add_option("-o,--out", o->out, "a directory; nothing in it is replaced")->required();
  cmd->add_option("--lang", o->languages, "ja or en; repeated. Without: both, Japanese first");
  on_run(cmd, [&c, o] {
    ReportLanguages languages = report_languages(o->languages);
    bool here = (o->what.starts_with("cer-") || o->what.starts_with("era-")) && !exists(o->what);
    std::vector<std::string> paths;
    if (here) {
      Vault& v = c.open(Access::read);
      std::string id = o->what.starts_with("cer-") ? o->what : v.find_erasure(o->what).certificate;
      if (id.empty())
        throw Error(Code::state_refused, "erasure " + o->what + " has no certificate yet")
            .next("kesu certificate bundle " + o->what + " -o BUNDLE.zip");
      paths = render_certificate(v, v.find_certificate(id), o->out, languages);
    } else {
      paths = render_bundle(o->what, o->out, languages);
    }
    Json list((Json::Array()));
    std::string text;
    for (const std::string& path : paths) list.push(path), text += path + "\n";
    c.show(Json::object({{"files", list}}), text);
  });
  cmd = group->add_subcommand(
      "countersign",
      "add the signature of somebody who checked a bundle (an auditor, a validator) over its "
      "certificate.json, made with openssl wherever the private key is; needs no vault\n\n  openssl cms "
      "-sign -binary "
      "-cades -md sha384 -in exit-2026/certificate.json -signer auditor.pem -inkey KEY -outform DER -out "
      "auditor.p7s\n"
      "  kesu certificate countersign exit-2026 --signature auditor.p7s --tsa https://tsa.example/tsr "
      "--tsa-ca "
      "tsa-root.pem -o exit-2026-audited");
  cmd->add_option("BUNDLE", o->counter.bundle, "directory or zip file")->required();
  cmd->add_option("--signature", o->counter.signature, "the signature: CMS, DER or PEM");
  cmd->add_option("--tsa", o->counter.tsa_url,
                  "URL of a time-stamp authority (RFC 3161) that says when it was signed");
  cmd->add_option("--tsa-ca", o->counter.tsa_ca, "with --tsa: the authority's root certificate, PEM");
  cmd->add_option("--token", o->counter.token,
                  "its time-stamp, fetched on another machine (docs/verify-by-hand.md)");
  cmd->add_option("--from", o->counter.from,
                  "another bundle of the same certificate: its countersignatures are taken along");
  cmd->add_option("-o,--out", o->counter.out, "a new directory, or a new file whose name ends in .zip")
      ->required();
  on_run(cmd, [&c, o] { show_countersigned(c, o->counter.out, countersign_bundle(c.env(), o->counter)); });
  cmd = group->add_subcommand("show", "what a certificate says");
  cmd->add_option("CERTIFICATE", o->what)->required();
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::read);
    Json j = certificate_document(v, v.find_certificate(o->what));
    std::string text = j.at("statement").str("ja") + "\n" + j.at("statement").str("en") + "\n\n";
    Table t({"CLAIM", "LEVEL"});
    for (const Json& claim : j.at("claims").as_array()) t.add({claim.str("id"), claim.str("level")});
    c.show(j, text + t.str());
  });
  setup_signer(group, c);
  cmd = group->add_subcommand("list", "all certificates");
  on_run(cmd, [&c] {
    Vault& v = c.open(Access::read);
    Json out(Json::Array{});
    Table t({"ID", "ERASURE", "STATE", "ISSUED", "WITHDRAWN"});
    for (auto& [id, r] : v.state().certificates) {
      out.push(with_renewal(v, r, certificate_json(r)));
      t.add({brief(id), brief(r.erasure), r.state, local_text(r.issued),
             r.withdrawn ? local_text(r.withdrawn) + ": " + r.withdraw_reason : "-"});
    }
    c.show(out, t.str());
  });

  setup_certificate_stages(*group, c);

  cmd = app.add_subcommand("verify",
                           "check an evidence bundle; needs no vault and no network\n\n  kesu verify "
                           "exit-2026 --trust bank-trust --object /mnt/old/0001.csv.kesu");
  cmd->add_option("BUNDLE", o->verify.bundle, "directory or zip file")->required();
  cmd->add_option("--trust", o->verify.trust_file,
                  "whom you trust (default: kesu/trust in your configuration directory)");
  cmd->add_option("--require", o->verify.required_profile, "the bar: low, standard or high (default)");
  cmd->add_flag("--allow-test-grade", o->verify.allow_test_grade,
                "accept keys of providers without a validation certificate");
  cmd->add_option("--object", o->verify.objects, "a sealed file in your hand: is it covered? repeated");
  cmd->add_option(
      "--ledger", o->verify.ledger,
      "a newer ledger extract (kesu ledger extract), or a later bundle of the same vault: was the "
      "certificate withdrawn, or the notice superseded, since?");
  cmd->add_option("--language", o->language, "ja for Japanese");
  on_run(cmd, [&c, o] {
    if (const auto n = verify_notice_at(o->verify.bundle, o->verify.trust_file, o->verify.ledger)) {
      c.show(to_json(*n), render_notice(*n, o->language == "ja"));
      c.exit = exit_of(*n);
      return;
    }
    VerifyReport r = verify_bundle_at(o->verify, c.env().clock.now());
    c.show(to_json(r), render_report(r, o->language == "ja"));
    c.exit = exit_of(r);
  });

  group = app.add_subcommand("trust", "whom a verifier trusts");
  group->require_subcommand(1);
  cmd = group->add_subcommand(
      "propose",
      "what a bundle offers, as lines of a trust file: compare them with what you know from elsewhere");
  cmd->add_option("BUNDLE", o->verify.bundle, "directory or zip file")->required();
  on_run(cmd, [&c, o] {
    std::string text = trust_proposal(o->verify.bundle);
    c.show(Json::object({{"trust", text}}), text);
  });
  cmd = group->add_subcommand("show", "the trust file that verify uses by default");
  on_run(cmd, [&c] {
    std::string path = default_trust_file();
    if (path.empty())
      throw Error(Code::not_found, "there is no default trust file")
          .next("kesu trust propose BUNDLE, compare, save as ~/.config/kesu/trust");
    std::string text = to_text(read_file(path, 1 << 20));
    c.show(Json::object({{"path", path}, {"trust", text}}), "# " + path + "\n" + text);
  });
}

}  // namespace kesu::cli
