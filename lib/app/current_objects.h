// The current objects of a dataset, batch by batch, for use cases that open all of them.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "app/datasets.h"

namespace kesu {

// Reads every segment twice and keeps the identifiers of what was sealed over, and one batch. Needs a
// KeyHolder; its dataset keys are opened when it is made. It outlives no change of the dataset's batches:
// what is sealed later is not in it.
class CurrentObjects {
 public:
  CurrentObjects(Vault& vault, const DatasetRecord& dataset);
  // Those of one batch after the other, in inventory order.
  void each_batch(const std::function<void(std::vector<SegmentObject>)>& take) const;
  // The same, with the batch and the dataset key that its segment is sealed under.
  void each_batch(const std::function<void(const BatchRecord&, const Secret& dataset_key,
                                           std::vector<SegmentObject>)>& take) const;
  // The same of all objects, also of those that were sealed over.
  void each_batch_ever(const std::function<void(const BatchRecord&, const Secret& dataset_key,
                                                std::vector<SegmentObject>)>& take) const;
  bool is_superseded(const ObjectId& object) const;
  int64_t objects() const { return objects_; }  // current ones
  int64_t bytes() const { return bytes_; }      // of these
  int64_t superseded() const { return static_cast<int64_t>(superseded_.size()); }

 private:
  std::vector<SegmentObject> read(const BatchRecord& batch) const;
  Vault& vault_;
  const std::string dataset_;
  std::vector<BatchRecord> batches_;
  std::map<std::string, Secret> keys_;
  std::vector<ObjectId> superseded_;  // ascending
  int64_t objects_ = 0, bytes_ = 0;
};

// The entry before data keys are unwrapped, durable. `process`: the KeyHolder's.
void record_objects_opened(Vault& vault, const std::string& process, const DatasetRecord& dataset,
                           const std::vector<ObjectId>& objects, const std::string& purpose);

}  // namespace kesu
