#include "app/known_objects.h"

#include <algorithm>
#include <cstring>

#include "crypto/hash.h"

namespace kesu {

namespace {
KnownObjects::Key first_half(const Digest32& digest) {
  KnownObjects::Key out;
  std::copy_n(digest.begin(), out.size(), out.begin());
  return out;
}
size_t hash_of(const KnownObjects::Key& key) {
  size_t out;
  std::memcpy(&out, key.data(), sizeof out);
  return out;
}
}  // namespace

KnownObjects::Key KnownObjects::key_of(std::string_view text) { return first_half(sha256(as_bytes(text))); }

KnownObjects::Key KnownObjects::facts_of(uint64_t bytes, const FileTime& mtime, const FileTime& ctime,
                                         uint64_t inode) {
  uint64_t facts[6] = {bytes, static_cast<uint64_t>(mtime.seconds), static_cast<uint64_t>(mtime.nanos)};
  if (inode) {
    facts[3] = inode;
    facts[4] = static_cast<uint64_t>(ctime.seconds);
    facts[5] = static_cast<uint64_t>(ctime.nanos);
  }
  return first_half(sha256(ByteView(reinterpret_cast<const uint8_t*>(facts), sizeof facts)));
}

void KnownObjects::add(const SegmentObject& o) {
  all_.push_back({o.object, o.bytes, o.inode == 0, key_of(o.name), key_of(o.place),
                  facts_of(o.bytes, o.mtime, o.ctime, o.inode)});
  const auto number = static_cast<uint32_t>(all_.size());
  by_place_.put(all_, number);
  by_name_.put(all_, number);
  if (o.supersedes) superseded_.push_back(*o.supersedes);
}

const KnownObjects::Object* KnownObjects::at_place(std::string_view place) const {
  const uint32_t number = by_place_.find(all_, key_of(place));
  return number ? &all_[number - 1] : nullptr;
}

std::optional<ObjectId> KnownObjects::named(std::string_view name) const {
  const uint32_t number = by_name_.find(all_, key_of(name));
  return number ? std::optional(all_[number - 1].object) : std::nullopt;
}

size_t KnownObjects::Index::slot(const std::deque<Object>& all, const Key& key) const {
  size_t i = hash_of(key) & (slots_.size() - 1);
  while (slots_[i] && all[slots_[i] - 1].*key_ != key) i = (i + 1) & (slots_.size() - 1);
  return i;
}

uint32_t KnownObjects::Index::find(const std::deque<Object>& all, const Key& key) const {
  return slots_.empty() ? 0 : slots_[slot(all, key)];
}

void KnownObjects::Index::put(const std::deque<Object>& all, uint32_t number) {
  if (used_ >= slots_.size() / 4 * 3) {
    std::vector<uint32_t> before(std::max<size_t>(64, 2 * slots_.size()));
    before.swap(slots_);
    for (uint32_t n : before)
      if (n) slots_[slot(all, all[n - 1].*key_)] = n;
  }
  uint32_t& at = slots_[slot(all, all[number - 1].*key_)];
  used_ += at == 0;
  at = number;
}

}  // namespace kesu
