#include "app/current_objects.h"

#include <algorithm>
#include <set>

namespace kesu {

CurrentObjects::CurrentObjects(Vault& vault, const DatasetRecord& dataset)
    : vault_(vault), dataset_(dataset.id), batches_(sealed_batches(dataset)) {
  for (const BatchRecord& b : batches_)
    if (!keys_.contains(b.dataset_key))
      keys_.emplace(b.dataset_key, open_dataset_key(vault, dataset, b.dataset_key, ProcessFor::moving));
  for (const BatchRecord& b : batches_)
    for (const SegmentObject& o : read(b)) {
      if (o.supersedes) superseded_.push_back(*o.supersedes);
      ++objects_;
      bytes_ += static_cast<int64_t>(o.bytes);
    }
  if (superseded_.empty()) return;
  std::sort(superseded_.begin(), superseded_.end());
  superseded_.erase(std::unique(superseded_.begin(), superseded_.end()), superseded_.end());
  objects_ = bytes_ = 0;
  each_batch([&](const std::vector<SegmentObject>& some) {
    for (const SegmentObject& o : some) {
      ++objects_;
      bytes_ += static_cast<int64_t>(o.bytes);
    }
  });
}

std::vector<SegmentObject> CurrentObjects::read(const BatchRecord& batch) const {
  return open_segment(vault_.store().segment(dataset_, batch.id), keys_.at(batch.dataset_key));
}

void CurrentObjects::each_batch(const std::function<void(std::vector<SegmentObject>)>& take) const {
  each_batch(
      [&](const BatchRecord&, const Secret&, std::vector<SegmentObject> some) { take(std::move(some)); });
}

void CurrentObjects::each_batch(
    const std::function<void(const BatchRecord&, const Secret&, std::vector<SegmentObject>)>& take) const {
  each_batch_ever([&](const BatchRecord& b, const Secret& key, std::vector<SegmentObject> some) {
    std::erase_if(some, [&](const SegmentObject& o) { return is_superseded(o.object); });
    take(b, key, std::move(some));
  });
}

void CurrentObjects::each_batch_ever(
    const std::function<void(const BatchRecord&, const Secret&, std::vector<SegmentObject>)>& take) const {
  for (const BatchRecord& b : batches_) take(b, keys_.at(b.dataset_key), read(b));
}

bool CurrentObjects::is_superseded(const ObjectId& object) const {
  return std::binary_search(superseded_.begin(), superseded_.end(), object);
}

void record_objects_opened(Vault& vault, const std::string& process, const DatasetRecord& dataset,
                           const std::vector<ObjectId>& objects, const std::string& purpose) {
  if (objects.empty()) return;
  Json ids(Json::Array{}), versions(Json::Array{});
  for (const ObjectId& o : objects) ids.push(hex(o.bytes()));
  std::set<std::string> seen;
  for (const BatchRecord& b : sealed_batches(dataset)) {
    seen.insert(b.version);
    for (auto& [version, positions] : b.on) seen.insert(version);
  }
  for (const std::string& v : seen) versions.push(v);
  vault.append({{.type = "objects-opened",
                 .nodes = {{.id = process}, {.id = dataset.id, .n = static_cast<int64_t>(objects.size())}},
                 .edges = {{process, dataset.id}},
                 .body = Json::object({{"purpose", purpose}, {"objects", ids}, {"versions", versions}})}},
               {});
}

}  // namespace kesu
