// Fingerprints that were taken while objects were sealed, looked for in files
// (docs/spec/fingerprints.md, "Scan"): whole blocks at multiples of 64 KiB from a file's start, and whole
// files.
#pragma once
#include <array>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "seal/fingerprint.h"

namespace kesu {

class PrintIndex {
 public:
  // `key` outlives it, and every Scanner.
  explicit PrintIndex(const Secret& key) : key_(key) {}
  ~PrintIndex();  // zeroes what could recognise plaintext together with the key

  // An object of `bytes`, by the first 16 bytes of the values of its whole blocks (all zero: a common block,
  // not looked for) and its file value.
  void add(uint32_t object, uint64_t bytes, std::span<const std::array<uint8_t, 16>> blocks,
           const Digest32& file);
  void finish();  // after the last one: looking begins
  int64_t common() const { return common_; }
  // Objects that have no block to look for, and are found where a whole file equals them.
  int64_t whole_only() const { return static_cast<int64_t>(wholes_.size()); }
  bool whole(uint64_t size) const;  // whether a file of this size may be one of these

  // Each thread has its own.
  class Scanner {
   public:
    explicit Scanner(const PrintIndex& index) : all_(index), with_(index.key_) {}
    // Looks at a part of a file that begins at a multiple of 64 KiB. `hit` is called with offsets in it, and
    // the object. `values`, where given, gets the value of each block, the last short one too.
    void scan(ByteView part, const std::function<void(size_t offset, uint32_t object)>& hit,
              std::vector<Digest32>* values);
    // Of a whole file, by all its values: the object without blocks that it equals.
    std::optional<uint32_t> whole(uint64_t size, std::span<const Digest32> values);

   private:
    const PrintIndex& all_;
    Fingerprinter with_;
  };

 private:
  struct Entry {
    std::array<uint8_t, 12> print;
    uint32_t object;
    auto operator<=>(const Entry&) const = default;
  };
  struct Whole {
    uint64_t size;
    Digest32 value;
    uint32_t object;
    auto operator<=>(const Whole&) const = default;
  };
  const Entry* find(const Digest32& value) const;
  const Secret& key_;
  std::vector<Entry> blocks_;  // ascending; of a block in several objects the first alone
  std::vector<Whole> wholes_;
  int64_t common_ = 0;
};

}  // namespace kesu
