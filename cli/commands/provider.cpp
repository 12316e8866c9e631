// kesu provider add, list, test
#include "../context.h"
#include "app/keys.h"

namespace kesu::cli {

void setup_provider(CLI::App& app, Context& c) {
  CLI::App* group = app.add_subcommand("provider", "places where keys live");
  group->require_subcommand(1);
  struct Options {
    std::string name, uri;
  };
  auto o = std::make_shared<Options>();

  CLI::App* cmd =
      group->add_subcommand("add",
                            "register a token\n\n  kesu provider add hsm2 "
                            "'pkcs11:token=bank-2?module-path=/usr/lib/….so&pin-source=file:/etc/kesu/pin'");
  cmd->add_option("NAME", o->name)->required();
  cmd->add_option("URI", o->uri, "RFC 7512; no PIN in it, but pin-source")->required();
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
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::read);
    Json r = test_provider(v, v.find_provider(o->name));
    std::string text = "Provider " + r.str("provider") + ": " + grouped(r.num("objects")) + " objects, " +
                       grouped(r.num("keys_tried")) + " keys tried\n";
    if (r.flag("test_grade")) text += "  TEST GRADE: " + r.str("grade_reason") + "\n";
    for (const Json& f : r.at("findings").as_array()) text += "  FINDING " + f.as_string() + "\n";
    if (r.at("findings").size() == 0) text += "  all of them answer as the ledger says\n";
    c.show(r, text);
    if (r.at("findings").size()) c.exit = Exit::partial;
  });
}

}  // namespace kesu::cli
