#include "app/settle.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <regex>
#include <set>

#include "app/actor.h"
#include "app/containers.h"
#include "app/key_destroy.h"
#include "app/key_states.h"
#include "app/keys.h"
#include "app/rewrap.h"
#include "app/sealing.h"
#include "base/files.h"
#include "erasure/destroy_version.h"
#include "seal/files.h"

namespace kesu {

namespace {
// A process that cannot be seen from here (another host, another container) is waited for as long as a lease.
constexpr Millis kUnseen = 12 * 3600 * 1000LL;
}  // namespace

bool may_settle(Vault& vault, const Json& actor, Millis since) {
  if (actor.is_null() || is_this_process(actor)) return true;
  auto ended = has_ended(actor);
  return ended ? *ended : vault.now() > since + kUnseen;
}

void attempt_to_settle(Vault& vault, const std::function<void()>& settle_one) {
  // These are about the vault itself: no command can go on.
  static const std::set<Code> kEndsAll = {Code::ledger_damaged, Code::store_unavailable, Code::store_busy,
                                          Code::disk_full,      Code::read_only,         Code::vault_newer};
  try {
    settle_one();
  } catch (const Error& e) {
    if (kEndsAll.contains(e.code())) throw;
    vault.refresh();
    vault.env().notice("an open question stays open: " + e.message() +
                       (e.cause().empty() ? "" : ": " + e.cause()));
  }
}

bool same_place(const BatchRecord& batch) {
  return !batch.place_inode.empty() && inode_of(batch.location) == batch.place_inode;
}

namespace {
void settle_birth(Vault& vault, const std::string& id) {
  const VersionRecord v = *vault.state().version(id);
  KeyPurpose purpose = vault.state().key_of(id)->purpose;
  if (auto birth = vault.provider(v.provider).recover(v.version(), purpose)) {
    vault.decide(key_streams(vault.state(), *vault.state().key_of(id)),
                 [&] { return birth_events(vault, v, *birth, true); });
    vault.env().notice("settled: " + v.version().brief() + " was made before the interruption");
  } else {
    auto probed = vault.probe(vault.state().providers.at(v.provider), {}, {});
    vault.append({{.type = "key-abandoned",
                   .nodes = {{.id = id, .is = "absent"}},
                   .body = Json::object({{"transcript", probed.evidence},
                                         {"why", "interrupted before the provider made it"}})}},
                 {id});
    vault.env().notice("settled: " + v.version().brief() + " was never made");
  }
}

void settle_births(Vault& vault) {
  std::vector<std::string> open;
  for (auto& [id, key] : vault.state().keys)
    for (const VersionRecord& v : key.versions)
      if (v.state == "intended" && may_settle(vault, v.actor, v.since)) open.push_back(v.id);
  for (const std::string& id : open) attempt_to_settle(vault, [&] { settle_birth(vault, id); });
}

Error unexamined(const BatchRecord& batch) {
  return Error(Code::io_failed, "an interrupted batch of " + std::to_string(batch.objects.size()) +
                                    " objects lies in " + batch.location +
                                    ", which is not there or is another directory")
      .next("bring it back (mount it), or kesu inventory settle DATASET --location-lost REASON");
}

// Objects of an unfinished batch that stand whole under their final names are adopted; the rest is removed.
// Nothing that could be opened is lost.
void settle_batch(Vault& vault, const std::string& dataset_id, const BatchRecord& batch) {
  std::set<std::string> intended(batch.objects.begin(), batch.objects.end());
  std::vector<SegmentObject> adopted;
  Json removed(Json::Array{});
  int64_t bytes = 0;
  std::vector<std::string> places;
  std::function<void(const std::string&)> look = [&](const std::string& dir) {
    for (const std::string& name : list_directory(dir)) {
      std::string path = path_join(dir, name);
      struct stat st {};
      if (::lstat(path.c_str(), &st) != 0) throw file_error(errno, "look at", path);
      if (S_ISDIR(st.st_mode))
        look(path);
      else if (S_ISREG(st.st_mode) && name.ends_with(".kesu-part") && name.size() == 43 &&
               intended.contains(name.substr(1, 32)))
        remove_file(path);
      else if (S_ISREG(st.st_mode) && name.ends_with(".kesu"))
        places.push_back(path);
    }
  };
  // With a segment only the entry is missing: its objects were durable before it was written, and it is
  // written once.
  bool written = vault.store().has_segment(dataset_id, batch.id);
  if (!written) {
    if (!exists(batch.location)) throw unexamined(batch);
    look(batch.location);
  }

  KeyHolder holder(vault, dataset_id, "settle");
  const DatasetRecord dataset = vault.state().datasets.at(dataset_id);
  SegmentHeader header{vault.id(), *DatasetId::parse(dataset_id), *BatchId::parse(batch.id),
                       *DatasetKeyId::parse(batch.dataset_key)};
  if (written) {
    Secret key = open_dataset_key(vault, dataset, batch.dataset_key, ProcessFor::moving);
    adopted = open_segment(vault.store().segment(dataset_id, batch.id), key);
    for (const SegmentObject& o : adopted) bytes += static_cast<int64_t>(o.bytes);
  }
  std::map<std::string, ObjectId> at_place;
  if (!written)
    for (const SegmentObject& o : read_inventory(vault, dataset, ProcessFor::moving))
      at_place[o.place] = o.object;
  for (const std::string& path : places) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.ok()) throw file_error(errno, "open", path);
    SealedInput in = file_input(fd.get());
    ObjectHeader found;
    try {
      if (in.size < kImmutableBytes) continue;
      Bytes first(kImmutableBytes);
      in.read(0, first);
      found = parse_object_header(first);
    } catch (const Error&) {
      continue;  // no object of ours
    }
    if (found.vault != vault.id() || found.dataset.str() != dataset_id ||
        !intended.contains(hex(found.object.bytes())))
      continue;
    try {
      OpenedObject opened = open_object(
          in,
          [&](const Slot& s, ByteView aad) {
            return unwrap_slot(vault, dataset, s, aad, ProcessFor::moving);
          },
          [](const Metadata&) {}, [](ByteView) {});
      SegmentObject o;
      o.object = found.object;
      o.leaf = inventory_leaf(found, found.payload_bound ? payload_root_of(in, found) : Digest32{});
      o.name = opened.metadata.name;
      o.place = path;
      o.bytes = opened.plain_bytes;
      o.mode = opened.metadata.mode;
      o.mtime = opened.metadata.mtime;
      o.salt = vault.env().random.bytes(16);
      if (auto it = at_place.find(path); it != at_place.end()) o.supersedes = it->second;
      bytes += static_cast<int64_t>(o.bytes);
      adopted.push_back(std::move(o));
    } catch (const Error& e) {
      if (e.code() != Code::sealed_damaged) throw;
      if (!same_place(batch)) throw;  // in a copy of the place, damage is the copy's
      remove_file(path);              // a power cut left it half written: its source was never removed
      removed.push(hex(found.object.bytes()));
    }
  }
  // In a directory that is not the one sealed to, nothing found says nothing; a copy of it does.
  if (adopted.empty() && !written && !same_place(batch)) throw unexamined(batch);
  if (adopted.empty()) {
    vault.append({{.type = "seal-abandoned",
                   .nodes = {{.id = batch.id, .is = "abandoned", .of = dataset_id}},
                   .body = Json::object(
                       {{"why", "interrupted before any of its objects was whole"}, {"removed", removed}})}},
                 {batch.id});
    vault.env().notice("settled: a batch of " + dataset.name +
                       " was interrupted before any object was whole");
  } else {
    Fd out(::open(batch.location.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!out.ok() || ::syncfs(out.get()) != 0) throw file_error(errno, "make durable", batch.location);
    Secret key = open_dataset_key(vault, dataset, batch.dataset_key, ProcessFor::moving);
    vault.append({seal_done(vault, header, adopted, key, bytes, batch.version, dataset, true)}, {batch.id});
    vault.env().notice("settled: " + std::to_string(adopted.size()) + " of " +
                       std::to_string(intended.size()) + " objects of an interrupted batch of " +
                       dataset.name + " were whole and are kept");
  }
  holder.end("returned");
}

void settle_seals(Vault& vault) {
  std::vector<std::pair<std::string, BatchRecord>> open;
  for (auto& [id, d] : vault.state().datasets)
    for (const BatchRecord& b : d.batches)
      if (b.state == "intended" && may_settle(vault, b.actor, b.since)) open.emplace_back(id, b);
  for (auto& [dataset, batch] : open)
    attempt_to_settle(vault, [&, &ds = dataset, &b = batch] { settle_batch(vault, ds, b); });
}

void settle_destruction_of(Vault& vault, const std::string& id) {
  const VersionRecord v = *vault.state().version(id);
  auto probed = vault.probe(vault.state().providers.at(v.provider), {*v.ref}, {});
  ProbeAnswer answer = probed.key(v.version()).answer;
  std::optional<std::string> erasure;
  if (!v.erasure.empty()) erasure = v.erasure;
  auto events = settle_destruction(v.version(), v.state_before, erasure, answer, probed.evidence);
  if (events.empty()) {
    vault.env().notice("open question: was " + v.version().brief() +
                       " destroyed? The provider's answer is unknown: " + probed.key(v.version()).why);
    return;
  }
  vault.append(std::move(events), {id});
  vault.env().notice("settled: " + v.version().brief() +
                     (answer == ProbeAnswer::absent ? " is gone; its receipt was lost"
                                                    : " is still there; its destruction did not happen"));
}

void settle_destructions(Vault& vault) {
  std::vector<std::string> open;
  for (auto& [id, key] : vault.state().keys)
    for (const VersionRecord& v : key.versions)
      if (v.state == "destroying" && may_settle(vault, v.actor, v.since)) open.push_back(v.id);
  for (const std::string& id : open) attempt_to_settle(vault, [&] { settle_destruction_of(vault, id); });
}

void settle_processes(Vault& vault) {
  std::vector<std::string> open;
  for (auto& [id, p] : vault.state().processes)
    if (p.alive && !is_this_process(p.actor) && may_settle(vault, p.actor, p.until - kUnseen))
      open.push_back(id);
  for (const std::string& id : open) {
    bool seen = has_ended(vault.state().processes.at(id).actor).value_or(false);
    vault.append(
        {{.type = "process-ended",
          .nodes = {{.id = id, .is = "ended"}},
          .body = Json::object({{"how", seen ? "found-dead" : "lease-over"},
                                {"detail", seen ? "no such process on its host any more"
                                                : "it cannot be seen from here; its lease is over"}})}},
        {id});
  }
}
// Temporary files of durable writes that a kill left behind.
void sweep(Vault& vault) {
  auto clean = [](const std::string& dir) {
    if (!exists(dir)) return;
    // write_file_durable's own names, and no others: <name>.tmp<pid>.<number>
    static const std::regex kTemporary("[^/]+\\.tmp([0-9]+)\\.[0-9]+");
    std::smatch match;
    for (const std::string& name : list_directory(dir))
      if (std::regex_match(name, match, kTemporary) && !exists("/proc/" + match[1].str()))
        remove_file(path_join(dir, name));
  };
  clean(vault.directory());
  clean(path_join(vault.directory(), "evidence"));
  clean(path_join(vault.directory(), "plans"));
  std::string inventory = path_join(vault.directory(), "inventory");
  if (exists(inventory))
    for (const std::string& ds : list_directory(inventory)) clean(path_join(inventory, ds));
}
}  // namespace

