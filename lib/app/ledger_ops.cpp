#include "app/ledger_ops.h"

#include <set>

#include "base/files.h"
#include "crypto/note.h"
#include "ledger/checkpoint.h"

namespace kesu {

namespace {
// Members of bodies that hold the SHA-256 of a blob (docs/spec/events.md).
const std::set<std::string, std::less<>> kBlobMembers = {
    "statement",   "signature", "birth",    "transcript", "receipt", "plan",
    "certificate", "manifest",  "document", "before",     "after"};

void collect(const Json& value, std::string_view member, std::vector<std::string>& out) {
  if (value.is_object()) {
    for (auto& [key, inner] : value.as_object()) collect(inner, key, out);
  } else if (value.is_array()) {
    for (const Json& inner : value.as_array()) collect(inner, member, out);
  } else if (value.is_string() && kBlobMembers.contains(member) && unhex32(value.as_string())) {
    out.push_back(value.as_string());
  }
}

void check_registers(Store& store, const std::optional<State>& rebuilt, LedgerReport& report) {
  auto kept = store.load_registers();
  if (!kept || !rebuilt) return;
  report.registers = kept->rows.size();
  if (kept->size > store.size()) {
    report.findings.push_back({.what = "registers.db",
                               .why = "stands for " + std::to_string(kept->size) +
                                      " entries; the ledger has " + std::to_string(store.size())});
    return;
  }
  State then;
  store.read(0, kept->size, [&](const StoredEntry& e) {
    then.evolve(e);
    return true;
  });
  std::map<std::pair<std::string, std::string>, std::string> expected;
  for (auto& [kind, id, text] : then.rows()) expected[{kind, id}] = text;
  for (auto& [kind, id, text] : kept->rows) {
    auto it = expected.find({kind, id});
    if (it == expected.end())
      report.findings.push_back(
          {.what = "register " + kind + " " + id, .why = "the ledger knows nothing of it"});
    else if (it->second != text)
      report.findings.push_back(
          {.what = "register " + kind + " " + id, .why = "says something else than the ledger"});
    if (it != expected.end()) expected.erase(it);
  }
  for (auto& [key, text] : expected)
    report.findings.push_back({.what = "register " + key.first + " " + key.second, .why = "is missing"});
}
}  // namespace

std::vector<std::string> blobs_named_by(const StoredEntry& entry) {
  std::vector<std::string> out;
  collect(entry.entry.body, "", out);
  return out;
}

std::vector<std::pair<std::string, std::string>> segments_named_by(const StoredEntry& entry) {
  if (entry.entry.header.type != "seal-done" || entry.entry.header.nodes.empty()) return {};
  const NodeMention& node = entry.entry.header.nodes[0];
  return {{node.of + "/" + node.id, entry.entry.body.str_or("segment", "")}};
}

LedgerReport verify_ledger(const std::string& directory, Environment& env) {
  auto store = open_sqlite_store(directory, env.clock, env.random, {.read_only = true});
  LedgerReport report;
  std::string vkey;
  std::optional<State> state;
  try {
    state.emplace();
    report.size = store->size();
    store->read(0, report.size, [&](const StoredEntry& e) {
      state->evolve(e);
      return true;
    });
    vkey = state->vault.vkey;
  } catch (const Error& e) {
    // What cannot be folded is said here; the check below goes on and names the rest.
    report.findings.push_back({.what = e.message(), .why = e.cause()});
    vkey = state->vault.vkey;
    state.reset();
  }
  auto note_problem = [&](const SavedCheckpoint& c) -> std::string {
    if (vkey.empty()) return "no ledger key to check it with";
    try {
      Note note = Note::parse(c.note);
      NoteKey key = NoteKey::parse(vkey);
      Checkpoint head = Checkpoint::parse_text(note.text);
      if (head.origin != key.name) return "it is of another log: " + head.origin;
      return verify_note(note, key) == NoteVerdict::good ? "" : "its signature is not the ledger key's";
    } catch (const Error& e) {
      return e.message();
    }
  };
  for (LedgerFinding& f : verify_store(*store, note_problem, blobs_named_by, segments_named_by))
    (f.severity == Severity::note ? report.notes : report.findings).push_back(std::move(f));
  report.checkpoints = store->checkpoints().size();
  report.blobs = store->blobs().size();
  report.segments = store->segments().size();
  if (report.size && report.findings.empty()) report.root = hex(tree_root(store->leaves(report.size)));
  check_registers(*store, state, report);
  return report;
}

Json entry_json(const StoredEntry& entry, bool with_body) {
  Json out = parse_json(entry.canonical_header, "header");
  out.set("leaf", hex(entry.leaf));
  if (with_body) out.set("body", entry.entry.body);
  return out;
}

}  // namespace kesu
