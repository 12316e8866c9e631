// kesu rewrap
#include "app/rewrap.h"
#include "../context.h"
#include "../parts.h"
#include "app/key_states.h"
#include "base/interrupt.h"

namespace kesu::cli {

namespace {
std::string preview_text(const Json& j, const State& state) {
  auto version = [&](const std::string& id) { return version_name(state, *state.version(id)); };
  std::string out = "Would move " + grouped(j.num("to_move")) + " data keys and " +
                    grouped(j.num("dataset_keys")) + " dataset keys of " + j.str("dataset") + " to " +
                    version(j.str("version")) + "; " + grouped(j.num("already")) +
                    " are there already\nnothing has been changed\n";
  Table t({"VERSION", "OBJECTS", "SEALED OVER, AT MOST", "BATCHES", "DATASET KEYS"});
  for (const Json& row : j.at("census").as_array())
    t.add({version(row.str("version")), grouped(row.num("objects")), grouped(row.num("superseded_at_most")),
           grouped(row.num("batches")), grouped(row.num("dataset_keys"))});
  return out + t.str();
}
}  // namespace

void setup_rewrap(CLI::App& app, Context& c) {
  struct Options {
    std::string dataset, from, location_lost;
    std::vector<std::string> paths;
    bool dry_run = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* cmd = app.add_subcommand("rewrap",
                                     "move data keys to the active version of the dataset's key; data is not "
                                     "read\n\n  kesu key rotate loans && kesu rewrap loans-2019");
  cmd->add_option("DATASET", o->dataset)->required();
  cmd->add_option("PATH", o->paths, "files and directories, where objects are not at their places any more");
  cmd->add_option("--from", o->from, "only what is under this version, as in loans.1");
  cmd->add_option(
      "--location-lost", o->location_lost,
      "why what lay in a directory that is not there any more is gone: its objects count as moved "
      "with the files at PATH");
  cmd->add_flag("--dry-run", o->dry_run, "what the ledger says would move; change nothing");
  on_run(cmd, [&c, o] {
    Vault& v = c.open(o->dry_run ? Access::read : Access::write);
    RewrapOrder order{v.find_dataset(o->dataset).id, o->paths, "", o->location_lost};
    if (!o->location_lost.empty() && o->paths.empty())
      throw Error(Code::usage, "--location-lost says that the files are at PATH now, and there is none")
          .next("kesu rewrap " + o->dataset + " PATH --location-lost REASON");
    if (!o->from.empty()) {
      KeyWord word = find_key_word(v, o->from);
      if (!word.number) throw Error(Code::usage, "--from takes one version of a key, as in loans.1");
      order.from = word.key + "." + std::to_string(word.number);
    }
    if (o->dry_run) {
      Json j = rewrap_preview(v, order);
      return c.show(j, preview_text(j, v.state()));
    }
    const CatchInterrupts ctrl_c;
    RewrapResult r = rewrap(v, order, c.progress("moved"));
    const std::string name = v.state().datasets.at(order.dataset).name;
    if (!r.missing.empty() || !r.failed.empty()) c.exit = Exit::partial;
    c.show(Json::object({{"dataset", name},
                         {"version", r.version},
                         {"moved", r.moved},
                         {"already", r.already},
                         {"superseded", r.superseded},
                         {"dataset_keys", r.dataset_keys},
                         {"missing", parts_json(r.missing)},
                         {"failed", parts_json(r.failed)},
                         {"batches", r.batches}}),
           "Moved " + grouped(r.moved) + " data keys of " + name + " to " +
               version_name(v.state(), *v.state().version(r.version)) +
               (r.already ? "; " + grouped(r.already) + " were there already" : "") +
               (r.superseded ? "; " + grouped(r.superseded) + " sealed over, which no file holds any more"
                             : "") +
               "\n" + parts_text(r.missing, "missing") + parts_text(r.failed, "FAILED"));
  });
}

}  // namespace kesu::cli
