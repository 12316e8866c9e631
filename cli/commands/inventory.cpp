// kesu info, inventory
#include <algorithm>
#include <iostream>

#include "../context.h"
#include "../parts.h"
#include "app/inventory_check.h"
#include "app/inventory_orphans.h"
#include "app/inventory_prove.h"
#include "app/inventory_reader.h"
#include "app/opening.h"
#include "app/settle.h"
#include "base/files.h"
#include "base/leftovers.h"
#include "inventory_group.h"

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
Json rows_json(const std::vector<CheckRow>& rows) {
  Json out(Json::Array{});
  for (const CheckRow& r : rows)
    out.push(Json::object({{"path", name_to_json(r.path)},
                           {"object", r.object.empty() ? Json() : Json(r.object)},
                           {"what", r.what},
                           {"code", r.code}}));
  return out;
}

std::string rows_text(const std::vector<CheckRow>& rows, const std::string& word) {
  constexpr size_t kShown = 20;
  std::string out;
  for (size_t i = 0; i < rows.size() && i < kShown; ++i)
    out += word + "  " + (rows[i].path.empty() ? rows[i].object : printable(rows[i].path, false)) + ": " +
           printable(rows[i].what, false) + "\n";
  if (rows.size() > kShown)
    out += word + "  and " + grouped(static_cast<int64_t>(rows.size() - kShown)) + " more\n";
  return out;
}

void setup_check(CLI::App& group, Context& c) {
  struct Options {
    std::string dataset;
    std::vector<std::string> paths;
    bool quick = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* cmd = group.add_subcommand(
      "check",
      "is every object in its place, whole, and opening? With PATHs: what else lies there?\n\n"
      "  kesu inventory check loans-2019 /mnt/cloud/loans\n"
      "  kesu inventory check loans-2019 --quick /mnt/cloud/loans     no key, nothing written");
  cmd->add_option("DATASET", o->dataset)->required();
  cmd->add_option(
      "PATH", o->paths,
      "look there for files that no inventory counts, for leftovers, and for what was sealed to a pipe");
  cmd->add_flag("--quick", o->quick, "presence, length and header only; with PATHs no key is used");
  on_run(cmd, [&c, o] {
    const bool keyless = o->quick && !o->paths.empty();
    Vault& v = c.open(keyless ? Access::read : Access::write);
    const DatasetRecord& d = v.find_dataset(o->dataset);
    const std::string name = d.name;
    InventoryCheck r = check_inventory(v, {d.id, o->quick, o->paths}, c.progress("checked"));
    if (!r.damaged.empty())
      c.exit = Exit::invalid;
    else if (!r.missing.empty())
      c.exit = Exit::partial;
    std::string text = "Checked " + grouped(r.objects) + " objects of " + name + ": " + grouped(r.good) +
                       " good, " + human_bytes(r.bytes) +
                       (r.superseded ? "; " + grouped(r.superseded) + " superseded" : "") + "\n" +
                       rows_text(r.damaged, "DAMAGED") + rows_text(r.missing, "MISSING") +
                       rows_text(r.torn, "torn") + rows_text(r.orphans, "orphan");
    if (r.undecided)
      text += "UNDECIDED  of " + grouped(r.undecided) +
              ": without a key an object that was sealed over cannot be told from the current one, which may "
              "be missing. kesu inventory check " +
              name + " tells.\n";
    if (o->quick)
      text +=
          "Quick: presence, length and header. It does not show that payloads, slots and names are what was "
          "sealed, nor that anything opens.\n";
    else if (r.not_covered)
      text += grouped(r.not_covered) +
              " opened with their data keys, but their payloads are not bound to the inventory.\n";
    c.show(Json::object({{"dataset", r.dataset},
                         {"objects", r.objects},
                         {"good", r.good},
                         {"missing", rows_json(r.missing)},
                         {"damaged", rows_json(r.damaged)},
                         {"torn", rows_json(r.torn)},
                         {"not_covered", r.not_covered},
                         {"orphans", rows_json(r.orphans)},
                         {"superseded", r.superseded},
                         {"undecided", r.undecided},
                         {"bytes", r.bytes},
                         {"quick", r.quick}}),
           text);
  });
}
void setup_prove(CLI::App& group, Context& c) {
  struct Options {
    std::string file, out;
  };
  auto o = std::make_shared<Options>();
  CLI::App* cmd = group.add_subcommand(
      "prove",
      "a proof that a sealed file is counted, for somebody who has a checkpoint or a bundle\n\n"
      "  kesu inventory prove /mnt/cloud/loans/2019/0001.csv.kesu -o proof.json");
  cmd->add_option("FILE", o->file)->required();
  cmd->add_option("-o,--out", o->out, "write the proof there (default: standard output)");
  on_run(cmd, [&c, o] {
    const Json proof = prove_object(c.open(Access::write), o->file);
    const std::string covered =
        proof.str("covers") == "object" ? "covered" : "header covered, payload not bound";
    if (o->out.empty()) {
      c.show(proof, proof.canonical() + "\n");
      return;
    }
    const std::string text = proof.canonical() + "\n";
    write_output(o->out, as_bytes(text));
    c.show(
        Json::object({{"object", proof.str("object")},
                      {"dataset", proof.str("dataset")},
                      {"covers", proof.str("covers")},
                      {"proof", name_to_json(o->out)}}),
        printable(o->file, false) + ": " + covered + "; the proof is in " + printable(o->out, false) + "\n");
  });
}

void setup_adopt(CLI::App& group, Context& c) {
  struct Options {
    std::string dataset;
    std::vector<std::string> paths;
  };
  auto o = std::make_shared<Options>();
  CLI::App* cmd =
      group.add_subcommand("adopt",
                           "take sealed files of this dataset that no inventory counts into it\n\n"
                           "  kesu inventory adopt loans-2019 /mnt/disk7/loans");
  cmd->add_option("DATASET", o->dataset)->required();
  cmd->add_option("PATH", o->paths)->required();
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    const DatasetRecord& d = v.find_dataset(o->dataset);
    const std::string id = d.id, name = d.name;
    AdoptResult r = adopt_objects(v, id, o->paths, c.progress("looked at"));
    fail_alone(r.failed, r.adopted + r.known);
    c.exit = exit_of_parts(r.adopted + r.known, r.failed);
    c.show(Json::object({{"dataset", id},
                         {"adopted", r.adopted},
                         {"known", r.known},
                         {"bytes", r.bytes},
                         {"batches", r.batches},
                         {"failed", parts_json(r.failed)}}),
           "Adopted " + grouped(r.adopted) + " objects, " + human_bytes(r.bytes) + ", into " + name +
               (r.known ? "; " + grouped(r.known) + " were counted already" : "") + "\n" +
               parts_text(r.failed, "FAILED"));
  });
}

