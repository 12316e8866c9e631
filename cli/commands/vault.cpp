// kesu init, status
#include <iostream>

#include "../context.h"
#include "app/init.h"
#include "app/status.h"
#include "base/files.h"

namespace kesu::cli {

namespace {
struct InitOptions {
  std::string directory = ".", genesis, draft, organisation, origin, profile = "low", provider_uri,
              provider_name = "hsm1";
  int64_t quorum = 1;
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
  Genesis g = draft_genesis(o.organisation, o.origin, o.profile, o.quorum, officers, c.env().random);
  write_file_durable(o.draft, as_bytes(g.text()), 0644, false);
  std::string text =
      "Genesis statement " + o.draft + ", vault " + g.vault.str() + "\nEach officer reads and signs it:\n";
  for (const GenesisOfficer& officer : g.officers)
    text += "  " + officer.name + ":  ssh-keygen -Y sign -n " + std::string(kGenesisNamespace) +
            " -f KEY < " + o.draft + " > " + o.draft + "." + std::to_string(&officer - g.officers.data()) +
            ".sig\n";
  text += "Then: kesu init DIR --genesis " + o.draft + " --provider URI\n";
  c.show(Json::object({{"genesis", o.draft}, {"vault", g.vault.str()}}), text);
}

void init(Context& c, const InitOptions& o) {
  if (!o.draft.empty()) return draft(c, o);
  if (o.genesis.empty())
    throw Error(Code::usage, "kesu init needs --genesis FILE: who the first officers are, signed by each")
        .next("kesu init --draft FILE --org NAME --origin NAME --officer … writes one to sign");
  std::string dir = absolute_path(o.directory);
  std::string id = init_vault(c.env(), {dir, o.genesis, o.provider_name, o.provider_uri, o.signatures});
  c.show(Json::object({{"vault", id}, {"directory", dir}}),
         "Vault " + brief(id) + " at " + dir +
             "\nnext   kesu key create NAME, then kesu dataset add NAME --key NAME\n");
}

std::string status_text(const Json& d) {
  std::string out = d.str("organisation") + "   vault " + brief(d.str("vault")) + "   profile " +
                    d.str("profile") + (d.flag("read_only") ? "   READ-ONLY" : "") + "\n";
  auto counts = [](const Json& v) {
    std::string text;
    for (auto& [state, n] : v.as_object())
      text += (text.empty() ? "" : " · ") + grouped(n.as_int()) + " " + state;
    return text.empty() ? std::string("none") : text;
  };
  out += "  ledger       " + grouped(d.at("ledger").num("entries")) + " entries, checkpoint at " +
         grouped(d.at("ledger").num("checkpoint")) + "\n";
  for (const Json& p : d.at("providers").as_array())
    out += "  provider     " + p.str("name") + "   " + p.str("kind") + " token " + p.str("label") +
           " (serial " + p.str("serial") + ")" + (p.flag("test_grade") ? "   TEST GRADE" : "") + "\n";
  out += "  key versions " + counts(d.at("key_versions")) + "\n";
  out += "  datasets     " + counts(d.at("datasets")) + "   " + grouped(d.num("objects")) + " objects, " +
         human_bytes(d.num("bytes")) + "\n";
  for (const Json& e : d.at("erasures").as_array())
    out +=
        "  erasure      " + brief(e.str("id")) + "   " + e.str("stage") + "   next: " + e.str("next") + "\n";
  for (const Json& q : d.at("questions").as_array())
    out += "  OPEN         " + q.str("question") + " (" + brief(q.str("node")) + ", opened by " +
           q.str("opened_by") + ")   " +
           (q.flag("settled_by_next_command") ? "the next command that writes settles it"
                                              : "its process still runs, or cannot be seen from here") +
           "\n";
  if (d.at("erasures").size() + d.at("questions").size() == 0) out += "  due          nothing\n";
  return out;
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
  cmd->add_option("--provider", o->provider_uri,
                  "the token that holds the vault's keys, a PKCS#11 URI with module-path and pin-source");
  cmd->add_option("--provider-name", o->provider_name, "its name (default hsm1)");
  cmd->add_option("--draft", o->draft, "write a genesis statement to be signed, and stop");
  cmd->add_option("--org", o->organisation, "organisation (with --draft)");
  cmd->add_option("--origin", o->origin, "a name that it controls, such as bank.example (with --draft)");
  cmd->add_option("--profile", o->profile, "low, standard or high (with --draft)");
  cmd->add_option("--quorum", o->quorum, "approvals that an erasure takes (with --draft)");
  cmd->add_option("--officer", o->officers, "\"NAME;TITLE;ROLES;PUBLIC KEY FILE\", repeated (with --draft)");
  on_run(cmd, [&c, o] { init(c, *o); });

  auto check = std::make_shared<bool>(false);
  cmd = app.add_subcommand("status", "what is due, pending, open, broken");
  cmd->add_flag("--check", *check,
                "exit code only for scripts: 0 nothing due, 4 waits for a person, 8 an open question");
  on_run(cmd, [&c, check] {
    StatusReport r = vault_status(c.open(Access::read));
    c.show(r.document, status_text(r.document));
    if (*check) c.exit = r.overdue ? Exit::partial : r.waits_for_person ? Exit::not_yet : Exit::done;
  });
}

}  // namespace kesu::cli
