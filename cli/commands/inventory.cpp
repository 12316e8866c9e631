// kesu info, inventory
#include <iostream>

#include "../context.h"
#include "app/sealing.h"
#include "app/settle.h"

namespace kesu::cli {

namespace {
std::string info_text(const Json& j) {
  std::string out = printable(name_from_json(j.at("path")), false) + "\n";
  auto line = [&](const char* word, const std::string& value) {
    out += "  " + std::string(word) + std::string(12 - std::string(word).size(), ' ') + value + "\n";
  };
  line("object", j.str("object"));
  line("dataset", (j.at("dataset_name").is_string() ? j.str("dataset_name") + "   " : "") + j.str("dataset"));
  line("vault", j.str("vault"));
  line("algorithm", j.str("algorithm") + ", chunks of " + grouped(j.num("chunk")) + " bytes");
  line("payload", grouped(j.num("payload_bytes")) + " bytes" +
                      (j.flag("payload_bound") ? ", bound to the inventory" : ", header bound only"));
  for (const Json& s : j.at("slots").as_array())
    line("key", brief(s.str("key_version")) + (s.at("state").is_string() ? "   " + s.str("state") : "") +
                    "   wrapped with " + s.str("wrap") + ", generation " +
                    std::to_string(s.num("generation")));
  if (j.flag("torn_slot"))
    line("note", "one slot was torn by an interrupted re-wrap; the object opens through the other");
  return out;
}
}  // namespace

void setup_inventory(CLI::App& app, Context& c) {
  struct Options {
    std::string dataset;
    std::vector<std::string> files;
  };
  auto o = std::make_shared<Options>();

  CLI::App* cmd = app.add_subcommand("info", "what a sealed file says of itself, without any key");
  cmd->add_option("FILE", o->files)->required()->expected(1);
  on_run(cmd, [&c, o] {
    const State* state = nullptr;
    try {
      state = &c.open(Access::read).state();
    } catch (const Error& e) {
      if (e.code() != Code::vault_absent) throw;
    }
    Json j = describe_object(o->files.at(0), state);
    c.show(j, info_text(j));
  });

  CLI::App* group = app.add_subcommand("inventory", "what a dataset consists of");
  group->require_subcommand(1);
  cmd = group->add_subcommand("list",
                              "all objects of a dataset; needs its key\n\n  kesu inventory list loans-2019");
  cmd->add_option("DATASET", o->dataset)->required();
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    const DatasetRecord d = v.find_dataset(o->dataset);
    if (d.state == "erased")
      throw Error(Code::state_refused, "the names in the inventory of " + d.name + " were erased with it")
          .next("kesu dataset show " + d.name + " says what is still known");
    KeyHolder holder(v, d.id, "inventory");
    std::vector<SegmentObject> all = read_inventory(v, d);
    holder.end("returned");
    std::map<std::string, const SegmentObject*> newest;
    for (const SegmentObject& s : all) newest[s.name] = &s;
    Json out(Json::Array{});
    Table t({"OBJECT", "BYTES", "STATE", "NAME"});
    for (const SegmentObject& s : all) {
      bool current = newest[s.name] == &s;
      out.push(Json::object({{"object", s.object.str()},
                             {"name", name_to_json(s.name)},
                             {"bytes", s.bytes},
                             {"current", current},
                             {"place", name_to_json(s.place)},
                             {"leaf", hex(s.leaf)}}));
      t.add({brief(s.object.str()), grouped(static_cast<int64_t>(s.bytes)),
             current ? "current" : "superseded", s.name});
    }
    c.show(out, t.str());
  });

  auto reason = std::make_shared<std::string>();
  cmd = group->add_subcommand("settle",
                              "learn what an interrupted seal left; or give up what lies in a place that is "
                              "gone\n\n  kesu inventory settle loans-2019 --location-lost \"disk 7 failed\"");
  cmd->add_option("DATASET", o->dataset)->required();
  cmd->add_option("--location-lost", *reason, "why its interrupted batches can never be examined");
  on_run(cmd, [&c, o, reason] {
    Vault& v = c.open(Access::write);
    const std::string id = v.find_dataset(o->dataset).id;
    int64_t lost = 0;
    if (reason->empty())
      settle(v);
    else
      lost = give_up_batches(v, id, *reason);
    int64_t open = 0;
    for (const BatchRecord& b : v.state().datasets.at(id).batches) open += b.state == "intended";
    c.show(Json::object({{"dataset", id}, {"given_up", lost}, {"open", open}}),
           "Interrupted batches: " + grouped(open) + " open, " + grouped(lost) + " given up\n");
    if (open) c.exit = Exit::not_yet;
  });
}

}  // namespace kesu::cli
