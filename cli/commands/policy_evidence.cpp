// kesu policy evidence
#include "app/policy_evidence.h"
#include "../context.h"
#include "dataset_group.h"

namespace kesu::cli {

namespace {
std::string year_text(const Json& year) {
  return year.is_null() ? "no limit" : std::to_string(year.as_int());
}

std::string bits_text(int64_t bits) { return bits ? std::to_string(bits) : "unknown"; }

std::string evidence_text(const Json& j) {
  Table t({"PART", "ALGORITHM", "BITS", "SIGN UNTIL", "VERIFY UNTIL", "NOW"});
  for (const Json& r : j.at("chain").as_array())
    t.add({r.str("part"), r.str("algorithm"), bits_text(r.num("strength_bits")),
           year_text(r.at("horizon_year_new")), year_text(r.at("horizon_year_process")),
           !r.flag("may_verify") ? "REFUSED"
           : !r.flag("may_sign") ? "verify only"
                                 : "good"});
  std::string out = "Evidence of this vault, weakest first   " + j.str("edition") + "\n\n" + t.str();
  out += "\nweakest   " + j.str("weakest") + ", " + bits_text(j.num("bits")) + " bits; signed with until " +
         year_text(j.at("horizon_year_new")) + ", verified with until " +
         year_text(j.at("horizon_year_process")) + "\n";
  for (const Json& r : j.at("chain").as_array())
    if (!r.flag("may_sign")) out += "finding   " + r.str("part") + ": " + r.str("reason") + "\n";
  return out;
}
}  // namespace

void setup_policy_evidence(CLI::App& group, Context& c) {
  CLI::App* cmd = group.add_subcommand(
      "evidence",
      "how strong the evidence of this vault is: ledger, certificates, officers' signatures, weakest first");
  on_run(cmd, [&c] {
    Vault& v = c.open(Access::read);
    Json j = policy_evidence(v.state(), year_of(v.now()));
    c.show(j, evidence_text(j));
  });
}

}  // namespace kesu::cli
