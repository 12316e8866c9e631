#include "app/sealing.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "app/actor.h"
#include "app/key_states.h"
#include "app/settle.h"
#include "provider/wrap_checked.h"
#include "seal/files.h"

namespace kesu {

namespace {
// A batch's objects are named before the first is written, so its end in time is steered by bytes: about a
// second's work.
constexpr uint64_t kBatchBytes = 512u << 20;

struct Found {
  std::string path, name, place;
  uint64_t size = 0;
  FileTime mtime, ctime;
  uint64_t inode = 0;
};

FileTime time_of(const timespec& t) { return {t.tv_sec, t.tv_nsec}; }

void walk(const std::string& path, const std::string& name, const std::string& out, std::vector<Found>& found,
          SealResult& result) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0) {
    const int why = errno;
    result.failed.push_back(
        {path, file_error(why, "look at", path).cause(), why == ENOENT ? Code::not_found : Code::io_failed});
    return;
  }
  if (S_ISDIR(st.st_mode)) {
    try {
      for (const std::string& child : list_directory(path))
        walk(path_join(path, child), path_join(name, child), out, found, result);
    } catch (const Error& e) {
      result.failed.push_back({path, e.message() + ": " + e.cause(), e.code()});
    }
  } else if (S_ISREG(st.st_mode)) {
    found.push_back({path, name, path_join(out, name) + ".kesu", static_cast<uint64_t>(st.st_size),
                     time_of(st.st_mtim), time_of(st.st_ctim), st.st_ino});
  } else {
    result.skipped.push_back({path, S_ISLNK(st.st_mode) ? "a symbolic link" : "not a regular file"});
  }
}

// What already stands at a place may be replaced only if it is an object of the same dataset, and only when
// asked.
void check_place(const std::string& place, const VaultId& vault, const DatasetId& dataset, bool replace) {
  Fd fd(::open(place.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.ok()) {
    if (errno == ENOENT) return;
    throw Error(Code::already_exists, place + " is in the way")
        .cause("it cannot be read as a sealed object")
        .next("choose another -o DIR");
  }
  bool ours = false;
  try {
    ObjectInfo info = inspect_object(file_input(fd.get()));
    ours = info.region.header.vault == vault && info.region.header.dataset == dataset;
  } catch (const Error&) {
  }
  if (!ours)
    throw Error(Code::already_exists, place + " is in the way")
        .cause("it is no object of this dataset")
        .next("choose another -o DIR, or move that file away");
  if (!replace)
    throw Error(Code::already_exists, place + " holds another content of that name")
        .cause("sealing over it would destroy the only ciphertext of the older content")
        .next("--replace does that; or choose another -o DIR");
}

}  // namespace

std::string inode_of(const std::string& directory) {
  struct stat st {};
  return ::stat(directory.c_str(), &st) == 0 ? std::to_string(st.st_ino) : "";
}

Error quota_used_up(const State& state, const VersionRecord& v) {
  return Error(Code::wrap_quota,
               "key version " + version_name(state, v) + " may wrap no more data keys: its quota is " +
                   std::to_string(v.wrap_quota) + ", " + std::to_string(v.wraps) + " are used")
      .cause("wraps under one AES-256-GCM key with random nonces are counted, NIST SP 800-38D §8.3")
      .next("kesu key rotate " + state.key_of(v.id)->name + ", then the same command again");
}

const VersionRecord& protecting_version(Vault& vault, const DatasetRecord& d) {
  if (d.state != "open")
    throw Error(d.state == "frozen" ? Code::frozen : Code::state_refused,
                "dataset " + d.name + " is " + d.state)
        .cause(d.erasure.empty() ? "" : "by erasure " + d.erasure)
        .next(d.state == "frozen" ? "it takes no new objects until that erasure is cancelled"
                                  : "kesu dataset add makes another");
  const KeyRecord& key = vault.state().keys.at(d.key);
  refuse_reserved(vault.state(), key);
  const VersionRecord* active = key.active();
  if (!active)
    throw Error(Code::state_refused, "the key of dataset " + d.name + " has no active version")
        .cause(key.name + " is " + key.state())
        .next(how_to_activate(vault.state(), key));
  refuse_to_protect(vault, *active);
  if (active->wraps_left() == 0) throw quota_used_up(vault.state(), *active);
  return *active;
}

namespace {
class Sealer {
 public:
  Sealer(Vault& vault, const std::string& dataset, std::string out, bool replace, SealResult& result,
         const std::function<void(int64_t, int64_t)>& progress)
      : vault_(vault),
        dataset_(dataset),
        out_(std::move(out)),
        replace_(replace),
        result_(result),
        progress_(progress) {}

