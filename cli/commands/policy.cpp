// kesu policy: the group; show, algorithms, check
#include "../context.h"
#include "app/policy_ops.h"
#include "dataset_group.h"
#include "key_group.h"

namespace kesu::cli {

namespace {
std::string number(const Json& row, const char* member) { return std::to_string(row.num(member)); }

std::string lists_text(const Json& j) {
  Table e({"DOCUMENT", "DATE", "SEEN"}), l({"LIST", "CATEGORY", "NAME", "CITATION"}),
      p({"BITS", "USE", "END OF USE", "CELL", "READING"});
  for (const Json& d : j.at("editions").as_array()) e.add({d.str("document"), d.str("date"), d.str("seen")});
  for (const Json& r : j.at("lists").as_array())
    l.add({r.str("list") + (r.num("table") ? " " + number(r, "table") : ""), r.str("category"), r.str("name"),
           r.str("citation")});
  for (const Json& r : j.at("periods").as_array())
    p.add({number(r, "strength_bits"), r.str("mode"), number(r, "from") + "-" + number(r, "to"),
           r.str("word"), r.str("reading")});
  return j.str("edition") + "\n\n" + e.str() + "\n" + l.str() + "\n" + p.str();
}

std::string algorithms_text(const Json& rows) {
  Table t({"NAME", "VERDICT", "BITS", "NEW UNTIL", "READ UNTIL", "USE"});
  for (const Json& a : rows.as_array())
    t.add({a.str("name"), a.str("category"), a.num("strength_bits") ? number(a, "strength_bits") : "-",
           a.str("new_until"), a.str("process_until"), a.str("use")});
  return t.str();
}

std::string verdict_text(const Json& v) {
  bool open_ended = v.at("until").is_string();
  std::string out = v.str("algorithm") + " for " + v.str("purpose") + ", " + v.str("mode") + ", " +
                    (open_ended ? "open-ended" : "until " + number(v, "until")) + "\n";
  auto line = [&](const char* word, const std::string& value) {
    out += "  " + std::string(word) + std::string(11 - std::string(word).size(), ' ') + value + "\n";
  };
  line("verdict", std::string(v.flag("allowed") ? "ALLOWED" : "REFUSED") +
                      (v.flag("exception_possible") ? " (a recorded exception can lift it)" : ""));
  line("category", v.str("category"));
  line("strength", v.num("strength_bits") ? number(v, "strength_bits") + " bits" : "not known");
  line("new until", v.str("new_until") + "   read until " + v.str("process_until"));
  if (v.str("period_word") != "-") line("period", v.str("period_word") + "   " + v.str("period_reading"));
  line("reason", v.str("reason"));
  for (const Json& f : v.at("findings").as_array()) line("finding", f.as_string());
  for (const Json& c : v.at("citations").as_array()) line("cited", c.as_string());
  return out;
}
}  // namespace

void setup_policy(CLI::App& app, Context& c) {
  CLI::App* group =
      app.add_subcommand("policy", "which algorithm may serve which purpose until when, and on whose word");
  group->require_subcommand(1);
  on_run(group->add_subcommand("show", "the lists and periods, each line with its citation"), [&c] {
    Json j = policy_lists();
    c.show(j, lists_text(j));
  });
  on_run(group->add_subcommand("algorithms", "every registered algorithm and its verdict"), [&c] {
    Json j = policy_algorithms();
    c.show(j, algorithms_text(j));
  });

  auto q = std::make_shared<PolicyQuestion>();
  CLI::App* cmd = group->add_subcommand("check",
                                        "judge one algorithm; exit 3 when it is refused\n\n  kesu policy "
                                        "check RSA-OAEP:bits=3072,hash=SHA-256 --purpose wrap --until 2035");
  cmd->add_option("ALG", q->algorithm, "NAME or NAME:bits=…,hash=…,iv=…,output=…")->required();
  cmd->add_option("--until", q->until, "planned last year of use (default: open-ended)");
  cmd->add_option("--purpose", q->purpose,
                  "payload, wrap, signature, hash, mac, kdf, random, key-exchange, storage-device, …");
  cmd->add_option("--mode", q->mode, "new (default) or processing");
  cmd->add_option("--profile", q->profile, "current (default) or pqc");
  on_run(cmd, [&c, q] {
    Json v = policy_verdict(*q, c.env().clock.now());
    c.show(v, verdict_text(v));
    if (!v.flag("allowed")) c.exit = Exit::refused;
  });
  setup_policy_exceptions(*group, c);
  setup_policy_evidence(*group, c);
}

}  // namespace kesu::cli
