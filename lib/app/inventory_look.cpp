#include "app/inventory_look.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "seal/files.h"

namespace kesu {

namespace {
std::string words(const Error& e) { return e.message() + (e.cause().empty() ? "" : ": " + e.cause()); }

Verdict verdict_of(const Error& e) { return {e.code() == Code::sealed_damaged, words(e), e.code()}; }
Verdict altered(std::string what) { return {true, std::move(what), Code::sealed_damaged}; }

// Errors that tell about this file; all others end the work.
bool of_the_file(const Error& e) {
  return e.code() == Code::sealed_damaged || e.code() == Code::io_failed || e.code() == Code::not_found;
}
// The key version is dead, suspended, of another vault: nothing about the file, and no other would tell more.
bool of_the_version(const Error& e) {
  return e.code() == Code::state_refused || e.code() == Code::object_absent || e.code() == Code::period_over;
}

void compare_header(const ObjectInfo& info, const SegmentObject& o, const VaultId& vault,
                    const DatasetId& dataset, Looked& out) {
  const ObjectHeader& h = info.region.header;
  if (h.object != o.object)
    out.verdict = altered("another object stands there: " + h.object.str());
  else if (h.vault != vault || h.dataset != dataset)
    out.verdict = altered("its header names another vault or dataset");
  else if (info.payload_size != o.bytes)
    out.verdict = altered("its payload has " + std::to_string(info.payload_size) +
                          " bytes, the inventory says " + std::to_string(o.bytes));
  else if (!h.payload_bound && inventory_leaf(h, {}) != o.leaf)
    out.verdict = altered("its header is not the one that was sealed");
}

Looked begin(const SealedInput& in, const SegmentObject& o, const VaultId& vault, const DatasetId& dataset,
             ObjectInfo& info) {
  Looked out;
  out.file_size = in.size;
  info = inspect_object(in);
  out.bound = info.region.header.payload_bound;
  out.torn = info.region.states[0] == SlotState::torn || info.region.states[1] == SlotState::torn;
  for (const Slot* s : info.region.usable()) out.slots.push_back(s->version);
  compare_header(info, o, vault, dataset, out);
  return out;
}

using OpenedKeys = std::vector<std::pair<uint64_t, Secret>>;  // by the slot's generation
// Every slot on its own, since one that fails hides behind the other when the object is opened.
void try_slots(const Region& region, Lanes& lanes, unsigned lane, OpenedKeys& keys, Looked& out) {
  const ObjectHeader& h = region.header;
  std::optional<Verdict> dead;
  for (size_t i = 0; i < 2; ++i) {
    if (!region.slots[i]) continue;
    const Slot& slot = *region.slots[i];
    try {
      Secret key = lanes.unwrap(lane, slot, wrap_aad(h.vault, h.dataset, h.object, slot.version));
      if (key.size() != 64 || slot_hmac(h.object, slot, key) != slot.hmac ||
          commitment_of(h, key) != h.commitment)
        throw Error(Code::sealed_damaged, "what it wraps is not this object's data key");
      out.opens.push_back(slot.version.str());
      keys.emplace_back(slot.generation, std::move(key));
    } catch (const Error& e) {
      if (of_the_version(e))
        dead = Verdict{false, "it opens under no key version that may be used: " + words(e), e.code()};
      else if (e.code() == Code::sealed_damaged)
        out.verdict = altered("slot " + std::to_string(i) + " does not open under " + slot.version.brief() +
                              ", which it names: " + words(e));
      else
        throw;
    }
  }
  if (keys.empty() && !out.verdict) out.verdict = dead;
}
}  // namespace

SealedFileAt::SealedFileAt(const std::string& path)
    : fd_(open_path(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)) {
  if (!fd_.ok()) throw file_error(errno, "open", path);
  struct stat st {};
  if (::fstat(fd_.get(), &st) != 0) throw file_error(errno, "look at", path);
  if (!S_ISREG(st.st_mode)) throw Error(Code::io_failed, path + " is no regular file");
  input_ = file_input(fd_.get());
}

ObjectHeader header_at(const std::string& path) {
  SealedFileAt file(path);
  if (file.input().size < kImmutableBytes) throw Error(Code::sealed_damaged, path + " has no header");
  Bytes first(kImmutableBytes);
  file.input().read(0, first);
  return parse_object_header(first);
}

Digest32 payload_root_at(const SealedFileAt& file, const ObjectHeader& header, Crew* crew) {
  return header.payload_bound ? payload_root_of(file.input(), header, crew) : Digest32{};
}

Looked look_at_object(const std::string& place, const SegmentObject& object, const VaultId& vault,
                      const DatasetId& dataset) {
  try {
    SealedFileAt file(place);
    ObjectInfo info;
    return begin(file.input(), object, vault, dataset, info);
  } catch (const Error& e) {
    if (!of_the_file(e)) throw;
    return {.verdict = verdict_of(e), .slots = {}, .opens = {}};
  }
}

Looked open_to_nowhere(const std::string& place, const SegmentObject& object, const VaultId& vault,
                       const DatasetId& dataset, Lanes& lanes, unsigned lane, Crew* crew) {
  Looked out;
  try {
    SealedFileAt file(place);
    ObjectInfo info;
    out = begin(file.input(), object, vault, dataset, info);
    if (out.verdict) return out;
    const ObjectHeader& h = info.region.header;
    if (out.bound && inventory_leaf(h, payload_root_of(file.input(), h, crew)) != object.leaf) {
      out.verdict = altered("its header or its payload is not what was sealed");
      return out;
    }
    OpenedKeys keys;
    try_slots(info.region, lanes, lane, keys, out);
    if (out.verdict) return out;
    std::string name;
    OpenedObject opened = open_object(
        file.input(),
        [&](const Slot& slot, ByteView) {
          for (auto& [generation, key] : keys)
            if (generation == slot.generation) return Secret::from(key.reveal());
          throw Error(Code::sealed_damaged, "its slots changed while it was checked");
        },
        [&](const Metadata& m) { name = m.name; }, [](ByteView) {}, crew);
    if (name != object.name)
      out.verdict = altered("the name sealed in it is not the one in the inventory");
    else if (opened.plain_bytes != object.bytes)
      out.verdict = altered("it holds " + std::to_string(opened.plain_bytes) + " bytes, the inventory says " +
                            std::to_string(object.bytes));
  } catch (const Error& e) {
    if (!of_the_file(e)) throw;
    out.verdict = verdict_of(e);
  }
  return out;
}

}  // namespace kesu