  void run(const std::vector<Found>& found) {
    total_ = static_cast<int64_t>(found.size());
    if (found.empty()) return;
    holder_.emplace(vault_, dataset_, "seal");
    index();
    std::vector<const Found*> batch;
    uint64_t bytes = 0;
    for (const Found& f : found) {
      if (unchanged(f)) {
        ++result_.unchanged;
        progress_(++done_, total_);
        continue;
      }
      batch.push_back(&f);
      bytes += f.size;
      if (batch.size() == kMaxBatch || bytes >= kBatchBytes) {
        seal(batch);
        batch.clear();
        bytes = 0;
      }
    }
    if (!batch.empty()) seal(batch);
    key_ = Secret();
    holder_->end("returned");
  }

 private:
  DatasetRecord& dataset() { return vault_.state().datasets.at(dataset_); }

  void index() {
    for (SegmentObject& o : read_inventory(vault_, dataset(), ProcessFor::moving)) {
      at_place_[o.place] = o.object;
      known_[o.name] = std::move(o);
    }
  }

  bool unchanged(const Found& f) {
    auto it = known_.find(f.name);
    if (it == known_.end()) return false;
    const SegmentObject& o = it->second;
    if (o.bytes != f.size || o.mtime != f.mtime || o.place != f.place || !exists(f.place)) return false;
    if (o.inode) return o.ctime == f.ctime && o.inode == f.inode;
    return same_content(f);  // adopted after an interruption: nothing else tells
  }

