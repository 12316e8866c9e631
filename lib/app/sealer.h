// Batches of files into a dataset: intended, sealed by all processors, made durable, recorded. For lib/app
// itself; the use case stands in sealing.h.
#pragma once
#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "app/fingerprints.h"
#include "app/seal_file.h"
#include "app/seal_origin.h"
#include "app/sealing.h"
#include "base/nearby.h"
#include "base/random_pool.h"

namespace kesu {

class Sealer {
 public:
  // Parts without names that a worker keeps open at most before it names them.
  static constexpr size_t kPartsTogether = 256;
  // Opens a source in whatever thread; throws what the file system says.
  using OpenSource = std::function<Fd(const SealSource&, unsigned worker)>;

  // A KeyHolder of the dataset from here on. All outlive it.
  Sealer(Vault& vault, const SealTarget& target, SealResult& result, Progress& progress);
  ~Sealer();

  void open_with(OpenSource open) { open_ = std::move(open); }
  // What is added from here on comes out of `origin` (borrowed), which outlives the work.
  void take_from(SealOrigin& origin) { origin_ = &origin; }
  // Takes an object of the origin.
  void take(SealSource source);
  // Takes a file: passed over where it is known and unchanged, else sealed with its batch. Errors end the
  // whole: what the batch had sealed by then is recorded first.
  void add(SealSource source);
  // Seals what is left of the batch, and records it.
  void flush();
  // Records what is under work, also after something else failed. Errors: what ended that.
  void drain();
  // The data keys' end is recorded; nothing is added after.
  void end();

  // Whether the inventory has it as it is, and its object is in its place.
  bool unchanged(const SealSource& source);
  // Where the inventory has an object of this source's name in this target; "": nowhere.
  std::string known_place(const SealSource& source) const;
  // Seals it at once, as a batch of its own, over an older one, with what that says of names that this one
  // does not know unless `whole`. False: it could not be (said in the result).
  bool add_manifest(const std::string& path, const TreeManifest& manifest, bool whole);
  const std::string& dataset_id() const { return dataset_; }
  Lanes& lanes() { return *lanes_; }
  Crew& crew() { return crew_; }
  // Before keys of objects sealed earlier are opened: the entry of the unwraps, durable.
  void record_opening(const std::vector<ObjectId>& objects, const std::string& purpose);
  const KnownObjects& inventory() const { return known_; }

 private:
  void remove_replaced(const SegmentObject& by) const;
  struct Item {
    SealSource source;
    ObjectId object;
    std::optional<SealedPart> part;
    bool done = false;  // under its final name
    std::optional<Error> failure;
  };
  // What a lane sealed and does not publish yet, in order, and how many files failed meanwhile.
  struct LaneWork {
    std::vector<Item*> parts;
    std::vector<Item*> over;  // of those, what takes an older object's place: published when all are durable
    size_t failed = 0;
  };
  // A batch between its two entries. `key`: the dataset key that its names are sealed under.
  struct Running {
    BatchId batch;
    std::vector<Item> items;
    VersionRef version;
    std::shared_ptr<const Secret> key;
    std::string key_id;
    std::exception_ptr ends;  // what ended it early
    std::thread thread;
  };
  // Batches that are made durable in a thread of their own, while others are sealed.
  struct Syncing {
    std::vector<Running> batches;
    std::thread thread;
    int error = 0;                   // errno of what did not go
    std::atomic<bool> over = false;  // to be recorded
  };
  DatasetRecord& dataset();
  bool same_manifest(const SealSource& source);
  std::optional<TreeManifest> with_older(const TreeManifest& now, const std::string& place);
  bool in_place(const std::string& place);
  void prepare();
  void make_dataset_key();
  void take_fingerprints();
  Json keep_prints(const Running& batch, const SegmentHeader& header);
  void queue(SealSource source);
  void begin();
  void begin_batch(std::vector<Item>& items);
  std::exception_ptr wait();
  [[noreturn]] void finish_and_throw(const std::exception_ptr& ends);
  void intend(const BatchId& batch, std::vector<Item>& items, std::vector<Item>& taken);
  bool intend_meanwhile(const BatchId& batch, std::vector<Item>& items, std::vector<Item>& taken);
  bool key_serves();
  Event intended(const BatchId& batch, const std::vector<Item>& items, size_t& count);
  static void take_first(std::vector<Item>& items, size_t count, std::vector<Item>& taken);
  void seal_items(std::vector<Item>& items, const VersionRef& version);
  void prove_lane(unsigned lane, LaneWork& work);
  void publish_lane(unsigned lane, LaneWork& work);
  void publish(unsigned lane, Item& item);
  void publish_over(std::vector<LaneWork>& by_lane);
  void check_parts(const std::vector<Item*>& large, std::vector<LaneWork>& by_lane);
  void check_part(Item& item, unsigned worker, Crew& crew);
  void seal_item(Item& item, const VersionRef& version, unsigned worker, Crew& crew,
                 std::vector<LaneWork>& by_lane);
  void start_sync();
  void end_sync();
  void finish();
  void record(Running& batch);

  Vault& vault_;
  const SealTarget& target_;
  const std::string dataset_;
  SealResult& result_;
  Progress& progress_;
  OpenSource open_;
  SealOrigin* origin_ = nullptr;
  KeyHolder holder_;
  Crew crew_;
  std::unique_ptr<Lanes> lanes_;
  std::vector<std::unique_ptr<FileSealer>> workers_;
  KnownObjects known_;
  OpenNearby looking_;  // at what is in its place
  RandomPool ids_;
  std::vector<Item> batch_;
  uint64_t batch_bytes_ = 0, batch_paths_ = 0;
  bool begun_ = false;  // the first batch
  Running running_;
  std::vector<Running> sealed_;  // under their final names, not known to be durable
  Syncing syncing_;
  VersionRef version_;
  KeyRef ref_;
  Provider* provider_ = nullptr;
  std::shared_ptr<const Secret> key_;
  std::string key_id_;
  std::optional<FingerprintKey> prints_;  // where the dataset's fingerprints are taken
};

}  // namespace kesu
