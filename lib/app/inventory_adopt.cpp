#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "app/actor.h"
#include "app/batch_paths.h"
#include "app/inventory_check.h"
#include "app/inventory_look.h"
#include "app/inventory_orphans.h"
#include "app/inventory_reader.h"
#include "app/rewrap.h"
#include "app/settle.h"
#include "base/interrupt.h"
#include "seal/files.h"

namespace kesu {

namespace {
class Adopter {
 public:
  Adopter(Vault& vault, const std::string& dataset, AdoptResult& result)
      : vault_(vault), dataset_(dataset), result_(result) {}

  void run(const std::vector<std::string>& paths, const std::function<void(int64_t, int64_t)>& progress) {
    if (const DatasetRecord& d = dataset(); d.state != "open")
      throw Error(d.state == "frozen" ? Code::frozen : Code::state_refused,
                  "dataset " + d.name + " is " + d.state + ", and takes no objects");
    holder_.emplace(vault_, dataset_, "adopt");
    batches_ = batches_sealed(dataset()).size();
    InventoryReader(vault_, dataset(), ProcessFor::moving).each([&](const SegmentObject& o) {
      at_place_[o.place] = o.object;
      place_of_[o.object] = o.place;
    });
    intended_ = intended();
    for (const std::string& root : paths) {
      const std::string at = absolute_path(root);
      std::vector<std::string> files = sealed_files({at}, result_.failed);
      const bool single = files.size() == 1 && files[0] == at;
      adopt_below(single ? dir_name(at) : at, files, progress);
    }
    holder_->end("returned");
  }

 private:
  const DatasetRecord& dataset() const { return vault_.state().datasets.at(dataset_); }

  // Objects of batches that are being sealed or adopted, or were when that was interrupted: 32 hex.
  std::set<std::string> intended() const {
    std::set<std::string> out;
    for (const BatchRecord& b : batches_intended(dataset())) out.insert(b.objects.begin(), b.objects.end());
    return out;
  }
  void failed(const std::string& path, const Error& e) {
    result_.failed.push_back({path, e.message() + (e.cause().empty() ? "" : ": " + e.cause()), e.code()});
  }

  void adopt_below(const std::string& location, const std::vector<std::string>& files,
                   const std::function<void(int64_t, int64_t)>& progress) {
    std::vector<std::pair<std::string, std::vector<std::string>>> wanted;  // path, versions of its slots
    std::vector<ObjectId> objects;
    size_t paths = 0;  // bytes of those wanted
    int64_t done = 0;
    const auto finish = [&] {
      record(wanted, objects);
      std::map<std::string, std::vector<SegmentObject>> by_version;
      for (auto& [path, versions] : wanted) {
        check_interrupted();
        try {
          auto [version, o] = open_whole(path);
          by_version[version].push_back(std::move(o));
        } catch (const Error& e) {
          if (e.code() == Code::interrupted ||
              (e.exit() == Exit::unavailable && e.code() != Code::object_absent))
            throw;
          failed(path, e);
        }
      }
      for (auto& [version, all] : by_version) batch(location, version, all);
      wanted.clear();
      objects.clear();
      paths = 0;
    };
    for (const std::string& path : files) {
      check_interrupted();
      progress(++done, static_cast<int64_t>(files.size()));
      try {
        SealedFileAt file(path);
        const ObjectInfo info = inspect_object(file.input());
        const ObjectHeader& h = info.region.header;
        if (h.vault != vault_.id() || h.dataset.str() != dataset_)
          throw Error(Code::state_refused, "it is no object of dataset " + dataset().name);
        if (auto it = at_place_.find(path); it != at_place_.end() && it->second == h.object) {
          ++result_.known;
          continue;
        }
        // An object is counted once: samples and certificates name it by its identifier.
        if (auto it = place_of_.find(h.object); it != place_of_.end())
          throw Error(Code::already_exists, "it is a copy of an object that is counted at " + it->second +
                                                ": kesu rewrap finds copies where it is given their PATH");
        if (intended_.contains(hex(h.object.bytes())))
          throw Error(Code::conflict, "its batch is being sealed, or was interrupted: kesu inventory settle");
        wanted.emplace_back(path, std::vector<std::string>());
        for (const Slot* s : info.region.usable()) wanted.back().second.push_back(s->version.str());
        objects.push_back(h.object);
        place_of_[h.object] = path;
        paths += path.size();
      } catch (const Error& e) {
        failed(path, e);
      }
      if (wanted.size() == kMaxBatch || paths >= kBatchPaths) finish();
    }
    if (!wanted.empty()) finish();
  }

  void record(const std::vector<std::pair<std::string, std::vector<std::string>>>& files,
              const std::vector<ObjectId>& ids) {
    holder_->keep();
    Json objects(Json::Array{}), versions(Json::Array{});
    std::set<std::string> seen;
    for (const ObjectId& id : ids) objects.push(hex(id.bytes()));
    for (auto& [path, of] : files)
      for (const std::string& v : of)
        if (seen.insert(v).second) versions.push(v);
    vault_.append(
        {{.type = "objects-opened",
          .nodes = {{.id = holder_->id()}, {.id = dataset_, .n = static_cast<int64_t>(ids.size())}},
          .edges = {{holder_->id(), dataset_}},
          .body = Json::object({{"purpose", "adopt"}, {"objects", objects}, {"versions", versions}})}},
        {});
  }

