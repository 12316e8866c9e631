// kesu policy show, algorithms, check
#include "../context.h"
#include "policy/policy.h"

namespace kesu::cli {

namespace {
std::string join(const std::vector<std::string>& parts, const std::string& by) {
  std::string out;
  for (const std::string& p : parts) out += (out.empty() ? "" : by) + p;
  return out;
}

void show(Context& c) {
  Json editions(Json::Array{}), lists(Json::Array{}), periods(Json::Array{});
  std::string text = policy::policy_edition() + "\n\n";
  Table e({"DOCUMENT", "DATE", "SEEN"});
  for (const policy::Edition& d : policy::editions()) {
    editions.push(Json::object({{"document", d.document}, {"title", d.title}, {"date", d.date}, {"seen", d.seen}}));
    e.add({d.document, d.date, d.seen});
  }
  Table l({"LIST", "CATEGORY", "NAME", "CITATION"});
  for (const policy::ListRow& r : policy::lists()) {
    Json notes(Json::Array{});
    for (const std::string& n : r.notes) notes.push(n);
    lists.push(Json::object({{"list", r.list}, {"table", r.table}, {"category", r.category}, {"name", r.name}, {"specification", r.specification}, {"citation", r.citation}, {"notes", notes}}));
    l.add({r.list + (r.table ? " " + std::to_string(r.table) : ""), r.category, r.name, r.citation});
  }
  Table p({"BITS", "USE", "END OF USE", "CELL", "READING"});
  for (const policy::PeriodRow& r : policy::periods()) {
    periods.push(Json::object({{"strength_bits", r.strength_bits}, {"mode", policy::text(r.mode)}, {"from", r.from}, {"to", r.to}, {"word", r.word}, {"reading", r.reading}, {"citation", r.citation}}));
    p.add({std::to_string(r.strength_bits), std::string(policy::text(r.mode)), std::to_string(r.from) + "-" + std::to_string(r.to), r.word, r.reading});
  }
  c.show(Json::object({{"edition", policy::policy_edition()}, {"editions", editions}, {"lists", lists}, {"periods", periods}}), text + e.str() + "\n" + l.str() + "\n" + p.str());
}

void algorithms(Context& c) {
  Json out(Json::Array{});
  Table t({"NAME", "VERDICT", "BITS", "NEW UNTIL", "READ UNTIL", "USE"});
  for (const policy::AlgorithmRow& a : policy::algorithms()) {
    Json purposes(Json::Array{});
    for (policy::Purpose p : a.purposes) purposes.push(policy::text(p));
    out.push(Json::object({{"name", a.name}, {"category", policy::text(a.category)}, {"strength_bits", a.strength_bits}, {"new_until", policy::horizon_text(a.horizon_year_new)},
                           {"process_until", policy::horizon_text(a.horizon_year_process)}, {"purposes", purposes}, {"use", a.use}, {"reason", a.reason}}));
    t.add({a.name, std::string(policy::text(a.category)), a.strength_bits ? std::to_string(a.strength_bits) : "-", policy::horizon_text(a.horizon_year_new),
           policy::horizon_text(a.horizon_year_process), a.use});
  }
  c.show(out, policy::policy_edition() + "\n\n" + t.str());
}
}  // namespace

void setup_policy(CLI::App& app, Context& c) {
  CLI::App* group = app.add_subcommand("policy", "which algorithm may serve which purpose until when, and on whose word");
  group->require_subcommand(1);
  on_run(group->add_subcommand("show", "the lists and periods, each line with its citation"), [&c] { show(c); });
  on_run(group->add_subcommand("algorithms", "every registered algorithm and its verdict"), [&c] { algorithms(c); });

  struct Options {
    std::string algorithm, purpose, mode = "new", profile = "current", until;
  };
  auto o = std::make_shared<Options>();
  CLI::App* cmd = group->add_subcommand("check", "judge one algorithm; exit 3 when it is refused\n\n  kesu policy check RSA-OAEP:bits=3072,hash=SHA-256 --purpose wrap --until 2035");
  cmd->add_option("ALG", o->algorithm, "NAME or NAME:bits=…,hash=…,iv=…,output=…")->required();
  cmd->add_option("--until", o->until, "planned last year of use (default: open-ended)");
  cmd->add_option("--purpose", o->purpose, "payload, wrap, signature, hash, mac, kdf, random, key-exchange, storage-device, …");
  cmd->add_option("--mode", o->mode, "new (default) or processing");
  cmd->add_option("--profile", o->profile, "current (default) or pqc");
  on_run(cmd, [&c, o] {
    policy::Query q = policy::parse_query(o->algorithm);
    if (!o->purpose.empty()) q.purpose = policy::purpose_from(o->purpose);
    q.mode = policy::mode_from(o->mode);
    q.profile = policy::profile_from(o->profile);
    q.now_year = year_of(c.env().clock.now());
    if (!o->until.empty() && o->until != "open-ended") {
      if (o->until.size() != 4 || o->until.find_first_not_of("0123456789") != std::string::npos) throw Error(Code::usage, "--until takes a year, not " + o->until);
      q.end_year = std::stoi(o->until);
    }
    policy::Verdict v = policy::evaluate(q);
    std::string text = v.algorithm + " for " + std::string(policy::text(v.purpose)) + ", " + std::string(policy::text(q.mode)) + ", " + (q.end_year ? "until " + std::to_string(*q.end_year) : "open-ended") + "\n";
    text += "  verdict    " + std::string(v.allowed ? "ALLOWED" : "REFUSED") + (v.exception_possible ? " (a recorded exception can lift it)" : "") + "\n";
    text += "  category   " + std::string(policy::text(v.category)) + "\n";
    text += "  strength   " + (v.strength_bits ? std::to_string(v.strength_bits) + " bits" : std::string("not known")) + "\n";
    text += "  new until  " + policy::horizon_text(v.horizon_year_new) + "   read until " + policy::horizon_text(v.horizon_year_process) + "\n";
    if (v.period_word != "-") text += "  period     " + v.period_word + "   " + v.period_reading + "\n";
    text += "  reason     " + v.reason + "\n";
    for (const std::string& f : v.findings) text += "  finding    " + f + "\n";
    text += "  cited      " + join(v.citations, "\n             ") + "\n";
    c.show(policy::to_json(v), text);
    if (!v.allowed) c.exit = Exit::refused;
  });
}

}  // namespace kesu::cli
