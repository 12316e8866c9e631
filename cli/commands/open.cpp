// kesu open
#include <unistd.h>

#include <algorithm>

#include "../context.h"
#include "../parts.h"
#include "../progress_line.h"
#include "app/opening.h"
#include "base/interrupt.h"

namespace kesu::cli {

namespace {
std::string open_text(const OpenResult& r) {
  std::string text = "Opened " + grouped(r.opened) + " files, " + human_bytes(r.bytes);
  if (r.already) text += "; " + grouped(r.already) + " were there already";
  text += "\n";
  if (r.directories)
    text += "  tree      " + grouped(r.directories) + " directories, " + grouped(r.symlinks) +
            " symbolic links, " + grouped(r.links) + " hard links\n";
  for (const std::string& note : r.notes) text += "  note      " + printable(note, false) + "\n";
  return text + parts_text(r.failed, "FAILED");
}
}  // namespace

void setup_open(CLI::App& app, Context& c) {
  struct Options {
    std::string out = ".";
    std::vector<std::string> sources;
    OpenOptions how;
  };
  auto o = std::make_shared<Options>();

  CLI::App* cmd = app.add_subcommand("open",
                                     "decrypt sealed files, and restore the trees they came from\n\n"
                                     "  kesu open /mnt/cloud/loans -o restored\n"
                                     "  kesu open /mnt/cloud/loans/2019/0001.csv.kesu -o - | less\n\n"
                                     "What opens is genuine. Whether it is the newest of its name, and lies "
                                     "where it was sealed to:\nkesu inventory check DATASET");
  cmd->add_option("FILE", o->sources, "sealed files, or directories of them; - is standard input")
      ->required();
  cmd->add_option("-o,--out", o->out, "where the files go (default: here); - is standard output");
  cmd->add_flag("--force", o->how.force, "replace existing files");
  cmd->add_flag("--resume", o->how.resume,
                "pass over files that are there with the size and time they were sealed with");
  cmd->add_option("--accept-compromised", o->how.accept_compromised,
                  "open under compromised key versions, too: why; it is recorded");
  on_run(cmd, [&c, o] {
    const bool from_input = std::find(o->sources.begin(), o->sources.end(), "-") != o->sources.end();
    const bool stream = from_input || o->out == "-";
    if (stream && o->sources.size() != 1)
      throw Error(Code::usage, "one sealed file at a time goes through standard input or output")
          .next("name directories with -o DIR");
    if (o->out == "-" && c.json)
      throw Error(Code::usage, "standard output cannot take both a file and a JSON document")
          .next("leave --json out");
    CatchInterrupts catching;
    Vault& v = c.open(Access::write);
    OpenResult r;
    if (stream) {
      r = open_stream_file(v, o->sources[0], o->out, o->how);
      if (o->out == "-") return;  // what left is the result
    } else {
      Progress progress;
      ProgressLine line(c, "opened", progress);
      r = open_files(v, o->sources, o->out, o->how, progress);
    }
    const int64_t done = r.opened + r.already;
    fail_alone(r.failed, done);
    c.exit = exit_of_parts(done, r.failed);
    Json notes(Json::Array{});
    for (const std::string& note : r.notes) notes.push(note);
    c.show(Json::object({{"opened", r.opened},
                         {"already", r.already},
                         {"bytes", r.bytes},
                         {"directories", r.directories},
                         {"symlinks", r.symlinks},
                         {"links", r.links},
                         {"failed", parts_json(r.failed)},
                         {"notes", notes}}),
           open_text(r));
  });
}

}  // namespace kesu::cli
