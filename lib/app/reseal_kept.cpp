// What an erasure asks of a dataset that was declared to be kept.
#include <algorithm>

#include "app/current_objects.h"
#include "app/inventory_look.h"
#include "app/reseal.h"
#include "app/reseal_links.h"
#include "app/reseal_look.h"
#include "erasure/samples.h"

namespace kesu {

namespace {
std::string kept_as(const DatasetRecord& d) { return d.settings.str_or("keep_as", ""); }

std::string command_for(const State& state, const DatasetRecord& d) {
  return "kesu reseal " + d.name + " --to " + state.datasets.at(kept_as(d)).name;
}

// The last word on moving `d` to where it is kept; nullopt: none.
std::optional<Json> completed(Vault& vault, const DatasetRecord& d, const std::string& to) {
  std::optional<Json> out;
  const auto wants = [&](const Header& h) {
    return h.type == "document-attached" &&
           std::any_of(h.nodes.begin(), h.nodes.end(), [&](const NodeMention& n) { return n.id == d.id; });
  };
  vault.store().read(
      0, vault.state().size,
      [&](const StoredEntry& e) {
        if (!wants(e.entry.header)) return true;
        const Json& body = e.entry.body;
        if (body.str_or("what", "") == kResealComplete && body.str("from") == d.id && body.str("to") == to)
          out = body;
        return true;
      },
      wants);
  return out;
}
bool contains(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

// An erasure of the dataset that may still run, or has; nullptr: none.
const ErasureRecord* erasure_of(const State& state, const std::string& dataset) {
  for (auto& [id, e] : state.erasures)
    if (e.stage != "rejected" && e.stage != "cancelled" && contains(e.datasets, dataset)) return &e;
  return nullptr;
}

// What is to be kept as this one needs it as long as it is not erased itself.
std::optional<KeepProblem> needed_by(const State& state, const DatasetRecord& d,
                                     const std::vector<std::string>& scope) {
  for (auto& [id, other] : state.datasets)
    if (kept_as(other) == d.id && other.state != "erased" && !contains(scope, id))
      return KeepProblem{"dataset " + other.name + " is to be kept as " + d.name,
                         "erase " + other.name + " first; or kesu dataset update " + other.name +
                             " --not-kept --reason TEXT"};
  return std::nullopt;
}
}  // namespace

std::optional<KeepProblem> keep_problem(Vault& vault, const std::string& dataset,
                                        const std::vector<std::string>& scope, const std::string& erasure) {
  const State& state = vault.state();
  const DatasetRecord& d = state.datasets.at(dataset);
  if (d.state != "erased")
    if (auto needed = needed_by(state, d, scope)) return needed;
  const std::string to = kept_as(d);
  if (to.empty()) return std::nullopt;
  const auto other = state.datasets.find(to);
  const std::string elsewhere = "kesu dataset update " + d.name + " --keep-as DATASET --reason TEXT";
  if (other == state.datasets.end() || other->second.state == "erased")
    return KeepProblem{"dataset " + d.name + " is to be kept as a dataset that is erased, or not there",
                       elsewhere};
  const std::string name = other->second.name;
  if (contains(scope, to))
    return KeepProblem{"dataset " + d.name + " is to be kept as " + name + ", which the same plan erases",
                       "leave " + name + " out; or " + elsewhere};
  const ErasureRecord* dying = erasure_of(state, to);
  if (dying && dying->id != erasure)
    return KeepProblem{"dataset " + d.name + " is to be kept as " + name + ", which erasure " +
                           dying->id.substr(0, 12) + " is to erase",
                       "kesu erase cancel " + dying->id.substr(0, 12) + "; or " + elsewhere};
  if (other->second.state != "open")
    return KeepProblem{
        "dataset " + d.name + " is to be kept as " + name + ", which is " + other->second.state,
        "kesu dataset show " + name};
  const auto done = completed(vault, d, to);
  if (!done)
    return KeepProblem{"dataset " + d.name + " is to be kept as " + name + ", and is not resealed there",
                       command_for(state, d)};
  const BatchSums sums = d.batches.sums();
  if (done->num("batches") != sums.batches || done->num("listed") != sums.objects)
    return KeepProblem{"objects were sealed into " + d.name + " after it was resealed into " + name,
                       command_for(state, d)};
  return std::nullopt;
}

void demand_kept_opens(Vault& vault, const std::vector<std::string>& datasets, const std::string& erasure) {
  for (const std::string& id : datasets) {
    const DatasetRecord d = vault.state().datasets.at(id);
    const std::string to = kept_as(d);
    const auto refused = [&](const std::string& what, const std::string& next) {
      return Error(Code::plan_blocked, what).next(next);
    };
    if (const auto problem = keep_problem(vault, id, datasets, erasure))
      throw refused(problem->what, problem->next);
    if (to.empty()) continue;
    const DatasetRecord other = vault.state().datasets.at(to);
    const auto absent = [&](const std::string& what) {
      return refused("dataset " + d.name + " is to be kept as " + other.name + ", and " + what,
                     command_for(vault.state(), d));
    };
    KeyHolder holder(vault, to, "erase: samples of what is kept");
    std::vector<SegmentObject> kept;
    {
      // Each current object by its last link: an older one may have led to what is lost.
      KeyHolder reading(vault, id, "erase: what is to be kept");
      const ResealLinks links(vault, id, to);
      std::vector<ObjectId> wanted;
      CurrentObjects(vault, d).each_batch([&](const std::vector<SegmentObject>& some) {
        for (const SegmentObject& o : some) {
          const ResealLinks::Link* link = links.find_checked(o.object);
          if (!link) throw absent("one of its objects was not resealed there: " + o.object.str());
          wanted.push_back(link->now);
        }
      });
      reading.end("returned");
      std::sort(wanted.begin(), wanted.end());
      const auto take = [&](const BatchRecord&, SegmentObject&& o, const Looked& looked) {
        if (looked.verdict)
          throw absent("an object is not there as it was sealed: " + o.place).cause(looked.verdict->what);
        kept.push_back(std::move(o));
      };
      look_at_kept(vault, *DatasetId::parse(to), CurrentObjects(vault, other), wanted, take,
                   [&] { holder.keep(); });
      if (kept.size() != wanted.size())
        throw absent(std::to_string(wanted.size() - kept.size()) + " of its objects were sealed over there");
    }
    const Digest32 seed = vault.store().head().root();
    std::vector<SegmentObject> samples;
    for (const uint64_t i : sample_order(seed, to, kept.size())) {
      if (samples.size() == kMaxSamples) break;
      samples.push_back(kept[i]);
    }
    std::vector<ObjectId> ids;
    for (const SegmentObject& o : samples) ids.push_back(o.object);
    record_objects_opened(vault, holder.id(), other, ids, "kept samples");
    {
      Crew crew;
      Lanes lanes(vault, 1);
      lanes.allow_all(other, ProcessFor::opening);
      for (const SegmentObject& o : samples) {
        const Looked looked = open_to_nowhere(o.place, o, vault.id(), *DatasetId::parse(to), lanes, 0, &crew);
        if (looked.verdict)
          throw refused("dataset " + d.name + " is to be kept as " + other.name +
                            ", and a sample does not open there: " + o.place,
                        "kesu inventory check " + other.name)
              .cause(looked.verdict->what);
      }
    }
    holder.end("returned");
  }
}

}  // namespace kesu
