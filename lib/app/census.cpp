#include "app/census.h"

#include <algorithm>

namespace kesu {

namespace {
std::string plural(int64_t n, const std::string& one) {
  return std::to_string(n) + " " + one + (n == 1 ? "" : "s");
}

// Objects of this dataset that were sealed over, whatever version they are under.
int64_t superseded_in(Vault& vault, const DatasetRecord& d) {
  int64_t n = 0;
  for (const BatchRecord& b : d.batches.all())
    if (b.state == "sealed") n += vault.store().entry(b.done_seq).entry.body.num_or("replaced", 0);
  return n;
}
}  // namespace

bool stays(const VersionRecord& v) {
  return v.state == "active" || v.state == "suspended" || v.state == "deactivated" ||
         v.state == "compromised" || v.state == "pre-activation";
}

int64_t Census::objects() const {
  int64_t n = 0;
  for (const CensusRow& r : rows) n += r.objects;
  return n;
}

Census census(Vault& vault, const VersionRecord& version, const std::set<std::string>& going) {
  const State& state = vault.state();
  const std::set<std::string> reached = vault.graph().reached(version.id);
  Census out{version.id, {}, {}};
  auto other_stays = [&](const std::string& id) {
    const VersionRecord* v = state.version(id);
    const bool there = v && id != version.id && !going.contains(id) && stays(*v);
    if (there) out.relies_on.insert(id);
    return there;
  };
  for (auto& [id, d] : state.datasets) {
    if (d.state == "erased") continue;
    CensusRow row{.dataset = id};
    std::set<std::string> keys_in_use;
    for (const BatchRecord& b : d.batches.all()) {
      if (b.state == "abandoned") {
        out.given_up += b.version == version.id ? b.n : 0;
        continue;
      }
      keys_in_use.insert(b.dataset_key);
      if (!reached.contains(b.id) && b.version != version.id) continue;
      if (b.state != "sealed" || !b.rewrap.version.empty()) ++row.open_questions;
      if (b.state != "sealed") continue;
      int64_t here = 0;
      for (auto& [on, n] : b.under()) {
        if (on == version.id)
          here += n;
        else if (!other_stays(on))
          row.elsewhere_lost += n;
      }
      row.objects += here;
      row.batches += here != 0;
    }
    for (const std::string& key : keys_in_use) {
      auto opened_by = [&](auto&& test) {
        return std::any_of(d.keys.begin(), d.keys.end(),
                           [&](const DatasetKeyRecord& k) { return k.id == key && test(k.version); });
      };
      if (opened_by([&](const std::string& v) { return v == version.id; }) && !opened_by(other_stays))
        ++row.dataset_keys;
    }
    if (row.objects) row.superseded_at_most = std::min(row.objects, superseded_in(vault, d));
    if (row.holds()) out.rows.push_back(row);
  }
  return out;
}

Json census_json(Vault& vault, const KeyRecord& key) {
  Json out(Json::Array{});
  for (const VersionRecord& v : key.versions) {
    if (!stays(v)) continue;
    Census c = census(vault, v);
    Json datasets(Json::Array{});
    CensusRow all;
    for (const CensusRow& r : c.rows) {
      datasets.push(Json::object({{"dataset", vault.state().datasets.at(r.dataset).name},
                                  {"objects", r.objects},
                                  {"batches", r.batches},
                                  {"dataset_keys", r.dataset_keys},
                                  {"superseded_at_most", r.superseded_at_most}}));
      all.objects += r.objects;
      all.batches += r.batches;
      all.dataset_keys += r.dataset_keys;
      all.superseded_at_most += r.superseded_at_most;
    }
    out.push(Json::object({{"version", v.id},
                           {"objects", all.objects},
                           {"batches", all.batches},
                           {"dataset_keys", all.dataset_keys},
                           {"superseded_at_most", all.superseded_at_most},
                           {"datasets", datasets}}));
  }
  return out;
}

std::string census_text(const State& state, const Census& c) {
  std::string out;
  for (const CensusRow& r : c.rows) {
    std::string what;
    auto add = [&](int64_t n, const std::string& text) {
      if (n) what += (what.empty() ? "" : ", ") + text;
    };
    add(r.objects, plural(r.objects, "object") +
                       (r.superseded_at_most
                            ? " (at most " + std::to_string(r.superseded_at_most) + " of them sealed over)"
                            : ""));
    add(r.dataset_keys, plural(r.dataset_keys, "dataset key") + " that nothing else opens");
    add(r.open_questions,
        "batches that a process works on or left open: " + std::to_string(r.open_questions));
    add(r.elsewhere_lost, plural(r.elsewhere_lost, "object") + " moved to a version that is gone, too");
    out += (out.empty() ? "" : "; ") + state.datasets.at(r.dataset).name + ": " + what;
  }
  return out;
}

}  // namespace kesu
