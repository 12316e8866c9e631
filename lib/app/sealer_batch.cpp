// Sealing: one batch between its two entries, while the one before is recorded.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <mutex>
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
// So many batches wait at most for the sync that is under way; then sealing waits for it, too.
constexpr size_t kWaiting = 4;
// From so many small files in a batch on, names for their parts cost more than they are worth.
constexpr size_t kNameless = 64;

// Parts that a worker keeps open before it gives them their names: none where that is too few to be worth it.
size_t parts_together(unsigned workers) {
  constexpr size_t kOthers = 256, kLeast = 16;  // what else is open in this process
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur <= kOthers) return 0;
  const size_t each = (limit.rlim_cur - kOthers) / 2 / workers;
  return each < kLeast ? 0 : std::min(each, Sealer::kPartsTogether);
}

// [0, count) in a stretch for each worker: files that follow one another lie in one directory, where the
// kernel makes only one at a time. Who is done with his own helps with the longest of the others, from its
// end.
class Shares {
 public:
  Shares(size_t count, unsigned workers) {
    for (unsigned w = 0; w < workers; ++w) left_.emplace_back(count * w / workers, count * (w + 1) / workers);
  }
  bool next(unsigned worker, size_t& i) {
    const std::lock_guard lock(mutex_);
    if (auto& [from, to] = left_[worker]; from < to) {
      i = from++;
      return true;
    }
    auto& [from, to] = *std::ranges::max_element(left_, {}, [](auto& s) { return s.second - s.first; });
    if (from == to) return false;
    i = --to;
    return true;
  }

 private:
  std::mutex mutex_;
  std::vector<std::pair<size_t, size_t>> left_;
};
}  // namespace

