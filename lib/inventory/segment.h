// Inventory segments: one immutable file per batch (docs/spec/inventory.md). Pure.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/random.h"
#include "base/secret.h"
#include "ledger/tree.h"
#include "seal/object.h"

namespace kesu {

constexpr size_t kMaxBatch = 1000;

struct SegmentObject {
  ObjectId object;
  Digest32 leaf{};
  // The sealed index:
  std::string name, place;
  uint64_t bytes = 0;
  uint32_t mode = 0;
  FileTime mtime, ctime;
  uint64_t inode = 0;  // of the source; 0: not known
  Bytes salt;          // 16
  std::optional<ObjectId> supersedes;
};

struct SegmentHeader {
  VaultId vault;
  DatasetId dataset;
  BatchId batch;
  DatasetKeyId dataset_key;
};

struct SegmentLeaves {  // what can be read without a key
  SegmentHeader header;
  std::vector<std::pair<ObjectId, Digest32>> objects;
  Digest32 root() const;
};

// Throws bad_input for an empty or too large batch.
Bytes write_segment(const SegmentHeader& header, const std::vector<SegmentObject>& objects,
                    const Secret& dataset_key, Random& random);
SegmentLeaves parse_segment_leaves(ByteView segment);  // throws ledger_damaged
std::vector<SegmentObject> open_segment(ByteView segment,
                                        const Secret& dataset_key);  // throws ledger_damaged
Bytes dataset_key_aad(const VaultId& vault, const DatasetId& dataset, const DatasetKeyId& key,
                      const VersionRef& version);

}  // namespace kesu
