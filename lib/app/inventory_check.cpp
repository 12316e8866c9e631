#include "app/inventory_check.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "app/datasets.h"
#include "app/inventory_look.h"
#include "app/sealing.h"
#include "app/settle.h"
#include "base/crew.h"
#include "base/interrupt.h"
#include "crypto/hash.h"

namespace kesu {

namespace {
// From here on one object is worth the whole crew.
constexpr uint64_t kLarge = 64u << 20;

std::string code_of(Code code) { return std::string(code_text(code)); }

struct HashId {  // identifiers are random
  size_t operator()(const ObjectId& id) const {
    size_t h = 0;
    for (size_t i = 0; i < sizeof h; ++i) h = h << 8 | id.bytes()[i];
    return h;
  }
};
using Ids = std::unordered_set<ObjectId, HashId>;

std::string version_by_ledger(const BatchRecord& b, int64_t position) {
  for (auto& [version, positions] : b.on)
    for (auto& [first, last] : positions)
      if (first <= position && position <= last) return version;
  return b.version;
}

// What stands where: (place, object) of current objects, as eight bytes of a digest each.
uint64_t place_mark(const std::string& place, const ObjectId& object) {
  const Digest32 d = sha256({ByteView(object.bytes()), as_bytes(place)});
  uint64_t mark = 0;
  for (size_t i = 0; i < sizeof mark; ++i) mark = mark << 8 | d[i];
  return mark;
}

class Checker {
 public:
  Checker(Vault& vault, const CheckOrder& order, InventoryCheck& result,
          const std::function<void(int64_t, int64_t)>& progress)
      : vault_(vault), order_(order), result_(result), progress_(progress) {}

  void run() {
    const DatasetRecord& d = dataset();
    if (d.state == "erased")
      throw Error(Code::state_refused, "the names in the inventory of " + d.name + " were erased with it")
          .next("kesu inventory check " + d.name + " --quick PATH… matches files to leaves, without any key");
    batches_ = batches_sealed(d);
    holder_.emplace(vault_, order_.dataset, "check");
    find_superseded();
    find_piped();
    if (!order_.quick) {
      lanes_.emplace(vault_, crew_.size());
      lanes_->allow_all(dataset(), ProcessFor::moving);
    }
    for (const BatchRecord& b : batches_) {
      check_interrupted();
      holder_->keep();
      check_batch(b);
    }
    keys_.clear();
    holder_->end("returned");
    check_interrupted();
  }

  bool stands(const std::string& path, const ObjectId& object) const {
    return marks_.contains(place_mark(path, object));
  }

 private:
  struct Task {
    const SegmentObject* object;
    int64_t position;
    const std::string* place;  // where it is looked for
    Looked looked;
    bool sealed_over = false;
  };

  const DatasetRecord& dataset() const { return vault_.state().datasets.at(order_.dataset); }

  std::vector<SegmentObject> objects_of(const BatchRecord& b) {
    auto key = keys_.find(b.dataset_key);
    if (key == keys_.end())
      key =
          keys_.emplace(b.dataset_key, open_dataset_key(vault_, dataset(), b.dataset_key, ProcessFor::moving))
              .first;
    return open_segment(batch_rows(vault_, dataset(), b).segment, key->second);
  }

  void find_superseded() {
    for (const BatchRecord& b : batches_) {
      check_interrupted();
      for (const SegmentObject& o : objects_of(b)) {
        ++total_;
        if (o.supersedes) superseded_.insert(*o.supersedes);
        if (o.place.empty()) piped_.emplace(o.object, "");
      }
    }
    total_ -= static_cast<int64_t>(superseded_.size());
  }

  // What was sealed to a pipe has no place: it is looked for below the paths.
  void find_piped() {
    if (piped_.empty() || order_.paths.empty()) return;
    std::vector<Skipped> others;  // the orphans' affair
    for (const std::string& path : sealed_files(order_.paths, others)) {
      check_interrupted();
      try {
        std::string found = absolute_path(path);
        const auto it = piped_.find(header_at(found).object);
        if (it != piped_.end() && it->second.empty()) it->second = std::move(found);
      } catch (const Error&) {
      }
    }
  }

