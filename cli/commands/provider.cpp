// kesu provider add, list, show, test, rekey
#include "../context.h"
#include "app/containers.h"
#include "app/keys.h"

namespace kesu::cli {

namespace {
void show_provider(Context& c, const std::string& name) {
  Vault& v = c.open(Access::read);
  const ProviderRecord& p = v.find_provider(name);
  std::map<std::string, int64_t> states;
  for (auto& [id, key] : v.state().keys)
    for (const VersionRecord& version : key.versions)
      if (version.provider == p.id) ++states[version.state];
  Json counts(Json::Object{});
  std::string held;
  for (auto& [state, n] : states) {
    counts.set(state, n);
    held += (held.empty() ? "" : " · ") + grouped(n) + " " + state;
  }
  int64_t open = 0;
  for (auto& [id, copy] : v.state().copies) open += copy.provider == p.id && copy.state == "open";
  std::string text = "Provider " + p.name + " (" + brief(p.id) + ")\n  uri          " + v.provider_uri(p) +
                     "\n  identity     " + p.identity.kind + " " + p.identity.label + ", serial " +
                     p.identity.serial + ", " + p.identity.manufacturer + " " + p.identity.model + "\n";
  if (p.generation) text += "  generation   " + grouped(p.generation) + "\n";
  text += "  key versions " + (held.empty() ? "none" : held) + "\n";
  if (open) text += "  OPEN COPIES  " + grouped(open) + " older or other files: kesu copy list\n";
  text += p.test_grade ? "  TEST GRADE   " + p.grade_reason + "\n" : "  grade        validated\n";
  c.show(Json::object({{"id", p.id},
                       {"name", p.name},
                       {"uri", v.provider_uri(p)},
                       {"identity", p.identity.to_json()},
                       {"capabilities", p.capabilities},
                       {"generation", p.generation ? Json(p.generation) : Json()},
                       {"key_versions", counts},
                       {"open_copies", open},
                       {"test_grade", p.test_grade},
                       {"grade_reason", p.grade_reason}}),
         text);
}

void rekey(Context& c, const std::string& name, const std::string& source, const std::string& reason) {
  Vault& v = c.open(Access::write);
  const ProviderRecord p = v.find_provider(name);
  c.confirm("Put the keystore of provider " + p.name +
            " under a new passphrase? The file as it is now counts as a copy of its keys until you record "
            "its end.");
  Rekeyed done = rekey_provider(v, p.id, source, reason);
  v.checkpoint();
  c.show(Json::object({{"provider", p.id},
                       {"name", p.name},
                       {"uri", done.uri},
                       {"generation", done.generation},
                       {"copy", done.copy},
                       {"place", done.place}}),
         "Provider " + p.name + " is generation " + grouped(done.generation) + " now, " + done.place +
             "\nThe file of generation " + grouped(done.before) + " is copy " + brief(done.copy) +
             ", open: backups of it open with the old passphrase, and no erasure can end while it lives.\n" +
             "next   destroy every backup of the old file and its passphrase, then kesu copy destroy " +
             brief(done.copy) + " …; kesu copy list\n");
}
}  // namespace

void setup_provider(CLI::App& app, Context& c) {
  CLI::App* group = app.add_subcommand("provider", "places where keys live");
  group->require_subcommand(1);
  struct Options {
    std::string name, uri;
    bool try_pin = false;
  };
  auto o = std::make_shared<Options>();

  CLI::App* cmd =
      group->add_subcommand("add",
                            "register a token or a keystore file (soft:/path, made where there is none)\n\n  "
                            "kesu provider add hsm2 "
                            "'pkcs11:token=bank-2?module-path=/usr/lib/….so&pin-source=file:/etc/kesu/pin'");
  cmd->add_option("NAME", o->name)->required();
  cmd->add_option("URI", o->uri, "RFC 7512, or soft:; no PIN in it, but pin-source or passphrase-source")
      ->required();
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    std::string id = add_provider(v, o->name, o->uri);
    v.checkpoint();
    const ProviderRecord& p = v.state().providers.at(id);
    c.show(
        Json::object(
            {{"id", id}, {"name", p.name}, {"identity", p.identity.to_json()}, {"test_grade", p.test_grade}}),
        "Provider " + p.name + " (" + brief(id) + "): token " + p.identity.label + ", serial " +
            p.identity.serial + ", " + p.identity.manufacturer + " " + p.identity.model + "\n" +
            (p.test_grade ? "TEST GRADE: " + p.grade_reason + "\n" : ""));
  });

  cmd = group->add_subcommand("list", "providers and their grade");
  on_run(cmd, [&c] {
    Vault& v = c.open(Access::read);
    Json out(Json::Array{});
    Table t({"NAME", "ID", "KIND", "TOKEN", "SERIAL", "MODEL", "GRADE"});
    for (auto& [id, p] : v.state().providers) {
      out.push(Json::object({{"id", id},
                             {"name", p.name},
                             {"uri", v.provider_uri(p)},
                             {"identity", p.identity.to_json()},
                             {"test_grade", p.test_grade},
                             {"grade_reason", p.grade_reason}}));
      t.add({p.name, brief(id), p.identity.kind, p.identity.label, p.identity.serial, p.identity.model,
             p.test_grade ? "TEST GRADE" : "validated"});
    }
    c.show(out, t.str());
  });

  cmd = group->add_subcommand("test", "log in, list all objects, use every key once");
  cmd->add_option("NAME", o->name)->required();
  cmd->add_flag("--try-pin", o->try_pin,
                "try the PIN once although the token counts wrong ones (never its last attempt)");
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);  // what it finds may have to be recorded
    if (o->try_pin) v.try_pin(v.find_provider(o->name));
    Json r = test_provider(v, v.find_provider(o->name));
    std::string text = "Provider " + r.str("provider") + ": " + grouped(r.num("objects")) + " objects, " +
                       grouped(r.num("keys_tried")) + " keys tried\n";
    if (r.flag("test_grade")) text += "  TEST GRADE: " + r.str("grade_reason") + "\n";
    for (const Json& f : r.at("findings").as_array()) text += "  FINDING " + f.as_string() + "\n";
    if (r.at("findings").size() == 0) text += "  all of them answer as the ledger says\n";
    c.show(r, text);
    if (r.at("findings").size()) c.exit = Exit::partial;
  });

  cmd = group->add_subcommand("show", "one provider: who it is, what it can, what it holds");
  cmd->add_option("NAME", o->name)->required();
  on_run(cmd, [&c, o] { show_provider(c, o->name); });

  struct Rekey {
    std::string name, source, reason;
  };
  auto r = std::make_shared<Rekey>();
  cmd = group->add_subcommand(
      "rekey",
      "put a keystore file under a new passphrase; the old file counts as a copy from then "
      "on\n\n  kesu provider rekey soft1 --passphrase-source file:/etc/kesu/passphrase-2");
  cmd->add_option("NAME", r->name)->required();
  cmd->add_option("--passphrase-source", r->source,
                  "of the new passphrase: file:/path (mode 600), env:NAME, fd:N, prompt")
      ->required();
  cmd->add_option("--reason", r->reason, "for the ledger");
  on_run(cmd, [&c, r] { rekey(c, r->name, r->source, r->reason); });
}

}  // namespace kesu::cli
