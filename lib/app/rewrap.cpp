#include "app/rewrap.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "app/actor.h"
#include "app/census.h"
#include "app/settle.h"
#include "provider/wrap_checked.h"
#include "seal/files.h"

namespace kesu {

namespace {
std::string text_of(const Error& e) { return e.message() + (e.cause().empty() ? "" : ": " + e.cause()); }

Json wrapped_json(const WrappedKey& w) {
  return Json::object(
      {{"algorithm", static_cast<int64_t>(w.algorithm)}, {"nonce", hex(w.nonce)}, {"blob", hex(w.blob)}});
}

bool opens_with(const DatasetRecord& d, const std::string& dataset_key, const std::string& version) {
  return std::any_of(d.keys.begin(), d.keys.end(),
                     [&](const DatasetKeyRecord& k) { return k.id == dataset_key && k.version == version; });
}

// Dataset keys that the version does not open yet; each once.
std::vector<std::string> dataset_keys_to_move(const DatasetRecord& d, const std::string& version,
                                              const std::string& from) {
  std::vector<std::string> out;
  for (const DatasetKeyRecord& k : d.keys)
    if (!opens_with(d, k.id, version) && (from.empty() || opens_with(d, k.id, from)) &&
        std::find(out.begin(), out.end(), k.id) == out.end())
      out.push_back(k.id);
  return out;
}

Error interrupted_by_others(const BatchRecord& b) {
  return Error(Code::conflict, "another process re-wraps this dataset")
      .cause(b.rewrap.actor.str_or("host", "?") + ", process " +
             std::to_string(b.rewrap.actor.num_or("pid", 0)))
      .next("the same command again when it has ended");
}

// An object of a batch and the files of it that are known.
struct Candidate {
  struct File {
    std::string path, newest;
    bool moved = false;
  };
  int64_t position = 0;
  ObjectId object;
  std::vector<File> files;
  bool out_of_reach = false;  // a file may lie at its place, which is not there now
};

class Mover {
 public:
  Mover(Vault& vault, const RewrapOrder& order, RewrapResult& result,
        const std::function<void(int64_t, int64_t)>& progress)
      : vault_(vault), order_(order), result_(result), progress_(progress) {}

  void run() {
    const VersionRecord to =
        protecting_version(vault_, dataset());  // a copy: every append may move the records
    to_ = to.version();
    ref_ = *to.ref;
    result_.version = to.id;
    if (!order_.paths.empty()) found_ = find_objects(vault_, order_.dataset, order_.paths, result_.failed);
    holder_.emplace(vault_, order_.dataset, "rewrap");
    target_ = &vault_.provider(to.provider);
    end_interrupted();
    move_dataset_keys();
    std::vector<std::string> batches;
    for (const BatchRecord* b : sealed_batches(dataset())) batches.push_back(b->id);
    read_superseded(batches);
    for (const std::string& id : batches) {
      const BatchRecord b = batch(id);
      total_ += order_.paths.empty() ? to_move(b) : 0;
    }
    if (!order_.paths.empty()) total_ = static_cast<int64_t>(found_.size());
    for (const std::string& id : batches) move_batch(id);
    for (auto& [object, paths] : found_)
      if (!known_.contains(object))
        for (const std::string& path : paths)
          result_.failed.push_back({path, "no settled batch of the inventory holds it", Code::not_found});
    keys_.clear();
    holder_->end("returned");
  }

 private:
  DatasetRecord& dataset() { return vault_.state().datasets.at(order_.dataset); }
  const BatchRecord& batch(const std::string& id) {
    for (const BatchRecord& b : dataset().batches)
      if (b.id == id) return b;
    throw Error(Code::ledger_damaged, id + " is no batch of the dataset");
  }
  Secret unwrap(const Slot& slot, ByteView aad) {
    return unwrap_slot(vault_, dataset(), slot, aad, ProcessFor::moving);
  }

  // Decided inside each append: the same version is still the one to move to.
  const VersionRecord& same_target() {
    const VersionRecord& v = protecting_version(vault_, dataset());
    if (v.version() != to_)
      throw Error(Code::conflict, "the key was rotated meanwhile").next("run the same command again");
    return v;
  }

  int64_t to_move(const BatchRecord& b) const {
    int64_t n = 0;
    for (const std::string& v : versions_by_position(b)) n += v != to_.str();
    return n;
  }