  void check_batch(const BatchRecord& b) {
    const std::vector<SegmentObject> objects = objects_of(b);
    std::vector<Task> tasks;
    for (size_t i = 0; i < objects.size(); ++i) {
      if (superseded_.contains(objects[i].object)) {
        ++result_.superseded;
        continue;
      }
      const bool piped = objects[i].place.empty();
      const std::string& place = piped ? piped_.at(objects[i].object) : objects[i].place;
      if (!order_.paths.empty()) marks_.insert(place_mark(place, objects[i].object));
      tasks.push_back({&objects[i], static_cast<int64_t>(i), &place, {}});
    }
    const VaultId vault = vault_.id();
    const DatasetId id = *DatasetId::parse(order_.dataset);
    crew_.each(tasks.size(), [&](unsigned, size_t i) {
      Task& t = tasks[i];
      if (t.place->empty())
        t.looked.verdict = Verdict{false,
                                   order_.paths.empty()
                                       ? "it was sealed to a pipe and has no place: name where it lies (PATH)"
                                       : "it was sealed to a pipe, and does not lie below the paths",
                                   Code::not_found};
      else
        t.looked = look_at_object(*t.place, *t.object, vault, id);
    });
    check_interrupted();
    if (!order_.quick) {
      record(tasks);
      std::vector<Task*> small, large;
      for (Task& t : tasks)
        if (!t.looked.verdict) (t.looked.file_size < kLarge ? small : large).push_back(&t);
      crew_.each(small.size(), [&](unsigned lane, size_t i) {
        Task& t = *small[i];
        t.looked = open_to_nowhere(*t.place, *t.object, vault, id, *lanes_, lane, nullptr);
      });
      check_interrupted();
      for (Task* t : large) {
        check_interrupted();
        holder_->keep();
        t->looked = open_to_nowhere(*t->place, *t->object, vault, id, *lanes_, 0, &crew_);
      }
      compare_slots(b, tasks);
    }
    look_again(tasks);
    for (const Task& t : tasks) judge(t);
    progress_(result_.objects, total_);
  }

  // Durable before the first data key is opened.
  void record(const std::vector<Task>& tasks) {
    Json objects(Json::Array{}), versions(Json::Array{});
    std::set<std::string> seen;
    for (const Task& t : tasks) {
      if (t.looked.verdict) continue;
      objects.push(hex(t.object->object.bytes()));
      for (const VersionRef& v : t.looked.slots)
        if (seen.insert(v.str()).second) versions.push(v.str());
    }
    const auto n = static_cast<int64_t>(objects.as_array().size());
    if (!n) return;
    vault_.append(
        {{.type = "objects-opened",
          .nodes = {{.id = holder_->id()}, {.id = order_.dataset, .n = n}},
          .edges = {{holder_->id(), order_.dataset}},
          .body = Json::object({{"purpose", "check"}, {"objects", objects}, {"versions", versions}})}},
        {});
  }

  // An object must open under the version that the ledger says holds its newest slot: else it would die with
  // an older one. Somebody may re-wrap meanwhile, so the ledger is asked again where they differ.
  void compare_slots(const BatchRecord& before, std::vector<Task>& tasks) {
    const auto differs = [](const BatchRecord& b, const Task& t) {
      const std::string wanted = version_by_ledger(b, t.position);
      return !t.looked.verdict && b.rewrap.version.empty() &&
             std::find(t.looked.opens.begin(), t.looked.opens.end(), wanted) == t.looked.opens.end();
    };
    std::optional<BatchRecord> now;
    for (Task& t : tasks) {
      if (!differs(before, t)) continue;
      if (!now) {
        vault_.refresh();
        for (BatchRecord& b : batches_sealed(dataset()))
          if (b.id == before.id) now = std::move(b);
      }
      if (now && differs(*now, t))
        t.looked.verdict = Verdict{true,
                                   "it does not open under " +
                                       VersionRef::parse(version_by_ledger(*now, t.position))->brief() +
                                       ", which holds its newest slot by the ledger, but under an older one",
                                   Code::sealed_damaged};
    }
  }

  // What is not in its place may have been sealed over since the check began, or is being: that is no damage.
  void look_again(std::vector<Task>& tasks) {
    std::map<const Task*, std::string> instead;  // 32 hex, as seen before the ledger is asked
    for (const Task& t : tasks) {
      if (!t.looked.verdict) continue;
      try {
        instead[&t] = hex(header_at(*t.place).object.bytes());
      } catch (const Error&) {
        instead[&t] = "";
      }
    }
    if (instead.empty()) return;
    vault_.refresh();
    for (const BatchRecord& b : batches_) read_.insert(b.id);
    for (const BatchRecord& b : batches_sealed(dataset()))
      if (read_.insert(b.id).second)
        for (const SegmentObject& o : objects_of(b))
          if (o.supersedes) superseded_.insert(*o.supersedes);
    std::unordered_set<std::string> intended;
    for (const BatchRecord& b : batches_intended(dataset()))
      intended.insert(b.objects.begin(), b.objects.end());
    for (Task& t : tasks) {
      if (!t.looked.verdict) continue;
      t.sealed_over = superseded_.contains(t.object->object);
      if (!t.sealed_over && intended.contains(instead.at(&t)))
        t.looked.verdict = Verdict{false,
                                   "it is being sealed over by a command that runs, or was interrupted: "
                                   "look again when that has ended",
                                   Code::conflict};
    }
  }

