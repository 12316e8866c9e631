#include "app/census.h"

#include <algorithm>

namespace kesu {

namespace {
std::string plural(int64_t n, const std::string& one) {
  return std::to_string(n) + " " + one + (n == 1 ? "" : "s");
}

// What a version reaches, or ever reached: batches by an edge from it, or from a dataset key that it opens.
class Reach {
 public:
  Reach(const State& state, const std::string& version) : from_{version} {
    for (auto& [id, d] : state.datasets)
      for (const DatasetKeyRecord& k : d.keys)
        if (k.version == version) from_.insert(k.id);
  }
  bool operator()(const auto& batch) const {
    return from_.contains(batch.version) ||
           std::any_of(batch.reached_by.begin(), batch.reached_by.end(),
                       [&](const std::string& id) { return from_.contains(id); });
  }

 private:
  std::set<std::string> from_;
};

// Of the objects that the version ever held, those that lie under another one now, by that version. Sums tell
// it but where several versions could hold them: only there the batches are read.
std::map<std::string, int64_t> moved_away(const Batches& batches, const std::string& version,
                                          const Reach& reaches) {
  int64_t away = 0;
  for (auto& [kind, sums] : batches.kinds())
    if (reaches(kind)) away += sums.objects;
  std::map<std::string, int64_t> out;
  for (auto& [by, sums] : batches.under()) {
    if (by.first == version)
      away -= sums.objects;
    else if (sums.objects)
      out[by.first] = 0;
  }
  if (away == 0) return {};
  if (out.size() == 1) {
    out.begin()->second = away;
    return out;
  }
  out.clear();
  batches.each([&](const BatchRecord& b) {
    if (b.state != "sealed" || !reaches(b)) return;
    for (auto& [on, n] : b.under())
      if (on != version && n) out[on] += n;
  });
  return out;
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

Census census(const State& state, const VersionRecord& version, const std::set<std::string>& going) {
  const Reach reaches(state, version.id);
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
    if (auto n = d.batches.given_up().find(version.id); n != d.batches.given_up().end())
      out.given_up += n->second;
    std::set<std::string> keys_in_use;
    int64_t replaced = 0;
    for (auto& [kind, sums] : d.batches.kinds()) {
      keys_in_use.insert(kind.dataset_key);
      replaced += sums.replaced;
    }
    for (const BatchRecord& b : d.batches.open()) {
      keys_in_use.insert(b.dataset_key);
      row.open_questions += reaches(b);
    }
    for (auto& [by, sums] : d.batches.under())
      if (by.first == version.id) {
        row.objects += sums.objects;
        row.batches += sums.objects ? sums.batches : 0;
      }
    for (auto& [on, n] : moved_away(d.batches, version.id, reaches))
      if (!other_stays(on)) row.elsewhere_lost += n;
    for (const std::string& key : keys_in_use) {
      auto opened_by = [&](auto&& test) {
        return std::any_of(d.keys.begin(), d.keys.end(),
                           [&](const DatasetKeyRecord& k) { return k.id == key && test(k.version); });
      };
      if (opened_by([&](const std::string& v) { return v == version.id; }) && !opened_by(other_stays))
        ++row.dataset_keys;
    }
    row.fingerprint_keys = std::count_if(d.fingerprint_keys.begin(), d.fingerprint_keys.end(),
                                         [&](const DatasetKeyRecord& k) { return k.version == version.id; });
    row.superseded_at_most = std::min(row.objects, replaced);
    if (row.holds()) out.rows.push_back(row);
  }
  return out;
}

Json census_json(Vault& vault, const KeyRecord& key) {
  Json out(Json::Array{});
  for (const VersionRecord& v : key.versions) {
    if (!stays(v)) continue;
    Census c = census(vault.state(), v);
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
    add(r.fingerprint_keys, "its fingerprint key, which ends with the dataset");
    add(r.open_questions,
        "batches that a process works on or left open: " + std::to_string(r.open_questions));
    add(r.elsewhere_lost, plural(r.elsewhere_lost, "object") + " moved to a version that is gone, too");
    out += (out.empty() ? "" : "; ") + state.datasets.at(r.dataset).name + ": " + what;
  }
  return out;
}

}  // namespace kesu
