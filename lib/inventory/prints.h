// The fingerprints of a batch, taken while it was sealed: one immutable file (docs/spec/fingerprints.md,
// "Kept"). Pure.
#pragma once
#include <array>
#include <vector>

#include "inventory/segment.h"

namespace kesu {

constexpr size_t kPrintBytes = 16;  // kept of a block's value: the first ones
using Print = std::array<uint8_t, kPrintBytes>;

struct ObjectPrints {
  ObjectId object;
  Digest32 file{};
  std::vector<Print> blocks;  // of its whole blocks, in order; all zero where the block is a common one
};

// Sealed under the dataset key that the batch's segment is sealed under; `key`: the fingerprint key they were
// taken with. Errors: bad_input (no objects, too many, one twice).
Bytes write_prints(const SegmentHeader& header, const DatasetKeyId& key,
                   const std::vector<ObjectPrints>& objects, const Secret& dataset_key, Random& random);
// Errors: ledger_damaged: malformed, of another batch or key, or not authentic under this dataset key.
std::vector<ObjectPrints> open_prints(ByteView file, const SegmentHeader& header, const DatasetKeyId& key,
                                      const Secret& dataset_key);

// AAD of the fingerprint key's wrap.
Bytes fingerprint_key_aad(const VaultId& vault, const DatasetId& dataset, const DatasetKeyId& key,
                          const VersionRef& version);

}  // namespace kesu
