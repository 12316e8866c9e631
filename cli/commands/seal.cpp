// kesu seal
#include <iostream>

#include "../context.h"
#include "../parts.h"
#include "app/sealing.h"

namespace kesu::cli {

void setup_seal(CLI::App& app, Context& c) {
  struct Options {
    std::string dataset, out;
    std::vector<std::string> sources;
    bool replace = false;
  };
  auto o = std::make_shared<Options>();

  CLI::App* cmd = app.add_subcommand(
      "seal",
      "encrypt files, each under a key of its own\n\n  kesu seal loans-2019 /srv/loans -o /mnt/cloud/loans");
  cmd->add_option("DATASET", o->dataset)->required();
  cmd->add_option("SRC", o->sources, "files and directories")->required();
  cmd->add_option("-o,--out", o->out, "where the sealed files go: DIR/<name of SRC>/….kesu")->required();
  cmd->add_flag("--replace", o->replace, "seal changed files anew over their older objects");
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    DatasetRecord& d = v.find_dataset(o->dataset);
    std::string name = d.name;
    SealResult r = seal_files(v, d, o->sources, o->out, o->replace, c.progress("sealed"));
    fail_alone(r.failed, r.sealed + r.unchanged);
    c.exit = exit_of_parts(r.sealed + r.unchanged, r.failed);
    c.show(Json::object({{"dataset", name},
                         {"sealed", r.sealed},
                         {"unchanged", r.unchanged},
                         {"bytes", r.bytes},
                         {"sealed_bytes", r.sealed_bytes},
                         {"batches", r.batches},
                         {"skipped", parts_json(r.skipped)},
                         {"failed", parts_json(r.failed)}}),
           "Sealed " + grouped(r.sealed) + " files, " + human_bytes(r.bytes) + ", into " + name +
               (r.unchanged ? "; " + grouped(r.unchanged) + " unchanged" : "") + "\n" +
               parts_text(r.skipped, "skipped") + parts_text(r.failed, "FAILED"));
  });
}

}  // namespace kesu::cli
