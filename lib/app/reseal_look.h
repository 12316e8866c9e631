// Whether what was sealed anew stands at its places. For lib/app/reseal itself.
#pragma once
#include <functional>
#include <vector>

#include "app/current_objects.h"
#include "app/inventory_look.h"

namespace kesu {

// Presence, header and length, no data key, of those of `wanted` (ascending) that are current objects of
// `dataset`, whose `current` these are: `take` is called for each with its batch, in inventory order, in the
// caller's thread. `wait` between batches. One that it is not called for was sealed over, or is in no sealed
// batch.
void look_at_kept(Vault& vault, const DatasetId& dataset, const CurrentObjects& current,
                  const std::vector<ObjectId>& wanted,
                  const std::function<void(const BatchRecord&, SegmentObject&&, const Looked&)>& take,
                  const std::function<void()>& wait);
// Whether the verdict is about the file, and not about a disk or a right to read it: unknown is never gone.
bool is_lost(const Verdict& verdict);

}  // namespace kesu
