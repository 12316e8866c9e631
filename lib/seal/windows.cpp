#include "seal/windows.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"

namespace kesu {

namespace {
constexpr uint64_t kMost = 1u << 20;  // windows that are steered for

std::array<uint8_t, 12> strong_of(const Digest32& value) {
  std::array<uint8_t, 12> out;
  std::copy_n(value.begin(), out.size(), out.begin());
  return out;
}
}  // namespace

size_t window_for(uint64_t bytes) {
  size_t window = kMinWindow;
  while (window < kMaxWindow && bytes / window > kMost) window *= 2;
  return window;
}

Windows::Windows(const Secret& key, size_t window) : key_(key), window_(window) {
  if (window < kMinWindow || window > kMaxWindow || !std::has_single_bit(window))
    throw Error(Code::bad_input, "a window has a power of two of bytes, 512 to 65536");
  static constexpr std::string_view kLabel = "kesu-windows-v1";
  for (unsigned i = 0; i < 256; ++i) {
    const uint8_t byte = static_cast<uint8_t>(i);
    const Digest32 d = hmac_sha256(key.reveal().subspan(32), as_bytes(kLabel), ByteView(&byte, 1));
    for (unsigned k = 0; k < 8; ++k) table_[i] = table_[i] << 8 | d[k];
  }
}

Windows::~Windows() { wipe({reinterpret_cast<uint8_t*>(table_.data()), sizeof table_}); }

uint64_t Windows::weak_of(const uint8_t* window) const {
  uint64_t h = 0;
  for (size_t i = 0; i < window_; ++i) h = std::rotl(h, 1) ^ table_[window[i]];
  return h;
}

bool Windows::whole(uint64_t size) const {
  const auto it = std::lower_bound(wholes_.begin(), wholes_.end(), size,
                                   [](const Whole& s, uint64_t n) { return s.size < n; });
  return it != wholes_.end() && it->size == size;
}

Windows::Taker::Taker(Windows& windows)
    : all_(windows), with_(windows.key_), whole_(windows.key_.reveal().subspan(32)) {}
Windows::Taker::~Taker() { wipe(rest_); }

void Windows::Taker::begin(uint32_t object) {
  object_ = object;
  bytes_ = 0;
  common_ = 0;
  found_.clear();
  whole_.finish();  // anew
  wipe(rest_);
  rest_.clear();
  rest_.reserve(all_.window_);  // so that no copy is left behind when it grows
}

void Windows::Taker::feed(ByteView piece) {
  bytes_ += piece.size();
  while (!piece.empty()) {
    const size_t n = std::min(piece.size(), all_.window_ - rest_.size());
    rest_.insert(rest_.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(n));
    piece = piece.subspan(n);
    if (rest_.size() == all_.window_) take();
  }
}

// What repeats itself every 64 bytes is zeros and the like; its weak value, and that of a few other periods,
// is 0 whatever it holds.
void Windows::Taker::take() {
  const uint64_t weak = all_.weak_of(rest_.data());
  if (weak == 0 || std::memcmp(rest_.data(), rest_.data() + 64, all_.window_ - 64) == 0) {
    ++common_;
    if (found_.empty()) whole_.update(with_.block(rest_));
  } else {
    found_.push_back({weak, strong_of(with_.block(rest_))});
  }
  rest_.clear();
}

void Windows::Taker::end() {
  if (found_.empty() && !rest_.empty()) whole_.update(with_.block(rest_));
  std::lock_guard lock(all_.mutex_);
  if (found_.empty() && bytes_) all_.wholes_.push_back({bytes_, whole_.finish(), object_});
  for (const Found& f : found_) all_.taken_.push_back({f.weak, f.strong, object_});
  all_.common_ += common_;
  found_.clear();
}

void Windows::finish() {
  std::sort(wholes_.begin(), wholes_.end());
  const size_t n = taken_.size();
  const unsigned bits = static_cast<unsigned>(std::max<size_t>(16, std::bit_width(n) + 5));
  shift_ = 64 - bits;
  filter_.assign(size_t{1} << (bits - 6), 0);
  slots_.assign(std::bit_ceil(n + n / 2 + 1), Entry());
  const size_t mask = slots_.size() - 1;
  for (const Entry& e : taken_) {
    const uint64_t bit = (e.weak * kMix) >> shift_;
    filter_[bit >> 6] |= uint64_t{1} << (bit & 63);
    size_t at = (e.weak * kMix) & mask;
    while (slots_[at].weak && !(slots_[at].weak == e.weak && slots_[at].strong == e.strong))
      at = (at + 1) & mask;
    if (slots_[at].weak) continue;  // the first object that has it stands for all
    slots_[at] = e;
    ++count_;
  }
  taken_ = {};
}

void Windows::Scanner::scan(ByteView bytes, const std::function<void(size_t, uint32_t)>& hit) {
  const size_t w = all_.window_;
  if (bytes.size() < w || all_.count_ == 0) return;
  const uint8_t* const data = bytes.data();
  const auto& table = all_.table_;
  const size_t mask = all_.slots_.size() - 1, last = bytes.size() - w;
  uint64_t h = all_.weak_of(data);
  for (size_t at = 0;;) {
    if (h != 0 && all_.maybe(h)) {
      std::optional<Digest32> value;
      bool found = false;
      for (size_t slot = (h * kMix) & mask; all_.slots_[slot].weak; slot = (slot + 1) & mask) {
        const Entry& e = all_.slots_[slot];
        if (e.weak != h) continue;
        if (!value) value = with_.block(bytes.subspan(at, w));
        if (strong_of(*value) != e.strong) continue;
        hit(at, e.object);
        found = true;
        break;
      }
      if (found) {
        if (last - at < w) return;
        at += w;
        h = all_.weak_of(data + at);
        continue;
      }
    }
    if (at == last) return;
    h = std::rotl(h, 1) ^ table[data[at]] ^ table[data[at + w]];
    ++at;
  }
}

void Windows::Scanner::blocks(ByteView part, std::vector<Digest32>& out) {
  for (; !part.empty(); part = part.subspan(std::min(all_.window_, part.size())))
    out.push_back(with_.block(part.first(std::min(all_.window_, part.size()))));
}

std::optional<uint32_t> Windows::Scanner::whole(uint64_t size, std::span<const Digest32> blocks) {
  if (size == 0 || !all_.whole(size)) return std::nullopt;
  const Whole wanted{size, with_.file(blocks), 0};
  const auto it = std::lower_bound(all_.wholes_.begin(), all_.wholes_.end(), wanted);
  if (it == all_.wholes_.end() || it->size != wanted.size || it->value != wanted.value) return std::nullopt;
  return it->object;
}

std::optional<uint32_t> Windows::Scanner::whole(ByteView file) {
  if (!all_.whole(file.size())) return std::nullopt;
  std::vector<Digest32> values;
  blocks(file, values);
  return whole(file.size(), values);
}

}  // namespace kesu
