// kesu ledger show, verify, checkpoint
#include "../context.h"
#include "app/ledger_ops.h"

namespace kesu::cli {

void setup_ledger(CLI::App& app, Context& c) {
  CLI::App* group = app.add_subcommand("ledger", "the log that everything is derived from");
  group->require_subcommand(1);
  struct Options {
    int64_t from = 0, entry = -1;
    bool bodies = false;
    std::string touching;
  };
  auto o = std::make_shared<Options>();

  CLI::App* cmd = group->add_subcommand("show", "entries\n\n  kesu ledger show --touching key-3f9a11c0");
  cmd->add_option("--from", o->from, "first position");
  cmd->add_option("--entry", o->entry, "one entry, with its body");
  cmd->add_option("--touching", o->touching, "only entries that name an identifier with this beginning");
  cmd->add_flag("--bodies", o->bodies, "with --json: bodies too");
  on_run(cmd, [&c, o] {
    Vault& v = c.open(Access::read);
    if (o->entry >= 0) {
      StoredEntry e = v.store().entry(static_cast<uint64_t>(o->entry));
      Json j = entry_json(e, true);
      return c.show(j, j.pretty());
    }
    Json out(Json::Array{});
    Table t({"SEQ", "TIME", "TYPE", "NODES"});
    v.store().read(
        static_cast<uint64_t>(std::max<int64_t>(0, o->from)), v.store().size(), [&](const StoredEntry& e) {
          const Header& h = e.entry.header;
          std::string nodes;
          bool touched = o->touching.empty();
          for (const NodeMention& n : h.nodes) {
            nodes += (nodes.empty() ? "" : "  ") + brief(n.id) + (n.is.empty() ? "" : " → " + n.is) +
                     (n.n ? " n=" + std::to_string(*n.n) : "");
            touched |= n.id.starts_with(o->touching);
          }
          for (const Edge& edge : h.edges)
            touched |= edge.first.starts_with(o->touching) || edge.second.starts_with(o->touching);
          if (!touched) return true;
          t.add({std::to_string(h.seq), local_text(h.time), h.type, nodes});
          if (c.json) out.push(entry_json(e, o->bodies));
          return true;
        });
    c.show(out, t.str());
  });

  cmd = group->add_subcommand(
      "verify", "recompute everything: entries, tree, checkpoints, evidence, inventory, registers");
  on_run(cmd, [&c] {
    LedgerReport r = verify_ledger(c.vault_directory(), c.env());
    Json findings(Json::Array{}), notes(Json::Array{});
    std::string text;
    for (const LedgerFinding& f : r.findings) {
      findings.push(Json::object({{"what", f.what}, {"why", f.why}}));
      text += "  WRONG  " + f.what + ": " + f.why + "\n";
    }
    for (const LedgerFinding& f : r.notes) {
      notes.push(Json::object({{"what", f.what}, {"why", f.why}}));
      text += "  note   " + f.what + ": " + f.why + "\n";
    }
    c.show(Json::object({{"ok", r.findings.empty()},
                         {"entries", r.size},
                         {"root", r.root},
                         {"checkpoints", r.checkpoints},
                         {"blobs", r.blobs},
                         {"segments", r.segments},
                         {"registers", r.registers},
                         {"findings", findings},
                         {"notes", notes}}),
           (r.findings.empty() ? "The ledger is whole: " : "The ledger is NOT whole: ") +
               grouped(static_cast<int64_t>(r.size)) + " entries, " + std::to_string(r.checkpoints) +
               " checkpoints, " + std::to_string(r.blobs) + " evidence blobs, " + std::to_string(r.segments) +
               " inventory segments, " + std::to_string(r.registers) + " registers\n" + text);
    if (!r.findings.empty()) c.exit = Exit::invalid;
  });

  cmd = group->add_subcommand("checkpoint", "sign the tree head now and print the note");
  on_run(cmd, [&c] {
    Vault& v = c.open(Access::write);
    SavedCheckpoint saved = v.checkpoint();
    c.show(Json::object({{"size", saved.size}, {"note", saved.note}, {"vkey", v.state().vault.vkey}}),
           saved.note);
  });
}

}  // namespace kesu::cli
