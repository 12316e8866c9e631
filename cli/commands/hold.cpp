// kesu hold place, release, list
#include "app/holds.h"

#include "../context.h"

namespace kesu::cli {

namespace {
std::string line_of(const State& s, const std::string& id) { return hold_text(s, s.holds.at(id)); }
}  // namespace

void setup_hold(CLI::App& app, Context& c) {
  CLI::App* group = app.add_subcommand("hold", "legal holds: nothing under one is destroyed");
  group->require_subcommand(1);
  struct Options {
    HoldDraft draft;
    std::string id, person, key, signature, export_to;
  };
  auto o = std::make_shared<Options>();

  CLI::App* cmd = group->add_subcommand(
      "place",
      "put a dataset, a key or one key version under hold, at once\n\n  kesu hold place kyc-scans --case "
      "2026-118 --reason \"court order\" --as \"Hanako Sato\"");
  cmd->add_option("NAME", o->draft.subject, "a dataset, a key, or one version as in loans.2")->required();
  cmd->add_option("--case", o->draft.case_number, "the number of the case")->required();
  cmd->add_option("--reason", o->draft.reason)->required();
  cmd->add_option("--as", o->person, "who places it: anybody who is enrolled")->required();
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    Json out(Json::Array{});
    std::string text;
    for (const std::string& id : place_hold(v, o->draft, v.find_operator(o->person))) {
      out.push(hold_json(v.state(), v.state().holds.at(id)));
      text += "In force: " + line_of(v.state(), id) + "\n";
    }
    v.checkpoint();
    c.show(out, text);
  });

  cmd = group->add_subcommand(
      "release",
      "let a hold go: signed by as many approvers as an erasure takes, one command each\n\n  kesu hold "
      "release "
      "hld-0000012c --reason \"case closed\" --as \"Hanako Sato\" --key ~/.ssh/id_ed25519.pub");
  cmd->add_option("HOLD", o->id)->required();
  cmd->add_option("--reason", o->draft.reason)->required();
  cmd->add_option("--as", o->person, "who signs: an approver")->required();
  cmd->add_option("--key", o->key, "SSH key to sign with, or its .pub when an agent holds it");
  cmd->add_option("--signature", o->signature, "a signature made elsewhere over the exported statement");
  cmd->add_option("--export", o->export_to, "write the statement to be signed elsewhere, and stop");
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::write);
    const std::string id = v.find_hold(o->id).id;
    const OperatorRecord person = v.find_operator(o->person);
    if (!o->export_to.empty())
      return c.show_statement(person.name, o->export_to,
                              export_release(v, id, o->draft.reason, person, o->export_to));
    const ReleaseCount n = release_hold(v, id, o->draft.reason, person, {o->key, o->signature});
    v.checkpoint();
    Json j = hold_json(v.state(), v.state().holds.at(id));
    j.set("approvals", Json::object({{"have", n.have}, {"need", n.need}}));
    c.show(j, (n.released ? "Released: " : "Still in force: ") + line_of(v.state(), id) +
                  "\n  approvals     " + std::to_string(n.have) + " of " + std::to_string(n.need) + "\n");
    if (!n.released) c.exit = Exit::not_yet;
  });

  cmd = group->add_subcommand("list", "all holds, those in force first");
  on_run(cmd, [&c] {
    Vault& v = c.open(Access::read);
    Json out(Json::Array{});
    Table t({"ID", "STATE", "ON", "CASE", "PLACED", "BY", "RELEASED"});
    for (bool released : {false, true})
      for (auto& [id, hold] : v.state().holds) {
        if ((hold.released != 0) != released) continue;
        Json j = hold_json(v.state(), hold);
        t.add({brief(id), j.str("state"), j.str("name"), hold.case_number, local_text(hold.placed),
               j.str("placed_by"), released ? local_text(hold.released) : "-"});
        out.push(std::move(j));
      }
    c.show(out, t.str());
  });
}

}  // namespace kesu::cli