  // What settle() could not end, because files are not at their places, may be ended with the files found.
  void end_interrupted() {
    std::vector<BatchRecord> open;
    for (const BatchRecord& b : dataset().batches)
      if (!b.rewrap.version.empty()) open.push_back(b);
    for (const BatchRecord& b : open) {
      if (!may_settle(vault_, b.rewrap.actor, b.rewrap.since)) throw interrupted_by_others(b);
      try {
        settle_rewrap(vault_, order_.dataset, b.id, found_, !order_.location_lost.empty());
      } catch (const Error& e) {
        if (e.code() != Code::io_failed) throw;
        result_.failed.push_back({b.location, text_of(e), e.code()});
        left_open_.insert(b.id);
      }
    }
  }

  void move_dataset_keys() {
    for (const std::string& id : dataset_keys_to_move(dataset(), to_.str(), order_.from)) {
      Secret key = open_dataset_key(vault_, dataset(), id, ProcessFor::moving);
      WrappedKey wrapped = wrap_checked(
          *target_, ref_, key,
          dataset_key_aad(vault_.id(), *DatasetId::parse(order_.dataset), *DatasetKeyId::parse(id), to_), id);
      std::string from;
      for (const DatasetKeyRecord& k : dataset().keys)
        if (k.id == id) from = k.version;
      bool there = false;
      try {
        vault_.decide({order_.dataset, to_.str(), id, vault_.state().vault.id}, [&] {
          same_target();
          there = opens_with(dataset(), id, to_.str());
          if (there) throw Error(Code::already_exists, "another process moved it");
          // The dataset is named so that an erasure requested at the same time decides anew.
          return std::vector<Event>{
              {.type = "dataset-key-rewrapped",
               .nodes = {{.id = id}, {.id = order_.dataset}},
               .edges = {{to_.str(), id}},
               .body = Json::object(
                   {{"version", to_.str()}, {"from", from}, {"wrapped", wrapped_json(wrapped)}})}};
        });
        ++result_.dataset_keys;
      } catch (const Error&) {
        if (!there) throw;
      }
    }
  }

  const Secret& dataset_key(const std::string& id) {
    auto it = keys_.find(id);
    if (it == keys_.end())
      it = keys_.emplace(id, open_dataset_key(vault_, dataset(), id, ProcessFor::moving)).first;
    return it->second;
  }
  std::vector<SegmentObject> objects_of(const BatchRecord& b) {
    return open_segment(vault_.store().segment(order_.dataset, b.id), dataset_key(b.dataset_key));
  }
  void read_superseded(const std::vector<std::string>& batches) {
    for (const std::string& id : batches)
      for (const SegmentObject& o : objects_of(batch(id))) {
        known_.insert(o.object);
        if (o.supersedes) superseded_.insert(*o.supersedes);
      }
  }

  // The files of an object that are to be looked at, or none where there is nothing to do.
  std::vector<std::string> paths_of(const SegmentObject& o, const std::string& on) {
    if (!order_.paths.empty()) {
      auto it = found_.find(o.object);
      if (it == found_.end()) return {};
      std::vector<std::string> out = it->second;
      // Moved is an object when its file at the place that the inventory knows is moved, too.
      if (std::find(out.begin(), out.end(), o.place) == out.end()) out.push_back(o.place);
      return out;
    }
    if (on == to_.str()) {
      ++result_.already;
      return {};
    }
    if (!order_.from.empty() && on != order_.from) return {};
    if (superseded_.contains(o.object)) {
      ++result_.superseded;
      return {};
    }
    return {o.place};
  }

  // `on`: the version that the ledger knows it under. `there`: the directory that was sealed to is there.
  Candidate look(const SegmentObject& o, int64_t position, const std::string& on, bool there,
                 const std::vector<std::string>& paths) {
    Candidate out{position, o.object, {}};
    std::set<std::pair<uint64_t, uint64_t>> files;  // one file may be reached by several paths
    for (const std::string& path : paths) {
      FileLook l = look_at(vault_, order_.dataset, o.object, path);
      const bool place = !order_.paths.empty() && path == o.place;
      if (l.kind == FileLook::ours) {
        if (files.emplace(l.device, l.inode).second) add_file(out, path, l.newest, on);
      } else if (l.kind == FileLook::unreadable) {
        result_.failed.push_back({path, l.why, l.code});
        out.out_of_reach |= place;
      } else if (place && l.kind == FileLook::absent && !there && on != to_.str()) {
        result_.missing.push_back(
            {path, "its directory is not there: what lies in it opens with the older version alone",
             Code::not_found});
        out.out_of_reach = true;
      } else if (!place) {
        result_.missing.push_back({path, l.why, Code::not_found});
      }
    }
    return out;
  }

