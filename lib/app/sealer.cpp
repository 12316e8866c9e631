#include "app/sealer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "app/actor.h"
#include "base/interrupt.h"
#include "provider/wrap_checked.h"

namespace kesu {

namespace {
// A batch's objects are named before the first is written, so its end in time is steered by bytes: about a
// second's work.
constexpr uint64_t kBatchBytes = 512u << 20;
// From here on all processors work at one file; below, each has its own.
constexpr uint64_t kLarge = 8u << 20;

std::string text_of(const Error& e) { return e.message() + (e.cause().empty() ? "" : ": " + e.cause()); }

// A provider or disk at fault ends the batch; a source or a place at fault is that file's own affair.
bool ends_all(const Error& e) {
  switch (e.code()) {
    case Code::interrupted:
    case Code::disk_full:
    case Code::key_mismatch:
    case Code::token_changed:
    case Code::pin_missing:
    case Code::pin_source_unsafe:
      return true;
    default:
      return e.exit() == Exit::unavailable;
  }
}
}  // namespace

struct Sealer::Item {
  SealSource source;
  ObjectId object;
  std::optional<SealedPart> part;
  bool done = false;  // under its final name
  std::optional<Error> failure;
};

Sealer::Sealer(Vault& vault, const SealTarget& target, SealResult& result, Progress& progress)
    : vault_(vault),
      target_(target),
      dataset_(target.dataset.str()),
      result_(result),
      progress_(progress),
      holder_(vault, dataset_, "seal") {
  lanes_ = std::make_unique<Lanes>(vault, crew_.size());
  for (unsigned i = 0; i < crew_.size(); ++i)
    workers_.push_back(std::make_unique<FileSealer>(target_, *lanes_, i, vault.env().random, progress_));
  for (const BatchRecord& b : sealed_batches(dataset())) {
    if (b.dataset_key != key_id_ || key_.empty()) {
      key_ = open_dataset_key(vault_, dataset(), b.dataset_key, ProcessFor::moving);
      key_id_ = b.dataset_key;
    }
    for (const SegmentObject& o : open_segment(vault_.store().segment(dataset_, b.id), key_)) known_.add(o);
  }
  key_ = Secret();
  key_id_.clear();
}

Sealer::~Sealer() = default;

void Sealer::end() {
  key_ = Secret();
  lanes_.reset();
  holder_.end("returned");
}

DatasetRecord& Sealer::dataset() { return vault_.state().datasets.at(dataset_); }

std::string Sealer::known_place(const SealSource& s) const {
  ObjectId object;
  if (target_.opaque) {
    const auto named = known_.named(s.file.name);
    if (!named) return "";
    object = *named;
  }
  std::string place = place_of(target_, s, object);
  const KnownObjects::Object* there = place.empty() ? nullptr : known_.at_place(place);
  return there && there->name == KnownObjects::key_of(s.file.name) ? place : "";
}

bool Sealer::unchanged(const SealSource& s) {
  const std::string place = known_place(s);
  if (place.empty() || !exists(place)) return false;
  const KnownObjects::Object& o = *known_.at_place(place);
  if (o.bytes != s.file.size || o.mtime != s.file.mtime) return false;
  if (o.inode) return o.ctime == s.file.ctime && o.inode == s.file.inode;
  // Adopted after an interruption: nothing else tells.
  record_opening({o.object}, "compare with its source");
  lanes_->allow_all(dataset(), ProcessFor::opening);
  const Fd source = open_(s, 0);
  return equals_source(place, source.get(), s.file.size,
                       [&](const Slot& slot, ByteView aad) { return lanes_->unwrap(0, slot, aad); });
}

void Sealer::add(SealSource source) {
  check_interrupted();
  try {
    if (unchanged(source)) {
      ++result_.unchanged;
      ++progress_.files;
      progress_.bytes += static_cast<int64_t>(source.file.size);
      return;
    }
    // Under hidden names an older content stands at a place of its own: nothing would be in the way.
    if (target_.opaque && !target_.replace)
      if (const std::string place = known_place(source); !place.empty() && exists(place))
        throw sealed_over(place);
    if (!target_.opaque && source.file.name.ends_with("/" + std::string(kManifestName)))
      throw Error(Code::already_exists, source.path + " has the name of the manifests that seal makes")
          .next("rename it, or seal with --opaque-names");
  } catch (const Error& e) {
    if (ends_all(e)) throw;
    result_.failed.push_back({source.path, text_of(e), e.code()});
    return;
  }
  batch_bytes_ += source.file.size;
  batch_.push_back(
      {std::move(source), vault_.env().random.id<ObjectId>(), std::nullopt, false, std::nullopt});
  if (batch_.size() == kMaxBatch || batch_bytes_ >= kBatchBytes) flush();
}

void Sealer::add_manifest(const std::string& path, const TreeManifest& manifest) {
  SealSource source;
  source.path = path;
  source.kind = "manifest";
  source.manifest = &manifest;
  source.file.name = manifest.root();
  source.file.size = manifest.bytes();
  if (same_manifest(source)) return;
  batch_.push_back(
      {std::move(source), vault_.env().random.id<ObjectId>(), std::nullopt, false, std::nullopt});
  flush();
}

// Its bytes say all, so that the one sealed last is read.
bool Sealer::same_manifest(const SealSource& s) {
  const std::string place = known_place(s);
  if (place.empty() || !exists(place)) return false;
  const KnownObjects::Object& o = *known_.at_place(place);
  if (o.bytes != s.file.size) return false;
  record_opening({o.object}, "compare with its source");
  lanes_->allow_all(dataset(), ProcessFor::opening);
  return equals_source(place, s.manifest->source(), s.file.size,
                       [&](const Slot& slot, ByteView aad) { return lanes_->unwrap(0, slot, aad); });
}

void Sealer::flush() {
  std::vector<Item> items = std::exchange(batch_, {});
  batch_bytes_ = 0;
  while (!items.empty()) {
    const size_t taken = seal_batch(items);
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
      if (k.id != key_id_) key_ = open_dataset_key(vault_, d, k.id);
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
  key_ = std::move(fresh);
  key_id_ = id.str();
}

// Seals as many of them as the key version may still wrap, one at least; returns how many.
size_t Sealer::seal_batch(std::vector<Item> items) {
  holder_.keep();
  const BatchId batch = vault_.env().random.id<BatchId>();
  for (int tries = 0;; ++tries) {
    try {
      intend(batch, items);
      break;
    } catch (const Error& e) {
      // Nothing was begun: another process rotated the key or made the dataset key.
      if (e.code() != Code::conflict || tries == 3) throw;
    }
  }
  const VersionRecord& version = *vault_.state().version(version_.str());
  lanes_->allow(version, ProcessFor::opening);
  lanes_->expect(version, static_cast<int64_t>(items.size()));
  std::exception_ptr ends;
  try {
    seal_items(items);
  } catch (const Error&) {
    ends = std::current_exception();
  }
  try {
    finish(batch, items);
  } catch (const Error&) {
    if (ends) std::rethrow_exception(ends);  // that came first; the batch stays a question, settled later
    throw;
  }
  if (ends) std::rethrow_exception(ends);
  return items.size();
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
    // The entry is what takes the wraps from the version's quota, before the first is made.
    auto left = static_cast<uint64_t>(vault_.state().version(version)->wraps_left());
    if (left < items.size()) items.erase(items.begin() + static_cast<ptrdiff_t>(left), items.end());
    Json objects(Json::Array{});
    for (const Item& i : items) objects.push(hex(i.object.bytes()));
    return std::vector<Event>{
        {.type = "seal-intended",
         .nodes =
             {{.id = batch.str(), .is = "intended", .of = dataset_, .n = static_cast<int64_t>(items.size())}},
         .edges = {{version, batch.str()}},
         .body = Json::object({{"actor", this_process()},
                               {"location", target_.out},
                               {"location_inode", target_.out == "-" ? "" : inode_of(target_.out)},
                               {"objects", objects},
                               {"version", version},
                               {"dataset_key", key_id}})}};
  });
}