  void judge(const Task& t) {
    if (t.sealed_over) {
      ++result_.superseded;
      --total_;
      return;
    }
    ++result_.objects;
    const SegmentObject& o = *t.object;
    if (const auto& v = t.looked.verdict) {
      (v->altered ? result_.damaged : result_.missing)
          .push_back({*t.place, o.object.str(), v->what, code_of(v->code)});
      return;
    }
    ++result_.good;
    result_.bytes += static_cast<int64_t>(order_.quick ? t.looked.file_size : o.bytes);
    result_.not_covered += order_.quick || !t.looked.bound;
    if (t.looked.torn)
      result_.torn.push_back({*t.place, o.object.str(),
                              "one slot was torn by an interrupted re-wrap; it opens through the other",
                              code_of(Code::sealed_damaged)});
  }

  Vault& vault_;
  const CheckOrder& order_;
  InventoryCheck& result_;
  const std::function<void(int64_t, int64_t)>& progress_;
  std::vector<BatchRecord> batches_;
  std::optional<KeyHolder> holder_;
  std::map<std::string, Secret> keys_;
  Ids superseded_;
  std::unordered_map<ObjectId, std::string, HashId> piped_;  // with the file that was found; "": none
  std::unordered_set<std::string> read_;  // batches whose segments were read for what they supersede
  std::unordered_set<uint64_t> marks_;
  int64_t total_ = 0;
  Crew crew_;
  std::optional<Lanes> lanes_;
};

// Files below the paths that are no object of this dataset at its place.
class Orphans {
 public:
  Orphans(Vault& vault, InventoryCheck& result) : vault_(vault), result_(result) {
    for (auto& [id, d] : vault.state().datasets)
      for (const BatchRecord& b : batches_intended(d))
        for (const std::string& o : b.objects) intended_.insert(o);
  }

  // `stands`: whether this dataset's inventory has the object at that place.
  void look(const std::vector<std::string>& paths,
            const std::function<bool(const std::string&, const ObjectHeader&)>& stands) {
    walk_files(
        paths,
        [&](const std::string& path) {
          const NamedFile named = name_says(path);
          if (named.kind == Leftover::object) return object(path, stands);
          if (named.kind != Leftover::none) leftover(path, named);
        },
        [&](const std::string& path, const Error& e) {
          result_.missing.push_back({path, "", e.message() + ": " + e.cause(), code_of(e.code())});
        });
  }

 private:
  void add(const std::string& path, const std::string& object, const std::string& what, const char* code) {
    result_.orphans.push_back({path, object, what, code});
  }

  void object(const std::string& path,
              const std::function<bool(const std::string&, const ObjectHeader&)>& stands) {
    ObjectHeader h;
    try {
      h = header_at(path);
    } catch (const Error& e) {
      if (e.code() == Code::sealed_damaged)
        return add(path, "", "no sealed object that can be read", "unreadable");
      result_.missing.push_back({path, "", e.message() + ": " + e.cause(), code_of(e.code())});
      return;
    }
    if (h.vault != vault_.id() || stands(path, h)) return;
    const std::string object = h.object.str(), dataset = h.dataset.str();
    if (intended_.contains(hex(h.object.bytes())))
      add(path, object, "of a batch that is being sealed, or was interrupted", "interrupted");
    else if (dataset == result_.dataset)
      known(dataset, h.object)
          ? add(path, object, "a copy of an object whose place is another, or an older one of its place",
                "copy")
          : add(path, object, "of this dataset, and in no inventory", "unknown-object");
    else if (auto d = vault_.state().datasets.find(dataset); d == vault_.state().datasets.end())
      add(path, object, "of a dataset that this vault does not know, " + dataset, "unknown-object");
    else if (known(dataset, h.object))
      add(path, object, "of dataset " + d->second.name, "other-dataset");
    else
      add(path, object, "of dataset " + d->second.name + ", and in no inventory", "unknown-object");
  }

  void leftover(const std::string& path, const NamedFile& named) {
    if (intended_.contains(named.object) && named.kind == Leftover::part)
      return add(path, "obj-" + named.object,
                 "a part file of a batch that is being sealed, or was interrupted", "interrupted");
    const std::string object = "obj-" + named.object;
    if (named.kind == Leftover::part) add(path, object, "a part file of an interrupted sealing", "part");
    if (named.kind == Leftover::opening)
      add(path, object, "plaintext of an opening that runs, or was interrupted", "opening");
    if (named.kind == Leftover::set_aside)
      add(path, object, "set aside: it did not open when an interrupted sealing was settled", "set-aside");
  }