std::vector<Question> open_questions(Vault& vault) {
  std::vector<Question> out;
  const State& state = vault.state();
  auto add = [&](const std::string& node, const std::string& what, const Json& actor, Millis since) {
    out.push_back({node, what,
                   actor.str_or("host", "?") + ", process " + std::to_string(actor.num_or("pid", 0)),
                   may_settle(vault, actor, since) && !is_this_process(actor)});
  };
  for (auto& [id, key] : state.keys)
    for (const VersionRecord& v : key.versions) {
      if (v.state == "intended") add(v.id, "was key " + key.name + " made?", v.actor, v.since);
      if (v.state == "destroying")
        add(v.id, "was " + v.version().brief() + " of " + key.name + " destroyed?", v.actor, v.since);
      if (v.inspection_due())
        add(v.id, "is " + v.version().brief() + " of " + key.name + " gone from its provider, inspected?",
            v.actor, v.since);
    }
  for (Question& q : container_questions(vault)) out.push_back(std::move(q));
  for (auto& [id, d] : state.datasets)
    for (const BatchRecord& b : d.batches) {
      if (!b.rewrap.version.empty())
        add(b.id,
            "which of " + std::to_string(count_positions(b.rewrap.objects)) + " objects of dataset " +
                d.name + " were re-wrapped?",
            b.rewrap.actor, b.rewrap.since);
      if (b.state == "intended")
        add(b.id,
            "which of " + std::to_string(b.objects.size()) + " objects of dataset " + d.name +
                " were sealed?",
            b.actor, b.since);
    }
  for (auto& [id, p] : state.processes)
    if (p.alive)
      add(id, "does the process that holds keys of " + p.dataset + " (" + p.purpose + ") still run?", p.actor,
          p.until - kUnseen);
  return out;
}

