// kesu key create, list, show, rotate, destroy
#include "../context.h"
#include "app/key_destroy.h"
#include "app/keys.h"

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
    uint32_t version = 0;
    bool dry_run = false;
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

  cmd = group->add_subcommand("list", "all keys");
  on_run(cmd, [&c] {
    Vault& v = c.open(Access::read);
    Json out(Json::Array{});
    Table t({"NAME", "ID", "PURPOSE", "ALGORITHM", "STATE", "VERSIONS", "PROVIDER"});
    for (auto& [id, k] : v.state().keys) {
      Json j = key_json(v.state(), k);
      t.add({k.name, brief(id), j.str("role"), j.str("algorithm"), j.str("state"),
             std::to_string(k.versions.size()), j.str("provider")});
      out.push(std::move(j));
    }
    c.show(out, t.str());
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

  cmd = group->add_subcommand("destroy",
                              "destroy versions that reach no sealed data; data goes by kesu erase\n\n  kesu "
                              "key destroy trial --version 1 --dry-run");
  cmd->add_option("KEY", o->name)->required();
  cmd->add_option("--version", o->version, "only this one (default: all)");
  cmd->add_flag("--dry-run", o->dry_run, "show what would be done, change nothing");
  on_run(cmd, [&c, o] {
    Vault& v = c.open(o->dry_run ? Access::read : Access::write);
    KeyRecord& k = v.find_key(o->name);
    std::string name = k.name;
    Json plan(Json::Array{});
    std::string text;
    bool kept = false;
    for (const DestroyPreview& p : preview_destroy_key(v, k, o->version)) {
      plan.push(Json::object({{"version", p.version}, {"state", p.state}, {"kept_by", p.kept_by}}));
      text += "  " + brief(p.version) + "   " + p.state + "   " +
              (p.kept_by.empty() ? "would be destroyed" : "kept: " + p.kept_by) + "\n";
      kept |= !p.kept_by.empty();
    }
    if (o->dry_run)
      return c.show(Json::object({{"key", k.id}, {"versions", plan}}),
                    "Key " + name + "   nothing has been changed\n" + text);
    if (!kept && plan.size()) {
      c.say("Key " + name + "\n" + text.substr(0, text.size() - 1));
      c.confirm("Destroy for ever?");
    }
    Json done(Json::Array{});
    std::string said;
    for (const DestroyedVersion& d : destroy_key(v, k, o->version)) {
      done.push(Json::object({{"version", d.version}, {"outcome", d.outcome}}));
      said += brief(d.version) + " of " + name + ": " + d.outcome + "\n";
      if (d.outcome != "destroyed") c.exit = Exit::partial;
    }
    v.checkpoint();
    c.show(Json::object({{"versions", done}}), said);
  });
}

}  // namespace kesu::cli
