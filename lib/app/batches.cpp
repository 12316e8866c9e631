#include "app/batches.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "base/error.h"
#include "base/ids.h"

namespace kesu {

Positions positions_from(const Json& v) {
  Positions out;
  for (const Json& range : v.as_array()) {
    if (range.as_array().size() != 2) throw Error(Code::bad_input, "a range has two ends");
    out.emplace_back(range.as_array()[0].as_int(), range.as_array()[1].as_int());
  }
  return out;
}
Json positions_json(const Positions& positions) {
  Json out(Json::Array{});
  for (auto [first, last] : positions) out.push(Json::array({first, last}));
  return out;
}
int64_t count_positions(const Positions& positions) {
  int64_t n = 0;
  for (auto [first, last] : positions) n += last - first + 1;
  return n;
}

std::map<std::string, int64_t> BatchRecord::under() const {
  std::map<std::string, int64_t> out;
  if (on.empty()) out[version] = n;
  for (auto& [v, positions] : on) out[v] += count_positions(positions);
  return out;
}

Batches::Key Batches::key_of(const std::string& id) {
  auto parsed = BatchId::parse(id);
  if (!parsed) throw Error(Code::bad_input, id + " is no batch");
  return parsed->bytes();
}

BatchRecord Batches::unpacked(const Packed& p) {
  BatchRecord b;
  b.id = BatchId(p.id).str();
  b.state = p.shape->state;
  b.version = p.shape->version;
  b.dataset_key = p.shape->dataset_key;
  b.location = p.shape->location;
  b.content_algorithm = p.shape->content_algorithm;
  b.wrap_algorithm = p.shape->wrap_algorithm;
  b.place = p.shape->place;
  b.on = p.shape->on;
  b.reached_by = p.shape->reached_by;
  if (b.state == "sealed") b.root = hex(p.root);
  b.n = p.n;
  b.bytes = p.bytes;
  b.replaced = p.replaced;
  b.seq = p.seq;
  b.done_seq = p.done_seq;
  b.since = p.since;
  return b;
}

void Batches::put_at_rest(BatchRecord b) const {
  Packed p{key_of(b.id), {}, nullptr, b.n, b.bytes, b.replaced, b.seq, b.done_seq, b.since};
  if (b.state == "sealed") p.root = unhex32(b.root).value_or(Digest32{});
  Shape shape{std::move(b.state),
              std::move(b.version),
              std::move(b.dataset_key),
              std::move(b.location),
              std::move(b.content_algorithm),
              std::move(b.wrap_algorithm),
              std::move(b.place),
              std::move(b.on),
              std::move(b.reached_by)};
  if (!last_shape_ || *last_shape_ != shape)
    last_shape_ = shapes_.insert(std::make_shared<const Shape>(std::move(shape))).first->get();
  p.shape = last_shape_;
  if (count_ == std::numeric_limits<uint32_t>::max()) throw std::bad_alloc();
  if (2 * (count_ + 1) > at_.size()) grow();
  if (count_ / kPage == pages_.size()) pages_.emplace_back(kPage);
  at_[slot_of(p.id)] = static_cast<uint32_t>(count_ + 1);
  rest(count_++) = p;
}

// Identifiers are random: any of their bits are a hash.
size_t Batches::slot_of(const Key& id) const {
  uint64_t hash;
  std::memcpy(&hash, id.data(), sizeof hash);
  const size_t mask = at_.size() - 1;
  size_t slot = (hash * 0x9e3779b97f4a7c15u >> 20) & mask;
  while (at_[slot] && rest(at_[slot] - 1).id != id) slot = (slot + 1) & mask;
  return slot;
}

void Batches::grow() const {
  at_.assign(std::max<size_t>(16, 2 * at_.size()), 0);
  for (size_t i = 0; i < count_; ++i) at_[slot_of(rest(i).id)] = static_cast<uint32_t>(i + 1);
}

void Batches::take_from_rest(const Key& id) {
  if (at_.empty()) return;
  size_t slot = slot_of(id);
  if (!at_[slot]) return;
  const size_t hole = at_[slot] - 1, last = --count_;
  // Whoever was put behind this slot because it was taken is put anew.
  const size_t mask = at_.size() - 1;
  at_[slot] = 0;
  for (slot = (slot + 1) & mask; at_[slot]; slot = (slot + 1) & mask) {
    const uint32_t place = std::exchange(at_[slot], 0);
    at_[slot_of(rest(place - 1).id)] = place;
  }
  if (hole == last) return;
  at_[slot_of(rest(last).id)] = static_cast<uint32_t>(hole + 1);
  rest(hole) = rest(last);
}

void Batches::count(const BatchRecord& b, int64_t sign) {
  if (b.state == "abandoned" && b.n) {
    auto it = given_up_.try_emplace(b.version).first;
    if ((it->second += sign * b.n) == 0) given_up_.erase(it);
  }
  if (b.state != "sealed") return;
  auto add = [&](auto& sums, auto key, int64_t objects, int64_t bytes, int64_t replaced) {
    auto it = sums.try_emplace(std::move(key)).first;
    it->second.batches += sign;
    it->second.objects += sign * objects;
    it->second.bytes += sign * bytes;
    it->second.replaced += sign * replaced;
    if (it->second.batches == 0) sums.erase(it);
  };
  add(kinds_, BatchKind{b.version, b.dataset_key, b.content_algorithm, b.wrap_algorithm, b.reached_by}, b.n,
      b.bytes, b.replaced);
  for (auto& [version, n] : b.under()) add(under_, std::pair(version, b.wrap_algorithm), n, 0, 0);
}

BatchSums Batches::sums() const {
  BatchSums out;
  for (auto& [kind, s] : kinds_) {
    out.batches += s.batches;
    out.objects += s.objects;
    out.bytes += s.bytes;
    out.replaced += s.replaced;
  }
  return out;
}

// What is in memory is newer than what the registers say.
void Batches::load() const {
  if (!loader_) return;
  std::vector<BatchRecord> read = loader_();  // where it throws, they are still to be read
  loader_ = nullptr;
  for (BatchRecord& b : read)
    if (!is_at_rest(key_of(b.id)) && !find_open(b.id)) put_at_rest(std::move(b));
}

std::vector<BatchRecord> Batches::all() const {
  load();
  std::vector<BatchRecord> out(open_);
  out.reserve(open_.size() + count_);
  for (size_t i = 0; i < count_; ++i) out.push_back(unpacked(rest(i)));
  std::sort(out.begin(), out.end(), [](auto& a, auto& b) { return a.seq < b.seq; });
  return out;
}

void Batches::each_loaded(const std::function<void(const BatchRecord&)>& visit) const {
  for (const BatchRecord& b : open_) visit(b);
  for (size_t i = 0; i < count_; ++i) visit(unpacked(rest(i)));
}

const BatchRecord* Batches::find_open(const std::string& id) const {
  auto it = std::find_if(open_.begin(), open_.end(), [&](const BatchRecord& b) { return b.id == id; });
  return it == open_.end() ? nullptr : &*it;
}

std::optional<BatchRecord> Batches::find(const std::string& id) const {
  if (const BatchRecord* b = find_open(id)) return *b;
  const Key key = key_of(id);
  if (!is_at_rest(key)) load();
  if (!is_at_rest(key)) return std::nullopt;
  return unpacked(rest(at_[slot_of(key)] - 1));
}

void Batches::add(BatchRecord batch) {
  count(batch, 1);
  if (batch.is_open())
    restore_open(std::move(batch));
  else
    put_at_rest(std::move(batch));
}

std::optional<BatchRecord> Batches::take(const std::string& id) {
  std::optional<BatchRecord> out;
  auto open = std::find_if(open_.begin(), open_.end(), [&](const BatchRecord& b) { return b.id == id; });
  if (open != open_.end()) {
    out = std::move(*open);
    open_.erase(open);
  } else if ((out = find(id))) {
    take_from_rest(key_of(id));
  }
  if (out) count(*out, -1);
  return out;
}

void Batches::replace(BatchRecord batch) {
  take(batch.id);
  add(std::move(batch));
}

void Batches::restore_open(BatchRecord batch) {
  auto at =
      std::upper_bound(open_.begin(), open_.end(), batch, [](auto& a, auto& b) { return a.seq < b.seq; });
  open_.insert(at, std::move(batch));
}

void Batches::restore(BatchesByKind kinds, BatchesUnder under, GivenUp given_up, Loader loader) {
  kinds_ = std::move(kinds);
  under_ = std::move(under);
  given_up_ = std::move(given_up);
  loader_ = std::move(loader);
}

}  // namespace kesu
