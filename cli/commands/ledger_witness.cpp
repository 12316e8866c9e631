// kesu ledger cosign, witness: on the witness's own machine, without a vault
#include "app/witness.h"
#include "base/files.h"
#include "base/leftovers.h"
#include "ledger_group.h"

namespace kesu::cli {

void setup_witness(CLI::App* group, Context& c) {
  struct Options {
    WitnessInit init;
    std::string directory, request, first, go_on, out;
  };
  auto o = std::make_shared<Options>();

  CLI::App* cmd = group->add_subcommand(
      "cosign",
      "on a witness's machine, without a vault: check a checkpoint against what was seen before, and cosign "
      "it\n\n  kesu ledger cosign request --witness ~/witness -o cosignature");
  cmd->add_option("REQUEST", o->request, "what the vault exported")->required();
  cmd->add_option("--witness", o->directory, "the witness's directory")->required();
  cmd->add_option("--first", o->first,
                  "the vkey of a log that was never seen before, learned by another way than the request");
  cmd->add_option(
      "--go-on", o->go_on,
      "cosign a log again whose other history was refused and is kept; says why, which is recorded");
  cmd->add_option("-o,--out", o->out, "a new file for the answer; without: stdout");
  on_run(cmd, [&c, o] {
    if (!o->out.empty() && exists(o->out))
      throw Error(Code::already_exists, o->out + " is there already").next("choose another -o FILE");
    const Cosigned s = cosign(c.env(), o->directory, o->request, o->first, o->go_on);
    if (!o->out.empty()) write_output(o->out, as_bytes(s.line), 0644, false);
    const Json document = Json::object({{"origin", s.origin},
                                        {"size", s.size},
                                        {"root", s.root},
                                        {"previous", s.before},
                                        {"witness", s.witness},
                                        {"cosigned", utc_text(s.time)},
                                        {"again", s.again},
                                        {"signature", s.line}});
    c.show(document, o->out.empty() ? s.line
                                    : s.origin + ": cosigned at " + grouped(static_cast<int64_t>(s.size)) +
                                          " entries; seen before: " +
                                          grouped(static_cast<int64_t>(s.before)) + "\nnext   give " +
                                          o->out + " back: kesu ledger checkpoint --attach " + o->out + "\n");
  });

  CLI::App* witness = group->add_subcommand("witness", "a witness: its key, and what it saw of which log");
  witness->require_subcommand(1);
  cmd = witness->add_subcommand("init",
                                "make a witness: a directory and its key\n\n"
                                "  kesu ledger witness init ~/witness --name witness.example.jp/w1");
  cmd->add_option("DIR", o->init.directory, "a new directory")->required();
  cmd->add_option("--name", o->init.name, "who it is: text without spaces and '+'")->required();
  cmd->add_option("--provider", o->init.provider_uri,
                  "where its key is made (pkcs11: or soft: URI); without: a keystore file in DIR");
  cmd->add_option("--passphrase-source", o->init.passphrase_source,
                  "of that keystore: file:/PATH, env:NAME, fd:N or prompt (default)");
  on_run(cmd, [&c, o] {
    const std::string vkey = init_witness(c.env(), o->init);
    c.show(Json::object(
               {{"name", o->init.name}, {"vkey", vkey}, {"directory", absolute_path(o->init.directory)}}),
           vkey +
               "\nnext   vaults: [[witness]] vkey in kesu.toml; readers of certificates: a line \"witness "
               "VKEY\" in their trust file. Tell it by a way that nobody between can change\n");
  });
  cmd = witness->add_subcommand("show", "its vkey, and what it saw last of each log");
  cmd->add_option("DIR", o->directory)->required();
  on_run(cmd, [&c, o] {
    const Json j = witness_json(o->directory);
    Table t({"LOG", "SIZE", "ROOT", "COSIGNED"});
    for (const Json& log : j.at("logs").as_array()) {
      const bool there = !log.at("size").is_null();
      t.add({log.str("origin"), there ? std::to_string(log.num("size")) : "gone",
             there ? log.str("root").substr(0, 16) : "",
             !there                        ? ""
             : log.at("stopped").as_bool() ? "STOPPED: another history was shown"
                                           : log.str("cosigned")});
    }
    const int64_t refusals = j.num("refusals");
    c.show(j, j.str("vkey") + "\n" + (t.empty() ? "no log yet\n" : t.str()) +
                  (refusals ? std::to_string(refusals) + " refused, kept in " +
                                  path_join(o->directory, "refused") + "\n"
                            : ""));
  });
}

}  // namespace kesu::cli
