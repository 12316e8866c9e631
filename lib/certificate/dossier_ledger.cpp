// The reader's ledger: headers folded to both checkpoints, bodies held against their hashes.
#include <algorithm>

#include "certificate/dossier_impl.h"
#include "crypto/hash.h"
#include "ledger/tree.h"

namespace kesu::dossier {

namespace {

constexpr size_t kHeaderLine = kMaxHeaderBytes + 1 + 64 + 1;
constexpr uint64_t kMaxHeaders =
    20'000'000;  // more than this reader takes; a bundle of such a vault is over 100 MB

std::string path(std::string_view name) { return std::string(name); }

std::optional<Checkpoint> read_checkpoint(Dossier& d, std::string_view name, std::optional<Note>& note) {
  auto file = d.file(name);
  if (!file) return std::nullopt;  // said when the required files were looked for
  std::optional<Checkpoint> out;
  bool read = d.findings.guard(path(name), [&] {
    note = Note::parse(as_text(*file));
    out = Checkpoint::parse_text(note->text);
  });
  if (!read) return std::nullopt;
  return out;
}

void check_signature(Dossier& d, std::string_view name, const Checkpoint& checkpoint, const Note& note) {
  if (!d.ledger_key) return;
  if (checkpoint.origin != d.ledger_key->name)
    d.findings.bad(path(name),
                   "its origin " + checkpoint.origin + " is not the ledger key's, " + d.ledger_key->name);
  NoteVerdict verdict = verify_note(note, *d.ledger_key);
  if (verdict == NoteVerdict::good) return;
  d.checkpoints_signed = false;
  d.findings.bad(path(name), verdict == NoteVerdict::absent ? "is not signed by the ledger key"
                                                            : "the ledger key's signature is not good");
}

void check_consistency(Dossier& d) {
  auto file = d.file(bundle::kConsistency);
  if (!file) return;
  std::vector<Digest32> proof;
  std::string_view text = as_text(*file);
  while (!text.empty() && proof.size() <= 64) {
    size_t end = text.find('\n');
    auto bytes = unbase64(text.substr(0, end));
    if (end == std::string_view::npos || !bytes || bytes->size() != 32) {
      d.findings.bad(path(bundle::kConsistency),
                     "line " + std::to_string(proof.size() + 1) + " is not the base64 of 32 bytes");
      return;
    }
    proof.emplace_back();
    std::copy(bytes->begin(), bytes->end(), proof.back().begin());
    text.remove_prefix(end + 1);
  }
  if (!verify_consistency(d.a.size, d.a.root, d.b.size, d.b.root, proof))
    d.findings.bad(path(bundle::kConsistency), "checkpoint A is not a prefix of checkpoint B");
}

// Most entries of a vault in use are about sealing, opening and re-wrapping. Of those out of scope nothing is
// asked again but what the graph keeps, and of a long ledger their items are most of what there is to hold.
void let_go(Dossier& d, Header& h) {
  bool asked = h.type != "objects-opened" && h.type != "rewrap-intended";
  if (h.type == "seal-intended" || h.type == "seal-done")
    asked = std::any_of(h.nodes.begin(), h.nodes.end(),
                        [&](const NodeMention& m) { return d.datasets_in_scope.contains(m.of); });
  if (h.type == "process-started") {
    asked = std::any_of(h.edges.begin(), h.edges.end(),
                        [&](const Edge& e) { return d.datasets_in_scope.contains(e.second); });
    if (asked)
      for (const Edge& e : h.edges) d.processes_in_scope.insert(e.first);
  }
  if (h.type == "process-ended")
    asked = std::any_of(h.nodes.begin(), h.nodes.end(),
                        [&](const NodeMention& m) { return d.processes_in_scope.contains(m.id); });
  if (asked) return;
  std::vector<NodeMention>().swap(h.nodes);  // an empty list assigned would keep the memory
  // What a key version ever reached is asked of all entries, whatever their type.
  if (std::none_of(h.edges.begin(), h.edges.end(), [](const Edge& e) { return node_kind(e.first) == "key"; }))
    std::vector<Edge>().swap(h.edges);
}

// One line: canonical header, tab, body hash. Throws bad_input.
void take_header(Dossier& d, std::string_view line) {
  size_t tab = line.rfind('\t');
  auto body = tab == std::string_view::npos ? std::nullopt : unhex32(line.substr(tab + 1));
  if (!body) throw Error(Code::bad_input, "no body hash at its end");
  std::string_view text = line.substr(0, tab);
  Header header = Header::parse(text);
  if (!d.headers.empty()) {
    const Header& before = d.headers.back();
    if (header.seq <= before.seq)
      throw Error(Code::bad_input,
                  "out of order: seq " + std::to_string(header.seq) + " after " + std::to_string(before.seq));
    if (header.time < before.time) throw Error(Code::bad_input, "its time falls");
    if (before.type == "vault-closed") throw Error(Code::bad_input, "it stands behind vault-closed");
  }
  for (const NodeMention& m : header.nodes) {
    if (m.is.empty()) continue;
    const auto node = d.graph.find(m.id);
    if (!node) continue;
    // An erasure that has destroyed is verified, then validated; nothing else follows any of these.
    if (node_kind(m.id) == "era" && (node->state == "destroyed" || node->state == "verified") &&
        m.is == (node->state == "destroyed" ? "verified" : "validated"))
      continue;
    const bool dead = node->state == "destroyed" || node->state == "destroyed-compromised" ||
                      node->state == "verified" || node->state == "validated";
    if ((dead && m.is != "destroyed-compromised") || node->state == "absent" ||
        (node->state == "erased" && m.is != "erased"))
      throw Error(Code::bad_input, m.id + " was " + node->state + " and cannot become " + m.is);
  }
  d.graph.fold(header);
  d.leaves.push_back(leaf_hash(text, *body));
  d.body_hashes.push_back(*body);
  let_go(d, header);
  d.headers.push_back(std::move(header));
}

// False when they are not the headers of the checkpoints. Fewer than checkpoint B says are: something is
// missing, which lowers claims.
bool read_headers(Dossier& d) {
  auto file = d.file(bundle::kHeaders);
  if (!file) return true;
  std::string part = path(bundle::kHeaders), line;
  uint64_t limit = std::min<uint64_t>(d.b.size, kMaxHeaders);
  bool whole = d.findings.guard(part, [&] {
    gunzip_each(*file, [&](std::string_view chunk) {
      while (!chunk.empty()) {
        size_t end = chunk.find('\n');
        line.append(chunk.substr(0, end));
        if (line.size() > kHeaderLine)
          throw Error(Code::bad_input, "line " + std::to_string(d.headers.size() + 1) + " is too long");
        if (end == std::string_view::npos) return;
        if (d.headers.size() >= limit)
          throw Error(Code::bad_input, "more headers than checkpoint B's size, " + std::to_string(d.b.size));
        try {
          take_header(d, line);
        } catch (const Error& e) {
          throw Error(Code::bad_input, "line " + std::to_string(d.headers.size() + 1) + ": " + e.message());
        }
        line.clear();
        chunk.remove_prefix(end + 1);
      }
    });
    if (!line.empty()) throw Error(Code::bad_input, "the last line has no end");
  });
  if (!d.headers.empty()) d.as_of = d.headers.back().time;
  if (!whole) return false;
  if (d.headers.size() < d.b.size) {
    uint64_t gap = 0;
    while (gap < d.headers.size() && d.headers[gap].seq == gap) ++gap;
    d.findings.weak(part, std::to_string(d.headers.size()) + " headers of " + std::to_string(d.b.size) +
                              "; entry " + std::to_string(gap) + " is the first that is missing");
    return true;
  }
  bool good = true;
  auto folds = [&](const Checkpoint& c, const char* name) {
    if (c.size <= d.leaves.size() && tree_root({d.leaves.data(), static_cast<size_t>(c.size)}) == c.root)
      return;
    good = false;
    d.findings.bad(part, std::string("the headers do not fold to checkpoint ") + name + "'s root");
  };
  folds(d.a, "A");
  folds(d.b, "B");
  if (d.headers.back().seq + 1 != d.b.size) {
    good = false;
    d.findings.bad(part, "the last header is entry " + std::to_string(d.headers.back().seq));
  }
  d.headers_complete = good;
  return good;
}

void take_body(Dossier& d, std::string_view line, std::optional<uint64_t>& last) {
  Json item = parse_canonical_json(line, "line", {.max_bytes = kMaxJson, .max_depth = 32});
  for (const auto& [name, value] : item.as_object())
    if (name != "body" && name != "salt" && name != "seq")
      throw Error(Code::bad_input, "unknown member \"" + name + "\"");
  if (item.num("seq") < 0) throw Error(Code::bad_input, "seq is negative");
  uint64_t seq = static_cast<uint64_t>(item.num("seq"));
  if (last && seq <= *last) throw Error(Code::bad_input, "out of order: seq " + std::to_string(seq));
  last = seq;
  auto salt = unhex(item.str("salt"));
  if (!salt || salt->size() != kSaltBytes) throw Error(Code::bad_input, "salt is not 16 bytes in hex");
  const Header* header = d.header(seq);
  if (!header) {
    d.findings.weak(path(bundle::kBodies), "the body of entry " + std::to_string(seq) + " has no header");
    return;
  }
  const Json& body = item.at("body");
  body.as_object();
  size_t index = static_cast<size_t>(header - d.headers.data());
  if (body_hash(*salt, body.canonical()) != d.body_hashes[index])
    throw Error(Code::bad_input,
                "the body of entry " + std::to_string(seq) + " is not the one in the ledger");
  d.bodies.emplace(seq, body);
}

void read_bodies(Dossier& d) {
  auto file = d.file(bundle::kBodies);
  if (!file) return;
  std::string_view text = as_text(*file);
  std::optional<uint64_t> last;
  for (size_t number = 1; !text.empty(); ++number) {
    size_t end = text.find('\n');
    bool good = d.findings.guard(path(bundle::kBodies) + " line " + std::to_string(number), [&] {
      if (end == std::string_view::npos) throw Error(Code::bad_input, "has no end");
      take_body(d, text.substr(0, end), last);
    });
    if (!good) return;
    text.remove_prefix(end + 1);
  }
}

// The key that the bundle or extract offers as its ledger's.
void read_key(Dossier& d) {
  if (auto file = d.file(bundle::kLedgerKey))
    d.findings.guard(path(bundle::kLedgerKey), [&] {
      std::string_view text = as_text(*file);
      if (text.empty() || text.back() != '\n') throw Error(Code::bad_input, "is not one line");
      d.vkey = std::string(text.substr(0, text.size() - 1));
      d.ledger_key = NoteKey::parse(d.vkey);
      if (d.ledger_key->type != NoteKeyType::ed25519)
        throw Error(Code::bad_input, "is not a ledger key but a witness's");
    });
}

}  // namespace

void read_ledger(Dossier& d) {
  read_key(d);
  auto a = read_checkpoint(d, bundle::kCheckpointA, d.note_a);
  auto b = read_checkpoint(d, bundle::kCheckpointB, d.note_b);
  if (!a || !b) return;
  d.a = *a;
  d.b = *b;
  d.checkpoints_signed = d.ledger_key.has_value();
  check_signature(d, bundle::kCheckpointA, d.a, *d.note_a);
  check_signature(d, bundle::kCheckpointB, d.b, *d.note_b);
  if (d.a.size > d.b.size || d.a.size == 0)
    d.findings.bad(path(bundle::kCheckpointA), "is not older than checkpoint B");
  else
    check_consistency(d);
  // What nobody signed is not worth the work of reading it, and what does not fold is not what was signed.
  if (!d.checkpoints_signed) return;
  if (read_headers(d)) return read_bodies(d);
  d.headers.clear();
  d.body_hashes.clear();
  d.leaves.clear();
}

static void read_own_headers(Dossier& e) {
  for (std::string_view name : {bundle::kCheckpointB, bundle::kHeaders})
    if (!e.file(name)) e.findings.bad(path(name), "is missing");
  if (auto b = read_checkpoint(e, bundle::kCheckpointB, e.note_b)) {
    e.a = e.b = *b;
    e.checkpoints_signed = e.ledger_key.has_value();
    check_signature(e, bundle::kCheckpointB, e.b, *e.note_b);
    if (e.checkpoints_signed && !e.findings.any_hard() && (!read_headers(e) || !e.headers_complete))
      e.findings.bad(path(bundle::kHeaders), "are not all the headers of its checkpoint");
  }
}

std::optional<Dossier> read_extract(Dossier& d, const BundleFiles& files) {
  Dossier e;
  e.files = &files;
  e.vkey = d.vkey;
  e.ledger_key = d.ledger_key;
  read_own_headers(e);
  if (e.headers_complete && !e.findings.any_hard()) {
    const bool newer = e.b.size >= d.b.size;
    const std::vector<Digest32>& longer = newer ? e.leaves : d.leaves;
    const Checkpoint& older = newer ? d.b : e.b;
    if (longer.size() < older.size ||
        tree_root({longer.data(), static_cast<size_t>(older.size)}) != older.root)
      e.findings.bad(path(bundle::kHeaders), "are of another history than the bundle's");
  }
  for (const Finding& f : e.findings.all()) d.findings.bad("--ledger " + f.part, f.what);
  if (!e.findings.all().empty()) return std::nullopt;
  return e;
}

Dossier read_extract_alone(const BundleFiles& files) {
  Dossier e;
  e.files = &files;
  if (!e.file(bundle::kLedgerKey)) e.findings.bad(path(bundle::kLedgerKey), "is missing");
  read_key(e);
  if (e.ledger_key) read_own_headers(e);
  return e;
}

}  // namespace kesu::dossier
