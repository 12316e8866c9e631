#include "app/inventory_prove.h"

#include <algorithm>
#include <set>

#include "app/datasets.h"
#include "app/inventory_check.h"
#include "app/inventory_look.h"
#include "base/crew.h"
#include "base/interrupt.h"
#include "crypto/note.h"
#include "ledger/checkpoint.h"
#include "ledger/tree.h"
#include "store/proof_index.h"

namespace kesu {

namespace {
constexpr uint64_t kSmall = 1 << 20;  // a payload that one thread hashes sooner than several start

Json path_json(const std::vector<Digest32>& path) {
  Json out(Json::Array{});
  for (const Digest32& d : path) out.push(hex(d));
  return out;
}

Error uncovered(const std::string& path, const std::string& why) {
  return Error(Code::not_covered, path + " is covered by no inventory of this vault").cause(why);
}

Error unfit(const std::string& batch, uint64_t seq) {
  return Error(Code::ledger_damaged, "entry " + std::to_string(seq) + " of the ledger does not seal " + batch)
      .next("kesu ledger verify");
}

// What was looked up, each shown to be so by the ledger: which batch, its rows, its seal-done.
struct Place {
  std::string batch, root;
  std::vector<Digest32> leaves;
  uint64_t index = 0;
  StoredEntry entry;
};

struct Batch {
  std::string root;
  StoredEntry entry;
  BatchRows rows;
};
// The batch as its seal-done and its segment have it. Throws ledger_damaged, not_found.
Batch batch_at(Vault& vault, const DatasetRecord& d, const std::string& id, uint64_t done_seq) {
  Batch out{{}, vault.store().entry(done_seq), {}};
  const Header& h = out.entry.entry.header;
  const auto node = std::find_if(h.nodes.begin(), h.nodes.end(), [&](const NodeMention& n) {
    return n.id == id && n.is == "sealed" && n.of == d.id && !n.d.empty();
  });
  if (h.type != "seal-done" || node == h.nodes.end()) throw unfit(id, done_seq);
  BatchRecord b;
  b.id = id;
  b.root = out.root = node->d;
  out.rows = batch_rows(vault, d, b);
  if (node->n != static_cast<int64_t>(out.rows.rows.size())) throw unfit(id, done_seq);
  return out;
}

std::optional<Place> place_in(const std::string& batch, Batch& b, const ObjectId& object) {
  for (size_t i = 0; i < b.rows.rows.size(); ++i) {
    if (b.rows.rows[i].first != object) continue;
    Place out{batch, b.root, {}, i, std::move(b.entry)};
    out.leaves.reserve(b.rows.rows.size());
    for (auto& [id, leaf] : b.rows.rows) out.leaves.push_back(leaf);
    return out;
  }
  return std::nullopt;
}

// Where the index says. nullopt also where it says what is not so.
std::optional<Place> place_by(ProofIndex& index, Vault& vault, const DatasetRecord& d,
                              const ObjectId& object) {
  const auto hint = index.find(d.id, object);
  if (!hint) return std::nullopt;
  try {
    Batch b = batch_at(vault, d, hint->batch, hint->done_seq);
    if (auto place = place_in(hint->batch, b, object)) return place;
  } catch (const Error&) {  // whoever reads everything meets it again, if it is the vault's
  }
  index.discard();
  return std::nullopt;
}

// Batches that the index has not come first, of those the newest: what is asked for was rarely sealed long
// ago.
Place find_place(ProofIndex* index, Vault& vault, const DatasetRecord& d, const ObjectId& object,
                 const std::string& path) {
  if (index)
    if (auto place = place_by(*index, vault, d, object)) return std::move(*place);
  std::vector<BatchRecord> batches = batches_sealed(d);
  const std::set<std::string> known = index ? index->batches(d.id) : std::set<std::string>();
  std::stable_partition(batches.begin(), batches.end(),
                        [&](const BatchRecord& b) { return known.contains(b.id); });
  constexpr int kSaved = 256;  // batches at a time
  int unsaved = 0;
  for (auto b = batches.rbegin(); b != batches.rend(); ++b) {
    check_interrupted();
    Batch batch = batch_at(vault, d, b->id, b->done_seq);
    if (index && !known.contains(b->id)) {
      index->add(d.id, {b->id, b->done_seq}, batch.rows.rows);
      if (++unsaved % kSaved == 0) index->save();
    }
    if (auto place = place_in(b->id, batch, object)) return std::move(*place);
  }
  for (const BatchRecord& b : batches_intended(d))
    for (const std::string& o : b.objects)
      if (o == hex(object.bytes()))
        throw uncovered(path, "its batch is being sealed, or was interrupted")
            .next("kesu inventory settle " + d.name);
  throw uncovered(path, object.str() + " stands in no batch of dataset " + d.name)
      .next("kesu inventory adopt " + d.name + " " + path + ", if it is to be");
}

SavedCheckpoint checkpoint_over(Vault& vault, uint64_t seq) {
  const auto newest = [&]() -> std::optional<SavedCheckpoint> {
    std::vector<SavedCheckpoint> all = vault.store().checkpoints();
    if (all.empty() || all.back().size <= seq) return std::nullopt;
    return all.back();
  };
  if (auto c = newest()) return *c;
  if (vault.store().read_only())
    throw Error(Code::waiting, "no checkpoint covers entry " + std::to_string(seq) + " yet")
        .cause("this vault is for reading only here")
        .next("kesu ledger checkpoint, where it can be written");
  return vault.checkpoint();
}

// Roots of the ledger's complete parts below `size`; what the index lacks is computed from the leaves.
std::vector<Digest32> parts_below(ProofIndex* index, Store& store, uint64_t size) {
  constexpr uint64_t kPart = ProofIndex::kPart, kAtOnce = 256 * kPart;
  const uint64_t complete = size / kPart;
  std::vector<Digest32> out = index ? index->parts() : std::vector<Digest32>();
  const bool lacking = out.size() < complete;
  for (uint64_t at = out.size() * kPart; at < complete * kPart;) {
    const uint64_t end = std::min(complete * kPart, at + kAtOnce);
    const std::vector<Digest32> leaves = store.leaves(at, end);
    for (size_t i = 0; i < leaves.size(); i += kPart)
      out.push_back(tree_root(std::span(leaves).subspan(i, kPart)));
    at = end;
  }
  if (index && lacking) index->keep_parts(out);
  out.resize(complete);
  return out;
}

// What is handed out is shown to hold first, as a reader of it will: by the checkpoint and its signature.
std::vector<Digest32> proven_path(ProofIndex* index, Vault& vault, const StoredEntry& entry,
                                  const SavedCheckpoint& checkpoint) {
  const auto damaged = [&](const std::string& why) {
    return Error(Code::ledger_damaged, "the checkpoint over " + std::to_string(checkpoint.size) +
                                           " entries does not prove entry " +
                                           std::to_string(entry.entry.header.seq))
        .cause(why)
        .next("kesu ledger verify");
  };
  const uint64_t seq = entry.entry.header.seq;
  const Note note = Note::parse(checkpoint.note);
  const Checkpoint head = Checkpoint::parse_text(note.text);
  const NoteKey key = NoteKey::parse(vault.state().vault.vkey);
  if (verify_note(note, key) != NoteVerdict::good || head.origin != key.name)
    throw damaged("it is not signed with the vault's ledger key");
  if (head.size != checkpoint.size) throw damaged("its note is of another size");
  std::vector<Digest32> path = path_in_ledger(index, vault.store(), seq, head.size);
  if (!verify_inclusion(entry.leaf, seq, head.size, path, head.root))
    throw damaged("the ledger's leaves do not give its root");
  return path;
}

Json proof_of(ProofIndex* index, Vault& vault, const std::string& path, const SealedFileAt& file,
              const ObjectInfo& info) {
  const ObjectHeader& h = info.region.header;
  if (h.vault != vault.id()) throw uncovered(path, "it was sealed by another vault, " + h.vault.str());
  auto dataset = vault.state().datasets.find(h.dataset.str());
  if (dataset == vault.state().datasets.end())
    throw uncovered(path, "it names a dataset that this vault does not know, " + h.dataset.str());
  const Place place = find_place(index, vault, dataset->second, h.object, path);

  Crew crew;
  const Digest32 root = payload_root_at(file, h, info.payload_size < kSmall ? nullptr : &crew);
  const Digest32 leaf = inventory_leaf(h, root);
  if (leaf != place.leaves[place.index])
    throw Error(Code::sealed_damaged, path + " is not what was sealed as " + h.object.str())
        .cause(h.payload_bound ? "its header or its payload was altered" : "its header was altered");

  const StoredEntry& entry = place.entry;
  const uint64_t seq = entry.entry.header.seq;
  const SavedCheckpoint checkpoint = checkpoint_over(vault, seq);
  const std::vector<Digest32> in_ledger = proven_path(index, vault, entry, checkpoint);
  const auto immutable = h.bytes();
  return Json::object(
      {{"format", "kesu-inventory-proof-v1"},
       {"vault", vault.id().str()},
       {"dataset", h.dataset.str()},
       {"object", h.object.str()},
       {"covers", h.payload_bound ? "object" : "header"},
       {"header", hex(immutable)},
       {"payload_root", hex(root)},
       {"leaf", hex(leaf)},
       {"batch", place.batch},
       {"index", place.index},
       {"size", place.leaves.size()},
       {"path", path_json(inclusion_proof(place.leaves, place.index))},
       {"batch_root", place.root},
       {"entry", Json::object({{"seq", seq},
                               {"header", entry.canonical_header},
                               {"body_hash", hex(body_hash(entry.entry.salt, entry.canonical_body))},
                               {"leaf", hex(entry.leaf)},
                               {"size", checkpoint.size},
                               {"path", path_json(in_ledger)}})},
       {"checkpoint", checkpoint.note},
       {"vkey", vault.state().vault.vkey}});
}
}  // namespace

// RFC 6962 §2.1.1: a tree over parts of 2^k leaves, the last of them incomplete, is the tree over the leaves.
std::vector<Digest32> path_in_ledger(ProofIndex* index, Store& store, uint64_t seq, uint64_t size) {
  constexpr uint64_t kPart = ProofIndex::kPart;
  std::vector<Digest32> roots = parts_below(index, store, size);
  const uint64_t part = seq / kPart, tail = roots.size() * kPart;
  const std::vector<Digest32> own = store.leaves(part * kPart, std::min(size, (part + 1) * kPart));
  std::vector<Digest32> path = inclusion_proof(own, seq % kPart);
  if (tail < size) roots.push_back(tree_root(part * kPart == tail ? own : store.leaves(tail, size)));
  for (const Digest32& d : inclusion_proof(roots, part)) path.push_back(d);
  return path;
}

// Index and registers make it quick, and may say anything: where they led to no proof, it is looked for by
// ledger and segments alone before anything is said.
Json prove_object(Vault& vault, const std::string& path) {
  CatchInterrupts catching;
  const SealedFileAt file(path);
  const ObjectInfo info = inspect_object(file.input());
  ProofIndex index(vault.store().directory(), !vault.store().read_only());
  try {
    Json proof = proof_of(&index, vault, path, file, info);
    index.save();
    return proof;
  } catch (const Error& e) {
    if (e.code() != Code::not_covered && e.code() != Code::ledger_damaged && e.code() != Code::not_found &&
        e.code() != Code::bad_input)
      throw;
  }
  index.save();
  vault.rebuild();
  Json proof = proof_of(nullptr, vault, path, file, info);
  index.discard();
  return proof;
}

}  // namespace kesu
