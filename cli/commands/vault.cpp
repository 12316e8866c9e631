// kesu init
#include <iostream>

#include "../context.h"
#include "anchor_options.h"
#include "app/init.h"
#include "base/files.h"
#include "base/leftovers.h"

namespace kesu::cli {

namespace {
struct InitOptions {
  std::string directory = ".", genesis, draft, organisation, origin, profile = "low", provider_uri,
              provider_name, passphrase_source;
  int64_t quorum = 1;
  bool signed_commands = false;
  AnchorOrder anchors;
  std::vector<std::string> signatures, officers;
};

// "NAME;TITLE;ROLES;KEYFILE"
OfficerDraft officer_of(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size();) {
    size_t end = std::min(text.find(';', at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  if (parts.size() != 4)
    throw Error(Code::usage, "--officer takes \"NAME;TITLE;ROLES;PUBLIC KEY FILE\", not " + text)
        .next("for example --officer \"Hanako Sato;CISO;approver;sato.pub\"");
  return {parts[0], parts[1], parts[2], parts[3]};
}

void draft(Context& c, const InitOptions& o) {
  std::vector<OfficerDraft> officers;
  for (const std::string& text : o.officers) officers.push_back(officer_of(text));
  Genesis g = draft_genesis(o.organisation, o.origin, o.profile, o.quorum, o.signed_commands, officers,
                            c.env().random, ordered_anchors({}, o.anchors));
  write_output(o.draft, as_bytes(g.text()), 0644, false);
  std::string text =
      "Genesis statement " + o.draft + ", vault " + g.vault.str() + "\nEach officer reads and signs it:\n";
  for (const GenesisOfficer& officer : g.officers)
    text += "  " + officer.name + ":  ssh-keygen -Y sign -n " + std::string(kGenesisNamespace) +
            " -f KEY < " + o.draft + " > " + o.draft + "." + std::to_string(&officer - g.officers.data()) +
            ".sig\n";
  text += "Then: kesu init DIR --genesis " + o.draft + " --provider URI" +
          (g.signed_commands ? " --operator NAME --operator-key FILE" : "") + "\n";
  c.show(Json::object({{"genesis", o.draft}, {"vault", g.vault.str()}}), text);
}

// What it means when the keys lie in a file, or in a token that nobody has validated.
std::string init_remark(Context& c, const std::string& dir) {
  Vault v(dir, c.env(), Access::read);
  for (auto& [id, p] : v.state().providers) {
    if (p.identity.kind != "soft") return p.test_grade ? "TEST GRADE: " + p.grade_reason + "\n" : "";
    return "TEST GRADE: the keys lie in a file, " + p.identity.label +
           ", sealed under the passphrase alone. Whoever has " +
           "a copy of it and the\n  passphrase of its time has the keys, and nobody can show that no such "
           "copy is left: "
           "certificates say so, meet\n  no profile, and `kesu verify` refuses them unless told. A token "
           "keeps keys inside: "
           "kesu provider "
           "add NAME 'pkcs11:…', then keys of\n  its own (kesu key create --provider NAME); "
           "docs/providers/soft.md.\n";
  }
  return {};
}

void init(Context& c, const InitOptions& o) {
  if (!o.draft.empty()) return draft(c, o);
  if (!o.anchors.empty())
    throw Error(Code::usage,
                "--time-authority, --witness and --witness-quorum go into the genesis statement, which its "
                "officers sign: they need --draft")
        .next(
            "kesu init --draft FILE … writes a statement with them; of a vault that is there kesu vault "
            "rules sets them");
  if (o.genesis.empty())
    throw Error(Code::usage, "kesu init needs --genesis FILE: who the first officers are, signed by each")
        .next("kesu init --draft FILE --org NAME --origin NAME --officer … writes one to sign");
  std::string dir = absolute_path(o.directory);
  std::string id = init_vault(
      c.env(), {dir, o.genesis, o.provider_name, o.provider_uri, o.passphrase_source, o.signatures});
  const std::string keystore = init_remark(c, dir);
  c.show(Json::object({{"vault", id}, {"directory", dir}}),
         "Vault " + brief(id) + " at " + dir + "\n" + keystore +
             "next   kesu key create NAME, then kesu dataset add NAME --key NAME\n");
}

}  // namespace

void setup_vault(CLI::App& app, Context& c) {
  auto o = std::make_shared<InitOptions>();
  CLI::App* cmd = app.add_subcommand(
      "init",
      "make a vault: people, token, ledger key\n\n  kesu init --draft genesis.json --org \"Example Bank\" "
      "--origin bank.example \\\n    --officer \"Ichiro Tanaka;Operator;operator;tanaka.pub\" --officer "
      "\"Hanako Sato;CISO;approver;sato.pub\"\n  kesu init vault --genesis genesis.json --provider "
      "'pkcs11:token=bank?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/kesu/pin'");
  cmd->add_option("DIR", o->directory, "where (default: here)");
  cmd->add_option("--genesis", o->genesis, "the signed genesis statement");
  cmd->add_option("--signature", o->signatures, "its signature files (default: FILE*.sig beside it)");
  cmd->add_option(
      "--provider", o->provider_uri,
      "where the vault's keys live: a token, by a PKCS#11 URI with module-path and pin-source, or a "
      "keystore file, soft:/path?passphrase-source=… (default: soft:./keystore in the vault, TEST GRADE)");
  cmd->add_option("--passphrase-source", o->passphrase_source,
                  "of the default keystore: file:/path (mode 600), env:NAME, fd:N, prompt (default)");
  cmd->add_option("--provider-name", o->provider_name,
                  "its name (default hsm1, or soft1 for a keystore file)");
  cmd->add_option("--draft", o->draft, "write a genesis statement to be signed, and stop");
  cmd->add_option("--org", o->organisation, "organisation (with --draft)");
  cmd->add_option("--origin", o->origin, "a name that it controls, such as bank.example (with --draft)");
  cmd->add_option("--profile", o->profile, "low, standard or high (with --draft)");
  cmd->add_option("--quorum", o->quorum, "approvals that an erasure takes (with --draft)");
  cmd->add_flag("--signed-commands", o->signed_commands,
                "each command that writes is to be signed by its operator; always so of profile high (with "
                "--draft)");
  cmd->add_option(
      "--officer", o->officers,
      "\"NAME;TITLE;ROLES;FILE\": an SSH public key or a certificate (PEM); repeated (with --draft)");
  anchor_options(cmd, std::shared_ptr<AnchorOrder>(o, &o->anchors));  // with --draft
  on_run(cmd, [&c, o] { init(c, *o); });
}

}  // namespace kesu::cli