  std::pair<std::string, SegmentObject> open_whole(const std::string& path) {
    SealedFileAt file(path);
    const OpenedObject opened = open_object(
        file.input(),
        [&](const Slot& s, ByteView aad) {
          return unwrap_slot(vault_, dataset(), s, aad, ProcessFor::moving);
        },
        [](const Metadata&) {}, [](ByteView) {});
    const ObjectHeader& h = opened.header;
    SegmentObject o;
    o.object = h.object;
    o.leaf = inventory_leaf(h, h.payload_bound ? payload_root_of(file.input(), h) : Digest32{});
    o.name = opened.metadata.name;
    o.place = path;
    o.bytes = opened.plain_bytes;
    o.mode = opened.metadata.mode;
    o.mtime = opened.metadata.mtime;
    o.salt = vault_.env().random.bytes(16);
    if (auto it = at_place_.find(path); it != at_place_.end()) o.supersedes = it->second;
    return {opened.version.str(), std::move(o)};
  }

  // The newest dataset key that still opens.
  std::pair<std::string, Secret> dataset_key() {
    std::exception_ptr first;
    const DatasetRecord d = dataset();
    for (auto k = d.keys.rbegin(); k != d.keys.rend(); ++k) try {
        return {k->id, open_dataset_key(vault_, d, k->id, ProcessFor::moving)};
      } catch (const Error&) {
        if (!first) first = std::current_exception();
      }
    if (first) std::rethrow_exception(first);
    throw Error(Code::state_refused, "dataset " + d.name + " has no dataset key: nothing was sealed into it")
        .next("kesu seal makes one");
  }

  void batch(const std::string& location, const std::string& version,
             const std::vector<SegmentObject>& objects) {
    const auto id = vault_.env().random.id<BatchId>();
    auto [key_id, key] = dataset_key();
    Json ids(Json::Array{});
    for (const SegmentObject& o : objects) ids.push(hex(o.object.bytes()));
    // On the whole ledger: another adoption of the same objects may name neither this dataset's stream nor
    // this version.
    vault_.decide({std::string(kWholeLedger)}, [&, &key_name = key_id] {
      const DatasetRecord& d = dataset();
      if (d.state != "open")
        throw Error(d.state == "frozen" ? Code::frozen : Code::state_refused,
                    "dataset " + d.name + " is " + d.state);
      if (batches_sealed(d).size() != batches_)
        throw Error(Code::conflict, "another process sealed into dataset " + d.name)
            .next("run the same command again");
      const std::set<std::string> taken = intended();
      for (const SegmentObject& o : objects)
        if (taken.contains(hex(o.object.bytes())))
          throw Error(Code::conflict, "another process adopts the same objects into dataset " + d.name)
              .next("run the same command again");
      refuse_to_process(vault_, *vault_.state().version(version), ProcessFor::moving);
      return std::vector<Event>{
          {.type = "seal-intended",
           .nodes = {{.id = id.str(),
                      .is = "intended",
                      .of = dataset_,
                      .n = static_cast<int64_t>(objects.size())}},
           .edges = {{version, id.str()}},
           .body = intended_body(location, place_mark_of(location), ids, version, key_name)}};
    });
    Durable durable;  // what is adopted together may lie on several file systems
    for (const SegmentObject& o : objects) {
      const Fd fd(open_path(o.place, O_RDONLY | O_NOFOLLOW));
      if (!fd.ok()) throw file_error(errno, "open", o.place);
      durable.wrote(fd.get(), o.place);
    }
    durable.sync();
    int64_t bytes = 0;
    for (const SegmentObject& o : objects) bytes += static_cast<int64_t>(o.bytes);
    const SegmentHeader header{vault_.id(), *DatasetId::parse(dataset_), id, *DatasetKeyId::parse(key_id)};
    Event done = seal_done(vault_, header, objects, key, bytes, version, dataset(), true);
    done.body.set("adopted", true);
    vault_.append({std::move(done)}, {id.str()});
    ++batches_;
    for (const SegmentObject& o : objects) at_place_[o.place] = o.object;
    result_.adopted += static_cast<int64_t>(objects.size());
    result_.bytes += bytes;
    ++result_.batches;
  }

  Vault& vault_;
  std::string dataset_;
  AdoptResult& result_;
  std::optional<KeyHolder> holder_;
  std::map<std::string, ObjectId> at_place_;
  std::map<ObjectId, std::string> place_of_;
  std::set<std::string> intended_;
  size_t batches_ = 0;
};
}  // namespace

AdoptResult adopt_objects(Vault& vault, const std::string& dataset, const std::vector<std::string>& paths,
                          const std::function<void(int64_t, int64_t)>& progress) {
  CatchInterrupts catching;
  vault.rebuild();  // what a register left out would be counted twice, for ever
  settle(vault);
  AdoptResult result;
  Adopter(vault, dataset, result).run(paths, progress);
  if (result.adopted) vault.checkpoint();
  return result;
}

}  // namespace kesu
