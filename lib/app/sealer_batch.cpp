// Sealing: one batch between its two entries, while the one before is recorded.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <system_error>
#include <utility>

#include "app/actor.h"
#include "app/holds.h"
#include "app/sealer.h"
#include "base/interrupt.h"
#include "provider/wrap_checked.h"

namespace kesu {

namespace {
// From here on all processors work at one file; below, each has its own.
constexpr uint64_t kLarge = 8u << 20;
// So many batches share one sync, unless the first of them began so long ago.
constexpr size_t kTogether = 8;
constexpr std::chrono::seconds kAtTheLatest(1);
}  // namespace

void Sealer::begin() {
  std::vector<Item> items = std::exchange(batch_, {});
  batch_bytes_ = 0;
  while (!items.empty()) {
    const size_t taken = begin_batch(items);
    items.erase(items.begin(), items.begin() + static_cast<ptrdiff_t>(taken));
  }
}

// The active version, and a dataset key under it for the names; made when this version has none yet.
void Sealer::prepare() {
  DatasetRecord& d = dataset();
  const VersionRecord* active = &protecting_version(vault_, d);
  version_ = active->version();
  ref_ = *active->ref;
  provider_ = &vault_.provider(active->provider);
  for (const DatasetKeyRecord& k : d.keys)
    if (k.version == active->id && !k.rewrapped) {
      if (k.id != key_id_) key_ = std::make_shared<const Secret>(open_dataset_key(vault_, d, k.id));
      key_id_ = k.id;
      return;
    }
  key_id_ = "";
}

void Sealer::make_dataset_key() {
  // One for the dataset key, and one at least for an object.
  if (const VersionRecord& v = *vault_.state().version(version_.str()); v.wraps_left() < 2)
    throw quota_used_up(vault_.state(), v);
  auto id = vault_.env().random.id<DatasetKeyId>();
  Secret fresh = vault_.env().random.secret(64);
  WrappedKey wrapped = wrap_checked(*provider_, ref_, fresh,
                                    dataset_key_aad(vault_.id(), target_.dataset, id, version_), id.str());
  std::string decided = version_.str();
  vault_.decide({dataset_, decided, vault_.state().vault.id}, [&] {
    prepare();
    if (version_.str() != decided || !key_id_.empty())
      throw Error(Code::conflict, "the key was rotated, or its dataset key made, by another process")
          .next("run the same command again");
    return std::vector<Event>{
        {.type = "dataset-key-created",
         .nodes = {{.id = id.str(), .is = "active", .of = dataset_}},
         .edges = {{decided, id.str()}},
         .body =
             Json::object({{"version", decided},
                           {"wrapped", Json::object({{"algorithm", static_cast<int64_t>(wrapped.algorithm)},
                                                     {"nonce", hex(wrapped.nonce)},
                                                     {"blob", hex(wrapped.blob)}})}})}};
  });
  key_ = std::make_shared<const Secret>(std::move(fresh));
  key_id_ = id.str();
}

// Before the first batch: the dataset's fingerprint key, where its settings ask for one.
void Sealer::take_fingerprints() {
  if (prints_ || !dataset().settings.flag("fingerprints")) return;
  prints_ = fingerprint_key(vault_, dataset_);
  for (auto& w : workers_) w->fingerprint_with(&prints_->key);
}

// Begins to seal as many of them as the key version may still wrap, one at least; returns how many. Meanwhile
// the batches before are made durable and recorded, when there are enough of them.
size_t Sealer::begin_batch(std::vector<Item> items) {
  if (const std::exception_ptr ends = wait()) finish_and_throw(ends);
  holder_.keep();
  Running now;
  now.batch = vault_.env().random.id<BatchId>();
  try {
    for (int tries = 0;; ++tries) {
      try {
        take_fingerprints();
        intend(now.batch, items);
        break;
      } catch (const Error& e) {
        // Nothing was begun: another process rotated the key or made the dataset key.
        if (e.code() != Code::conflict || tries == 3) throw;
      }
    }
  } catch (const Error&) {
    finish_and_throw(std::current_exception());
  }
  const VersionRecord& version = *vault_.state().version(version_.str());
  lanes_->allow(version, ProcessFor::opening);
  lanes_->expect(version, static_cast<int64_t>(items.size()));
  now.version = version_;
  now.key = key_;
  now.key_id = key_id_;
  now.items = std::move(items);
  now.began = std::chrono::steady_clock::now();
  running_ = std::move(now);
  const size_t taken = running_.items.size();
  const auto work = [this] {
    try {
      seal_items(running_.items, running_.version);
    } catch (...) {
      running_.ends = std::current_exception();
    }
  };
  try {
    running_.thread = std::thread(work);
  } catch (const std::system_error&) {  // no thread to be had: one after the other, then
    work();
  }
  if (sealed_.size() >= kTogether ||
      (!sealed_.empty() && std::chrono::steady_clock::now() - sealed_.front().began >= kAtTheLatest))
    finish();
  return taken;
}

// Until the batch under work is sealed, where there is one; what ended it early, if anything. After it no
// lane runs.
std::exception_ptr Sealer::wait() {
  if (running_.thread.joinable()) running_.thread.join();
  Running last = std::exchange(running_, Running());
  const std::exception_ptr ends = last.ends;
  if (!last.items.empty()) sealed_.push_back(std::move(last));
  return ends;
}

void Sealer::drain() {
  if (const std::exception_ptr ends = wait()) finish_and_throw(ends);
  finish();
}

// What was sealed is recorded; what ended the sealing is the error, also where recording fails, too: then the
// batches stay questions that are settled later.
void Sealer::finish_and_throw(const std::exception_ptr& ends) {
  try {
    finish();
  } catch (const Error&) {
  }
  std::rethrow_exception(ends);
}

// The entry before the batch: under which version and dataset key, and how many the quota allows.
void Sealer::intend(const BatchId& batch, std::vector<Item>& items) {
  prepare();
  if (key_id_.empty()) make_dataset_key();
  std::string version = version_.str(), key_id = key_id_;
  vault_.decide({dataset_, version, vault_.state().vault.id}, [&] {
    prepare();
    if (version_.str() != version || key_id_ != key_id)
      throw Error(Code::conflict, "the key was rotated meanwhile").next("run the same command again");
    if (target_.replace) refuse_held_dataset(vault_, dataset_);
    // The entry is what takes the wraps from the version's quota, before the first is made.
    auto left = static_cast<uint64_t>(vault_.state().version(version)->wraps_left());
    if (left < items.size()) items.erase(items.begin() + static_cast<ptrdiff_t>(left), items.end());
    Json objects(Json::Array{});
    for (const Item& i : items) objects.push(hex(i.object.bytes()));
    Json body = intended_body(target_.out, workers_.front()->place(), objects, version, key_id);
    if (origin_) {
      std::vector<const SealSource*> sources;
      for (const Item& i : items) sources.push_back(&i.source);
      origin_->intended(sources, body);
    }
    return std::vector<Event>{
        {.type = "seal-intended",
         .nodes =
             {{.id = batch.str(), .is = "intended", .of = dataset_, .n = static_cast<int64_t>(items.size())}},
         .edges = {{version, batch.str()}},
         .body = std::move(body)}};
  });
}

// Whole parts first; then, when the wraps of all of them are proven, final names.
void Sealer::seal_items(std::vector<Item>& items, const VersionRef& version) {
  std::vector<Item*> small, large;
  for (Item& i : items)
    ((i.source.file.inode || i.source.from) && i.source.file.size < kLarge ? small : large).push_back(&i);
  std::vector<std::vector<Item*>> by_lane(crew_.size());
  for (auto& lane : by_lane) lane.reserve(items.size());  // what has its part is listed, whatever comes
  std::exception_ptr ends;
  const auto note = [&] {
    if (!ends) ends = std::current_exception();
  };
  try {
    crew_.each(small.size(), [&](unsigned worker, size_t i) {
      Crew alone(1);
      seal_item(*small[i], version, worker, alone, by_lane);
    });
    for (Item* i : large) {
      check_interrupted();
      seal_item(*i, version, 0, crew_, by_lane);
    }
    check_interrupted();
  } catch (...) {  // no memory, too
    note();
  }
  for (unsigned lane = 0; lane < by_lane.size(); ++lane) {
    size_t good = by_lane[lane].size();
    try {
      lanes_->confirm(lane);
    } catch (...) {
      note();
      good = lanes_->good(lane);
    }
    for (size_t i = good; i < by_lane[lane].size(); ++i) {
      workers_[lane]->discard(*by_lane[lane][i]->part);
      by_lane[lane][i]->part.reset();
    }
  }
  if (origin_) {
    try {
      if (!ends) check_parts(large, by_lane);
    } catch (...) {
      note();
    }
    if (ends)  // which of them were looked at is not told apart
      for (unsigned lane = 0; lane < by_lane.size(); ++lane)
        for (Item* i : by_lane[lane])
          if (i->part) workers_[lane]->discard(*std::exchange(i->part, std::nullopt));
  }
  crew_.run([&](unsigned worker) {
    for (Item* i : by_lane[worker]) {
      if (!i->part) continue;
      try {
        workers_[worker]->publish(*i->part);
        i->done = true;
      } catch (const Error& e) {
        i->failure = e;
      }
    }
  });
  for (Item& i : items)
    if (!ends && i.failure && ends_all(*i.failure)) ends = std::make_exception_ptr(*i.failure);
  if (ends) std::rethrow_exception(ends);
}

// What comes from another dataset counts when its new object was opened to its end.
void Sealer::check_parts(const std::vector<Item*>& large, std::vector<std::vector<Item*>>& by_lane) {
  const std::set<const Item*> shared(large.begin(), large.end());
  crew_.run([&](unsigned worker) {
    Crew alone(1);
    for (Item* i : by_lane[worker]) {
      if (!i->part || shared.contains(i)) continue;
      if (crew_.stopped()) throw Error(Code::interrupted, "checking what was sealed was interrupted");
      check_part(*i, worker, alone);
    }
  });
  for (Item* i : large)
    if (i->part) check_part(*i, 0, crew_);
}

void Sealer::check_part(Item& item, unsigned worker, Crew& crew) {
  try {
    const Fd fd = workers_[worker]->open_part(*item.part);
    origin_->check(item.source, worker, crew, file_input(fd.get()));
  } catch (const Error& e) {
    if (ends_all(e)) throw;
    item.failure = e;
    workers_[worker]->discard(*std::exchange(item.part, std::nullopt));
  }
}

void Sealer::seal_item(Item& item, const VersionRef& version, unsigned worker, Crew& crew,
                       std::vector<std::vector<Item*>>& by_lane) {
  try {
    if (item.source.from) {
      origin_->read(item.source, worker, crew, [&](const Metadata& metadata, const Source& bytes) {
        item.part = workers_[worker]->seal(item.source, metadata, bytes, item.object, version, crew);
      });
    } else {
      const Fd fd = item.source.manifest ? Fd() : open_(item.source, worker);
      item.part = workers_[worker]->seal(item.source, fd.get(), item.object, version, crew);
    }
    by_lane[worker].push_back(&item);
  } catch (const Error& e) {
    if (item.part) workers_[worker]->discard(*std::exchange(item.part, std::nullopt));
    if (ends_all(e)) throw;
    item.failure = e;
  }
  ++progress_.files;
}

// Durable first, then said: one sync for all of them, then each one's segment and entry.
void Sealer::finish() {
  std::vector<Running> batches = std::exchange(sealed_, {});
  const auto has_objects = [](const Running& b) {
    return std::any_of(b.items.begin(), b.items.end(), [](const Item& i) { return i.done; });
  };
  if (target_.out != "-" && std::any_of(batches.begin(), batches.end(), has_objects)) {
    const Fd out(::open(target_.out.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!out.ok() || ::syncfs(out.get()) != 0) throw file_error(errno, "make durable", target_.out);
  }
  for (Running& b : batches) record(b);
}

// Durable before the entry that names them; null: none were taken.
Json Sealer::keep_prints(const Running& batch, const SegmentHeader& header) {
  if (!prints_) return {};
  std::vector<ObjectPrints> all;
  for (const Item& i : batch.items)
    if (i.done && i.part->prints)
      all.push_back(prints_to_keep(i.object, i.part->object.bytes, *i.part->prints));
  if (all.empty()) return {};
  const Bytes file =
      write_prints(header, *DatasetKeyId::parse(prints_->id), all, *batch.key, vault_.env().random);
  return Json::object({{"key", prints_->id}, {"values", vault_.store().put_blob(file)}});
}

void Sealer::record(Running& batch) {
  std::vector<Item>& items = batch.items;
  std::vector<SegmentObject> done;
  int64_t bytes = 0;
  for (Item& i : items) {
    if (i.failure) result_.failed.push_back({i.source.path, text_of(*i.failure), i.failure->code()});
    if (!i.done) continue;
    SegmentObject& o = i.part->object;
    // Under hidden names, the object of that name: its file goes when this is recorded. A manifest is written
    // over none, and the newest counts.
    const std::string before = i.source.is_manifest() || i.source.from ? ""
                               : target_.opaque                        ? known_place(i.source)
                                                                       : o.place;
    if (const auto older = before.empty() ? std::nullopt : known_.at_place(before))
      o.supersedes = older->object;
    if (i.source.from) o.supersedes = i.source.over;  // one that is lost, of the same origin
    bytes += static_cast<int64_t>(o.bytes);
    done.push_back(o);
    result_.sealed_bytes += i.part->sealed_bytes;
    result_.total_seconds += i.part->total_seconds;
    result_.binding_seconds += i.part->binding_seconds;
    result_.print_seconds += i.part->print_seconds;
  }
  if (done.empty()) {
    vault_.append({{.type = "seal-abandoned",
                    .nodes = {{.id = batch.batch.str(), .is = "abandoned", .of = dataset_}},
                    .body = Json::object(
                        {{"why", "none of its files could be sealed"}, {"removed", Json(Json::Array{})}})}},
                  {batch.batch.str()});
    return;
  }
  const SegmentHeader header{vault_.id(), target_.dataset, batch.batch, *DatasetKeyId::parse(batch.key_id)};
  Event event = seal_done(vault_, header, done, *batch.key, bytes, batch.version.str(), dataset(), false);
  if (Json prints = keep_prints(batch, header); prints.is_object())
    event.body.set("fingerprints", std::move(prints));
  std::vector<Event> events;
  events.push_back(std::move(event));
  if (origin_) {
    std::vector<SealOrigin::Sealed> sealed;
    for (const Item& i : items)
      if (i.done) sealed.push_back({i.source.from.get(), &i.part->object});
    for (Event& e : origin_->sealed(batch.batch, sealed)) events.push_back(std::move(e));
  }
  vault_.append(std::move(events), {batch.batch.str()});
  for (const Item& i : items)
    if (i.done && !i.source.is_manifest()) result_.bytes += static_cast<int64_t>(i.part->object.bytes);
  ++result_.batches;
  for (const Item& i : items) {
    if (!i.done) continue;
    ++(i.source.is_manifest() ? result_.manifests : result_.sealed);
    const std::string before =
        target_.opaque && !i.source.is_manifest() && !i.source.from ? known_place(i.source) : "";
    known_.add(i.part->object);
    // Its older object lies under another name, and would be restored beside it.
    if (!before.empty() && before != i.part->object.place) remove_file(before);
  }
}

}  // namespace kesu
