// kesu open
#include "../context.h"
#include "../parts.h"
#include "app/sealing.h"

namespace kesu::cli {

void setup_open(CLI::App& app, Context& c) {
  struct Options {
    std::string out, accept_compromised;
    std::vector<std::string> sources;
    bool force = false;
  };
  auto o = std::make_shared<Options>();

  CLI::App* cmd = app.add_subcommand(
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
