// What a sealed file says of itself, without any key.
#include <fcntl.h>

#include "app/opening.h"
#include "seal/files.h"

namespace kesu {

Json describe_object(const std::string& path, const State* state) {
  Fd fd(open_path(path, O_RDONLY));
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
