#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "app/actor.h"
#include "app/sealing.h"
#include "app/settle.h"
#include "seal/files.h"

namespace kesu {

namespace {
struct Candidate {
  std::string path;
  ObjectHeader header;
  std::vector<std::string> versions;
};

void say_failed(OpenResult& result, const std::string& path, const Error& e) {
  result.failed.push_back({path, e.message() + (e.cause().empty() ? "" : ": " + e.cause()), e.code()});
}

// A header that names another vault or dataset, over a key of this vault, was altered: identifiers are never
// given twice.
const DatasetRecord& readable(const Vault& vault, const State& state, const Candidate& c) {
  auto foreign = [&](const std::string& why) {
    bool our_key = std::any_of(c.versions.begin(), c.versions.end(),
                               [&](const std::string& v) { return state.version(v) != nullptr; });
    return Error(our_key ? Code::sealed_damaged : Code::state_refused,
                 our_key ? "its header was altered: " + why + ", under a key of this vault" : why);
  };
  if (c.header.vault != vault.id()) throw foreign("it was sealed by another vault, " + c.header.vault.str());
  auto it = state.datasets.find(c.header.dataset.str());
  if (it == state.datasets.end())
    throw foreign("it belongs to a dataset that this vault does not know, " + c.header.dataset.str());
  if (it->second.state == "erased")
    throw Error(Code::state_refused, "dataset " + it->second.name + " was erased by " + it->second.erasure +
                                         ": its key is destroyed, nobody can open this");
  return it->second;
}

// Recorded and durable before the first byte leaves: who could see what, when, is part of the answer.
void record_opening(Vault& vault, const std::string& process, const std::string& dataset,
                    const std::vector<Candidate>& files, const std::string& purpose) {
  Json objects(Json::Array{}), versions(Json::Array{});
  std::set<std::string> seen;
  for (const Candidate& c : files) {
    objects.push(hex(c.header.object.bytes()));
    for (const std::string& v : c.versions)
      if (seen.insert(v).second) versions.push(v);
  }
  vault.append({{.type = "objects-opened",
                 .nodes = {{.id = process}, {.id = dataset, .n = static_cast<int64_t>(files.size())}},
                 .edges = {{process, dataset}},
                 .body = Json::object({{"purpose", purpose}, {"objects", objects}, {"versions", versions}})}},
               {});
}
}  // namespace

Secret unwrap_slot(Vault& vault, const DatasetRecord& dataset, const Slot& slot, ByteView aad,
                   ProcessFor why) {
  const VersionRecord* v = vault.state().version(slot.version.str());
  if (!v || !v->ref)
    throw Error(Code::object_absent, "key version " + slot.version.brief() + " of dataset " + dataset.name +
                                         " is not in this vault");
  refuse_to_process(vault, *v, why);
  return vault.provider(v->provider).unwrap(*v->ref, slot.wrapped, aad);
}

OpenResult open_files(Vault& vault, const std::vector<std::string>& sources, const std::string& out,
                      bool force, const std::function<void(int64_t, int64_t)>& progress,
                      const std::string& accept_compromised) {
  const ProcessFor why = accept_compromised.empty() ? ProcessFor::opening : ProcessFor::accepted;
  const std::string purpose =
      accept_compromised.empty() ? "open" : "open; compromised versions accepted: " + accept_compromised;
  settle(vault);
  OpenResult result;
  Crew crew;
  std::map<std::string, std::vector<Candidate>> by_dataset;
  int64_t total = 0, done = 0;
  for (const std::string& path : sealed_files(sources)) {
    try {
      Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
      if (!fd.ok()) throw file_error(errno, "open", path);
      ObjectInfo info = inspect_object(file_input(fd.get()));
      Candidate c{path, info.region.header, {}};
      for (const Slot* slot : info.region.usable()) c.versions.push_back(slot->version.str());
      readable(vault, vault.state(), c);
      by_dataset[c.header.dataset.str()].push_back(std::move(c));
      ++total;
    } catch (const Error& e) {
      say_failed(result, path, e);
    }
  }
  std::string root = absolute_path(out);
  make_directories(root);
  for (auto& [dataset, all] : by_dataset) {
    KeyHolder holder(vault, dataset, "open");
    for (size_t at = 0; at < all.size(); at += kMaxBatch) {
      std::vector<Candidate> batch(
          all.begin() + static_cast<ptrdiff_t>(at),
          all.begin() + static_cast<ptrdiff_t>(std::min(at + kMaxBatch, all.size())));
      holder.keep();
      record_opening(vault, holder.id(), dataset, batch, purpose);
      for (const Candidate& c : batch) {
        try {
          const DatasetRecord& d = readable(vault, vault.state(), c);
          OpenedFile opened = open_to_file(
              c.path, [&](const Slot& slot, ByteView aad) { return unwrap_slot(vault, d, slot, aad, why); },
              [&](const Metadata& m) { return safe_destination(root, safe_relative_path(m.name)); }, crew,
              {.replace = force, .durable = false});
          ++result.opened;
          result.bytes += static_cast<int64_t>(opened.object.plain_bytes);
        } catch (const Error& e) {
          say_failed(result, c.path, e);
        }
        progress(++done, total);
      }
    }
    holder.end("returned");
  }
  if (result.opened) {
    Fd dir(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!dir.ok() || ::syncfs(dir.get()) != 0) throw file_error(errno, "make durable", root);
  }
  return result;
}

Json describe_object(const std::string& path, const State* state) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok()) throw file_error(errno, "open", path);
  ObjectInfo info = inspect_object(file_input(fd.get()));
  const ObjectHeader& h = info.region.header;
  static constexpr const char* kNames[] = {"?", "AES-256-GCM", "ChaCha20-Poly1305", "Camellia-256-GCM",
                                           "AES-128-GCM"};
  Json slots(Json::Array{});
  for (const Slot* s : info.region.usable())
    slots.push(Json::object(
        {{"generation", s->generation},
         {"key_version", s->version.str()},
         {"wrap", s->wrapped.algorithm == WrapAlg::aes256_gcm ? "AES-256-GCM" : "RSA-OAEP-SHA256"},
         {"state", state && state->version(s->version.str()) ? Json(state->version(s->version.str())->state)
                                                             : Json()}}));
  bool torn = info.region.states[0] == SlotState::torn || info.region.states[1] == SlotState::torn;
  auto dataset =
      state ? state->datasets.find(h.dataset.str()) : std::map<std::string, DatasetRecord>::const_iterator{};
  bool known = state && dataset != state->datasets.end();
  return Json::object({{"path", name_to_json(path)},
                       {"format", 1},
                       {"vault", h.vault.str()},
                       {"dataset", h.dataset.str()},
                       {"dataset_name", known ? Json(dataset->second.name) : Json()},
                       {"object", h.object.str()},
                       {"algorithm", kNames[static_cast<int>(h.algorithm)]},
                       {"chunk", h.chunk},
                       {"payload_bound", h.payload_bound},
                       {"payload_bytes", info.payload_size},
                       {"file_bytes", info.file_size},
                       {"slots", slots},
                       {"torn_slot", torn},
                       {"commitment", hex(h.commitment)}});
}

}  // namespace kesu