Json leftovers_json(const std::vector<LeftoverFile>& files) {
  Json out(Json::Array{});
  for (const LeftoverFile& f : files)
    out.push(Json::object({{"path", name_to_json(f.path)},
                           {"object", f.object.empty() ? Json() : Json("obj-" + f.object)},
                           {"kind", f.kind.empty() ? Json() : Json(f.kind)},
                           {"why", f.why},
                           {"bytes", f.bytes}}));
  return out;
}

void setup_remove(CLI::App& group, Context& c) {
  struct Options {
    std::vector<std::string> paths;
    std::string reason;
    bool force = false, dry_run = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* cmd = group.add_subcommand(
      "remove",
      "remove leftovers that are no object of any inventory: part files, what was set aside, what nothing "
      "opens\n\n  kesu inventory remove /mnt/cloud/loans --dry-run\n"
      "  kesu inventory remove /mnt/cloud/loans --reason \"after the power cut of 3 May\"");
  cmd->add_option("PATH", o->paths)->required();
  cmd->add_option("--reason", o->reason, "why; it is recorded");
  cmd->add_flag("--force", o->force, "also what still opens, and part files while keys are in use");
  cmd->add_flag("--dry-run", o->dry_run, "show, and remove nothing");
  on_run(cmd, [&c, o] {
    if (!o->dry_run && o->reason.empty())
      throw Error(Code::usage, "a removal needs a reason").next("--reason TEXT, or --dry-run");
    Vault& v = c.open(Access::write);
    const LeftoverList found = find_leftovers(v, o->paths, o->force);
    std::string text;
    for (const LeftoverFile& f : found.remove)
      text += "remove  " + printable(f.path, false) + "   " + human_bytes(f.bytes) + ": " +
              printable(f.why, false) + "\n";
    for (const LeftoverFile& f : found.keep)
      text += "keep    " + printable(f.path, false) + ": " + printable(f.why, false) + "\n";
    std::vector<Skipped> failed = found.failed;
    if (!o->dry_run && !found.remove.empty()) {
      if (!c.json && !c.quiet) std::cout << text << std::flush;
      text.clear();
      c.confirm("Remove " + grouped(static_cast<int64_t>(found.remove.size())) + " files for ever?");
      for (Skipped& s : remove_leftovers(v, found.remove, o->reason)) failed.push_back(std::move(s));
    }
    std::vector<LeftoverFile> gone = found.remove;
    std::erase_if(gone, [&](const LeftoverFile& f) {
      return std::any_of(failed.begin(), failed.end(), [&](const Skipped& s) { return s.path == f.path; });
    });
    const auto n = static_cast<int64_t>(gone.size());
    c.exit = exit_of_parts(n, failed);
    c.show(Json::object({{"dry_run", o->dry_run},
                         {"removed", o->dry_run ? Json(Json::Array{}) : leftovers_json(gone)},
                         {"would_remove", o->dry_run ? leftovers_json(found.remove) : Json(Json::Array{})},
                         {"kept", leftovers_json(found.keep)},
                         {"failed", parts_json(failed)}}),
           text + (o->dry_run ? "Would remove " : "Removed ") + grouped(n) + " files\n" +
               parts_text(failed, "FAILED"));
  });
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
    std::vector<SegmentObject> all;
    InventoryReader(v, d).each([&](const SegmentObject& s) { all.push_back(s); });
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

  setup_check(*group, c);
  setup_prove(*group, c);
  setup_adopt(*group, c);
  setup_remove(*group, c);
  setup_scan(*group, c);

  auto reason = std::make_shared<std::string>();
  cmd = group->add_subcommand("settle",
                              "learn what an interrupted seal left; or give up what lies in a place that is "
                              "gone\n\n  kesu inventory settle loans-2019 --location-lost \"disk 7 failed\"");
  cmd->add_option("DATASET", o->dataset)->required();
  cmd->add_option("--location-lost", *reason, "why its interrupted batches can never be examined");
  on_run(cmd, [&c, o, reason] {
    Vault& v = c.open(Access::write);
    v.rebuild();  // a question that a register left out is one, too
    const std::string id = v.find_dataset(o->dataset).id;
    int64_t lost = 0;
    if (reason->empty())
      settle(v);
    else
      lost = give_up_batches(v, id, *reason);
    const auto open = static_cast<int64_t>(batches_intended(v.state().datasets.at(id)).size());
    c.show(Json::object({{"dataset", id}, {"given_up", lost}, {"open", open}}),
           "Interrupted batches: " + grouped(open) + " open, " + grouped(lost) + " given up\n");
    if (open) c.exit = Exit::not_yet;
  });
}

}  // namespace kesu::cli
