// Interrupted sealing: what stands whole is adopted, what cannot be opened is set aside, never deleted
// (docs/decisions/0002-settling-an-interrupted-seal.md).
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <set>

#include "app/hollow_files.h"
#include "app/inventory_reader.h"
#include "app/keys.h"
#include "app/known_objects.h"
#include "app/place_id.h"
#include "app/rewrap.h"
#include "app/sealed_name.h"
#include "app/sealing.h"
#include "app/settle.h"
#include "base/below.h"
#include "base/files.h"
#include "seal/files.h"

namespace kesu {

namespace {
constexpr std::string_view kPart = ".kesu-part", kAside = ".kesu-damaged";

Error unexamined(const BatchRecord& batch) {
  return Error(Code::io_failed, "an interrupted batch of " + std::to_string(batch.objects.size()) +
                                    " objects lies in " + batch.location +
                                    ", which is not there, or not known to be that directory")
      .next("bring it back (mount it), or kesu inventory settle DATASET --location-lost REASON");
}

// What keeps something below the place from being looked at. Sealing goes through no mount point: one below
// the place was put there afterwards, over whatever lies there.
struct Cover {
  std::string place, why;
};
Cover mounted(const std::string& place, bool directory) {
  return {place, directory ? "another file system is mounted there" : "another file is mounted over it"};
}

Error hidden(const BatchRecord& batch, const std::string& dataset, int64_t unseen, const Cover& by) {
  return Error(Code::io_failed, "of an interrupted batch of " + std::to_string(batch.objects.size()) +
                                    " objects " + std::to_string(unseen) + " are not found below " +
                                    batch.location)
      .cause("they may lie at or below " + by.place + ": " + by.why)
      .next("unmount it, or let this user read it; or, where nothing lies there: kesu inventory settle " +
            dataset + " --location-lost REASON");
}

// What lies in a batch's place, by names below it: files of one command, by what their names say.
struct Leftovers {
  std::optional<Cover> cover;                // the first that was met
  Durable durable;                           // the file systems
  std::vector<std::string> places;           // under final names, of whatever dataset
  std::map<std::string, std::string> parts;  // object (hex) -> name
  std::set<std::string> aside;               // objects that an earlier settling set aside
  std::vector<std::string> odd;              // under names of kesu's, and no regular file
  std::vector<std::string> hollow;           // under final names, and without content

