// Batches of files into a dataset: intended, sealed by all processors, made durable, recorded. For lib/app
// itself; the use case stands in sealing.h.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/seal_file.h"
#include "app/sealing.h"

namespace kesu {

class Sealer {
 public:
  // Opens a source in whatever thread; throws what the file system says.
  using OpenSource = std::function<Fd(const SealSource&, unsigned worker)>;

  // A KeyHolder of the dataset from here on. All outlive it.
  Sealer(Vault& vault, const SealTarget& target, SealResult& result, Progress& progress);
  ~Sealer();

  void open_with(OpenSource open) { open_ = std::move(open); }
  // Takes a file: passed over where it is known and unchanged, else sealed with its batch. Errors end the
  // whole: what the batch had sealed by then is recorded first.
  void add(SealSource source);
  // Seals what is left of the batch.
  void flush();
  // The data keys' end is recorded; nothing is added after.
  void end();

  // Whether the inventory has it as it is, and its object is in its place.
  bool unchanged(const SealSource& source);
  // Where the inventory has an object of this source's name in this target; "": nowhere.
  std::string known_place(const SealSource& source) const;
  // Seals it at once, as a batch of its own, over an older one.
  void add_manifest(const std::string& path, const TreeManifest& manifest);
  Lanes& lanes() { return *lanes_; }
  Crew& crew() { return crew_; }
  // Before keys of objects sealed earlier are opened: the entry of the unwraps, durable.
  void record_opening(const std::vector<ObjectId>& objects, const std::string& purpose);
  const KnownObjects& inventory() const { return known_; }

 private:
  struct Item;
  DatasetRecord& dataset();
  bool same_manifest(const SealSource& source);
  void prepare();
  void make_dataset_key();
  size_t seal_batch(std::vector<Item> items);
  void intend(const BatchId& batch, std::vector<Item>& items);
  void seal_items(std::vector<Item>& items);
  void seal_item(Item& item, unsigned worker, Crew& crew, std::vector<std::vector<Item*>>& by_lane);
  void finish(const BatchId& batch, std::vector<Item>& items);

  Vault& vault_;
  const SealTarget& target_;
  const std::string dataset_;
  SealResult& result_;
  Progress& progress_;
  OpenSource open_;
  KeyHolder holder_;
  Crew crew_;
  std::unique_ptr<Lanes> lanes_;
  std::vector<std::unique_ptr<FileSealer>> workers_;
  KnownObjects known_;
  std::vector<Item> batch_;
  uint64_t batch_bytes_ = 0;
  VersionRef version_;
  KeyRef ref_;
  Provider* provider_ = nullptr;
  Secret key_;
  std::string key_id_;
};

}  // namespace kesu