  // What a slot says of itself anybody can write: where the ledger says otherwise, the provider is asked
  // which slot opens.
  void add_file(Candidate& out, const std::string& path, const std::string& newest, const std::string& on) {
    try {
      out.files.push_back({path, newest == on ? newest : opens_under(vault_, dataset(), path)});
    } catch (const Error& e) {
      if (e.exit() == Exit::unavailable) throw;
      result_.failed.push_back({path, text_of(e), e.code()});
      out.out_of_reach = true;
    }
  }

  bool is_to_move(const Candidate::File& f) const {
    return f.newest != to_.str() && (order_.from.empty() || order_.paths.empty() || f.newest == order_.from);
  }
  int64_t wraps_of(const Candidate& c) const {
    return std::count_if(c.files.begin(), c.files.end(), [&](auto& f) { return is_to_move(f); });
  }
  // By what was written and what was seen.
  bool is_moved(const Candidate& c) const {
    return !c.files.empty() && !c.out_of_reach && std::all_of(c.files.begin(), c.files.end(), [&](auto& f) {
      return f.moved || f.newest == to_.str();
    });
  }

  void move_batch(const std::string& id) {
    if (left_open_.contains(id)) return;
    const BatchRecord b = batch(id);
    std::vector<std::string> on = versions_by_position(b);
    std::vector<SegmentObject> objects = objects_of(b);
    std::vector<Candidate> work;
    std::map<std::string, std::vector<int64_t>> strays;
    const bool there = same_place(b) || !order_.location_lost.empty();
    for (size_t i = 0; i < objects.size(); ++i) {
      std::vector<std::string> paths = paths_of(objects[i], on.at(i));
      if (paths.empty()) continue;
      Candidate c = look(objects[i], static_cast<int64_t>(i), on.at(i), there, paths);
      if (c.files.empty()) continue;
      const std::string& newest = c.files.front().newest;
      bool agree = !c.out_of_reach &&
                   std::all_of(c.files.begin(), c.files.end(), [&](auto& f) { return f.newest == newest; });
      if (agree && newest != on[i] && newest != to_.str()) strays[newest].push_back(c.position);
      if (wraps_of(c) || (is_moved(c) && on[i] != to_.str()))
        work.push_back(std::move(c));
      else
        ++result_.already;
    }
    if (!strays.empty()) record_strays(id, work, strays);
    while (!work.empty()) {
      size_t taken = move_some(id, work);
      work.erase(work.begin(), work.begin() + static_cast<ptrdiff_t>(taken));
    }
  }

  // Files that an interrupted command moved unseen: their slots are made durable and recorded before the next
  // writing lets the older one go, so that the ledger's version always is one of the two.
  void record_strays(const std::string& id, const std::vector<Candidate>& work,
                     const std::map<std::string, std::vector<int64_t>>& strays) {
    Durable durable;
    for (const Candidate& c : work)
      for (const Candidate::File& f : c.files)
        if (Fd fd(::open(f.path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)); fd.ok())
          durable.wrote(fd.get(), f.path);
    durable.sync();
    for (auto& [version, positions] : strays) {
      const VersionRecord* v = vault_.state().version(version);
      if (v && stays(*v)) record(id, version, positions, true);
    }
  }

  void record(const std::string& id, const std::string& version, const std::vector<int64_t>& positions,
              bool interrupted) {
    Json body = Json::object({{"version", version},
                              {"wrap_algorithm", "AES-256-GCM"},
                              {"objects", positions_json(ranges_of(positions))},
                              {"interrupted", interrupted}});
    if (!order_.location_lost.empty()) body.set("why", "declared lost: " + order_.location_lost);
    vault_.append({{.type = "rewrap-done",
                    .nodes = {{.id = id, .n = static_cast<int64_t>(positions.size())}},
                    .body = std::move(body)}},
                  {id});
  }

