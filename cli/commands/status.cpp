// kesu status, doctor, vault close: what an operator looks at every day, and the last command of a vault.
#include "app/status.h"

#include "../context.h"
#include "app/clock_watch.h"
#include "app/close.h"
#include "app/doctor.h"
#include "vault_group.h"

namespace kesu::cli {

namespace {
constexpr size_t kScreen = 20;  // due lines before "and N more"

std::string due_text(const StatusReport& r, Millis now, bool all) {
  if (r.due.empty()) return "  due          nothing\n";
  size_t overdue = 0;
  for (const Due& d : r.due) overdue += d.overdue;
  std::string out = "  due          " + grouped(static_cast<int64_t>(r.due.size())) +
                    (overdue ? ", " + grouped(static_cast<int64_t>(overdue)) + " of them urgent" : "") + "\n";
  Table t({"    WHEN", "WHAT", "NEXT"});
  const size_t shown = all ? r.due.size() : std::min(kScreen, r.due.size());
  for (size_t i = 0; i < shown; ++i) {
    const Due& d = r.due[i];
    t.add({std::string(d.overdue ? "  ! " : "    ") + when_text(d, now), d.name + " " + d.detail, d.next});
  }
  out += t.str();
  if (shown < r.due.size())
    out += "    and " + grouped(static_cast<int64_t>(r.due.size() - shown)) + " more: kesu status --due\n";
  return out;
}

std::string counts_text(const Json& v) {
  std::string text;
  for (auto& [state, n] : v.as_object())
    text += (text.empty() ? "" : " · ") + grouped(n.as_int()) + " " + state;
  return text.empty() ? "none" : text;
}

std::string status_text(const StatusReport& r, Millis now, bool all) {
  const Json& d = r.document;
  std::string out = d.str("organisation") + "   vault " + brief(d.str("vault")) + "   profile " +
                    d.str("profile") + (d.flag("read_only") ? "   READ-ONLY" : "") +
                    (d.at("closed").is_null() ? "" : "   CLOSED " + d.str("closed").substr(0, 10)) + "\n";
  out += "  ledger       " + grouped(d.at("ledger").num("entries")) + " entries, checkpoint at " +
         grouped(d.at("ledger").num("checkpoint")) + "\n";
  for (const Json& p : d.at("providers").as_array())
    out += "  provider     " + p.str("name") + "   " + p.str("kind") + " token " + p.str("label") +
           " (serial " + p.str("serial") + ")" + (p.flag("test_grade") ? "   TEST GRADE" : "") + "\n";
  for (const Json& s : d.at("silent").as_array())
    out += (s.str("code") == "object-absent" || s.str("code") == "key-known" ? "  DRIFT        "
                                                                             : "  SILENT       ") +
           s.str("provider") + ": " + s.str("message") + " [" + s.str("code") + "]" +
           (s.str("next").empty() ? "" : "   next: " + s.str("next")) + "\n";
  out += "  key versions " + counts_text(d.at("key_versions")) + "\n";
  out += "  datasets     " + counts_text(d.at("datasets")) + "   " + grouped(d.num("objects")) +
         " objects, " + human_bytes(d.num("bytes")) + "\n";
  for (const Json& h : d.at("holds").as_array())
    out += "  HELD         " + h.str("name") + "   case " + h.str("case") + " since " + h.str("placed") +
           "   (" + brief(h.str("id")) + ")\n";
  for (const Json& q : d.at("questions").as_array())
    out += "  OPEN         " + q.str("question") + " (" + brief(q.str("node")) + ", opened by " +
           q.str("opened_by") + ")   " +
           (q.flag("settled_by_next_command") ? "the next command that writes settles it"
                                              : "its process still runs, or cannot be seen from here") +
           "\n";
  return out + due_text(r, now, all);
}

void doctor(Context& c, bool offline) {
  DoctorOrder order{program_path(), std::nullopt, offline};
  try {
    order.vault = c.vault_directory();
  } catch (const Error& e) {
    if (e.code() != Code::vault_absent) throw;
  }
  Json checks(Json::Array{});
  std::string text;
  size_t width = 0, failed = 0, warned = 0;
  auto all = examine(c.env(), order);
  for (const Check& check : all) width = std::max(width, display_width(check.check));
  for (const Check& check : all) {
    failed += check.result == CheckResult::fail;
    warned += check.result == CheckResult::warn;
    checks.push(Json::object({{"check", check.check},
                              {"result", check_text(check.result)},
                              {"detail", check.detail},
                              {"next", check.next}}));
    std::string word(check_text(check.result));
    text += word + std::string(6 - word.size(), ' ') + check.check +
            std::string(width - display_width(check.check) + 2, ' ') + check.detail + "\n";
    if (!check.next.empty() && check.result != CheckResult::ok)
      text += std::string(8 + width, ' ') + "next: " + check.next + "\n";
  }
  text += grouped(static_cast<int64_t>(all.size())) + " checks, " + std::to_string(failed) + " failed, " +
          std::to_string(warned) + " with a warning\n";
  c.show(Json::object({{"checks", checks}}), text);
  if (failed) c.exit = Exit::partial;
}

void close_command(Context& c, const std::string& reason) {
  if (reason.empty())
    throw Error(Code::usage, "kesu vault close needs --reason TEXT: it stays in the ledger's last entry");
  Vault& v = c.open(Access::write);
  if (!v.state().vault.closed)
    c.confirm("Close the vault of " + v.state().vault.organisation + " (" + brief(v.state().vault.id) +
              ") for ever? Nothing can be added to its ledger afterwards");
  Closed done = close_vault(v, reason);
  Json left(Json::Array{});
  for (const std::string& version : done.left) left.push(version);
  std::string text = "Vault " + brief(v.state().vault.id) + (done.now ? " is closed" : " was closed before") +
                     ", on " + local_text(done.at) + "; its last checkpoint covers all " +
                     grouped(static_cast<int64_t>(done.checkpoint)) + " entries\n";
  if (!done.left.empty()) {
    text += "left at its providers, for you to remove there; none of them reaches data:\n";
    for (const std::string& version : done.left)
      if (const VersionRecord* record = v.state().version(version))
        text += "  " + brief(version) + "   " + v.state().key_of(version)->name + "   " +
                (record->ref ? record->ref->label : "-") + "\n";
  }
  c.show(Json::object({{"vault", v.state().vault.id},
                       {"closed", utc_text(done.at)},
                       {"checkpoint", done.checkpoint},
                       {"left", left}}),
         text);
}
}  // namespace

void setup_status(CLI::App& app, Context& c) {
  struct Options {
    bool check = false, due = false, offline = false;
    std::string reason;
  };
  auto o = std::make_shared<Options>();
  CLI::App* cmd = app.add_subcommand(
      "status", "what is due, pending, open, broken\n\n  kesu status --check || echo \"look at the vault\"");
  cmd->add_flag(
      "--check", o->check,
      "for cron: also reads the whole ledger (seconds where it has a million entries) and asks each "
      "provider; exit 0 nothing due, 4 waits for a person, 5 a provider is silent, 8 overdue or "
      "drifting (the most serious, 8 first)");
  cmd->add_flag("--due", o->due, "everything that is due, not the first 20 only");
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::read);
    StatusReport r = vault_status(v, o->check);
    c.show(r.document, status_text(r, v.now(), o->due));
    if (o->check)
      c.exit = r.overdue  ? Exit::partial
               : r.silent ? Exit::unavailable
               : r.waits  ? Exit::not_yet
                          : Exit::done;
  });

  cmd = app.add_subcommand(
      "doctor",
      "whether what kesu stands on is in order: machine, vault, providers, clock\n\n  kesu doctor --offline");
  cmd->add_flag("--offline", o->offline, "do not log in to providers");
  on_run(cmd, [&c, o] { doctor(c, o->offline); });

  CLI::App* group = app.add_subcommand("vault", "the vault as a whole");
  group->require_subcommand(1);
  cmd = group->add_subcommand("close",
                              "end the vault: nothing is added to it any more\n\n  kesu vault close --reason "
                              "\"contract of 2023 has ended\"");
  cmd->add_option("--reason", o->reason, "why; it stays in the ledger's last entry");
  on_run(cmd, [&c, o] { close_command(c, o->reason); });
  setup_vault_contact(*group, c);
}

}  // namespace kesu::cli
