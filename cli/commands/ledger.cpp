// kesu ledger show, verify, checkpoint
#include "../context.h"
#include "app/ledger_ops.h"
#include "app/witnessing.h"
#include "base/files.h"
#include "ledger_group.h"

namespace kesu::cli {

namespace {
void show_exported(Context& c, Vault& v, const std::string& file, int64_t since) {
  const ExportedCheckpoint out = export_checkpoint(
      v, file, since < 0 ? std::nullopt : std::optional<uint64_t>(static_cast<uint64_t>(since)));
  c.show(Json::object({{"request", absolute_path(file)},
                       {"size", out.checkpoint.size},
                       {"since", out.since},
                       {"vkey", v.state().vault.vkey}}),
         "Checkpoint of " + grouped(static_cast<int64_t>(out.checkpoint.size)) +
             " entries, with its proof from " + grouped(static_cast<int64_t>(out.since)) + ", in " + file +
             "\nnext   give it to the witness: kesu ledger cosign " + file +
             " --witness DIR -o ANSWER; then kesu ledger checkpoint --attach ANSWER here\n");
}

void show_attached(Context& c, Vault& v, const std::string& file) {
  const Attached a = attach_cosignatures(v, file);
  Json witnesses(Json::Array{});
  std::string text;
  for (const Attached::Line& w : a.witnesses) {
    witnesses.push(Json::object({{"name", w.name}, {"time", utc_text(w.time)}}));
    text += "  " + w.name + ", " + local_text(w.time) + "\n";
  }
  const auto have = static_cast<int64_t>(a.witnesses.size());
  c.show(Json::object({{"size", a.checkpoint.size},
                       {"note", a.checkpoint.note},
                       {"witnesses", witnesses},
                       {"have", have},
                       {"need", a.wanted}}),
         "The checkpoint of " + grouped(static_cast<int64_t>(a.checkpoint.size)) + " entries has " +
             std::to_string(have) + " of " + std::to_string(a.wanted) + " witness signatures:\n" + text);
}
}  // namespace

void setup_ledger(CLI::App& app, Context& c) {
  CLI::App* group = app.add_subcommand("ledger", "the log that everything is derived from");
  group->require_subcommand(1);
  struct Options {
    int64_t from = 0, entry = -1;
    bool bodies = false;
    int64_t since = -1;
    std::string touching, export_file, attach_file;
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

  cmd = group->add_subcommand(
      "checkpoint",
      "sign the tree head now and print the note; or ask witnesses to cosign it, and keep what they gave\n\n"
      "  kesu ledger checkpoint --export request; on the witness's machine: kesu ledger cosign request …\n"
      "  kesu ledger checkpoint --attach cosignature");
  cmd->add_option("--export", o->export_file, "a new file: the request for a witness");
  cmd->add_option("--since", o->since, "the size that the witness saw last (it says which)");
  cmd->add_option("--attach", o->attach_file, "a witness's answer");
  on_run(cmd, [&c, o] {
    if (!o->export_file.empty() && !o->attach_file.empty())
      throw Error(Code::usage, "--export and --attach are two commands")
          .next("export, have it cosigned, attach");
    if (o->since >= 0 && o->export_file.empty()) throw Error(Code::usage, "--since belongs to --export FILE");
    Vault& v = c.open(Access::write);
    if (!o->attach_file.empty()) return show_attached(c, v, o->attach_file);
    if (!o->export_file.empty()) return show_exported(c, v, o->export_file, o->since);
    SavedCheckpoint saved = v.checkpoint();
    c.show(Json::object({{"size", saved.size}, {"note", saved.note}, {"vkey", v.state().vault.vkey}}),
           saved.note);
  });
  setup_witness(group, c);
  setup_ledger_extract(*group, c);
}

}  // namespace kesu::cli