void Sealer::begin() {
  std::vector<Item> items = std::exchange(batch_, {});
  batch_bytes_ = batch_paths_ = 0;
  begun_ = true;
  while (!items.empty()) begin_batch(items);
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

// Begins to seal as many of them as a batch may have and the key version may still wrap, one at least, and
// takes those away. Meanwhile the batches before are made durable and recorded.
void Sealer::begin_batch(std::vector<Item>& items) {
  const auto expected = static_cast<int64_t>(items.size());
  Running now;
  now.batch = vault_.env().random.id<BatchId>();
  const bool intended = intend_meanwhile(now.batch, items, now.items);
  if (const std::exception_ptr ends = wait()) {
    if (intended) sealed_.push_back(std::move(now));  // none of it: the entry says so
    finish_and_throw(ends);
  }
  try {
    holder_.keep();
    for (int tries = 0; !intended; ++tries) {
      try {
        take_fingerprints();
        now.batch = vault_.env().random.id<BatchId>();
        intend(now.batch, items, now.items);
        break;
      } catch (const Error& e) {
        // Nothing was begun: another process rotated the key or made the dataset key.
        if (e.code() != Code::conflict || tries == 3) throw;
      }
    }
    const VersionRecord& version = *vault_.state().version(version_.str());
    lanes_->allow(version, ProcessFor::opening);
    lanes_->expect(version, expected);
  } catch (const Error&) {
    if (!now.items.empty()) sealed_.push_back(std::move(now));
    finish_and_throw(std::current_exception());
  }
  now.version = version_;
  now.key = key_;
  now.key_id = key_id_;
  running_ = std::move(now);
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
  // One sync after the other, each for what was sealed during the one before.
  if (syncing_.over || sealed_.size() >= kWaiting) end_sync();
  start_sync();
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

// The entry before the batch: under which version and dataset key, and how many the quota allows. Those are
// taken from `items`.
void Sealer::intend(const BatchId& batch, std::vector<Item>& items, std::vector<Item>& taken) {
  prepare();
  if (key_id_.empty()) make_dataset_key();
  std::string version = version_.str(), key_id = key_id_;
  size_t count = 0;
  vault_.decide({dataset_, version, vault_.state().vault.id}, [&] {
    prepare();
    if (version_.str() != version || key_id_ != key_id)
      throw Error(Code::conflict, "the key was rotated meanwhile").next("run the same command again");
    return std::vector<Event>{intended(batch, items, count)};
  });
  take_first(items, count, taken);
}

// The same while the batch before is sealed, so that the disk is not waited for between the two. False,
// and nothing was written: that batch is to be waited for first. The provider is with the lanes: what served
// that batch must still serve.
bool Sealer::intend_meanwhile(const BatchId& batch, std::vector<Item>& items, std::vector<Item>& taken) {
  if (!running_.thread.joinable() || origin_) return false;
  size_t count = 0;
  try {
    vault_.decide({dataset_, version_.str(), vault_.state().vault.id}, [&] {
      return key_serves() ? std::vector<Event>{intended(batch, items, count)} : std::vector<Event>();
    });
  } catch (const Error&) {  // comes again, or not
    return false;
  }
  take_first(items, count, taken);
  return count > 0;
}

// Whether version and dataset key are those of the batch before.
bool Sealer::key_serves() {
  const DatasetRecord& d = dataset();
  const VersionRecord& active = protecting_version(vault_, d);
  if (active.version() != version_ || key_id_.empty() || (d.settings.flag("fingerprints") && !prints_))
    return false;
  const auto key = std::find_if(d.keys.begin(), d.keys.end(), [&](const DatasetKeyRecord& k) {
    return k.version == active.id && !k.rewrapped;
  });
  return key != d.keys.end() && key->id == key_id_;
}

// For the first of `items`; `count`: how many.
Event Sealer::intended(const BatchId& batch, const std::vector<Item>& items, size_t& count) {
  if (target_.replace) refuse_held_dataset(vault_, dataset_);
  // The entry is what takes the wraps from the version's quota, before the first is made.
  const std::string version = version_.str();
  count =
      std::min({items.size(), kMaxBatch, static_cast<size_t>(vault_.state().version(version)->wraps_left())});
  Json objects(Json::Array{});
  for (size_t i = 0; i < count; ++i) objects.push(hex(items[i].object.bytes()));
  Json body = intended_body(target_.out, workers_.front()->place(), objects, version, key_id_);
  if (origin_) {
    std::vector<const SealSource*> sources;
    for (size_t i = 0; i < count; ++i) sources.push_back(&items[i].source);
    origin_->intended(sources, body);
  }
  return {.type = "seal-intended",
          .nodes = {{.id = batch.str(), .is = "intended", .of = dataset_, .n = static_cast<int64_t>(count)}},
          .edges = {{version, batch.str()}},
          .body = std::move(body)};
}

void Sealer::take_first(std::vector<Item>& items, size_t count, std::vector<Item>& taken) {
  if (count == items.size()) {
    taken = std::exchange(items, {});
    return;
  }
  const auto end = items.begin() + static_cast<ptrdiff_t>(count);
  taken.assign(std::make_move_iterator(items.begin()), std::make_move_iterator(end));
  items.erase(items.begin(), end);
}

// Whole parts first; final names only for those whose wraps are proven. Many small files get theirs group by
// group, so that their parts need no names; what comes from another dataset all at once, after it was
// checked.
void Sealer::seal_items(std::vector<Item>& items, const VersionRef& version) {
  std::vector<Item*> small, large;
  for (Item& i : items)
    ((i.source.file.inode || i.source.from) && i.source.file.size < kLarge ? small : large).push_back(&i);
  std::vector<LaneWork> by_lane(crew_.size());
  for (LaneWork& lane : by_lane)
    lane.parts.reserve(items.size());  // what has its part is listed, whatever comes
  const size_t group = origin_ || small.size() < kNameless ? 0 : parts_together(crew_.size());
  std::exception_ptr ends;
  std::mutex noting;
  const auto note = [&] {
    const std::lock_guard lock(noting);
    if (!ends) ends = std::current_exception();
  };
  try {
    Shares shares(small.size(), crew_.size());
    crew_.run([&](unsigned worker) {
      Crew alone(1);
      workers_[worker]->nameless(group > 0);
      for (size_t i; !crew_.stopped() && shares.next(worker, i);) {
        seal_item(*small[i], version, worker, alone, by_lane);
        if (group && by_lane[worker].parts.size() == group) {
          prove_lane(worker, by_lane[worker]);
          publish_lane(worker, by_lane[worker]);
        }
      }
    });
    workers_.front()->nameless(false);
    for (Item* i : large) {
      check_interrupted();
      seal_item(*i, version, 0, crew_, by_lane);
    }
    check_interrupted();
  } catch (...) {  // no memory, too
    note();
  }
  for (unsigned lane = 0; lane < by_lane.size(); ++lane) {
    try {
      prove_lane(lane, by_lane[lane]);
    } catch (...) {
      note();
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
        for (Item* i : by_lane[lane].parts)
          if (i->part) {
            workers_[lane]->discard(*i->part);
            i->part.reset();
          }
  }
  crew_.run([&](unsigned worker) { publish_lane(worker, by_lane[worker]); });
  try {
    publish_over(by_lane);
  } catch (...) {
    note();
  }
  for (Item& i : items)
    if (!ends && i.failure && ends_all(*i.failure)) ends = std::make_exception_ptr(*i.failure);
  if (ends) std::rethrow_exception(ends);
}

// Of what the lane sealed since the last time. What is not known to be proven is discarded before it throws.
void Sealer::prove_lane(unsigned lane, LaneWork& work) {
  try {
    lanes_->confirm(lane);
  } catch (...) {
    // Files that failed may have had their wraps, too, which are counted with the others.
    const size_t good = lanes_->good(lane);
    for (size_t i = good - std::min(good, work.failed); i < work.parts.size(); ++i) {
      workers_[lane]->discard(*work.parts[i]->part);
      work.parts[i]->part.reset();
    }
    throw;
  }
  work.failed = 0;
}

void Sealer::publish_lane(unsigned lane, LaneWork& work) {
  for (Item* i : work.parts) {
    if (!i->part) continue;
    if (i->part->over)
      work.over.push_back(i);
    else
      publish(lane, *i);
  }
  work.parts.clear();
}

void Sealer::publish(unsigned lane, Item& item) {
  try {
    workers_[lane]->publish(*item.part);
    item.done = true;
  } catch (const Error& e) {
    item.failure = e;
  }
}

// The older object goes when the newer one takes its name: until then the newer one's bytes must be on the
// disk, or a loss of power would leave neither.
void Sealer::publish_over(std::vector<LaneWork>& by_lane) {
  if (std::all_of(by_lane.begin(), by_lane.end(), [](const LaneWork& w) { return w.over.empty(); })) return;
  const Fd out(::open(target_.out.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!out.ok() || ::syncfs(out.get()) != 0) {
    const Error error = file_error(errno, "make durable", target_.out);
    for (unsigned lane = 0; lane < by_lane.size(); ++lane)
      for (Item* i : by_lane[lane].over) {
        workers_[lane]->discard(*i->part);
        i->part.reset();
      }
    throw error;
  }
  crew_.run([&](unsigned worker) {
    for (Item* i : by_lane[worker].over) publish(worker, *i);
  });
}

// What comes from another dataset counts when its new object was opened to its end.
void Sealer::check_parts(const std::vector<Item*>& large, std::vector<LaneWork>& by_lane) {
  const std::set<const Item*> shared(large.begin(), large.end());
  crew_.run([&](unsigned worker) {
    Crew alone(1);
    for (Item* i : by_lane[worker].parts) {
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
    workers_[worker]->discard(*item.part);
    item.part.reset();
  }
}

void Sealer::seal_item(Item& item, const VersionRef& version, unsigned worker, Crew& crew,
                       std::vector<LaneWork>& by_lane) {
  try {
    if (item.source.from) {
      origin_->read(item.source, worker, crew, [&](const Metadata& metadata, const Source& bytes) {
        item.part = workers_[worker]->seal(item.source, metadata, bytes, item.object, version, crew);
      });
    } else {
      const Fd fd = item.source.manifest ? Fd() : open_(item.source, worker);
      item.part = workers_[worker]->seal(item.source, fd.get(), item.object, version, crew);
    }
    by_lane[worker].parts.push_back(&item);
  } catch (const Error& e) {
    ++by_lane[worker].failed;
    if (item.part) {
      workers_[worker]->discard(*item.part);
      item.part.reset();
    }
    if (ends_all(e)) throw;
    item.failure = e;
  }
  ++progress_.files;
}

// Begins to make durable what was sealed, unless that is under way for others. Nothing is said of it before
// end_sync().
void Sealer::start_sync() {
  if (!syncing_.batches.empty() || sealed_.empty()) return;
  syncing_.batches = std::exchange(sealed_, {});
  syncing_.error = 0;
  syncing_.over = false;
  const auto sync = [this] {
    const auto has_objects = [](const Running& b) {
      return std::any_of(b.items.begin(), b.items.end(), [](const Item& i) { return i.done; });
    };
    if (target_.out != "-" && std::any_of(syncing_.batches.begin(), syncing_.batches.end(), has_objects)) {
      const Fd out(::open(target_.out.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!out.ok() || ::syncfs(out.get()) != 0) syncing_.error = errno;
    }
    syncing_.over = true;
  };
  try {
    syncing_.thread = std::thread(sync);
  } catch (const std::system_error&) {  // no thread to be had
    sync();
  }
}

// Durable first, then said: one sync for all of them, then each one's segment and entry.
void Sealer::end_sync() {
  if (syncing_.thread.joinable()) syncing_.thread.join();
  std::vector<Running> batches = std::exchange(syncing_.batches, {});
  syncing_.over = false;
  if (syncing_.error) throw file_error(std::exchange(syncing_.error, 0), "make durable", target_.out);
  for (Running& b : batches) record(b);
}

// All that is sealed.
void Sealer::finish() {
  end_sync();
  start_sync();
  end_sync();
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
    // Under an identifier, the object of that name: its file goes when this is recorded. A manifest is
    // written over none, and the newest counts.
    const std::string before = i.source.is_manifest() || i.source.from ? ""
                               : called_by_object(target_, i.source)   ? known_place(i.source)
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
        called_by_object(target_, i.source) && !i.source.is_manifest() && !i.source.from
            ? known_place(i.source)
            : "";
    known_.add(i.part->object);
    // Its older object lies under another name, and would be restored beside it.
    if (!before.empty() && before != i.part->object.place) remove_file(before);
  }
}

}  // namespace kesu
