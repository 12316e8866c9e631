// kesu key: the group; create, show, rotate
#include "../context.h"
#include "app/keys.h"
#include "key_group.h"

namespace kesu::cli {

namespace {
std::string key_text(const State& s, const KeyRecord& k) {
  Json j = key_json(s, k);
  std::string out = k.name + "   " + brief(k.id) + "   " + j.str("role") + " " + j.str("algorithm") + " in " +
                    j.str("provider") + "\n";
  Table t({"  VERSION", "STATE", "CREATED", "ENDED", "OBJECT"});
  for (const VersionRecord& v : k.versions)
    t.add({"  " + std::to_string(v.number()), v.state + (v.receipt_lost ? " (receipt lost)" : ""),
           v.created ? local_text(v.created) : "-",
           v.destroyed     ? local_text(v.destroyed)
           : v.deactivated ? local_text(v.deactivated)
                           : "-",
           v.ref ? v.ref->label : "-"});
  out += t.str();
  for (auto& [id, d] : s.datasets)
    if (d.key == k.id)
      out += "  dataset  " + d.name + "   " + d.state + "   " + grouped(d.objects()) + " objects\n";
  return out;
}
}  // namespace

void setup_key(CLI::App& app, Context& c) {
  CLI::App* group = app.add_subcommand("key", "keys and their versions");
  group->require_subcommand(1);
  struct Options {
    std::string name, provider;
  };
  auto o = std::make_shared<Options>();

  CLI::App* cmd =
      group->add_subcommand("create", "make a key in a provider, active at once\n\n  kesu key create loans");
  cmd->add_option("NAME", o->name)->required();
  cmd->add_option("--provider", o->provider, "which, where there are several");
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    std::string id = create_key(v, o->name, o->provider, KeyPurpose::wrap);
    v.checkpoint();
    const KeyRecord& k = v.state().keys.at(id);
    c.show(key_json(v.state(), k), "Key " + k.name + " (" + brief(id) + "), version 1, is active in " +
                                       v.state().providers.at(k.provider).name + "\n");
  });

  cmd = group->add_subcommand("show", "one key, its versions and datasets");
  cmd->add_option("KEY", o->name)->required();
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::read);
    const KeyRecord& k = v.find_key(o->name);
    c.show(key_json(v.state(), k), key_text(v.state(), k));
  });

  cmd = group->add_subcommand("rotate", "a new active version; the one before only opens from now on");
  cmd->add_option("KEY", o->name)->required();
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    KeyRecord& k = v.find_key(o->name);
    std::string id = k.id, version = rotate_key(v, k);
    v.checkpoint();
    const KeyRecord& now = v.state().keys.at(id);
    c.show(key_json(v.state(), now), "Key " + now.name + ": version " +
                                         std::to_string(now.versions.back().number()) +
                                         " is active; what older versions sealed opens as before\n");
  });
  setup_key_list(*group, c);
  setup_key_destroy(*group, c);
}

}  // namespace kesu::cli