  // As many of `work`, from its begin, as the version may still wrap; at least one.
  size_t move_some(const std::string& id, std::vector<Candidate>& work) {
    holder_->keep();
    size_t count = 0;
    vault_.decide({order_.dataset, to_.str(), id, vault_.state().vault.id}, [&] {
      const VersionRecord& v = same_target();
      if (const BatchRecord& now = batch(id); !now.rewrap.version.empty()) throw interrupted_by_others(now);
      // The entry is what takes the wraps from the version's quota, before the first is made.
      int64_t wraps = 0;
      std::vector<int64_t> positions;
      for (count = 0; count < work.size(); ++count) {
        int64_t next = wraps_of(work[count]);
        if (wraps + next > v.wraps_left()) break;
        wraps += next;
        positions.push_back(work[count].position);
      }
      if (count == 0) throw quota_used_up(vault_.state(), v);
      // The dataset is named so that an erasure requested at the same time decides anew.
      return std::vector<Event>{{.type = "rewrap-intended",
                                 .nodes = {{.id = id, .n = wraps}, {.id = order_.dataset}},
                                 .edges = {{to_.str(), id}},
                                 .body = Json::object({{"version", to_.str()},
                                                       {"objects", positions_json(ranges_of(positions))},
                                                       {"actor", this_process()}})}};
    });
    Durable durable;
    std::exception_ptr ends;
    for (size_t i = 0; i < count && !ends; ++i) {
      for (Candidate::File& f : work[i].files) {
        if (!is_to_move(f)) continue;
        try {
          f.moved = write_next(work[i].object, f.path, durable);
        } catch (const Error& e) {
          // The file is at fault: the others go on. A provider or disk at fault ends the batch.
          if (e.exit() == Exit::unavailable || e.code() == Code::disk_full ||
              e.code() == Code::key_mismatch) {
            ends = std::current_exception();
            break;
          }
          result_.failed.push_back({f.path, text_of(e), e.code()});
        }
      }
      if (total_) progress_(std::min(++done_, total_), total_);
    }
    durable.sync();
    std::vector<int64_t> moved;
    for (size_t i = 0; i < count; ++i) {
      for (const Candidate::File& f : work[i].files) result_.moved += f.moved;
      if (is_moved(work[i])) moved.push_back(work[i].position);
    }
    record(id, to_.str(), moved, false);
    result_.batches += !moved.empty();
    if (ends) std::rethrow_exception(ends);
    return count;
  }

  bool write_next(const ObjectId& object, const std::string& path, Durable& durable) {
    Fd fd(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.ok()) throw file_error(errno, "write into", path);
    SealedInput in = file_input(fd.get());
    if (inspect_object(in).region.header.object != object) {
      result_.missing.push_back({path, "another object stands there", Code::not_found});
      return false;
    }
    NextSlot next = rewrap_object(
        in, [&](const Slot& s, ByteView aad) { return unwrap(s, aad); }, to_,
        [&](const Secret& key, ByteView aad) { return wrap_checked(*target_, ref_, key, aad, path); });
    write_slot(fd.get(), next, path);
    durable.wrote(fd.get(), path);
    return true;
  }

  Vault& vault_;
  const RewrapOrder& order_;
  RewrapResult& result_;
  const std::function<void(int64_t, int64_t)>& progress_;
  std::optional<KeyHolder> holder_;
  VersionRef to_;
  KeyRef ref_;
  Provider* target_ = nullptr;
  PlacesFound found_;
  std::map<std::string, Secret> keys_;
  std::set<ObjectId> superseded_, known_;
  std::set<std::string> left_open_;
  int64_t done_ = 0, total_ = 0;
};
}  // namespace

RewrapResult rewrap(Vault& vault, const RewrapOrder& order,
                    const std::function<void(int64_t, int64_t)>& progress) {
  settle(vault);
  RewrapResult result;
  try {
    Mover(vault, order, result, progress).run();
  } catch (Error& e) {
    try {
      if (result.moved) vault.checkpoint();
    } catch (const Error&) {  // the same token may not sign now: that is not what went wrong first
    }
    throw e.tried("moved " + std::to_string(result.moved) + (result.moved == 1 ? " data key" : " data keys") +
                  ", which stay moved");
  }
  if (result.moved || result.dataset_keys) vault.checkpoint();
  return result;
}

Json rewrap_preview(Vault& vault, const RewrapOrder& order) {
  const DatasetRecord& d = vault.state().datasets.at(order.dataset);
  const VersionRecord& to = protecting_version(vault, d);
  int64_t move = 0, already = 0;
  for (const BatchRecord* b : sealed_batches(d))
    for (const std::string& v : versions_by_position(*b)) {
      already += v == to.id;
      move += v != to.id && (order.from.empty() || v == order.from);
    }
  Json census(Json::Array{});
  std::set<std::string> keys;
  keys.insert(d.key);
  for (const BatchRecord& b : d.batches) {
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