  bool same_content(const Found& f) {
    Fd source(::open(f.path.c_str(), O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC)),
        sealed(::open(f.place.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!source.ok() || !sealed.ok()) return false;
    bool same = true;
    uint64_t at = 0;
    Bytes buffer;
    try {
      open_object(
          file_input(sealed.get()),
          [&](const Slot& slot, ByteView aad) { return unwrap_slot(vault_, dataset(), slot, aad); },
          [](const Metadata&) {},
          [&](ByteView chunk) {
            buffer.resize(chunk.size());
            ssize_t n = ::pread(source.get(), buffer.data(), buffer.size(), static_cast<off_t>(at));
            same = same && n == static_cast<ssize_t>(chunk.size()) &&
                   std::equal(chunk.begin(), chunk.end(), buffer.begin());
            at += chunk.size();
          });
    } catch (const Error& e) {
      if (e.code() != Code::sealed_damaged) throw;
      same = false;
    }
    wipe(buffer);
    return same && at == f.size;
  }

  // The active version, and a dataset key under it for the names; made when this version has none yet.
  void prepare() {
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

  void make_dataset_key() {
    // One for the dataset key, and one at least for an object.
    if (const VersionRecord& v = *vault_.state().version(version_.str()); v.wraps_left() < 2)
      throw quota_used_up(vault_.state(), v);
    auto id = vault_.env().random.id<DatasetKeyId>();
    Secret fresh = vault_.env().random.secret(64);
    WrappedKey wrapped =
        wrap_checked(*provider_, ref_, fresh,
                     dataset_key_aad(vault_.id(), *DatasetId::parse(dataset_), id, version_), id.str());
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

  void seal(const std::vector<const Found*>& files) {
    for (size_t at = 0; at < files.size();)
      at += seal_batch({files.begin() + static_cast<ptrdiff_t>(at), files.end()});
  }

  // Seals as many of them as the key version may still wrap, one at least; returns how many.
  size_t seal_batch(std::vector<const Found*> files) {
    holder_->keep();
    BatchId batch = vault_.env().random.id<BatchId>();
    std::vector<ObjectId> ids;
    for (size_t i = 0; i < files.size(); ++i) ids.push_back(vault_.env().random.id<ObjectId>());
    for (int tries = 0;; ++tries) {
      try {
        intend(batch, ids, files);
        break;
      } catch (const Error& e) {
        // Nothing was begun: another process rotated the key or made the dataset key.
        if (e.code() != Code::conflict || tries == 3) throw;
      }
    }

    std::vector<SegmentObject> done;
    int64_t bytes = 0;
    for (size_t i = 0; i < files.size(); ++i) {
      const Found& f = *files[i];
      try {
        done.push_back(seal_one(f, ids[i]));
        bytes += static_cast<int64_t>(done.back().bytes);
      } catch (const Error& e) {
        // The source or the place is at fault: the others go on. A provider or disk at fault ends the batch.
        if (e.exit() == Exit::unavailable || e.code() == Code::disk_full || e.code() == Code::key_mismatch ||
            e.code() == Code::token_changed || e.code() == Code::pin_missing ||
            e.code() == Code::pin_source_unsafe) {
          finish(batch, done, bytes);
          throw;
        }
        result_.failed.push_back(
            {f.path, e.message() + (e.cause().empty() ? "" : ": " + e.cause()), e.code()});
      }
      progress_(++done_, total_);
    }
    finish(batch, done, bytes);
    return files.size();
  }

  // The entry before the batch: under which version and dataset key, and how many the quota allows.
  void intend(const BatchId& batch, const std::vector<ObjectId>& ids, std::vector<const Found*>& files) {
    prepare();
    if (key_id_.empty()) make_dataset_key();
    std::string version = version_.str(), key_id = key_id_;
    vault_.decide({dataset_, version, vault_.state().vault.id}, [&] {
      prepare();
      if (version_.str() != version || key_id_ != key_id)
        throw Error(Code::conflict, "the key was rotated meanwhile").next("run the same command again");
      // The entry is what takes the wraps from the version's quota, before the first is made.
      auto left = static_cast<uint64_t>(vault_.state().version(version)->wraps_left());
      if (left < files.size()) files.resize(left);
      Json objects(Json::Array{});
      for (size_t i = 0; i < files.size(); ++i) objects.push(hex(ids[i].bytes()));
      return std::vector<Event>{{.type = "seal-intended",
                                 .nodes = {{.id = batch.str(),
                                            .is = "intended",
                                            .of = dataset_,
                                            .n = static_cast<int64_t>(files.size())}},
                                 .edges = {{version, batch.str()}},
                                 .body = Json::object({{"actor", this_process()},
                                                       {"location", out_},
                                                       {"location_inode", inode_of(out_)},
                                                       {"objects", objects},
                                                       {"version", version},
                                                       {"dataset_key", key_id}})}};
    });
  }

  SegmentObject seal_one(const Found& f, const ObjectId& id) {
    Fd fd(::open(f.path.c_str(), O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC));
    if (!fd.ok()) throw file_error(errno, "open", f.path);
    check_place(f.place, vault_.id(), *DatasetId::parse(dataset_), replace_);
    safe_destination(out_, f.name + ".kesu");  // makes the directories, and follows no link out of them
    const Json& settings = dataset().settings;
    SealRequest request{.vault = vault_.id(),
                        .dataset = *DatasetId::parse(dataset_),
                        .object = id,
                        .version = version_,
                        .algorithm = content_algorithm(dataset()),
                        .chunk = static_cast<uint32_t>(settings.num("chunk")),
                        .bind_payload = settings.flag("bind_payload"),
                        .metadata = {}};
    request.metadata.name = f.name;
    SealedFile sealed = seal_file_to(
        request, fd.get(), dir_name(f.place),
        [&](const Secret& key, ByteView aad) { return wrap_checked(*provider_, ref_, key, aad, f.path); },
        vault_.env().random, crew_);
    publish(sealed.part, f.place);
    SegmentObject o;
    o.object = id;
    o.leaf = sealed.object.leaf;
    o.name = f.name;
    o.place = f.place;
    o.bytes = sealed.object.plain_bytes;
    o.mode = sealed.source.mode;
    o.mtime = sealed.source.mtime;
    o.ctime = sealed.source.ctime;
    o.inode = f.inode;
    o.salt = vault_.env().random.bytes(16);
    if (auto it = at_place_.find(f.place); it != at_place_.end()) o.supersedes = it->second;
    at_place_[f.place] = id;
    result_.sealed_bytes += static_cast<int64_t>(sealed.object.sealed_bytes);
    return o;
  }

  // Durable first, then said: one sync for the whole batch, the segment, the entry.
  void finish(const BatchId& batch, const std::vector<SegmentObject>& done, int64_t bytes) {
    if (done.empty()) {
      vault_.append({{.type = "seal-abandoned",
                      .nodes = {{.id = batch.str(), .is = "abandoned", .of = dataset_}},
                      .body = Json::object(
                          {{"why", "none of its files could be sealed"}, {"removed", Json(Json::Array{})}})}},
                    {});
      return;
    }
    Fd out(::open(out_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!out.ok() || ::syncfs(out.get()) != 0) throw file_error(errno, "make durable", out_);
    SegmentHeader header{vault_.id(), *DatasetId::parse(dataset_), batch, *DatasetKeyId::parse(key_id_)};
    vault_.append({seal_done(vault_, header, done, key_, bytes, version_.str(), dataset(), false)},
                  {batch.str()});
    for (const SegmentObject& o : done) known_[o.name] = o;
    result_.sealed += static_cast<int64_t>(done.size());
    result_.bytes += bytes;
    ++result_.batches;
  }

  Vault& vault_;
  std::string dataset_, out_;
  bool replace_;
  SealResult& result_;
  const std::function<void(int64_t, int64_t)>& progress_;
  std::optional<KeyHolder> holder_;
  std::map<std::string, SegmentObject> known_;  // newest of each name
  std::map<std::string, ObjectId> at_place_;    // what was sealed last to each place
  VersionRef version_;
  KeyRef ref_;
  Provider* provider_ = nullptr;
  Secret key_;
  std::string key_id_;
  int64_t done_ = 0, total_ = 0;
  Crew crew_;
};
}  // namespace

Event seal_done(Vault& vault, const SegmentHeader& header, const std::vector<SegmentObject>& objects,
                const Secret& dataset_key, int64_t bytes, const std::string& version,
                const DatasetRecord& dataset, bool interrupted) {
  std::string ds = header.dataset.str(), batch = header.batch.str();
  bool written = vault.store().has_segment(ds, batch);
  Bytes segment = written ? vault.store().segment(ds, batch)
                          : write_segment(header, objects, dataset_key, vault.env().random);
  std::string digest = vault.store().put_segment(ds, batch, segment);
  SegmentLeaves listed = parse_segment_leaves(segment);
  int64_t replaced = std::count_if(objects.begin(), objects.end(),
                                   [](const SegmentObject& o) { return o.supersedes.has_value(); });
  return {.type = "seal-done",
          .nodes = {{.id = header.batch.str(),
                     .is = "sealed",
                     .of = header.dataset.str(),
                     .n = static_cast<int64_t>(listed.objects.size()),
                     .b = bytes,
                     .d = hex(listed.root())}},
          .body = Json::object({{"segment", digest},
                                {"version", version},
                                {"dataset_key", header.dataset_key.str()},
                                {"content_algorithm", dataset.settings.str("content_algorithm")},
                                {"wrap_algorithm", "AES-256-GCM"},
                                {"chunk", dataset.settings.num("chunk")},
                                {"interrupted", interrupted},
                                {"replaced", replaced}})};
}

SealResult seal_files(Vault& vault, DatasetRecord& dataset, const std::vector<std::string>& sources,
                      const std::string& out, bool replace,
                      const std::function<void(int64_t, int64_t)>& progress) {
  std::string id = dataset.id, place = absolute_path(out);
  settle(vault);
  const DatasetRecord& now = vault.state().datasets.at(id);
  if (now.state != "open") protecting_version(vault, now);  // says why, before any key is asked for
  SealResult result;
  std::vector<Found> found;
  std::set<std::string> tops;
  for (const std::string& source : sources) {
    std::string path = absolute_path(source), base = base_name(path);
    if (!tops.insert(base).second)
      throw Error(Code::usage, "two sources are called " + base)
          .next("seal them one after the other, to different -o DIR");
    if ((place + "/").starts_with(path + "/"))
      throw Error(Code::usage, "-o " + out + " lies inside " + source).next("choose a directory outside");
    walk(path, base, place, found, result);
  }
  make_directories(place);
  try {
    Sealer(vault, id, place, replace, result, progress).run(found);
  } catch (Error& e) {
    if (e.code() != Code::wrap_quota) throw;
    if (result.sealed) vault.checkpoint();
    int64_t handled = result.sealed + result.unchanged + static_cast<int64_t>(result.failed.size());
    throw e.tried("sealed " + std::to_string(result.sealed) + " of " + std::to_string(found.size()) +
                  " files, which stay; " + std::to_string(static_cast<int64_t>(found.size()) - handled) +
                  " were not begun");
  }
  if (result.sealed) vault.checkpoint();
  return result;
}

std::vector<std::string> sealed_files(const std::vector<std::string>& roots) {
  std::vector<std::string> out;
  std::function<void(const std::string&, bool)> visit = [&](const std::string& path, bool named) {
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0) throw file_error(errno, "look at", path);
    if (S_ISDIR(st.st_mode))
      for (const std::string& child : list_directory(path)) visit(path_join(path, child), false);
    else if (S_ISREG(st.st_mode) && (named || path.ends_with(".kesu")))
      out.push_back(path);
  };
  for (const std::string& root : roots) visit(root, true);
  return out;
}

Exit exit_of_parts(int64_t done, const std::vector<Skipped>& failed) {
  if (failed.empty()) return Exit::done;
  for (const Skipped& f : failed)
    if (f.code == Code::sealed_damaged) return Exit::invalid;
  bool same = std::all_of(failed.begin(), failed.end(),
                          [&](const Skipped& f) { return exit_of(f.code) == exit_of(failed[0].code); });
  return done == 0 && same ? exit_of(failed[0].code) : Exit::partial;
}

}  // namespace kesu
