// kesu inventory scan
#include "../context.h"
#include "../parts.h"
#include "../progress_line.h"
#include "app/scan.h"
#include "inventory_group.h"

namespace kesu::cli {

namespace {
Json hits_json(const std::vector<ScanHit>& hits) {
  Json out(Json::Array{});
  for (const ScanHit& h : hits)
    out.push(Json::object({{"path", name_to_json(h.path)},
                           {"offset", h.offset},
                           {"windows", h.windows},
                           {"bytes", h.bytes},
                           {"whole", h.whole},
                           {"object", "obj-" + h.object},
                           {"name", name_to_json(h.name)}}));
  return out;
}

std::string hits_text(const ScanResult& r) {
  std::string out;
  for (size_t i = 0; i < std::min<size_t>(r.found.size(), 20); ++i) {
    const ScanHit& h = r.found[i];
    out += "  FOUND   " + h.path +
           (h.whole ? " is " + h.name
                    : " at byte " + grouped(h.offset) + ": " + grouped(h.bytes) + " bytes of " + h.name) +
           "\n";
  }
  if (r.hits > 20) out += "  FOUND   " + grouped(r.hits - 20) + " more (--json)\n";
  return out;
}
}  // namespace

void setup_scan(CLI::App& group, Context& c) {
  auto o = std::make_shared<ScanOrder>();
  auto name = std::make_shared<std::string>();
  CLI::App* cmd = group.add_subcommand(
      "scan",
      "look through files for surviving copies of a dataset's plaintext; the result is recorded\n\n"
      "  kesu inventory scan loans-2019 /srv /home /var/backups\n\n"
      "By fingerprints taken at sealing (kesu dataset add --fingerprints on), where there are any: whole\n"
      "copies, and what begins like one. Else, and with --from-sealed, the sealed files are opened and parts "
      "of\n"
      "them found anywhere in a file, which is slow.");
  cmd->add_option("DATASET", *name)->required();
  cmd->add_option("PATH", o->paths, "files and directories; links are not followed")->required();
  cmd->add_flag("--from-sealed", o->from_sealed, "open the sealed files, whatever was taken at sealing");
  on_run(cmd, [&c, o, name] {
    Vault& v = c.open(Access::write);
    const DatasetRecord& d = v.find_dataset(*name);
    const std::string dataset = d.name;
    o->dataset = d.id;
    Progress progress;
    ScanResult r;
    {
      const ProgressLine line(c, "looked through", progress);
      r = scan_for_residue(v, *o, progress);
    }
    const bool nothing_read = r.files == 0 || r.bytes == 0;
    if (r.hits || !r.unreadable.empty() || !r.without.empty() || nothing_read) c.exit = Exit::partial;
    Json places(Json::Array{});
    for (const std::string& p : r.places) places.push(name_to_json(p));
    c.show(
        Json::object({{"dataset", dataset},
                      {"places", places},
                      {"window", r.window},
                      {"objects", r.objects},
                      {"stored", r.stored},
                      {"superseded", r.superseded},
                      {"without", parts_json(r.without)},
                      {"common", r.common},
                      {"whole", r.whole},
                      {"files", r.files},
                      {"bytes", r.bytes},
                      {"special", r.special},
                      {"unreadable", parts_json(r.unreadable)},
                      {"hits", r.hits},
                      {"found", hits_json(r.found)},
                      {"started", utc_text(r.started)},
                      {"ended", utc_text(r.ended)},
                      {"document", r.document}}),
        "Looked through " + grouped(r.files) + " files, " + human_bytes(r.bytes) + ", for " +
            grouped(r.objects) + " objects of " + dataset + "\n" +
            (r.hits         ? hits_text(r)
             : nothing_read ? "nothing was read: such a scan says nothing, and counts for no certificate\n"
                            : "nothing was found\n") +
            (r.stored
                 ? "  " + grouped(r.stored) +
                       " of them by fingerprints taken at sealing, in blocks of 64 KiB from a file's start\n"
                 : "") +
            (r.stored && r.stored < r.objects
                 ? "  " + grouped(r.objects - r.stored) +
                       " by their sealed files: nothing was taken at their sealing\n"
                 : "") +
            (r.whole ? "  " + grouped(r.whole) +
                           " short or repetitive objects were looked for as whole files alone\n"
                     : "") +
            (r.superseded
                 ? "  " + grouped(r.superseded) +
                       " that were sealed over could not be looked for: their sealed files are gone\n"
                 : "") +
            (r.special ? "  " + grouped(r.special) + " devices, sockets and the like were not looked into\n"
                       : "") +
            parts_text(r.without, "UNKNOWN") + parts_text(r.unreadable, "UNREAD"));
  });
}

}  // namespace kesu::cli
