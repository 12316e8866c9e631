#include "app/inventory_reader.h"

#include <algorithm>

namespace kesu {

InventoryReader::InventoryReader(Vault& vault, const DatasetRecord& dataset, ProcessFor why)
    : vault_(vault), dataset_(dataset), why_(why), batches_(sealed_batches(dataset)), first_{0} {
  for (const BatchRecord& b : batches_) first_.push_back(first_.back() + static_cast<uint64_t>(b.n));
}

const std::vector<SegmentObject>& InventoryReader::read(size_t batch) {
  if (in_ == batch) return objects_;
  const BatchRecord& b = batches_[batch];
  auto key = keys_.find(b.dataset_key);
  if (key == keys_.end())
    key = keys_.emplace(b.dataset_key, open_dataset_key(vault_, dataset_, b.dataset_key, why_)).first;
  in_ = SIZE_MAX;
  objects_ = open_segment(vault_.store().segment(dataset_.id, b.id), key->second);
  if (static_cast<int64_t>(objects_.size()) != b.n)
    throw Error(Code::ledger_damaged, "the segment of " + b.id + " is not the one that was sealed")
        .cause("it lists " + std::to_string(objects_.size()) + " objects, the ledger " + std::to_string(b.n))
        .next("kesu ledger verify");
  in_ = batch;
  return objects_;
}

const SegmentObject& InventoryReader::at(uint64_t number) {
  if (number >= size()) throw Error(Code::bad_input, "the inventory has no object " + std::to_string(number));
  const auto behind = std::upper_bound(first_.begin(), first_.end(), number);
  const auto batch = static_cast<size_t>(behind - first_.begin()) - 1;
  return read(batch)[number - first_[batch]];
}

void InventoryReader::each(const std::function<void(const SegmentObject&)>& visit) {
  for (size_t i = 0; i < batches_.size(); ++i)
    for (const SegmentObject& o : read(i)) visit(o);
}

}  // namespace kesu
