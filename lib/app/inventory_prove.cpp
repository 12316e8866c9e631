#include "app/inventory_prove.h"

#include "app/datasets.h"
#include "app/inventory_check.h"
#include "app/inventory_look.h"
#include "base/crew.h"
#include "base/interrupt.h"
#include "ledger/tree.h"

namespace kesu {

namespace {
Json path_json(const std::vector<Digest32>& path) {
  Json out(Json::Array{});
  for (const Digest32& d : path) out.push(hex(d));
  return out;
}

Error uncovered(const std::string& path, const std::string& why) {
  return Error(Code::not_covered, path + " is covered by no inventory of this vault").cause(why);
}

struct Place {
  BatchRecord batch;
  std::vector<Digest32> leaves;
  uint64_t index = 0;
};
// The newest batches first: what is asked for was rarely sealed long ago.
Place find_place(Vault& vault, const DatasetRecord& d, const ObjectId& object, const std::string& path) {
  std::vector<BatchRecord> batches = batches_sealed(d);
  for (auto b = batches.rbegin(); b != batches.rend(); ++b) {
    check_interrupted();
    BatchRows rows = batch_rows(vault, d, *b);
    for (size_t i = 0; i < rows.rows.size(); ++i) {
      if (rows.rows[i].first != object) continue;
      Place out{*b, {}, i};
      for (auto& [id, leaf] : rows.rows) out.leaves.push_back(leaf);
      return out;
    }
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
}  // namespace

Json prove_object(Vault& vault, const std::string& path) {
  CatchInterrupts catching;
  SealedFileAt file(path);
  const ObjectInfo info = inspect_object(file.input());
  const ObjectHeader& h = info.region.header;
  if (h.vault != vault.id()) throw uncovered(path, "it was sealed by another vault, " + h.vault.str());
  auto dataset = vault.state().datasets.find(h.dataset.str());
  if (dataset == vault.state().datasets.end())
    throw uncovered(path, "it names a dataset that this vault does not know, " + h.dataset.str());
  const Place place = find_place(vault, dataset->second, h.object, path);

  Crew crew;
  const Digest32 root = payload_root_at(file, h, &crew);
  const Digest32 leaf = inventory_leaf(h, root);
  if (leaf != place.leaves[place.index])
    throw Error(Code::sealed_damaged, path + " is not what was sealed as " + h.object.str())
        .cause(h.payload_bound ? "its header or its payload was altered" : "its header was altered");

  const SavedCheckpoint checkpoint = checkpoint_over(vault, place.batch.done_seq);
  const std::vector<Digest32> ledger = vault.store().leaves(checkpoint.size);
  const StoredEntry entry = vault.store().entry(place.batch.done_seq);
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
       {"batch", place.batch.id},
       {"index", place.index},
       {"size", place.leaves.size()},
       {"path", path_json(inclusion_proof(place.leaves, place.index))},
       {"batch_root", place.batch.root},
       {"entry", Json::object({{"seq", place.batch.done_seq},
                               {"header", entry.canonical_header},
                               {"body_hash", hex(body_hash(entry.entry.salt, entry.canonical_body))},
                               {"leaf", hex(entry.leaf)},
                               {"size", checkpoint.size},
                               {"path", path_json(inclusion_proof(ledger, place.batch.done_seq))}})},
       {"checkpoint", checkpoint.note},
       {"vkey", vault.state().vault.vkey}});
}

}  // namespace kesu