std::vector<std::string> living_holders(Vault& vault, const std::string& dataset) {
  std::vector<std::string> out;
  for (auto& [id, p] : vault.state().processes) {
    if (!p.alive || p.dataset != dataset || is_this_process(p.actor)) continue;
    auto ended = has_ended(p.actor);
    if (ended.value_or(vault.now() >= p.until)) continue;
    out.push_back(p.purpose + " on " + p.actor.str_or("host", "?") + ", process " +
                  std::to_string(p.actor.num_or("pid", 0)) +
                  (ended ? ", running" : ", at most until " + local_text(p.until)));
  }
  return out;
}

int64_t give_up_batches(Vault& vault, const std::string& dataset, const std::string& reason) {
  settle(vault);
  std::vector<BatchRecord> lost;
  for (const BatchRecord& b : vault.state().datasets.at(dataset).batches)
    if (b.state == "intended" && may_settle(vault, b.actor, b.since) && !same_place(b)) lost.push_back(b);
  for (const BatchRecord& b : lost)
    vault.append({{.type = "seal-abandoned",
                   .nodes = {{.id = b.id, .is = "abandoned", .of = dataset}},
                   .body = Json::object({{"why", "declared lost: " + reason},
                                         {"removed", Json(Json::Array{})},
                                         {"actor", this_process()}})}},
                 {b.id});
  // Of a re-wrap: what nobody can look at counts as not moved, so that its old version stays.
  std::vector<BatchRecord> unmoved;
  for (const BatchRecord& b : vault.state().datasets.at(dataset).batches)
    if (!b.rewrap.version.empty() && may_settle(vault, b.rewrap.actor, b.rewrap.since) && !same_place(b))
      unmoved.push_back(b);
  for (const BatchRecord& b : unmoved)
    vault.append({{.type = "rewrap-done",
                   .nodes = {{.id = b.id, .n = 0}},
                   .body = Json::object({{"version", b.rewrap.version},
                                         {"wrap_algorithm", "AES-256-GCM"},
                                         {"objects", Json(Json::Array{})},
                                         {"interrupted", true},
                                         {"why", "declared lost: " + reason},
                                         {"actor", this_process()}})}},
                 {b.id});
  return static_cast<int64_t>(lost.size() + unmoved.size());
}

void settle(Vault& vault) {
  vault.refresh();
  if (vault.state().vault.closed) return;  // it was closed without questions; the next append is refused
  sweep(vault);
  for (auto step : {settle_containers, settle_processes, settle_births, settle_destructions,
                    settle_inspections, settle_seals, settle_rewraps})
    attempt_to_settle(vault, [&] { step(vault); });
}

}  // namespace kesu
