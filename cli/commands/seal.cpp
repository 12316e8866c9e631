// kesu seal
#include <unistd.h>

#include "../context.h"
#include "../parts.h"
#include "../progress_line.h"
#include "app/sealing.h"

namespace kesu::cli {

namespace {
struct Options {
  std::string dataset, files_from;
  std::vector<std::string> include, exclude;
  bool null = false, dry_run = false, opaque = false, plain = false;
  SealOrder order;
};

SealOrder order_of(const Options& o) {
  SealOrder order = o.order;
  for (const std::string& p : o.include) order.selection.include(p);
  for (const std::string& p : o.exclude) order.selection.exclude(p);
  if (o.null && o.files_from.empty())
    throw Error(Code::usage, "--null says how --files-from is written").next("give both, or neither");
  if (!o.files_from.empty()) order.selection.only(read_names(o.files_from), o.null);
  if (o.opaque || o.plain) order.opaque = o.opaque;
  return order;
}

void refuse_terminal(const Context& c, const SealOrder& order) {
  if (order.out == "-" && c.json)
    throw Error(Code::usage, "standard output cannot take both a sealed file and a JSON document")
        .next("leave --json out");
  if (order.out == "-" && ::isatty(STDOUT_FILENO))
    throw Error(Code::usage, "a sealed file is nothing to read on a terminal").next("-o DIR, or a pipe");
}

void forecast(Context& c, const std::string& dataset, const SealOrder& order) {
  Vault& v = c.open(Access::read);
  const DatasetRecord& d = v.find_dataset(dataset);
  const SealForecast f = forecast_seal(v, d, order);
  c.exit = exit_of_parts(f.files, f.failed);
  c.show(Json::object({{"dataset", d.name},
                       {"files", f.files},
                       {"bytes", f.bytes},
                       {"sealed_bytes", f.sealed_bytes},
                       {"there", f.there},
                       {"new_bytes", f.new_bytes},
                       {"needed_bytes", f.needed_bytes},
                       {"new_files", f.new_files},
                       {"place", name_to_json(f.place)},
                       {"free_bytes", f.free_bytes},
                       {"free_files", f.free_files < 0 ? Json() : Json(f.free_files)},
                       {"fits", f.fits()},
                       {"skipped", parts_json(f.skipped)},
                       {"failed", parts_json(f.failed)}}),
         "Would seal " + grouped(f.files) + " files, " + human_bytes(f.bytes) + ", into " + d.name +
             "; nothing has been changed\n  sealed    " + human_bytes(f.sealed_bytes) +
             (f.there ? "\n  there     " + grouped(f.there) + " of them have something in their place already"
                      : "") +
             (f.place.empty()
                  ? ""
                  : "\n  space     " + human_bytes(f.needed_bytes) + " needed, " + human_bytes(f.free_bytes) +
                        " free at " + f.place + (f.fits() ? "" : "   NOT ENOUGH")) +
             "\n" + parts_text(f.skipped, "skipped") + parts_text(f.failed, "FAILED"));
}

std::string cost_text(const SealResult& r) {
  std::string out;
  for (auto& [what, seconds] : {std::pair{"binding the payload to the inventory", r.binding_seconds},
                                {"taking fingerprints", r.print_seconds}}) {
    if (seconds < 0.05) continue;
    char text[120];
    std::snprintf(text, sizeof text, "  %s took %.1f s of %.1f s of processor time\n", what, seconds,
                  r.total_seconds);
    out += text;
  }
  return out;
}
}  // namespace

void setup_seal(CLI::App& app, Context& c) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = app.add_subcommand(
      "seal",
      "encrypt files and trees, each file under a key of its own\n\n"
      "  kesu seal loans-2019 /srv/loans -o /mnt/cloud/loans\n"
      "  kesu seal loans-2019 /srv/loans -o /mnt/cloud --include '*.csv' --exclude cache/ --dry-run\n"
      "  pg_dump loans | kesu seal dumps - --name loans.sql -o - | ssh host 'cat >loans.sql.kesu'");
  cmd->add_option("DATASET", o->dataset)->required();
  cmd->add_option("SRC", o->order.sources, "files and directories; - is standard input")->required();
  cmd->add_option("-o,--out", o->order.out,
                  "where the sealed files go: DIR/<name of SRC>/….kesu; - is standard output")
      ->required();
  cmd->add_option("--name", o->order.name, "what standard input is called");
  cmd->add_option(
      "--include", o->include,
      "only files that match: * ? [a-z] within a name, ** across; a pattern with / is held against the "
      "whole name below SRC");
  cmd->add_option("--exclude", o->exclude, "not what matches, nor below it; a trailing / means directories");
  cmd->add_option("--files-from", o->files_from,
                  "only what this file names, one a line, below SRC; - is standard input");
  cmd->add_flag("--null", o->null, "names in --files-from end with NUL");
  cmd->add_flag("--dry-run", o->dry_run, "what there is to seal, and the space it needs; nothing is changed");
  cmd->add_flag("--replace", o->order.replace, "seal changed files anew over their older objects");
  cmd->add_flag(
      "--remove-source", o->order.remove_source,
      "remove what was sealed, after it was opened again and compared; what is open for writing stays "
      "(on network file systems that is not seen); snapshots, reflinks and other copies of it are not "
      "touched");
  auto* opaque = cmd->add_flag(
      "--opaque-names", o->opaque,
      "name sealed files by their object identifiers (profile high: always unless told otherwise)");
  cmd->add_flag("--plain-names", o->plain, "name sealed files like their sources")->excludes(opaque);
  // What is told many times in one command.
  for (const char* many : {"--include", "--exclude"})
    cmd->get_option(many)->take_all()->allow_extra_args(false);
  on_run(cmd, [&c, o] {
    const SealOrder order = order_of(*o);
    if (o->dry_run) return forecast(c, o->dataset, order);
    refuse_terminal(c, order);
    Vault& v = c.open(Access::write);
    DatasetRecord& d = v.find_dataset(o->dataset);
    const std::string name = d.name;
    Progress progress;
    SealResult r;
    {
      ProgressLine line(c, "sealed", progress);
      if (line.shown()) count_sources(order, progress);
      r = seal_files(v, d, order, progress);
    }
    fail_alone(r.failed, r.sealed + r.unchanged);
    c.exit = exit_of_parts(r.sealed + r.unchanged, r.failed);
    if (order.out == "-") return;  // what left is the result
    c.show(Json::object({{"dataset", name},
                         {"sealed", r.sealed},
                         {"unchanged", r.unchanged},
                         {"manifests", r.manifests},
                         {"removed", r.removed},
                         {"bytes", r.bytes},
                         {"sealed_bytes", r.sealed_bytes},
                         {"batches", r.batches},
                         {"skipped", parts_json(r.skipped)},
                         {"failed", parts_json(r.failed)}}),
           "Sealed " + grouped(r.sealed) + " files, " + human_bytes(r.bytes) + ", into " + name +
               (r.unchanged ? "; " + grouped(r.unchanged) + " unchanged" : "") +
               (r.removed ? "; " + grouped(r.removed) + " sources removed" : "") + "\n" + cost_text(r) +
               parts_text(r.skipped, "skipped") + parts_text(r.failed, "FAILED"));
  });
}

}  // namespace kesu::cli
