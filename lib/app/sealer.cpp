#include "app/sealer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "app/actor.h"
#include "app/batch_paths.h"
#include "app/manifest_merge.h"
#include "app/sealed_name.h"
#include "base/interrupt.h"
#include "base/open_files.h"
#include "provider/wrap_checked.h"

namespace kesu {

namespace {
// A batch's objects are named before the first is written, so its end in time is steered by bytes: about a
// second's work.
constexpr uint64_t kBatchBytes = 512u << 20;

}  // namespace

Sealer::Sealer(Vault& vault, const SealTarget& target, SealResult& result, Progress& progress)
    : vault_(vault),
      target_(target),
      dataset_(target.dataset.str()),
      result_(result),
      progress_(progress),
      holder_(vault, dataset_, "seal"),
      crew_(workers_by_open_files()),
      ids_(vault.env().random) {
  make_room_for_open_files(64 + crew_.size() * kPartsTogether);
  lanes_ = std::make_unique<Lanes>(vault, crew_.size());
  for (unsigned i = 0; i < crew_.size(); ++i)
    workers_.push_back(std::make_unique<FileSealer>(target_, *lanes_, i, vault.env().random, progress_));
  Secret key;
  std::string key_id;
  for (const BatchRecord& b : sealed_batches(dataset())) {
    if (b.dataset_key != key_id || key.empty()) {
      key = open_dataset_key(vault_, dataset(), b.dataset_key, ProcessFor::moving);
      key_id = b.dataset_key;
    }
    for (const SegmentObject& o : open_segment(vault_.store().segment(dataset_, b.id), key)) {
      known_.add(o);
      remove_replaced(o);
    }
  }
}

// An interrupted command may have left what it had replaced: where files are called by their objects it would
// be restored, too.
void Sealer::remove_replaced(const SegmentObject& by) const {
  if (!by.supersedes || target_.out == "-" || !lies_under_identifier(by)) return;
  const std::string directory = dir_name(by.place);
  if (directory == target_.out || directory.starts_with(target_.out == "/" ? "/" : target_.out + "/"))
    remove_file(path_join(directory, file_name_of(*by.supersedes)));
}

Sealer::~Sealer() {
  if (running_.thread.joinable()) running_.thread.join();
  if (syncing_.thread.joinable()) syncing_.thread.join();
}

void Sealer::end() {
  drain();
  key_.reset();
  for (auto& w : workers_) w->fingerprint_with(nullptr);
  prints_.reset();
  lanes_.reset();
  holder_.end("returned");
}

DatasetRecord& Sealer::dataset() { return vault_.state().datasets.at(dataset_); }

std::string Sealer::known_place(const SealSource& s) const {
  ObjectId object;
  if (target_.out == "-") return "";
  if (called_by_object(target_, s)) {
    const auto named = known_.named_in(dir_name(place_of(target_, s, object)), s.file.name);
    if (!named) return "";
    object = *named;
  }
  std::string place = place_of(target_, s, object);
  const auto there = place.empty() ? std::nullopt : known_.at_place(place);
  return there && there->name == known_.tag_of(s.file.name) ? place : "";
}

// Whether the object that the inventory has at `place` stands there, by its header and length.
bool Sealer::in_place(const std::string& place) {
  const KnownObjects::Object o = *known_.at_place(place);
  uint64_t size = 0;
  const Fd fd(looking_.open(place, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  const auto header = header_of(fd, size);
  return header && header->vault == target_.vault && header->dataset == target_.dataset &&
         header->object == o.object && size == sealed_size(*header, o.bytes);
}

bool Sealer::unchanged(const SealSource& s) {
  const std::string place = known_place(s);
  if (place.empty() || !in_place(place)) return false;
  const KnownObjects::Object o = *known_.at_place(place);
  if (o.facts != known_.facts_of(s.file.size, s.file.mtime, s.file.ctime, o.adopted ? 0 : s.file.inode))
    return false;
  if (!o.adopted) return true;
  drain();  // lanes are asked
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
    // Under an identifier an older content stands at a place of its own: nothing would be in the way.
    if (called_by_object(target_, source) && !target_.replace)
      if (const std::string place = known_place(source); !place.empty() && exists(place))
        throw sealed_over(place);
  } catch (const Error& e) {
    if (ends_all(e)) throw;
    result_.failed.push_back({source.path, text_of(e), e.code()});
    return;
  }
  if (!called_by_object(target_, source) && target_.out != "-")
    if (const auto older = known_.at_place(place_of(target_, source, ObjectId())))
      source.over = older->object;
  queue(std::move(source));
}

// So many are waited for before the first batch begins: whether a process beside is worth its start
// (Lanes::expect) is decided by them.
void Sealer::queue(SealSource source) {
  batch_bytes_ += source.file.size;
  batch_paths_ += source.path.size();
  batch_.push_back({std::move(source), ids_.id<ObjectId>(), std::nullopt, false, std::nullopt});
  if (batch_.size() >= (begun_ ? 1 : 2) * kMaxBatch || batch_bytes_ >= kBatchBytes ||
      batch_paths_ >= kBatchPaths)
    begin();
}

void Sealer::take(SealSource source) {
  check_interrupted();
  queue(std::move(source));
}

bool Sealer::add_manifest(const std::string& path, const TreeManifest& manifest, bool whole) {
  SealSource source;
  source.path = path;
  source.kind = "manifest";
  source.manifest = &manifest;
  source.file.name = manifest.root();
  source.file.size = manifest.bytes();
  const std::string place = known_place(source);
  std::optional<TreeManifest> merged;
  try {
    if (!whole && !place.empty() && in_place(place)) {
      merged = with_older(manifest, place);
      source.manifest = &*merged;
      source.file.size = merged->bytes();
    }
  } catch (const Error& e) {
    if (ends_all(e)) throw;
    result_.failed.push_back(
        {path, "the manifest of its tree was not renewed, the older one does not open: " + text_of(e),
         e.code()});
    return false;
  }
  if (same_manifest(source)) return true;
  const Millis now = vault_.now();
  source.file.mtime = {now / 1000, now % 1000 * 1'000'000};
  const int64_t before = result_.manifests;
  batch_.push_back({std::move(source), ids_.id<ObjectId>(), std::nullopt, false, std::nullopt});
  flush();
  return result_.manifests > before;
}

// What an older manifest says of names that were not met now stays.
std::optional<TreeManifest> Sealer::with_older(const TreeManifest& now, const std::string& place) {
  drain();  // lanes are asked
  record_opening({known_.at_place(place)->object}, "kept in its new manifest");
  lanes_->allow_all(dataset(), ProcessFor::opening);
  ManifestMerge merge(now, [&](const std::string& name) { return known_.named(name).has_value(); });
  TreeManifestReader older([&](const TreeRow& row) { merge.older(row); });
  const Fd fd(open_path(place, O_RDONLY | O_NOFOLLOW));
  if (!fd.ok()) throw file_error(errno, "open", place);
  open_object(
      file_input(fd.get()), [&](const Slot& slot, ByteView aad) { return lanes_->unwrap(0, slot, aad); },
      [](const Metadata&) {}, [&](ByteView piece) { older.feed(piece); });
  older.finish();
  return merge.finish();
}

// Its bytes say all, so that the one sealed last is read.
bool Sealer::same_manifest(const SealSource& s) {
  const std::string place = known_place(s);
  if (place.empty() || !exists(place)) return false;
  const KnownObjects::Object o = *known_.at_place(place);
  if (o.bytes != s.file.size || !in_place(place)) return false;
  drain();  // lanes are asked
  record_opening({o.object}, "compare with its source");
  lanes_->allow_all(dataset(), ProcessFor::opening);
  return equals_source(place, s.manifest->source(), s.file.size,
                       [&](const Slot& slot, ByteView aad) { return lanes_->unwrap(0, slot, aad); });
}

void Sealer::flush() {
  begin();
  drain();
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
