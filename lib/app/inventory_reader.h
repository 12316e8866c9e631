// The objects of a dataset's sealed batches, those sealed over among them, one batch in memory at a time.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "app/datasets.h"

namespace kesu {

// Needs a KeyHolder. Batches that are sealed later are not in it. Errors: those of open_dataset_key;
// ledger_damaged where a segment does not open, or has another number of objects than its batch.
class InventoryReader {
 public:
  InventoryReader(Vault& vault, const DatasetRecord& dataset, ProcessFor why = ProcessFor::opening);
  uint64_t size() const { return first_.back(); }  // objects
  // By number in inventory order, from 0; the reference holds until the next call.
  const SegmentObject& at(uint64_t number);
  // All, in inventory order.
  void each(const std::function<void(const SegmentObject&)>& visit);

 private:
  const std::vector<SegmentObject>& read(size_t batch);
  Vault& vault_;
  const DatasetRecord dataset_;
  const ProcessFor why_;
  std::vector<BatchRecord> batches_;
  std::vector<uint64_t> first_;  // number of each batch's first object, and of the end
  std::map<std::string, Secret> keys_;
  std::vector<SegmentObject> objects_;  // of batch `in_`
  size_t in_ = SIZE_MAX;
};

}  // namespace kesu