// Whole parts first; then, when the wraps of all of them are proven, final names.
void Sealer::seal_items(std::vector<Item>& items) {
  std::vector<Item*> small, large;
  for (Item& i : items) (i.source.file.inode && i.source.file.size < kLarge ? small : large).push_back(&i);
  std::vector<std::vector<Item*>> by_lane(crew_.size());
  std::exception_ptr ends;
  const auto note = [&] {
    if (!ends) ends = std::current_exception();
  };
  try {
    crew_.each(small.size(), [&](unsigned worker, size_t i) {
      Crew alone(1);
      seal_item(*small[i], worker, alone, by_lane);
    });
    for (Item* i : large) {
      check_interrupted();
      seal_item(*i, 0, crew_, by_lane);
    }
    check_interrupted();
  } catch (const Error&) {
    note();
  }
  for (unsigned lane = 0; lane < by_lane.size(); ++lane) {
    size_t good = by_lane[lane].size();
    try {
      lanes_->confirm(lane);
    } catch (const Error&) {
      note();
      good = lanes_->good(lane);
    }
    for (size_t i = good; i < by_lane[lane].size(); ++i) {
      workers_[lane]->discard(*by_lane[lane][i]->part);
      by_lane[lane][i]->part.reset();
    }
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

void Sealer::seal_item(Item& item, unsigned worker, Crew& crew, std::vector<std::vector<Item*>>& by_lane) {
  try {
    const Fd fd = item.source.manifest ? Fd() : open_(item.source, worker);
    item.part = workers_[worker]->seal(item.source, fd.get(), item.object, version_, crew);
    by_lane[worker].push_back(&item);
  } catch (const Error& e) {
    if (ends_all(e)) throw;
    item.failure = e;
  }
  ++progress_.files;
}

// Durable first, then said: one sync for the whole batch, the segment, the entry.
void Sealer::finish(const BatchId& batch, std::vector<Item>& items) {
  std::vector<SegmentObject> done;
  int64_t bytes = 0;
  for (Item& i : items) {
    if (i.failure) result_.failed.push_back({i.source.path, text_of(*i.failure), i.failure->code()});
    if (!i.done) continue;
    SegmentObject& o = i.part->object;
    // Under hidden names, the object of that name: its file goes when this is recorded.
    const std::string before = target_.opaque ? known_place(i.source) : o.place;
    if (const KnownObjects::Object* older = before.empty() ? nullptr : known_.at_place(before))
      o.supersedes = older->object;
    bytes += static_cast<int64_t>(o.bytes);
    done.push_back(o);
    result_.sealed_bytes += i.part->sealed_bytes;
    result_.total_seconds += i.part->total_seconds;
    result_.binding_seconds += i.part->binding_seconds;
  }
  if (done.empty()) {
    vault_.append({{.type = "seal-abandoned",
                    .nodes = {{.id = batch.str(), .is = "abandoned", .of = dataset_}},
                    .body = Json::object(
                        {{"why", "none of its files could be sealed"}, {"removed", Json(Json::Array{})}})}},
                  {});
    return;
  }
  if (target_.out != "-") {
    const Fd out(::open(target_.out.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!out.ok() || ::syncfs(out.get()) != 0) throw file_error(errno, "make durable", target_.out);
  }
  const SegmentHeader header{vault_.id(), target_.dataset, batch, *DatasetKeyId::parse(key_id_)};
  Event event = seal_done(vault_, header, done, key_, bytes, version_.str(), dataset(), false);
  vault_.append({std::move(event)}, {batch.str()});
  for (const Item& i : items)
    if (i.done && !i.source.manifest) result_.bytes += static_cast<int64_t>(i.part->object.bytes);
  ++result_.batches;
  for (const Item& i : items) {
    if (!i.done) continue;
    ++(i.source.manifest ? result_.manifests : result_.sealed);
    const std::string before = target_.opaque ? known_place(i.source) : "";
    known_.add(i.part->object);
    // Its older object lies under another name, and would be restored beside it.
    if (!before.empty() && before != i.part->object.place) remove_file(before);
  }
}

void Sealer::record_opening(const std::vector<ObjectId>& objects, const std::string& purpose) {
  if (objects.empty()) return;
  Json ids(Json::Array{}), versions(Json::Array{});
  for (const ObjectId& o : objects) ids.push(hex(o.bytes()));
  std::set<std::string> seen;
  for (const BatchRecord& b : sealed_batches(dataset())) {
    seen.insert(b.version);
    for (auto& [version, positions] : b.on) seen.insert(version);
  }
  for (const std::string& v : seen) versions.push(v);
  vault_.append(
      {{.type = "objects-opened",
        .nodes = {{.id = holder_.id()}, {.id = dataset_, .n = static_cast<int64_t>(objects.size())}},
        .edges = {{holder_.id(), dataset_}},
        .body = Json::object({{"purpose", purpose}, {"objects", ids}, {"versions", versions}})}},
      {});
}

}  // namespace kesu
