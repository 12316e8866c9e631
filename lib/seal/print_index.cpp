#include "seal/print_index.h"

#include <algorithm>

namespace kesu {

PrintIndex::~PrintIndex() {
  if (!blocks_.empty()) wipe({reinterpret_cast<uint8_t*>(blocks_.data()), blocks_.size() * sizeof(Entry)});
  if (!wholes_.empty()) wipe({reinterpret_cast<uint8_t*>(wholes_.data()), wholes_.size() * sizeof(Whole)});
}

void PrintIndex::add(uint32_t object, uint64_t bytes, std::span<const std::array<uint8_t, 16>> blocks,
                     const Digest32& file) {
  static constexpr std::array<uint8_t, 16> kCommon{};
  bool any = false;
  for (const auto& b : blocks) {
    if (b == kCommon) {
      ++common_;
      continue;
    }
    any = true;
    Entry& e = blocks_.emplace_back();
    std::copy_n(b.begin(), e.print.size(), e.print.begin());
    e.object = object;
  }
  if (!any && bytes) wholes_.push_back({bytes, file, object});
}

void PrintIndex::finish() {
  std::sort(wholes_.begin(), wholes_.end());
  std::sort(blocks_.begin(), blocks_.end());
  blocks_.erase(std::unique(blocks_.begin(), blocks_.end(),
                            [](const Entry& a, const Entry& b) { return a.print == b.print; }),
                blocks_.end());
}

bool PrintIndex::whole(uint64_t size) const {
  const auto it = std::lower_bound(wholes_.begin(), wholes_.end(), size,
                                   [](const Whole& w, uint64_t n) { return w.size < n; });
  return it != wholes_.end() && it->size == size;
}

const PrintIndex::Entry* PrintIndex::find(const Digest32& value) const {
  std::array<uint8_t, 12> print;
  std::copy_n(value.begin(), print.size(), print.begin());
  const auto it = std::lower_bound(blocks_.begin(), blocks_.end(), print,
                                   [](const Entry& e, const auto& p) { return e.print < p; });
  return it != blocks_.end() && it->print == print ? &*it : nullptr;
}

void PrintIndex::Scanner::scan(ByteView part, const std::function<void(size_t, uint32_t)>& hit,
                               std::vector<Digest32>* values) {
  for (size_t at = 0; at < part.size(); at += kFingerprintBlock) {
    const ByteView block = part.subspan(at, std::min(kFingerprintBlock, part.size() - at));
    const bool looked_for = block.size() == kFingerprintBlock && !all_.blocks_.empty() && !repeats(block);
    if (!looked_for && !values) continue;
    const Digest32 value = with_.block(block);
    if (values) values->push_back(value);
    if (!looked_for) continue;
    if (const Entry* e = all_.find(value)) hit(at, e->object);
  }
}

std::optional<uint32_t> PrintIndex::Scanner::whole(uint64_t size, std::span<const Digest32> values) {
  if (size == 0 || !all_.whole(size)) return std::nullopt;
  const Whole wanted{size, with_.file(values), 0};
  const auto it = std::lower_bound(all_.wholes_.begin(), all_.wholes_.end(), wanted);
  if (it == all_.wholes_.end() || it->size != wanted.size || it->value != wanted.value) return std::nullopt;
  return it->object;
}

}  // namespace kesu
