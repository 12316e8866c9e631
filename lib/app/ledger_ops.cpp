#include "app/ledger_ops.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "app/signed_command.h"
#include "base/files.h"
#include "crypto/hash.h"
#include "crypto/note.h"
#include "ledger/checkpoint.h"

namespace kesu {

namespace {
// Members of bodies that hold the SHA-256 of a blob (docs/spec/events.md).
const std::set<std::string, std::less<>> kBlobMembers = {
    "statement", "signature", "birth",  "transcript", "receipt",   "plan",  "certificate",
    "manifest",  "document",  "before", "after",      "authority", "values"};

void collect(const Json& value, std::string_view member, std::vector<std::string>& out) {
  if (value.is_object()) {
    for (auto& [key, inner] : value.as_object()) collect(inner, key, out);
  } else if (value.is_array()) {
    for (const Json& inner : value.as_array()) collect(inner, member, out);
  } else if (value.is_string() && kBlobMembers.contains(member) && unhex32(value.as_string())) {
    out.push_back(value.as_string());
  }
}

void add_finding(LedgerReport& report, const std::string& kind, const std::string& id, const char* why) {
  report.findings.push_back({.what = "register " + kind + " " + id, .why = why});
}

void add(LedgerReport& report, LedgerFinding finding) {
  (finding.severity == Severity::note ? report.notes : report.findings).push_back(std::move(finding));
}

// Rows of batches are as many as batches: compared one by one, as they are read.
void check_batch_rows(Store& store, const State& then, LedgerReport& report) {
  const std::string kind(State::kAtRest);
  const size_t before = report.findings.size();
  size_t known = 0, batches = 0;
  std::string last;
  bool whole = store.more_registers(kind, "", [&](std::string_view id, std::string_view text) {
    ++report.registers;
    // One row each, in order, so that a count of them is one of batches, and a look-up finds what stands
    // here.
    if (id <= last)
      return add_finding(report, kind, std::string(id), "stands there twice, or where it is not found");
    last = id;
    const auto expected = then.row_at_rest(id);
    if (!expected) return add_finding(report, kind, std::string(id), "the ledger knows nothing of it");
    ++known;
    if (*expected != text) add_finding(report, kind, std::string(id), "says something else than the ledger");
  });
  for (auto& [id, d] : then.datasets) batches += d.batches.at_rest();
  if (whole && known < batches) {
    std::set<std::string, std::less<>> there;
    whole = store.more_registers(kind, "", [&](std::string_view id, std::string_view) { there.emplace(id); });
    for (auto& [id, d] : then.datasets)
      d.batches.each_loaded([&](const BatchRecord& b) {
        if (const std::string name = id + "/" + b.id; !b.is_open() && !there.contains(name))
          add_finding(report, kind, name, "is missing");
      });
  }
  if (whole) return;
  // Somebody has saved others meanwhile, or removed them, or they cannot be read: what was seen says nothing.
  report.findings.resize(before);
  add(report, store.registers_finding().value_or(LedgerFinding{
                  "registers.db", "another process saved it meanwhile: rows of batches were not compared",
                  Severity::note}));
}

// What the registers say, as far as it is needed to compare it later: texts are many and long.
struct KeptRow {
  std::string kind, id;
  Digest32 digest;
  auto key() const { return std::tie(kind, id); }
};
struct KeptRegisters {
  uint64_t size = 0;
  std::string root;           // of the last entry they stand for: its leaf
  std::vector<KeptRow> rows;  // but those of batches at rest; by kind and id
};
std::optional<KeptRegisters> load_kept(Store& store, LedgerReport& report) {
  auto loaded = store.load_registers(State::kAtRest);
  if (!loaded) {
    if (auto why = store.registers_finding()) add(report, std::move(*why));
    return std::nullopt;
  }
  KeptRegisters out{loaded->size, std::move(loaded->root), {}};
  out.rows.reserve(loaded->rows.size());
  for (auto& [kind, id, text] : loaded->rows)
    out.rows.push_back({std::move(kind), std::move(id), sha256(as_bytes(text))});
  std::sort(out.rows.begin(), out.rows.end(), [](auto& a, auto& b) { return a.key() < b.key(); });
  return out;
}

// `then`: the ledger folded as far as the registers stand for it; `leaf`: of the last entry of that.
void check_registers(Store& store, const KeptRegisters& kept, const State& then, const Digest32& leaf,
                     LedgerReport& report) {
  report.registers = kept.rows.size();
  if (hex(leaf) != kept.root)
    report.findings.push_back(
        {"registers.db", "stands for another entry " + std::to_string(kept.size - 1) + " than the ledger's"});
  std::vector<bool> known(kept.rows.size());
  then.each_row_in_use([&](const std::string& kind, const std::string& id, const std::string& text) {
    const auto key = std::tie(kind, id);
    auto it = std::lower_bound(kept.rows.begin(), kept.rows.end(), key,
                               [](const KeptRow& row, const auto& k) { return row.key() < k; });
    if (it == kept.rows.end() || it->key() != key) return add_finding(report, kind, id, "is missing");
    known[static_cast<size_t>(it - kept.rows.begin())] = true;
    if (it->digest != sha256(as_bytes(text)))
      add_finding(report, kind, id, "says something else than the ledger");
  });
  for (size_t i = 0; i < known.size(); ++i)
    if (!known[i]) add_finding(report, kept.rows[i].kind, kept.rows[i].id, "the ledger knows nothing of it");
  check_batch_rows(store, then, report);
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

namespace {
// What cannot be folded: as the store, or the fold, says it.
void name_what_does_not_fold(Store& store, uint64_t size, LedgerReport& report) {
  try {
    State state;
    store.read(
        0, size,
        [&](const StoredEntry& e) {
          state.evolve(e);
          return true;
        },
        State::wants_body);
  } catch (const Error& e) {
    report.findings.insert(report.findings.begin(), {.what = e.message(), .why = e.cause()});
  }
}

}  // namespace

LedgerReport verify_ledger(const std::string& directory, Environment& env) {
  auto store = open_sqlite_store(directory, env.clock, env.random, {.read_only = true});
  LedgerReport report;
  LedgerReport registers;
  auto kept = load_kept(*store, registers);
  std::optional<State> state(std::in_place);  // none: something does not fold
  try {
    report.size = store->size();
  } catch (const Error& e) {
    report.findings.push_back({.what = e.message(), .why = e.cause()});
    state.reset();
  }
  const bool has_size = state.has_value();
  std::string vkey;
  bool folded = has_size && report.size == 0;
  CommandCheck commands(*store);
  auto fold = [&](StoredEntry* e) {
    if (!state) return;
    const Digest32 leaf = e ? e->leaf : Digest32{};
    try {
      if (!e) throw Error(Code::ledger_damaged, "not whole");
      if (const std::string why = commands.problem(*state, *e); !why.empty())
        report.findings.push_back({.what = "entry " + std::to_string(e->entry.header.seq), .why = why});
      state->evolve(std::move(*e));
      vkey = state->vault.vkey;
    } catch (const Error&) {
      state.reset();
    }
    if (state && kept && kept->size == state->size) check_registers(*store, *kept, *state, leaf, registers);
    folded = state && state->size == report.size;
    if (folded) state.reset();  // not needed any more, and large
  };
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
  LedgerCounts counts;
  std::vector<LedgerFinding> found =
      verify_store(*store, note_problem, blobs_named_by, segments_named_by, State::wants_body, fold, &counts);
  for (LedgerFinding& f : found) add(report, std::move(f));
  if (folded)
    for (auto& [seq, why] : commands.of_another_ledger())
      report.findings.push_back({.what = "entry " + std::to_string(seq), .why = std::move(why)});
  if (counts.checkpoints == 0 && report.size > 0)
    report.notes.push_back(
        {"checkpoints", "there is none: no signature covers any of these entries", Severity::note});
  if (!folded && has_size) name_what_does_not_fold(*store, report.size, report);
  report.registers = registers.registers;
  for (LedgerFinding& f : registers.findings) report.findings.push_back(std::move(f));
  for (LedgerFinding& f : registers.notes) report.notes.push_back(std::move(f));
  if (kept && folded && (kept->size == 0 || kept->size > store->size()))
    report.findings.push_back({.what = "registers.db",
                               .why = "stands for " + std::to_string(kept->size) +
                                      " entries; the ledger has " + std::to_string(store->size())});
  report.checkpoints = counts.checkpoints;
  report.blobs = counts.blobs;
  report.segments = counts.segments;
  if (report.size && report.findings.empty()) {
    const TreeHead head = store->head();  // found to be that of the entries
    report.root = hex(head.size() == report.size ? head.root() : tree_root(store->leaves(report.size)));
  }
  return report;
}

Json entry_json(const StoredEntry& entry, bool with_body) {
  Json out = parse_json(entry.canonical_header, "header");
  out.set("leaf", hex(entry.leaf));
  if (with_body) out.set("body", entry.entry.body);
  return out;
}

}  // namespace kesu
