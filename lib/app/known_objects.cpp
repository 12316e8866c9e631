#include "app/known_objects.h"

#include <algorithm>
#include <cstring>

#include "app/sealed_name.h"
#include "base/files.h"
#include "crypto/hash.h"
#include "crypto/random.h"

namespace kesu {

namespace {
KnownObjects::Key first_half(const Digest32& digest) {
  KnownObjects::Key out;
  std::copy_n(digest.begin(), out.size(), out.begin());
  return out;
}
// Rows on disk: of a place its object, of a name and of a seat the identifier.
constexpr uint8_t kPlace = 'p', kName = 'n', kSeat = 's';

Bytes row_key(uint8_t kind, const KnownObjects::Key& tag) {
  Bytes out{kind};
  out.insert(out.end(), tag.begin(), tag.end());
  return out;
}

ObjectId id_from(ByteView row) {
  std::array<uint8_t, 16> id;
  std::copy_n(row.begin(), id.size(), id.begin());
  return ObjectId(id);
}

Bytes row_of(const KnownObjects::Object& o) {
  Bytes out(o.object.bytes().begin(), o.object.bytes().end());
  out.insert(out.end(), o.name.begin(), o.name.end());
  out.insert(out.end(), o.facts.begin(), o.facts.end());
  for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<uint8_t>(o.bytes >> shift));
  out.push_back(o.adopted);
  return out;
}

KnownObjects::Object object_from(ByteView row, const KnownObjects::Key& place) {
  KnownObjects::Object o;
  o.object = id_from(row);
  std::copy_n(&row[16], o.name.size(), o.name.begin());
  std::copy_n(&row[32], o.facts.size(), o.facts.begin());
  for (int i = 0; i < 8; ++i) o.bytes |= static_cast<uint64_t>(row[48 + static_cast<size_t>(i)]) << 8 * i;
  o.adopted = row[56] != 0;
  o.place = place;
  return o;
}

size_t hash_of(const KnownObjects::Key& key) {
  size_t out;
  std::memcpy(&out, key.data(), sizeof out);
  return out;
}
}  // namespace

KnownObjects::Key KnownObjects::key_of(std::string_view text) { return first_half(sha256(as_bytes(text))); }

KnownObjects::KnownObjects(size_t in_memory) : in_memory_(in_memory) { system_random().fill(key_); }

KnownObjects::Key KnownObjects::tag_of(std::string_view text) const {
  return first_half(sha256({key_, as_bytes(text)}));
}

// No directory has the byte that stands between the two.
KnownObjects::Key KnownObjects::seat_of(std::string_view directory, std::string_view name) const {
  return tag_of(std::string(directory).append(1, '\0').append(name));
}

KnownObjects::Key KnownObjects::facts_of(uint64_t bytes, const FileTime& mtime, const FileTime& ctime,
                                         uint64_t inode) const {
  uint64_t facts[6] = {bytes, static_cast<uint64_t>(mtime.seconds), static_cast<uint64_t>(mtime.nanos)};
  if (inode) {
    facts[3] = inode;
    facts[4] = static_cast<uint64_t>(ctime.seconds);
    facts[5] = static_cast<uint64_t>(ctime.nanos);
  }
  return first_half(sha256({key_, ByteView(reinterpret_cast<const uint8_t*>(facts), sizeof facts)}));
}

void KnownObjects::add(const SegmentObject& o) {
  Object object{o.object,
                o.bytes,
                o.inode == 0,
                tag_of(o.name),
                tag_of(o.place),
                facts_of(o.bytes, o.mtime, o.ctime, o.inode),
                {}};
  const bool seated = lies_under_identifier(o);
  if (seated) object.seat = seat_of(dir_name(o.place), o.name);
  if (all_.size() < in_memory_) {
    all_.push_back(object);
    const auto number = static_cast<uint32_t>(all_.size());
    by_place_.put(all_, number);
    by_name_.put(all_, number);
    if (seated) by_seat_.put(all_, number);
    return;
  }
  if (!others_) others_ = std::make_unique<Scratch>();
  others_->put(row_key(kPlace, object.place), row_of(object));
  others_->put(row_key(kName, object.name), object.object.bytes());
  if (seated) others_->put(row_key(kSeat, object.seat), object.object.bytes());
}

std::optional<KnownObjects::Object> KnownObjects::at_place(std::string_view place) const {
  const Key tag = tag_of(place);
  if (others_)
    if (const auto row = others_->find(row_key(kPlace, tag))) return object_from(*row, tag);
  const uint32_t number = by_place_.find(all_, tag);
  return number ? std::optional(all_[number - 1]) : std::nullopt;
}

std::optional<ObjectId> KnownObjects::named(std::string_view name) const {
  const Key tag = tag_of(name);
  if (others_)
    if (const auto row = others_->find(row_key(kName, tag))) return id_from(*row);
  const uint32_t number = by_name_.find(all_, tag);
  return number ? std::optional(all_[number - 1].object) : std::nullopt;
}

std::optional<ObjectId> KnownObjects::named_in(std::string_view directory, std::string_view name) const {
  const Key tag = seat_of(directory, name);
  if (others_)
    if (const auto row = others_->find(row_key(kSeat, tag))) return id_from(*row);
  const uint32_t number = by_seat_.find(all_, tag);
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