  bool known(const std::string& dataset, const ObjectId& object) {
    auto it = known_.find(dataset);
    if (it == known_.end()) {
      it = known_.emplace(dataset, Ids()).first;
      const DatasetRecord& d = vault_.state().datasets.at(dataset);
      for (const BatchRecord& b : batches_sealed(d))
        for (auto& [id, leaf] : batch_rows(vault_, d, b).rows) it->second.insert(id);
    }
    return it->second.contains(object);
  }

  Vault& vault_;
  InventoryCheck& result_;
  std::unordered_set<std::string> intended_;  // 32 hex
  std::map<std::string, Ids> known_;
};

// No key, no entry: every file that says it is an object of this dataset against the leaf of that object.
void check_by_leaves(Vault& vault, const CheckOrder& order, InventoryCheck& result) {
  const DatasetRecord& d = vault.state().datasets.at(order.dataset);
  std::vector<std::pair<ObjectId, Digest32>> leaves;
  int64_t replaced = 0;
  for (const BatchRecord& b : batches_sealed(d)) {
    check_interrupted();
    BatchRows rows = batch_rows(vault, d, b);
    leaves.insert(leaves.end(), rows.rows.begin(), rows.rows.end());
    replaced += b.replaced;
  }
  std::sort(leaves.begin(), leaves.end());
  std::vector<bool> found(leaves.size());
  Orphans(vault, result).look(order.paths, [&](const std::string& path, const ObjectHeader& h) {
    if (h.dataset.str() != order.dataset) return false;
    auto it = std::lower_bound(leaves.begin(), leaves.end(), std::pair{h.object, Digest32{}});
    const auto at = static_cast<size_t>(it - leaves.begin());
    if (it == leaves.end() || it->first != h.object || found[at]) return false;
    found[at] = true;
    ++result.objects;
    try {
      SealedFileAt file(path);
      ObjectInfo info = inspect_object(file.input());
      if (!h.payload_bound && inventory_leaf(h, {}) != it->second)
        throw Error(Code::sealed_damaged, "its header is not the one that was sealed");
      ++result.good;
      ++result.not_covered;
      result.bytes += static_cast<int64_t>(info.file_size);
    } catch (const Error& e) {
      (e.code() == Code::sealed_damaged ? result.damaged : result.missing)
          .push_back({path, h.object.str(), e.message() + (e.cause().empty() ? "" : ": " + e.cause()),
                      code_of(e.code())});
    }
    return true;
  });
  const auto absent = static_cast<int64_t>(std::count(found.begin(), found.end(), false));
  // Of the current objects not found, between absent - replaced and all may be missing: an object that was
  // sealed over may be what was found instead, and without a key it looks like the current one.
  result.undecided = std::min(absent, static_cast<int64_t>(leaves.size()) - replaced) -
                     std::max<int64_t>(0, absent - replaced);
  if (absent <= replaced) {  // superseded objects have no file any more
    result.superseded = absent;
    return;
  }
  result.superseded = replaced;
  result.objects += absent - replaced;
  for (size_t i = 0; i < leaves.size(); ++i)
    if (!found[i])
      result.missing.push_back({"", leaves[i].first.str(),
                                replaced ? "not below the paths given; " + std::to_string(replaced) +
                                               " of those that are not were sealed over and are not missing"
                                         : "not below the paths given",
                                code_of(Code::not_found)});
}
}  // namespace

InventoryCheck check_inventory(Vault& vault, const CheckOrder& order,
                               const std::function<void(int64_t, int64_t)>& progress) {
  CatchInterrupts catching;
  InventoryCheck result;
  result.dataset = order.dataset;
  result.quick = order.quick;
  if (order.quick && !order.paths.empty()) {
    check_by_leaves(vault, order, result);
    return result;
  }
  if (vault.store().read_only())
    throw Error(Code::read_only, "this vault is for reading only: the use of its keys could not be recorded")
        .next("kesu inventory check DATASET --quick PATH… needs no key");
  settle(vault);
  Checker checker(vault, order, result, progress);
  checker.run();
  if (!order.paths.empty())
    Orphans(vault, result).look(order.paths, [&](const std::string& path, const ObjectHeader& h) {
      return h.dataset.str() == order.dataset && checker.stands(path, h.object);
    });
  return result;
}

}  // namespace kesu
