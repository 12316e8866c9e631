// Which objects a batch was sealed over, without reading all that its segment says.
#pragma once
#include <vector>

#include "inventory/segment.h"

namespace kesu {

// What the batch's objects supersede, in their order; most batches supersede nothing, and that is quick to
// see. Throws ledger_damaged as open_segment() does.
std::vector<ObjectId> superseded_by(ByteView segment, const Secret& dataset_key);

}  // namespace kesu
