// Re-wrapping: what stands in the files, and how an interrupted batch is ended by reading it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/actor.h"
#include "app/rewrap.h"
#include "app/settle.h"
#include "seal/files.h"

namespace kesu {

std::vector<std::string> versions_by_position(const BatchRecord& b) {
  std::vector<std::string> at(static_cast<size_t>(b.n), b.version);
  for (auto& [version, ranges] : b.on)
    for (auto [first, last] : ranges)
      for (int64_t i = first; i <= last && i < b.n; ++i) at[static_cast<size_t>(i)] = version;
  return at;
}

Positions ranges_of(const std::vector<int64_t>& positions) {
  Positions out;
  for (int64_t i : positions) {
    if (!out.empty() && out.back().second >= i - 1)
      out.back().second = i;
    else
      out.emplace_back(i, i);
  }
  return out;
}

void Durable::wrote(int fd, const std::string& path) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) throw file_error(errno, "look at", path);
  wrote(fd, st.st_dev, path);
}

void Durable::wrote(int fd, uint64_t device, const std::string& path) {
  std::lock_guard lock(mutex_);
  if (by_device_.contains(device)) return;
  Fd kept(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!kept.ok()) throw file_error(errno, "keep open", path);
  by_device_.emplace(device, std::pair(std::move(kept), path));
}

void Durable::sync() {
  for (auto& [device, file] : by_device_)
    if (::syncfs(file.first.get()) != 0) throw file_error(errno, "make durable", file.second);
}

Bytes region_at(int fd, uint64_t file_size) {
  Bytes out(std::min<uint64_t>(file_size, kRegionBytes));
  file_input(fd, file_size).read(0, out);
  return out;
}

