// kesu key destroy
#include "app/key_destroy.h"
#include "../context.h"
#include "app/census.h"
#include "app/key_states.h"
#include "key_group.h"

namespace kesu::cli {

void setup_key_destroy(CLI::App& group, Context& c) {
  struct Options {
    std::string name;
    uint32_t version = 0;
    bool dry_run = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* cmd = group.add_subcommand(
      "destroy",
      "destroy versions on which nothing depends any more; data goes by kesu erase\n\n  kesu "
      "key destroy trial --version 1 --dry-run");
  cmd->add_option("KEY", o->name, "loans, or one version of it: loans.2")->required();
  cmd->add_option("--version", o->version, "only this one (default: all)")->check(CLI::PositiveNumber);
  cmd->add_flag("--dry-run", o->dry_run, "show what would be done, change nothing");
  on_run(cmd, [&c, o] {
    Vault& v = c.open(o->dry_run ? Access::read : Access::write);
    const KeyWord word = find_key_word(v, o->name, o->version);
    KeyRecord& k = v.state().keys.at(word.key);
    std::string name = k.name;
    Json plan(Json::Array{});
    std::string text;
    bool kept = false, reached = false;
    for (const DestroyPreview& p : preview_destroy_key(v, k, word.number)) {
      plan.push(Json::object({{"version", p.version},
                              {"state", p.state},
                              {"kept_by", p.kept_by},
                              {"next", p.next},
                              {"reached_data", p.reached},
                              {"given_up", p.given_up}}));
      reached |= p.reached && p.kept_by.empty();
      text += "  " + version_name(v.state(), *k.find(p.version)) + "   " + p.state + "   " +
              (!p.kept_by.empty()                 ? "kept: " + p.kept_by
               : p.state.starts_with("destroyed") ? "would be inspected: destroyed, not shown absent yet"
                                                  : "would be destroyed") +
              "\n" + (p.next.empty() ? "" : "    next   " + p.next + "\n");
      kept |= !p.kept_by.empty();
      if (p.given_up)
        text += "    " + grouped(p.given_up) + (p.given_up == 1 ? " object" : " objects") +
                " of interrupted batches that were given up may stand somewhere: they open with it alone\n";
    }
    if (reached)
      text +=
          "  Sealed files that were copied away before kesu rewrap moved them open with such a version "
          "alone: backups of them are lost with it.\n";
    if (o->dry_run)
      return c.show(Json::object({{"key", k.id}, {"versions", plan}, {"census", census_json(v, k)}}),
                    "Key " + name + "   nothing has been changed\n" + text);
    if (!kept && plan.size()) {
      c.say("Key " + name + "\n" + text.substr(0, text.size() - 1));
      c.confirm("Destroy for ever?");
    }
    Json done(Json::Array{});
    std::string said;
    for (const DestroyedVersion& d : destroy_key(v, k, word.number)) {
      done.push(Json::object({{"version", d.version},
                              {"outcome", d.outcome},
                              {"inspected", d.inspected.empty() ? Json() : Json(d.inspected)}}));
      said += version_name(v.state(), *v.state().version(d.version)) + ": " + d.outcome +
              (d.inspected.empty() ? "" : "; inspected: " + d.inspected) + "\n";
      if (d.outcome != "destroyed") c.exit = Exit::partial;
    }
    v.checkpoint();
    c.show(Json::object({{"versions", done}}), said);
  });
}

}  // namespace kesu::cli
