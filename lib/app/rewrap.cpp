#include "app/rewrap.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "app/actor.h"
#include "app/census.h"
#include "app/rewrap_files.h"
#include "app/seal_file.h"
#include "app/settle.h"
#include "base/interrupt.h"
#include "inventory/superseded.h"
#include "provider/wrap_checked.h"

namespace kesu {

namespace {
Json wrapped_json(const WrappedKey& w) {
  return Json::object(
      {{"algorithm", static_cast<int64_t>(w.algorithm)}, {"nonce", hex(w.nonce)}, {"blob", hex(w.blob)}});
}

Error interrupted_by_others(const BatchRecord& b) {
  return Error(Code::conflict, "another process re-wraps this dataset")
      .cause(b.rewrap.actor.str_or("host", "?") + ", process " +
             std::to_string(b.rewrap.actor.num_or("pid", 0)))
      .next("the same command again when it has ended");
}

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
    std::vector<std::string> batches = batches_to_see();
    // While lanes run, this thread asks no provider for them.
    for (const std::string& id : batches) dataset_key(batch(id).dataset_key);
    // The lanes' sessions, and the process that proves wraps, before the first is made.
    open_lanes(to);
    if (order_.paths.empty()) read_superseded();
    try {
      for (const std::string& id : batches) move_batch(id);
    } catch (...) {
      end_moving();  // what it ends with is the later error
      throw;
    }
    if (auto ends = end_moving()) std::rethrow_exception(ends);
    for (auto& [object, paths] : found_)
      for (const std::string& path : paths)
        result_.failed.push_back({path, "no settled batch of the inventory holds it", Code::not_found});
    lanes_.reset();
    judge_missing();
    keys_.clear();
    holder_->end("returned");
  }

 private:
  DatasetRecord& dataset() { return vault_.state().datasets.at(order_.dataset); }
  BatchRecord batch(const std::string& id) {
    if (auto b = dataset().batches.find(id)) return *b;
    throw Error(Code::ledger_damaged, id + " is no batch of the dataset");
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
    for (auto& [version, objects] : b.under())
      if (version != to_.str() && (order_.from.empty() || version == order_.from)) n += objects;
    return n;
  }

  // With paths all of them, for any may hold an object of a file there; else those with something to move.
  std::vector<std::string> batches_to_see() {
    std::vector<std::string> out;
    for (const BatchRecord& b : sealed_batches(dataset())) {
      if (!order_.paths.empty() || to_move(b)) {
        out.push_back(b.id);
        total_ += to_move(b);
      }
      if (order_.paths.empty()) {
        auto under = b.under();
        if (auto it = under.find(to_.str()); it != under.end()) result_.already += it->second;
      }
    }
    if (!order_.paths.empty()) total_ = static_cast<int64_t>(found_.size());
    return out;
  }

  // More than these wait for the disk.
  static constexpr unsigned kProcesses = 4;

  void open_lanes(const VersionRecord& to) {
    task_ = {vault_.id(), *DatasetId::parse(order_.dataset), to_, order_.from, !order_.paths.empty()};
    const unsigned threads = processors();
    lanes_.emplace(vault_, threads + 1);  // one for this thread, which looks while others move
    allow();
    lanes_->expect_moves(to, total_, std::min(threads, kProcesses));
    files_.emplace(task_, *lanes_, threads);
  }
  // What the ledger says now of the versions that the lanes use.
  void allow() {
    lanes_->allow_all(dataset(), ProcessFor::moving);
    lanes_->allow(*vault_.state().version(to_.str()), ProcessFor::moving);
  }