  void covered(Cover by) {
    if (!cover) cover = std::move(by);
  }
};

// The disk, or the rights of this user, and not this process or another one at work there.
bool is_of_the_place(const Error& e, int why) {
  return e.code() == Code::io_failed && why != EMFILE && why != ENFILE && why != ENOMEM && why != EINTR;
}
bool is_kesus(const std::string& leaf) {
  return leaf.ends_with(".kesu") || leaf.ends_with(kPart) || leaf.ends_with(kAside);
}

// Trees may be deeper than any path: by descriptors, without recursion.
void look_below(Below& below, const std::set<std::string>& intended, Leftovers& out) {
  std::vector<std::string> todo = {""};
  std::optional<PlaceId> top;
  while (!todo.empty()) {
    const std::string directory = std::move(todo.back());
    todo.pop_back();
    const std::string shown = path_join(below.root(), directory);
    int fd = -1;
    std::vector<std::string> leaves;
    try {
      errno = 0;
      fd = below.directory(directory);
      leaves = list_directory(fd, shown);
    } catch (const Error& e) {
      if (directory.empty() || !is_of_the_place(e, errno)) throw;
      out.covered({shown, e.cause()});
      continue;
    }
    const auto id = place_id(fd);
    if (!id) throw file_error(errno, "look at", shown);
    if (!top) top = id;
    if (!id->same_mount(*top)) out.covered(mounted(shown, true));
    out.durable.wrote(fd, shown);
    for (const std::string& leaf : leaves) {
      std::string name = path_join(directory, leaf);
      struct stat st {};
      if (::fstatat(fd, leaf.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;  // another process took it away
        Error e = file_error(errno, "look at", path_join(below.root(), name));
        if (!is_of_the_place(e, errno)) throw e;
        out.covered({path_join(below.root(), name), e.cause()});
        continue;
      }
      if (S_ISDIR(st.st_mode)) {
        if (!is_of_the_filesystem(fd, leaf, st)) todo.push_back(std::move(name));
      } else if (!S_ISREG(st.st_mode)) {
        if (is_kesus(leaf)) out.odd.push_back(std::move(name));
      } else if (leaf.ends_with(kPart) && leaf.size() == 33 + kPart.size() &&
                 intended.contains(leaf.substr(1, 32))) {
        out.parts[leaf.substr(1, 32)] = std::move(name);
      } else if (leaf.ends_with(kAside) && intended.contains(leaf.substr(0, 32))) {
        out.aside.insert(leaf.substr(0, 32));
      } else if (leaf.ends_with(".kesu")) {
        out.places.push_back(std::move(name));
      }
    }
  }
  std::sort(out.places.begin(), out.places.end());
}

// A single file may be mounted over another, too, as containers do. Asked only where an object is missing.
void look_at_files(Below& below, Leftovers& out) {
  const auto top = place_id(below.directory(""));
  for (const auto* names : {&out.places, &out.odd})
    for (const std::string& name : *names) {
      std::string leaf;
      const int directory = below.directory_of(name, leaf);
      const auto id = place_id(directory, leaf);
      if (top && id && !id->same_mount(*top))
        return out.covered(mounted(path_join(below.root(), name), false));
    }
}

// Errors: sealed_damaged where it does not open to its end, those of unwrap_slot.
SegmentObject open_whole(Vault& vault, const DatasetRecord& dataset, const SealedInput& in,
                         const ObjectHeader& found, bool& manifest) {
  OpenedObject opened = open_object(
      in,
      [&](const Slot& s, ByteView aad) { return unwrap_slot(vault, dataset, s, aad, ProcessFor::moving); },
      [](const Metadata&) {}, [](ByteView) {});
  SegmentObject o;
  o.object = found.object;
  o.leaf = inventory_leaf(found, found.payload_bound ? payload_root_of(in, found) : Digest32{});
  o.name = opened.metadata.name;
  manifest = opened.metadata.kind == "manifest";
  o.bytes = opened.plain_bytes;
  o.mode = opened.metadata.mode;
  o.mtime = opened.metadata.mtime;
  o.salt = vault.env().random.bytes(16);
  return o;
}

// One that does not open is tried once more, after the key has shown that it works: a token that answers
// wrongly says nothing about a file. nullopt: it does not open under a key that does.
std::optional<SegmentObject> open_twice(Vault& vault, const DatasetRecord& dataset, const BatchRecord& batch,
                                        bool same_place, const SealedInput& in, const ObjectHeader& found,
                                        const std::string& path, bool& manifest) {
  try {
    return open_whole(vault, dataset, in, found, manifest);
  } catch (const Error& e) {
    if (e.code() != Code::sealed_damaged) throw;
    if (!same_place) throw;  // in a copy of the place, damage is the copy's
  }
  const VersionRecord v = *vault.state().version(batch.version);
  if (!v.ref || !opens_canary(vault.provider(v.provider), *v.ref))
    throw Error(Code::outcome_unknown, "whether " + path + " is whole is unknown")
        .cause("it does not open, and neither does the canary of its key, " + version_name(vault.state(), v))
        .next("kesu provider test " + vault.state().providers.at(v.provider).name);
  try {
    return open_whole(vault, dataset, in, found, manifest);
  } catch (const Error& e) {
    if (e.code() != Code::sealed_damaged) throw;
    return std::nullopt;
  }
}

// Beside where it stood, under a name that says which object it is and that nothing else has.
std::string set_aside(Below& below, const std::string& name, const std::string& object) {
  std::string leaf;
  const int directory = below.directory_of(name, leaf);
  const std::string above = dir_name(path_join(below.root(), name));
  for (int n = 1;; ++n) {
    std::string to = object + (n == 1 ? "" : "." + std::to_string(n));
    to += kAside;
    try {
      publish(At{directory, above}, leaf, to, false);
      return path_join(above, to);
    } catch (const Error& e) {
      if (e.code() != Code::already_exists || n == 100) throw;
    }
  }
}

// From when on a file of this name may have been left by the batch. One with an object of the batch in its
// name is nobody else's, whatever the clock said: it may have been set back since.
Millis since_for(const std::string& leaf, const BatchRecord& batch, const std::set<std::string>& intended) {
  constexpr size_t kIdentifier = 32;
  std::string_view id = leaf;
  if (id.starts_with(kManifestName)) id.remove_prefix(kManifestName.size());
  const bool named_by_it = id.size() == kIdentifier + kSealedEnding.size() && id.ends_with(kSealedEnding) &&
                           intended.contains(std::string(id.substr(0, kIdentifier)));
  return named_by_it ? std::numeric_limits<Millis>::min() : batch.since;
}

// Named before their bytes were durable, by a machine that then stopped: nothing is in them, and they are in
// the way of the same names. How many are gone.
int64_t remove_hollow(Vault& vault, Below& below, const BatchRecord& batch,
                      const std::set<std::string>& intended, const std::vector<std::string>& names) {
  int64_t removed = 0;
  for (const std::string& name : names) {
    std::string leaf;
    const int directory = below.directory_of(name, leaf);
    const Fd fd(::openat(directory, leaf.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat st {};
    if (!fd.ok() || ::fstat(fd.get(), &st) != 0 || !is_hollow(fd.get(), st, since_for(leaf, batch, intended)))
      continue;
    if (::unlinkat(directory, leaf.c_str(), 0) == 0)
      ++removed;
    else if (errno != ENOENT)
      throw file_error(errno, "remove", path_join(batch.location, name));
  }
  if (removed)
    vault.env().notice(std::to_string(removed) + " files below " + batch.location +
                       " had their names and no content, as after a loss of power: they are removed; seal "
                       "their sources again");
  return removed;
}

// Objects of an unfinished batch that stand whole under their final names are adopted. Nothing is moved or
// removed before all of them were looked at, and under its final name nothing is removed ever but what has no
// content. `lost`: why objects that a mount may hide are given up; "": they are not.
void settle_batch(Vault& vault, const std::string& dataset_id, const BatchRecord& batch,
                  const std::string& lost = "") {
  const std::set<std::string> intended(batch.objects.begin(), batch.objects.end());
  // With a segment only the entry is missing: its objects were durable before it was written, and it is
  // written once.
  const bool written = vault.store().has_segment(dataset_id, batch.id);
  const bool piped = batch.location == "-";  // to standard output: there is no place to look at
  if (!written && !piped && !exists(batch.location)) throw unexamined(batch);
  Leftovers left;
  std::optional<Below> below;
  bool same = false;
  if (!piped && exists(batch.location)) try {
      errno = 0;
      look_below(below.emplace(batch.location), intended, left);
      same = batch.place.is(place_mark(below->directory("")));
    } catch (const Error& e) {
      if (lost.empty() || !is_of_the_place(e, errno)) throw;
      left.covered({batch.location, e.cause()});
    }

  KeyHolder holder(vault, dataset_id, "settle");
  const DatasetRecord dataset = vault.state().datasets.at(dataset_id);
  const SegmentHeader header{vault.id(), *DatasetId::parse(dataset_id), *BatchId::parse(batch.id),
                             *DatasetKeyId::parse(batch.dataset_key)};
  std::vector<SegmentObject> adopted;
  std::map<std::string, std::string> damaged;  // name -> object (hex)
  if (written) {
    Secret key = open_dataset_key(vault, dataset, batch.dataset_key, ProcessFor::moving);
    adopted = open_segment(vault.store().segment(dataset_id, batch.id), key);
    left.places.clear();
  }
  KnownObjects known;
  if (!written && !left.places.empty())
    InventoryReader(vault, dataset, ProcessFor::moving).each([&](const SegmentObject& o) { known.add(o); });
  for (const std::string& name : left.places) {
    const std::string path = path_join(batch.location, name);
    std::string leaf;
    const int directory = below->directory_of(name, leaf);
    Fd fd(::openat(directory, leaf.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.ok()) {
      Error e = file_error(errno, "open", path);
      if (!is_of_the_place(e, errno)) throw e;
      left.covered({path, e.cause()});
      continue;
    }
    struct stat st {};
    if (same && ::fstat(fd.get(), &st) == 0 && is_hollow(fd.get(), st, since_for(leaf, batch, intended))) {
      left.hollow.push_back(name);
      continue;
    }
    SealedInput in = file_input(fd.get());
    bool unread = false;  // the disk, and not what is on it
    in.read = [&unread, read = std::move(in.read)](uint64_t offset, std::span<uint8_t> to) {
      try {
        read(offset, to);
      } catch (const Error& e) {
        unread |= e.code() == Code::io_failed;
        throw;
      }
    };
    ObjectHeader found;
    try {
      if (in.size < kImmutableBytes) continue;
      Bytes first(kImmutableBytes);
      in.read(0, first);
      found = parse_object_header(first);
    } catch (const Error& e) {
      if (unread) left.covered({path, e.cause()});
      continue;  // no object of ours
    }
    const std::string object = hex(found.object.bytes());
    if (found.vault != vault.id() || found.dataset.str() != dataset_id || !intended.contains(object))
      continue;
    bool manifest = false;
    std::optional<SegmentObject> whole;
    try {
      whole = open_twice(vault, dataset, batch, same, in, found, path, manifest);
    } catch (const Error& e) {
      if (!unread) throw;
      left.covered({path, e.cause()});
      continue;
    }
    if (!whole) {
      damaged[name] = object;
      continue;
    }
    whole->place = path;
    // Under its identifier the object of that name; its file goes at the next sealing there.
    const bool hidden = lies_under_identifier(*whole);
    if (manifest) {  // written over none
      adopted.push_back(std::move(*whole));
      continue;
    }
    if (!hidden) {
      if (const auto older = known.at_place(path)) whole->supersedes = older->object;
    } else {
      whole->supersedes = known.named_in(dir_name(path), whole->name);
    }
    adopted.push_back(std::move(*whole));
  }
  // In a directory that is not the one sealed to, nothing found says nothing; a copy of it does.
  const bool unexplored = adopted.empty() && !written && !piped && !same;
  if (unexplored && lost.empty()) throw unexamined(batch);
  const auto unseen =
      static_cast<int64_t>(intended.size()) -
      static_cast<int64_t>(adopted.size() + damaged.size() + left.parts.size() + left.aside.size());
  if (unseen > 0 && !written && below && !left.cover) look_at_files(*below, left);
  const bool may_be_hidden = unseen > 0 && !written && (left.cover || unexplored);
  if (may_be_hidden && lost.empty()) throw hidden(batch, dataset.name, unseen, *left.cover);

  for (auto& [name, object] : damaged) {
    const std::string path = path_join(batch.location, name), to = set_aside(*below, name, object);
    left.aside.insert(object);
    vault.env().notice(path + " was sealed by an interrupted command and does not open: it is kept as " + to +
                       ", and is not in the inventory of " + dataset.name + "; seal its source again");
  }
  Json removed(Json::Array{}), aside(Json::Array{});
  for (auto& [object, name] : left.parts) {
    std::string leaf;  // never had its final name: its source was not done with
    const int directory = below->directory_of(name, leaf);
    if (::unlinkat(directory, leaf.c_str(), 0) != 0 && errno != ENOENT) {
      if (lost.empty()) throw file_error(errno, "remove", path_join(batch.location, name));
      continue;  // it stays, for kesu inventory remove
    }
    removed.push(object);
  }
  for (const std::string& object : left.aside) aside.push(object);
  const int64_t hollow =
      unseen > 0 && !left.hollow.empty() ? remove_hollow(vault, *below, batch, intended, left.hollow) : 0;
  // What a segment lists was durable before it was written.
  if (!damaged.empty() || (!written && !adopted.empty())) left.durable.sync();
  if (adopted.empty()) {
    Json body = Json::object({{"why", may_be_hidden ? "declared lost: " + lost
                                      : piped       ? "interrupted while it was written to standard output"
                                      : left.aside.empty() ? "interrupted before any of its objects was whole"
                                                           : "interrupted, and none of its objects opens"},
                              {"removed", removed}});
    if (!left.aside.empty()) body.set("set_aside", aside);
    if (hollow) body.set("hollow", hollow);
    vault.append({{.type = "seal-abandoned",
                   .nodes = {{.id = batch.id, .is = "abandoned", .of = dataset_id}},
                   .body = std::move(body)}},
                 {batch.id});
    vault.env().notice("settled: a batch of " + dataset.name +
                       " was interrupted, and none of its objects is kept as sealed");
  } else {
    int64_t bytes = 0;
    for (const SegmentObject& o : adopted) bytes += static_cast<int64_t>(o.bytes);
    Secret key = open_dataset_key(vault, dataset, batch.dataset_key, ProcessFor::moving);
    Event done = seal_done(vault, header, adopted, key, bytes, batch.version, dataset, true);
    done.body.set("removed", removed);
    if (may_be_hidden) done.body.set("why", "declared lost: " + lost);
    if (!left.aside.empty()) done.body.set("set_aside", aside);
    if (hollow) done.body.set("hollow", hollow);
    vault.append({std::move(done)}, {batch.id});
    vault.env().notice("settled: " + std::to_string(adopted.size()) + " of " +
                       std::to_string(intended.size()) + " objects of an interrupted batch of " +
                       dataset.name + " were whole and are kept");
  }
  holder.end("returned");
}
}  // namespace

int64_t settle_hidden_seals(Vault& vault, const std::string& dataset, const std::string& reason) {
  std::vector<BatchRecord> open;
  for (const BatchRecord& b : vault.state().datasets.at(dataset).batches.open())
    if (b.state == "intended" && may_settle(vault, b.actor, b.since) && same_place(b)) open.push_back(b);
  int64_t settled = 0;
  for (const BatchRecord& b : open)
    attempt_to_settle(vault, [&] {
      settle_batch(vault, dataset, b, reason);
      ++settled;
    });
  return settled;
}

void settle_seals(Vault& vault) {
  std::vector<std::pair<std::string, BatchRecord>> open;
  for (auto& [id, d] : vault.state().datasets)
    for (const BatchRecord& b : d.batches.open())
      if (b.state == "intended" && may_settle(vault, b.actor, b.since)) open.emplace_back(id, b);
  for (auto& [dataset, batch] : open)
    attempt_to_settle(vault, [&, &ds = dataset, &b = batch] { settle_batch(vault, ds, b); });
}

}  // namespace kesu
