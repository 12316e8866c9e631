#include "app/settle.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <set>

#include "app/actor.h"
#include "app/keys.h"
#include "app/sealing.h"
#include "base/files.h"
#include "erasure/destroy_version.h"
#include "seal/files.h"

namespace kesu {

namespace {
bool may_settle(const Json& actor) {
  if (actor.is_null() || is_this_process(actor)) return true;
  return has_ended(actor).value_or(false);
}

// One question that cannot be answered now neither hides the others nor stops the command.
void attempt(Vault& vault, const std::function<void()>& settle_one) {
  static const std::set<Code> kStaysOpen = {Code::conflict, Code::already_exists,  // another process settles the same one
                                            Code::key_mismatch, Code::object_ambiguous, Code::mechanism_absent};
  try {
    settle_one();
  } catch (const Error& e) {
    if (e.exit() != Exit::unavailable && !kStaysOpen.contains(e.code())) throw;
    vault.refresh();
    vault.env().notice("an open question stays open: " + e.message() + (e.cause().empty() ? "" : ": " + e.cause()));
  }
}

void settle_birth(Vault& vault, const std::string& id) {
  const VersionRecord v = *vault.state().version(id);
  KeyPurpose purpose = vault.state().key_of(id)->purpose;
  if (auto birth = vault.provider(v.provider).recover(v.version(), purpose)) {
    vault.append(birth_events(vault, v, *birth, true), {id});
    vault.env().notice("settled: " + v.version().brief() + " was made before the interruption");
  } else {
    auto probed = vault.probe(vault.state().providers.at(v.provider), {}, {});
    vault.append({{.type = "key-abandoned", .nodes = {{.id = id, .is = "absent"}},
                   .body = Json::object({{"transcript", probed.evidence}, {"why", "interrupted before the provider made it"}})}}, {id});
    vault.env().notice("settled: " + v.version().brief() + " was never made");
  }
}

void settle_births(Vault& vault) {
  std::vector<std::string> open;
  for (auto& [id, key] : vault.state().keys)
    for (const VersionRecord& v : key.versions)
      if (v.state == "intended" && may_settle(v.actor)) open.push_back(v.id);
  for (const std::string& id : open) attempt(vault, [&] { settle_birth(vault, id); });
}

// Objects of an unfinished batch that stand whole under their final names are adopted; the rest is removed. Nothing
// that could be opened is lost.
void settle_batch(Vault& vault, const std::string& dataset_id, const BatchRecord& batch) {
  std::set<std::string> intended(batch.objects.begin(), batch.objects.end());
  std::vector<SegmentObject> adopted;
  Json removed(Json::Array{});
  int64_t bytes = 0;
  std::vector<std::string> places;
  std::function<void(const std::string&)> look = [&](const std::string& dir) {
    if (!exists(dir)) return;
    for (const std::string& name : list_directory(dir)) {
      std::string path = path_join(dir, name);
      struct stat st {};
      if (::lstat(path.c_str(), &st) != 0) continue;
      if (S_ISDIR(st.st_mode)) look(path);
      else if (S_ISREG(st.st_mode) && name.ends_with(".kesu-part") && name.size() == 43 && intended.contains(name.substr(1, 32))) remove_file(path);
      else if (S_ISREG(st.st_mode) && name.ends_with(".kesu")) places.push_back(path);
    }
  };
  look(batch.location);

  KeyHolder holder(vault, dataset_id, "settle");
  const DatasetRecord dataset = vault.state().datasets.at(dataset_id);
  SegmentHeader header{vault.id(), *DatasetId::parse(dataset_id), *BatchId::parse(batch.id), *DatasetKeyId::parse(batch.dataset_key)};
  if (vault.store().has_segment(dataset_id, batch.id)) {
    // Its objects were durable before it was written, and a segment is written once: only the entry is missing.
    Secret key = open_dataset_key(vault, dataset, batch.dataset_key);
    adopted = open_segment(vault.store().segment(dataset_id, batch.id), key);
    for (const SegmentObject& o : adopted) bytes += static_cast<int64_t>(o.bytes);
    places.clear();
  }
  for (const std::string& path : places) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.ok()) continue;
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
    if (found.vault != vault.id() || found.dataset.str() != dataset_id || !intended.contains(hex(found.object.bytes()))) continue;
    try {
      OpenedObject opened = open_object(in, [&](const Slot& s, ByteView aad) { return unwrap_slot(vault, dataset, s, aad); }, [](const Metadata&) {}, [](ByteView) {});
      SegmentObject o;
      o.object = found.object;
      o.leaf = inventory_leaf(found, found.payload_bound ? payload_root_of(in, found) : Digest32{});
      o.name = opened.metadata.name;
      o.place = path;
      o.bytes = opened.plain_bytes;
      o.mode = opened.metadata.mode;
      o.mtime = opened.metadata.mtime;
      o.salt = vault.env().random.bytes(16);
      bytes += static_cast<int64_t>(o.bytes);
      adopted.push_back(std::move(o));
    } catch (const Error& e) {
      if (e.code() != Code::sealed_damaged) throw;
      remove_file(path);  // a power cut left it half written: its source was never removed
      removed.push(hex(found.object.bytes()));
    }
  }
  if (adopted.empty()) {
    vault.append({{.type = "seal-abandoned", .nodes = {{.id = batch.id, .is = "abandoned", .of = dataset_id}},
                   .body = Json::object({{"why", "interrupted before any of its objects was whole"}, {"removed", removed}})}}, {batch.id});
    vault.env().notice("settled: a batch of " + dataset.name + " was interrupted before any object was whole");
  } else {
    Fd out(::open(batch.location.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!out.ok() || ::syncfs(out.get()) != 0) throw file_error(errno, "make durable", batch.location);
    Secret key = open_dataset_key(vault, dataset, batch.dataset_key);
    vault.append({seal_done(vault, header, adopted, key, bytes, batch.version, dataset, true)}, {batch.id});
    vault.env().notice("settled: " + std::to_string(adopted.size()) + " of " + std::to_string(intended.size()) + " objects of an interrupted batch of " + dataset.name + " were whole and are kept");
  }
  holder.end("returned");
}

void settle_seals(Vault& vault) {
  std::vector<std::pair<std::string, BatchRecord>> open;
  for (auto& [id, d] : vault.state().datasets)
    for (const BatchRecord& b : d.batches)
      if (b.state == "intended" && may_settle(b.actor)) open.emplace_back(id, b);
  for (auto& [dataset, batch] : open) attempt(vault, [&, &ds = dataset, &b = batch] { settle_batch(vault, ds, b); });
}

void settle_destruction_of(Vault& vault, const std::string& id) {
  const VersionRecord v = *vault.state().version(id);
  auto probed = vault.probe(vault.state().providers.at(v.provider), {*v.ref}, {});
  ProbeAnswer answer = probed.key(v.version()).answer;
  std::optional<std::string> erasure;
  if (!v.erasure.empty()) erasure = v.erasure;
  auto events = settle_destruction(v.version(), v.state_before, erasure, answer, probed.evidence);
  if (events.empty()) {
    vault.env().notice("open question: was " + v.version().brief() + " destroyed? The provider's answer is unknown: " + probed.key(v.version()).why);
    return;
  }
  vault.append(std::move(events), {id});
  vault.env().notice("settled: " + v.version().brief() + (answer == ProbeAnswer::absent ? " is gone; its receipt was lost" : " is still there; its destruction did not happen"));
}

void settle_destructions(Vault& vault) {
  std::vector<std::string> open;
  for (auto& [id, key] : vault.state().keys)
    for (const VersionRecord& v : key.versions)
      if (v.state == "destroying" && may_settle(v.actor)) open.push_back(v.id);
  for (const std::string& id : open) attempt(vault, [&] { settle_destruction_of(vault, id); });
}

void settle_processes(Vault& vault) {
  std::vector<std::string> open;
  for (auto& [id, p] : vault.state().processes)
    if (p.alive && !is_this_process(p.actor) && may_settle(p.actor)) open.push_back(id);
  for (const std::string& id : open)
    vault.append({{.type = "process-ended", .nodes = {{.id = id, .is = "ended"}},
                   .body = Json::object({{"how", "found-dead"}, {"detail", "no such process on its host any more"}})}}, {id});
}
// Temporary files of durable writes that a kill left behind.
void sweep(Vault& vault) {
  auto clean = [](const std::string& dir) {
    if (!exists(dir)) return;
    for (const std::string& name : list_directory(dir)) {
      size_t at = name.rfind(".tmp");
      if (at == std::string::npos) continue;
      std::string pid = name.substr(at + 4, name.find('.', at + 4) - at - 4);
      if (pid.empty() || pid.find_first_not_of("0123456789") != std::string::npos) continue;
      if (!exists("/proc/" + pid)) remove_file(path_join(dir, name));
    }
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
  auto add = [&](const std::string& node, const std::string& what, const Json& actor) {
    out.push_back({node, what, actor.str_or("host", "?") + ", process " + std::to_string(actor.num_or("pid", 0)), may_settle(actor) && !is_this_process(actor)});
  };
  for (auto& [id, key] : state.keys)
    for (const VersionRecord& v : key.versions) {
      if (v.state == "intended") add(v.id, "was key " + key.name + " made?", v.actor);
      if (v.state == "destroying") add(v.id, "was " + v.version().brief() + " of " + key.name + " destroyed?", v.actor);
    }
  for (auto& [id, d] : state.datasets)
    for (const BatchRecord& b : d.batches)
      if (b.state == "intended") add(b.id, "which of " + std::to_string(b.objects.size()) + " objects of dataset " + d.name + " were sealed?", b.actor);
  for (auto& [id, p] : state.processes)
    if (p.alive) add(id, "does the process that holds keys of " + p.dataset + " (" + p.purpose + ") still run?", p.actor);
  return out;
}

void settle(Vault& vault) {
  vault.refresh();
  sweep(vault);
  for (auto step : {settle_processes, settle_births, settle_destructions, settle_seals}) attempt(vault, [&] { step(vault); });
}

}  // namespace kesu