  // What settle() could not end, because files are not at their places, may be ended with the files found.
  void end_interrupted() {
    std::vector<BatchRecord> open;
    for (const BatchRecord& b : dataset().batches.open())
      if (!b.rewrap.version.empty()) open.push_back(b);
    for (const BatchRecord& b : open) {
      if (!may_settle(vault_, b.rewrap.actor, b.rewrap.since)) throw interrupted_by_others(b);
      try {
        settle_rewrap(vault_, order_.dataset, b.id, found_, order_.location_lost);
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
  // Objects that were sealed over stand in no file any more. A segment each at a time for every thread: they
  // hold the names of all files.
  void read_superseded() {
    std::vector<std::pair<Bytes, const Secret*>> some;
    Crew crew;
    std::mutex mutex;
    size_t bytes = 0;
    constexpr size_t kTogether = 16u << 20;  // in a deep tree they are large
    const auto open_some = [&] {
      crew.each(some.size(), [&](unsigned, size_t i) {
        const std::vector<ObjectId> over = superseded_by(some[i].first, *some[i].second);
        std::lock_guard lock(mutex);
        superseded_.insert(over.begin(), over.end());
      });
      check_interrupted();
      some.clear();
      bytes = 0;
    };
    for (const BatchRecord& b : sealed_batches(dataset())) {
      if (!read_.insert(b.id).second) continue;
      some.emplace_back(vault_.store().segment(order_.dataset, b.id), &dataset_key(b.dataset_key));
      bytes += some.back().first.size();
      if (some.size() == 4 * crew.size() || bytes >= kTogether) open_some();
    }
    open_some();
  }

  // What was not at its place may have been sealed over since the batches were read, or is being: then no
  // file holds it, and nothing is missing.
  void judge_missing() {
    if (missing_.empty()) return;
    std::vector<std::string> instead;  // what stands there, before the ledger is asked
    OpenNearby nearby;
    for (const auto& [object, row] : missing_) {
      uint64_t size = 0;
      const auto header = header_of(Fd(nearby.open(row.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)), size);
      instead.push_back(header ? hex(header->object.bytes()) : "");
    }
    vault_.refresh();
    read_superseded();
    std::set<std::string> intended;
    for (const BatchRecord& b : dataset().batches.open()) intended.insert(b.objects.begin(), b.objects.end());
    for (size_t i = 0; i < missing_.size(); ++i) {
      auto& [object, row] = missing_[i];
      if (superseded_.contains(object)) {
        ++result_.superseded;
        continue;
      }
      if (intended.contains(instead[i]))
        row = {std::move(row.path),
               "it is being sealed over by a command that runs, or was interrupted: the same command again "
               "when that has ended",
               Code::conflict};
      result_.missing.push_back(std::move(row));
    }
  }

  // The files of an object that are to be looked at, or none where there is nothing to do.
  std::vector<std::string> paths_of(const SegmentObject& o, const std::string& on) {
    if (!order_.paths.empty()) {
      auto it = found_.find(o.object);
      if (it == found_.end()) return {};
      std::vector<std::string> out = std::move(it->second);
      found_.erase(it);
      // Moved is an object when its file at the place that the inventory knows is moved, too.
      if (std::find(out.begin(), out.end(), o.place) == out.end()) out.push_back(o.place);
      return out;
    }
    if (on == to_.str() || (!order_.from.empty() && on != order_.from)) return {};
    if (superseded_.contains(o.object)) {
      ++result_.superseded;
      return {};
    }
    return {o.place};
  }

  std::vector<RewrapWanted> wanted_of(const BatchRecord& b) {
    const std::vector<std::string> on = versions_by_position(b);
    const std::vector<SegmentObject> objects =
        open_segment(vault_.store().segment(order_.dataset, b.id), dataset_key(b.dataset_key));
    std::vector<RewrapWanted> out;
    for (size_t i = 0; i < objects.size(); ++i) {
      const SegmentObject& o = objects[i];
      std::vector<std::string> paths = paths_of(o, on.at(i));
      if (!paths.empty())
        out.push_back({static_cast<int64_t>(i), o.object, on[i], o.place, std::move(paths)});
    }
    return out;
  }

  void move_batch(const std::string& id) {
    const BatchRecord b = batch(id);
    if (left_open_.contains(id)) return pass_over(b);
    std::vector<RewrapCandidate> work;
    std::map<std::string, std::vector<int64_t>> strays;
    {
      const std::vector<RewrapWanted> wanted = wanted_of(b);
      const SealedPlace place(b.location, b.place);
      std::vector<RewrapCandidate> seen =
          files_->look(wanted, order_.location_lost.empty() ? &place : nullptr, moving_ != nullptr);
      for (size_t i = 0; i < seen.size(); ++i) sort_in(wanted[i].on, seen[i], work, strays);
    }
    if (!strays.empty()) record_strays(id, work, strays);
    while (!work.empty()) {
      std::vector<RewrapCandidate> some = intend(id, work);
      move(id, std::move(some));
      // What the quota cut off waits for the answer: a batch has one open question at a time.
      if (work.empty()) break;
      if (auto ends = end_moving()) std::rethrow_exception(ends);
    }
  }
  // Files of a batch whose question stays open are not files that no batch holds.
  void pass_over(const BatchRecord& b) {
    if (!order_.paths.empty()) wanted_of(b);
  }

  void say(RewrapCandidate& c) {
    if (order_.paths.empty()) {
      for (Skipped& row : c.missing) missing_.emplace_back(c.object, std::move(row));
      c.missing.clear();
    }
    for (auto [from, to] : {std::pair(&c.missing, &result_.missing), std::pair(&c.failed, &result_.failed)}) {
      std::move(from->begin(), from->end(), std::back_inserter(*to));
      from->clear();
    }
  }

  void sort_in(const std::string& on, RewrapCandidate& c, std::vector<RewrapCandidate>& work,
               std::map<std::string, std::vector<int64_t>>& strays) {
    say(c);
    if (c.files.empty()) return;
    const std::string newest = c.files.front().newest;
    const bool agree = !c.out_of_reach && std::all_of(c.files.begin(), c.files.end(),
                                                      [&](auto& f) { return f.newest == newest; });
    if (agree && newest != on && newest != to_.str()) strays[newest].push_back(c.position);
    if (c.wraps(task_) || (c.is_moved(task_) && on != to_.str()))
      work.push_back(std::move(c));
    else
      ++result_.already;
  }

  // Files that an interrupted command moved unseen: their slots are made durable and recorded before the next
  // writing lets the older one go, so that the ledger's version always is one of the two.
  void record_strays(const std::string& id, const std::vector<RewrapCandidate>& work,
                     const std::map<std::string, std::vector<int64_t>>& strays) {
    Durable durable;
    for (const RewrapCandidate& c : work)
      for (const RewrapCandidate::File& f : c.files)
        if (Fd fd(open_path(f.path, O_RDONLY | O_NOFOLLOW)); fd.ok()) durable.wrote(fd.get(), f.path);
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

  // Takes from the begin of `work` what the version may still wrap, at least one, and records that it is to
  // be moved.
  std::vector<RewrapCandidate> intend(const std::string& id, std::vector<RewrapCandidate>& work) {
    holder_->keep();
    size_t count = 0;
    vault_.decide({order_.dataset, to_.str(), id, vault_.state().vault.id}, [&] {
      const VersionRecord& v = same_target();
      if (const BatchRecord& now = batch(id); !now.rewrap.version.empty()) throw interrupted_by_others(now);
      // The entry is what takes the wraps from the version's quota, before the first is made.
      int64_t wraps = 0;
      std::vector<int64_t> positions;
      for (count = 0; count < work.size(); ++count) {
        int64_t next = work[count].wraps(task_);
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
    const auto end = work.begin() + static_cast<ptrdiff_t>(count);
    std::vector<RewrapCandidate> some(std::move_iterator(work.begin()), std::move_iterator(end));
    work.erase(work.begin(), end);
    return some;
  }

  // What threads of their own move, until `mover` ends; then it is to be made durable and recorded.
  struct Moving {
    std::string id;
    std::vector<RewrapCandidate> work;
    Durable durable;
    std::exception_ptr ends;
    std::thread mover;
  };

  // Moves it in the background as soon as what is moved there has ended, and records that one meanwhile.
  void move(const std::string& id, std::vector<RewrapCandidate> work) {
    auto next = std::make_unique<Moving>();
    next->id = id, next->work = std::move(work);
    std::unique_ptr<Moving> before = std::move(moving_);
    std::exception_ptr ends;
    if (before) {
      if (before->mover.joinable()) before->mover.join();
      ends = before->ends;
    }
    try {
      if (!ends) start(*next);
    } catch (...) {
      ends = std::current_exception();
    }
    moving_ = std::move(next);  // recorded as what it came to, also when it was not begun
    try {
      if (before) made(*before);
    } catch (...) {
      if (!ends) ends = std::current_exception();
    }
    if (ends) std::rethrow_exception(ends);
  }

  void start(Moving& m) {
    allow();
    const auto all = [this, &m] {
      try {
        files_->move(m.work, m.durable, [&](int64_t n) {
          done_ += n;
          if (total_) progress_(std::min(done_, total_), total_);
        });
      } catch (...) {
        m.ends = std::current_exception();
      }
    };
    try {
      m.mover = std::thread(all);
    } catch (const std::system_error&) {  // no more threads are allowed
      all();
    }
  }

  void made(Moving& m) {
    m.durable.sync();
    std::vector<int64_t> moved;
    for (RewrapCandidate& c : m.work) {
      say(c);
      for (const RewrapCandidate::File& f : c.files) result_.moved += f.moved;
      if (c.is_moved(task_)) moved.push_back(c.position);
    }
    record(m.id, to_.str(), moved, false);
    result_.batches += !moved.empty();
  }

  // Awaits what is moved and records it. Returns what it ended with, or what kept it from being recorded.
  std::exception_ptr end_moving() {
    if (!moving_) return nullptr;
    const std::unique_ptr<Moving> last = std::move(moving_);
    if (last->mover.joinable()) last->mover.join();
    try {
      made(*last);
    } catch (...) {
      if (!last->ends) last->ends = std::current_exception();
    }
    return last->ends;
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
  std::set<ObjectId> superseded_;
  std::set<std::string> read_;  // batches of which it is known what they were sealed over
  std::vector<std::pair<ObjectId, Skipped>> missing_;
  RewrapTask task_;
  std::optional<Lanes> lanes_;
  std::optional<RewrapFiles> files_;
  std::set<std::string> left_open_;
  std::unique_ptr<Moving> moving_;
  int64_t done_ = 0, total_ = 0;  // while `moving_` is moved, its thread's
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

}  // namespace kesu
