#include "app/reseal_look.h"

#include <algorithm>

#include "base/interrupt.h"

namespace kesu {

bool is_lost(const Verdict& verdict) { return verdict.altered || verdict.code == Code::not_found; }

void look_at_kept(Vault& vault, const DatasetId& dataset, const CurrentObjects& current,
                  const std::vector<ObjectId>& wanted,
                  const std::function<void(const BatchRecord&, SegmentObject&&, const Looked&)>& take,
                  const std::function<void()>& wait) {
  Crew crew;
  const VaultId id = vault.id();
  current.each_batch([&](const BatchRecord& batch, const Secret&, std::vector<SegmentObject> some) {
    check_interrupted();
    wait();
    std::erase_if(some, [&](const SegmentObject& o) {
      return !std::binary_search(wanted.begin(), wanted.end(), o.object);
    });
    std::vector<Looked> looked(some.size());
    crew.each(some.size(),
              [&](unsigned, size_t i) { looked[i] = look_at_object(some[i].place, some[i], id, dataset); });
    check_interrupted();
    for (size_t i = 0; i < some.size(); ++i) take(batch, std::move(some[i]), looked[i]);
  });
}

}  // namespace kesu