FileLook look_at(const VaultId& vault, const DatasetId& dataset, const ObjectId& object,
                 const std::string& path, OpenNearby& files) {
  FileLook out;
  Fd fd(files.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (!fd.ok()) {
    const bool gone = errno == ENOENT || errno == ENOTDIR;
    Error e = file_error(errno, "open", path);
    out.kind = gone ? FileLook::absent : FileLook::unreadable;
    out.code = out.kind == FileLook::absent ? Code::not_found : e.code();
    out.why = out.kind == FileLook::absent ? "it is not there" : e.cause();
    return out;
  }
  try {
    struct stat st {};
    if (::fstat(fd.get(), &st) != 0) throw file_error(errno, "look at", path);
    if (!S_ISREG(st.st_mode)) throw Error(Code::bad_input, "it is no regular file");
    out.size = static_cast<uint64_t>(st.st_size);
    out.bytes = region_at(fd.get(), out.size);
    out.region = inspect_region(out.bytes, out.size).region;
    const ObjectHeader& h = out.region.header;
    if (h.vault != vault || h.dataset != dataset || h.object != object) {
      out.kind = FileLook::other;
      out.code = Code::not_found;
      out.why = "another object stands there";
      return out;
    }
    out.device = st.st_dev;
    out.inode = st.st_ino;
    out.kind = FileLook::ours;
    out.newest = out.region.usable().front()->version.str();
  } catch (const Error& e) {
    out.kind = FileLook::unreadable;
    out.code = e.code();
    out.why = e.message() + (e.cause().empty() ? "" : ": " + e.cause());
  }
  return out;
}

PlacesFound find_objects(Vault& vault, const std::string& dataset, const std::vector<std::string>& paths,
                         std::vector<Skipped>& failed) {
  PlacesFound out;
  for (const std::string& named : sealed_files(paths, failed)) {
    std::string path = absolute_path(named);
    Fd fd(open_path(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    try {
      if (!fd.ok()) throw file_error(errno, "open", path);
      ObjectHeader h = inspect_object(file_input(fd.get())).region.header;
      if (h.vault != vault.id() || h.dataset.str() != dataset)
        throw Error(Code::state_refused, "it belongs to another dataset or vault");
      out[h.object].push_back(path);
    } catch (const Error& e) {
      failed.push_back({path, e.message() + (e.cause().empty() ? "" : ": " + e.cause()), e.code()});
    }
  }
  return out;
}

std::string opens_under(Vault& vault, const DatasetRecord& dataset, const std::string& path) {
  Fd fd(open_path(path, O_RDONLY | O_NOFOLLOW));
  if (!fd.ok()) throw file_error(errno, "open", path);
  return opening_version(file_input(fd.get()),
                         [&](const Slot& slot, ByteView aad) {
                           return unwrap_slot(vault, dataset, slot, aad, ProcessFor::moving);
                         })
      .str();
}

namespace {
struct Seen {
  bool any = false;  // a file of the object, or another one in its place, was looked at
  FileLook::Kind place = FileLook::absent;  // at the inventory's place
  bool moved = false;                       // every file of it opens by a slot of the new version
};

Seen see(Vault& vault, const DatasetRecord& d, const std::string& version, const ObjectId& object,
         const std::vector<std::string>& paths, Durable& durable) {
  Seen out;
  bool ours = false, behind = false;
  OpenNearby files;
  for (const std::string& path : paths) {
    const FileLook look = look_at(vault.id(), *DatasetId::parse(d.id), object, path, files);
    out.any |= look.kind != FileLook::absent;
    if (path == paths.front()) out.place = look.kind;
    if (look.kind == FileLook::absent || look.kind == FileLook::other) continue;
    ours = true;
    if (look.newest != version) {
      behind = true;
      continue;
    }
    // A good checksum says that the slot is whole; that it opens is asked of the provider.
    behind |= opens_under(vault, d, path) != version;
    Fd fd(open_path(path, O_RDONLY | O_NOFOLLOW));
    if (!fd.ok()) throw file_error(errno, "open", path);
    durable.wrote(fd.get(), path);
  }
  out.moved = ours && !behind;
  return out;
}
}  // namespace

bool answer_rewrap(Vault& vault, const std::string& dataset, const BatchRecord& asked, Event answer) {
  bool recorded = false;
  vault.decide({asked.id}, [&] {
    const BatchRecord* now = vault.state().datasets.at(dataset).batches.find_open(asked.id);
    recorded = now && !now->rewrap.version.empty() &&
               same_question(asked.rewrap.actor, asked.rewrap.since, now->rewrap.actor, now->rewrap.since);
    return recorded ? std::vector<Event>{answer} : std::vector<Event>();
  });
  return recorded;
}

void settle_rewrap(Vault& vault, const std::string& dataset_id, const std::string& batch_id,
                   const PlacesFound& found, const std::string& lost) {
  KeyHolder holder(vault, dataset_id, "settle");
  const DatasetRecord dataset = vault.state().datasets.at(dataset_id);
  const std::optional<BatchRecord> batch = dataset.batches.find(batch_id);
  // Settled since it was listed; another process may be re-wrapping that batch now.
  if (!batch || batch->rewrap.version.empty() || !may_settle(vault, batch->rewrap.actor, batch->rewrap.since))
    return holder.end("returned");
  std::vector<SegmentObject> objects;
  {
    Secret key = open_dataset_key(vault, dataset, batch->dataset_key, ProcessFor::moving);
    objects = open_segment(vault.store().segment(dataset_id, batch_id), key);
  }
  std::vector<int64_t> moved;
  int64_t unseen = 0;
  std::string why_hidden;
  const SealedPlace place(batch->location, batch->place);
  Durable durable;
  for (auto [first, last] : batch->rewrap.objects)
    for (int64_t i = first; i <= last; ++i) {
      const SegmentObject& o = objects.at(static_cast<size_t>(i));
      std::vector<std::string> paths = {o.place};
      if (auto it = found.find(o.object); it != found.end())
        paths.insert(paths.end(), it->second.begin(), it->second.end());
      Seen seen = see(vault, dataset, batch->rewrap.version, o.object, paths, durable);
      // In the directory that was sealed to, what is gone is gone, and counts as not moved. A file that may
      // still lie at a place that is not seen now holds the old slot only.
      const bool hidden = (seen.place == FileLook::absent || seen.place == FileLook::other) &&
                          place.may_hide(o.place, seen.place == FileLook::other);
      if (seen.moved && !(hidden && lost.empty())) moved.push_back(i);
      if (seen.any || !hidden) continue;
      ++unseen;
      why_hidden = place.why_hidden(o.place);
    }
  if (unseen && lost.empty())
    throw Error(Code::io_failed, "of an interrupted re-wrap " + std::to_string(unseen) +
                                     " objects are not found below " + batch->location)
        .cause(why_hidden)
        .next("bring it back (mount it, unmount what hides it), or kesu rewrap " + dataset.name +
              " PATH with where the files are now, or kesu inventory settle " + dataset.name +
              " --location-lost REASON");
  durable.sync();
  Json body = Json::object({{"version", batch->rewrap.version},
                            {"wrap_algorithm", "AES-256-GCM"},
                            {"objects", positions_json(ranges_of(moved))},
                            {"interrupted", true}});
  if (!lost.empty()) body.set("why", "declared lost: " + lost);
  const bool recorded = answer_rewrap(vault, dataset_id, *batch,
                                      {.type = "rewrap-done",
                                       .nodes = {{.id = batch_id, .n = static_cast<int64_t>(moved.size())}},
                                       .body = std::move(body)});
  if (recorded)
    vault.env().notice("settled: " + std::to_string(moved.size()) + " of " +
                       std::to_string(count_positions(batch->rewrap.objects)) +
                       " objects of an interrupted re-wrap of " + dataset.name + " were moved");
  holder.end("returned");
}

void settle_rewraps(Vault& vault) {
  std::vector<std::pair<std::string, std::string>> open;
  for (auto& [id, d] : vault.state().datasets)
    for (const BatchRecord& b : d.batches.open())
      if (!b.rewrap.version.empty() && may_settle(vault, b.rewrap.actor, b.rewrap.since))
        open.emplace_back(id, b.id);
  for (auto& [dataset, batch] : open)
    attempt_to_settle(vault, [&, &ds = dataset, &b = batch] { settle_rewrap(vault, ds, b, {}, ""); });
}

}  // namespace kesu
