// kesu reseal
#include "app/reseal.h"
#include "../context.h"
#include "../parts.h"
#include "../progress_line.h"

namespace kesu::cli {

void setup_reseal(CLI::App& app, Context& c) {
  struct Options {
    std::string from, to;
    ResealOrder order;
    bool opaque = false, plain = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* cmd = app.add_subcommand(
      "reseal",
      "open each object of a dataset and seal it anew into another one; no plaintext on disk\n\n"
      "  kesu reseal loans-2019 --to loans-archive --into /mnt/archive\n"
      "  the same command again does what is left");
  cmd->add_option("DATASET", o->from)->required();
  cmd->add_option("PATH", o->order.paths,
                  "files and directories, where objects are not at their places any more");
  cmd->add_option("--to", o->to, "the dataset that takes them, under its own key and settings")->required();
  cmd->add_option("--into", o->order.into, "directory; default: where that dataset was sealed to last");
  auto* opaque = cmd->add_flag(
      "--opaque-names", o->opaque,
      "name sealed files by their object identifiers (profile high: always unless told otherwise)");
  cmd->add_flag("--plain-names", o->plain, "name sealed files like their sources")->excludes(opaque);
  on_run(cmd, [&c, o] {
    if (o->opaque || o->plain) o->order.opaque = o->opaque;
    Vault& v = c.open(Access::write);
    o->order.from = v.find_dataset(o->from).id;
    o->order.to = v.find_dataset(o->to).id;
    const std::string from = v.find_dataset(o->from).name, to = v.find_dataset(o->to).name;
    Progress progress;
    ResealResult r;
    {
      const ProgressLine line(c, "resealed", progress);
      r = reseal(v, o->order, progress);
    }
    fail_alone(r.failed, r.resealed + r.already);
    c.exit = exit_of_parts(r.resealed + r.already, r.failed);
    c.show(Json::object({{"from", from},
                         {"to", to},
                         {"place", name_to_json(r.place)},
                         {"objects", r.objects},
                         {"resealed", r.resealed},
                         {"already", r.already},
                         {"left", r.left},
                         {"complete", r.complete},
                         {"bytes", r.bytes},
                         {"sealed_bytes", r.sealed_bytes},
                         {"batches", r.batches},
                         {"failed", parts_json(r.failed)}}),
           "Resealed " + grouped(r.resealed) + " objects, " + human_bytes(r.bytes) + ", of " + from +
               " into " + to + (r.already ? "; " + grouped(r.already) + " were there already" : "") + "\n" +
               (r.complete ? "complete: every current object of " + from + " has one in " + to + "\n"
                           : grouped(r.left) + " left\n") +
               parts_text(r.failed, "FAILED"));
  });
}

}  // namespace kesu::cli
