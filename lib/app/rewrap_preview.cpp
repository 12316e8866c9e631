// What a re-wrap would move, by the ledger alone.
#include <algorithm>
#include <set>

#include "app/census.h"
#include "app/rewrap.h"

namespace kesu {

bool opens_with(const DatasetRecord& d, const std::string& dataset_key, const std::string& version) {
  return std::any_of(d.keys.begin(), d.keys.end(),
                     [&](const DatasetKeyRecord& k) { return k.id == dataset_key && k.version == version; });
}

std::vector<std::string> dataset_keys_to_move(const DatasetRecord& d, const std::string& version,
                                              const std::string& from) {
  std::vector<std::string> out;
  for (const DatasetKeyRecord& k : d.keys)
    if (!opens_with(d, k.id, version) && (from.empty() || opens_with(d, k.id, from)) &&
        std::find(out.begin(), out.end(), k.id) == out.end())
      out.push_back(k.id);
  return out;
}

Json rewrap_preview(Vault& vault, const RewrapOrder& order) {
  const DatasetRecord& d = vault.state().datasets.at(order.dataset);
  const VersionRecord& to = protecting_version(vault, d);
  int64_t move = 0, already = 0;
  for (const BatchRecord& b : sealed_batches(d))
    for (const std::string& v : versions_by_position(b)) {
      already += v == to.id;
      move += v != to.id && (order.from.empty() || v == order.from);
    }
  Json census(Json::Array{});
  std::set<std::string> keys;
  keys.insert(d.key);
  for (const BatchRecord& b : d.batches.all()) {
    keys.insert(VersionRef::parse(b.version)->key.str());
    for (auto& [v, positions] : b.on) keys.insert(VersionRef::parse(v)->key.str());
  }
  for (const std::string& key : keys) {
    const Json rows = census_json(vault, vault.state().keys.at(key));
    for (const Json& row : rows.as_array()) census.push(row);
  }
  return Json::object({{"dataset", d.name},
                       {"version", to.id},
                       {"to_move", move},
                       {"already", already},
                       {"dataset_keys", dataset_keys_to_move(d, to.id, order.from).size()},
                       {"wraps_left", to.wraps_left()},
                       {"census", census}});
}

}  // namespace kesu
