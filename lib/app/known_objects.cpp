#include "app/known_objects.h"

#include <algorithm>

#include "crypto/hash.h"

namespace kesu {

KnownObjects::Key KnownObjects::key_of(std::string_view text) {
  const Digest32 digest = sha256(as_bytes(text));
  Key out;
  std::copy_n(digest.begin(), out.size(), out.begin());
  return out;
}

void KnownObjects::add(const SegmentObject& o) {
  const Key name = key_of(o.name);
  by_place_[key_of(o.place)] = {o.object, o.bytes, o.inode, o.mtime, o.ctime, name};
  by_name_[name] = o.object;
  if (o.supersedes) superseded_.push_back(*o.supersedes);
}

const KnownObjects::Object* KnownObjects::at_place(std::string_view place) const {
  auto it = by_place_.find(key_of(place));
  return it == by_place_.end() ? nullptr : &it->second;
}

std::optional<ObjectId> KnownObjects::named(std::string_view name) const {
  auto it = by_name_.find(key_of(name));
  return it == by_name_.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace kesu
