// kesu seal, open
#include <iostream>

#include "../context.h"
#include "../parts.h"
#include "app/sealing.h"

namespace kesu::cli {

namespace {
// One file that failed alone is the command's own error.
void fail_alone(const std::vector<Skipped>& failed, int64_t done) {
  if (failed.size() == 1 && done == 0) throw Error(failed[0].code, failed[0].path + ": " + failed[0].why);
}
}  // namespace

void setup_seal(CLI::App& app, Context& c) {
  struct Options {
    std::string dataset, out, accept_compromised;
    std::vector<std::string> sources;
    bool force = false, replace = false;
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

  cmd = app.add_subcommand(
      "open", "decrypt sealed files\n\n  kesu open /mnt/cloud/loans/2019/0001.csv.kesu -o restored");
  cmd->add_option("FILE", o->sources, "sealed files, or directories of them")->required();
  cmd->add_option("-o,--out", o->out, "where the files go (default: here)");
  cmd->add_flag("--force", o->force, "replace existing files");
  cmd->add_option("--accept-compromised", o->accept_compromised,
                  "open under compromised key versions, too: why; it is recorded");
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    OpenResult r = open_files(v, o->sources, o->out.empty() ? "." : o->out, o->force, c.progress("opened"),
                              o->accept_compromised);
    fail_alone(r.failed, r.opened);
    c.exit = exit_of_parts(r.opened, r.failed);
    c.show(Json::object({{"opened", r.opened}, {"bytes", r.bytes}, {"failed", parts_json(r.failed)}}),
           "Opened " + grouped(r.opened) + " files, " + human_bytes(r.bytes) + "\n" +
               parts_text(r.failed, "FAILED"));
  });
}

}  // namespace kesu::cli
