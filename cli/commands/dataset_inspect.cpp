// kesu dataset inspect: the chain that protects a dataset, link by link.
#include "../context.h"
#include "app/datasets.h"
#include "app/strength.h"
#include "dataset_group.h"

namespace kesu::cli {

namespace {
std::string year_text(const Json& year) {
  return year.is_null() ? "no limit" : year == Json(0) ? "none" : std::to_string(year.as_int());
}
std::string bits_text(int64_t bits) { return bits ? std::to_string(bits) + " bits" : "not known"; }

std::string text_of(const DatasetRecord& d, const Json& j) {
  const Json &s = j.at("strength"), &due = j.at("reseal_due");
  std::string wanted = s.at("wanted").is_int() ? std::to_string(s.num("wanted")) : s.str("wanted");
  std::string out = d.name + "   " + brief(d.id) + "   " + d.state + "   " + grouped(d.objects()) +
                    " objects\n  unreadable until  " + wanted + "\n  chain             " +
                    bits_text(s.num("bits")) + ", good until " + year_text(s.at("until")) +
                    "\n  weakest           " + s.str("weakest") + "\n\n";
  Table t({"LINK", "VERDICT", "STRENGTH", "NEW UNTIL", "READ UNTIL", "CITED"});
  for (const Json& l : s.at("links").as_array()) {
    const Json& cited = l.at("citations");
    t.add({l.str("name"),
           !l.flag("may_read")   ? "PAST"
           : !l.flag("holds")    ? "TOO WEAK"
           : !l.flag("in_use")   ? "holds, older objects"
           : !l.flag("may_seal") ? "holds, none new"
                                 : "holds",
           bits_text(l.num("strength_bits")), year_text(l.at("horizon_year_new")),
           year_text(l.at("horizon_year_process")), cited.size() ? cited.as_array()[0].as_string() : "-"});
  }
  out += t.str();
  for (const Json& f : s.at("findings").as_array()) out += "  finding   " + f.as_string() + "\n";
  if (!due.flag("due")) return out + "  reseal    not due\n";
  out += "  reseal    DUE, " + grouped(due.num("objects")) + " objects: re-wrapping does not mend it\n";
  for (const Json& r : due.at("reasons").as_array()) out += "    " + r.as_string() + "\n";
  out += "  way out   kesu reseal " + d.name +
         " --to a new dataset under another key, then kesu erase plan " + d.name + "\n";
  return out;
}
}  // namespace

void setup_dataset_inspect(CLI::App& group, Context& c) {
  auto name = std::make_shared<std::string>();
  CLI::App* cmd = group.add_subcommand(
      "inspect", "how strong a dataset's protection is, link by link, and whether it must be sealed anew");
  cmd->add_option("DATASET", *name)->required();
  on_run(cmd, [&c, name] {
    Vault& v = c.open(Access::read);
    const DatasetRecord& d = v.find_dataset(*name);
    StrengthJudge judge(v.state(), year_of(v.now()));
    Json j = dataset_json(v.state(), d);
    j.set("strength", strength_details(judge.strength(d)));
    j.set("reseal_due", reseal_json(judge.reseal_due(d)));
    c.show(j, text_of(d, j));
  });
}

}  // namespace kesu::cli
